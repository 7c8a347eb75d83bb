"""The moments around one that matters, such as that at which a run broke: a sequence chart and a trace for Perfetto.

Decides which part of a run is shown: what came before the moment, and a little after. Rule: where nothing can be drawn
there are no pictures, and that is no failure of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chatsim.errors import UsageError
from chatsim.journal.steps import Step
from chatsim.timeline.choice import Range
from chatsim.timeline.sequence import draw
from chatsim.timeline.story import Mark, Story
from chatsim.timeline.trace import write

BEFORE_S: Final = 30.0
AFTER_S: Final = 1.0
"""So much of the run is shown before and after the moment."""


def last_moments(steps: Sequence[Step], at: float, title: str, mark: str) -> tuple[str, bytes] | None:
    """The chart (SVG) and the trace (JSON) of what led to the moment (s), which `mark` names; None where nothing had
    happened yet."""
    if not steps:
        return None
    story = Story(steps, [Mark(at, mark)])
    try:
        chart = draw(story, Range(None, at + AFTER_S), title)
        return chart, write(story, Range(max(0.0, at - BEFORE_S), at + AFTER_S), title)
    except UsageError:
        return None
