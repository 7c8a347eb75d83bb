"""What it costs to have every shipped scenario looked at: `chatsim lint` as an editor or a hook starts it.

Each run is a process of its own, and is held against one in turn that reads the same files as YAML and does nothing
else, so that the ratio is that of the checking and not of the machine or of the start of Python.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

SCENARIOS: Final = Path(__file__).parents[2] / "scenarios"
BARE: Final = (
    "import sys, pathlib; from ruamel.yaml import YAML; "
    "[YAML(typ='safe', pure=True).load(path) for path in sorted(pathlib.Path(sys.argv[1]).rglob('*.yaml'))]"
)
"""The least that a check has to do: to start Python, and to read the files."""


def linting(pairs: int) -> None:
    """Print how long a lint of all shipped scenarios takes, and how it stands to reading them."""
    count = len(list(SCENARIOS.rglob("*.yaml")))
    lint = [sys.executable, "-m", "chatsim", "lint", str(SCENARIOS)]
    bare = [sys.executable, "-c", BARE, str(SCENARIOS)]
    took = [(_timed(lint), _timed(bare)) for _ in range(pairs)]
    mine, reading = (statistics.median(each) for each in zip(*took, strict=True))
    ratio = statistics.median(a / b for a, b in took)
    print(
        f"lint: {count} scenarios in {mine:.2f} s (wanted under 1), "
        f"reading them as YAML takes {reading:.2f}: {ratio:.1f}x"
    )


def _timed(command: list[str]) -> float:
    started_at = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started_at
