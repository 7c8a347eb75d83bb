"""Plays scenarios with whatever package of chatsim is found first, and tells what they show: one JSON line.

`python showing.py WIRE,... PATH ...` is started by `test_put_back` on a copy of the package with a bug in it, and so
knows nothing of the tests and of the package that is tested.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chatsim.explore.play import play as explored
from chatsim.runner.run import play
from chatsim.scenario.costs import free
from chatsim.scenario.load import load


def shown(wire: str, path: Path) -> list[str]:
    """The promises that are not kept, and the invariants that do not hold."""
    scenario = load(path)
    if wire == "agreement":
        return [f"{v}" for v in explored(scenario.model_copy(update={"costs": free()}), "agreement").violations]
    result = play(scenario, on=wire)
    failed = [judged.text for judged in result.expectations if judged.verdict != "pass"]
    return [*failed, *(f"{violation}" for violation in result.violations)]


def main(wires: str, *paths: str) -> None:
    """Play each of them on each of the wires: to start takes longer than most of them do."""
    found = {path: {wire: shown(wire, Path(path)) for wire in wires.split(",")} for path in paths}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
