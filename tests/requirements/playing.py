"""Plays scenarios with whatever package of chatsim is found first, and tells which expectations failed: one JSON line.

`python playing.py WIRE,... PATH ...` is started by `test_broken` on a copy of the package with a bug in it, and so
knows nothing of the tests and of the package that is tested.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chatsim.runner.run import play, run
from chatsim.scenario.load import load


def failed(wire: str, path: Path) -> list[str] | str:
    """The texts of what was promised and not kept; a sentence where the run broke on the way and judged nothing."""
    try:
        scenario = load(path)
        result = run(scenario, on=wire, out=Path("runs")) if wire == "live" else play(scenario, on=wire)
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"
    return [judged.text for judged in result.expectations if judged.verdict != "pass"]


def main(wires: str, *paths: str) -> None:
    """Play each of them on each of the wires: to start takes longer than most of them do."""
    found = {wire: {path: failed(wire, Path(path)) for path in paths} for wire in wires.split(",")}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
