"""The last moments of a scenario that fails: a sequence chart and a trace for Perfetto, beside its file.

Decides which part is shown: what came before the moment at which the invariant did not hold, and a little after. Rule:
the pictures are of the scenario as it is written, played once more; one that ends in an exception is shown up to there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from chatsim.errors import UsageError
from chatsim.explore.lots import Words
from chatsim.explore.play import Wire, play_once
from chatsim.journal.steps import read
from chatsim.scenario.model import Scenario
from chatsim.timeline.choice import Range
from chatsim.timeline.sequence import draw
from chatsim.timeline.story import Mark, Story
from chatsim.timeline.trace import write

BEFORE_S: Final = 30.0
AFTER_S: Final = 1.0
"""So much of the run is shown before and after the moment."""


def drawn(words: Words, wire: Wire, invariant: str, path: Path) -> tuple[Path, ...]:
    """Draw the failing scenario of this file; returns the pictures, none where nothing had happened yet."""
    scenario = Scenario.of(words)
    with tempfile.TemporaryDirectory(prefix="chatsim-explore-") as folder:
        journal = Path(folder) / "journal.jsonl"
        played = play_once(scenario, wire, journal)
        at = next((violation.at for violation in played.violations if violation.name == invariant), 0.0)
        steps = list(read(journal)) if journal.exists() else []
    if not steps:
        return ()
    # What was raised has no moment of its own: it was the last.
    at = at or steps[-1].now
    title = f"{scenario.name}: {invariant} at {at:g} s"
    story = Story(steps, [Mark(at, f"{invariant} does not hold")])
    asked = Range(max(0.0, at - BEFORE_S), at + AFTER_S)
    try:
        chart, trace = draw(story, Range(None, at + AFTER_S), title), write(story, asked, title)
    except UsageError:
        return ()
    svg, json = path.with_suffix(".svg"), path.with_suffix(".json")
    svg.write_text(chart, encoding="utf-8")
    json.write_bytes(trace)
    return svg, json
