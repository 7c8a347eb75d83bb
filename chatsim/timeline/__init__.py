"""A run to look at: a message-sequence chart, and a trace for Perfetto, of the steps of a journal.

Rule: both are drawn of decoded steps alone, so that whoever has steps has pictures, without a folder or a file.
"""

from chatsim.timeline.sequence import chart
from chatsim.timeline.story import Mark
from chatsim.timeline.trace import perfetto

__all__ = ["Mark", "chart", "perfetto"]
