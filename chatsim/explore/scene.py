"""The last moments of a scenario that fails: a sequence chart and a trace for Perfetto, beside its file.

Rule: the pictures are of the scenario as it is written, played once more; one that ends in an exception is shown up to
there. What is shown of it is decided by `timeline`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from chatsim.explore.lots import Words
from chatsim.explore.play import Wire, play, play_once
from chatsim.journal.steps import read
from chatsim.scenario.model import Scenario
from chatsim.timeline.moments import last_moments


def drawn(words: Words, wire: Wire, invariant: str, path: Path) -> tuple[Path, ...]:
    """Draw the failing scenario of this file; returns the pictures, none where nothing had happened yet."""
    scenario = Scenario.of(words)
    with tempfile.TemporaryDirectory(prefix="chatsim-explore-") as folder:
        journal = Path(folder) / "journal.jsonl"
        played = play_once(scenario, wire, journal)
        steps = list(read(journal)) if journal.exists() else []
    if invariant == "same_again":
        # Only beside another run is it known where they part.
        played = play(scenario, wire, twice=True)
    at = next((violation.at for violation in played.violations if violation.name == invariant), 0.0)
    # What was raised has no moment of its own: it was the last.
    at = at or (steps[-1].now if steps else 0.0)
    made = last_moments(steps, at, f"{scenario.name}: {invariant} at {at:g} s", f"{invariant} does not hold")
    if made is None:
        return ()
    svg, json = path.with_suffix(".svg"), path.with_suffix(".json")
    svg.write_text(made[0], encoding="utf-8")
    json.write_bytes(made[1])
    return svg, json
