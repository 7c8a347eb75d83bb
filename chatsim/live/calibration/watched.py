"""The shipped server with an ear at its cycle collector: `python -m chatsim.live.calibration.watched FILE serve ...`.

Decides nothing but what is written down: a line for each collection, its generation and the CPU time that it took (s).
Rule: what runs is the very command that people run; only a run that asks how long collections take is started so.
"""

from __future__ import annotations

import gc
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path

from chatsim.errors import HarnessError
from chatsim.live.calibration.seen import Collection


def ear(
    write: Callable[[str], object], clock: Callable[[], float] = time.thread_time
) -> Callable[[str, dict[str, int]], None]:
    """For `gc.callbacks`: has every collection written as a line at its end."""
    began = 0.0

    def heard(phase: str, told: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = clock()
        else:
            write(f"{told['generation']} {clock() - began!r}\n")

    return heard


def read(path: Path) -> list[Collection]:
    """The collections of a file so far; a line that is cut off is left out. Raises HarnessError for another file."""
    try:
        lines = path.read_text(encoding="ascii").splitlines(keepends=True)
        parts = [line.split() for line in lines if line.endswith("\n")]
        return [Collection(int(generation), float(took_s)) for generation, took_s in parts]
    except (OSError, ValueError) as problem:
        raise HarnessError(f"{path.name} holds no collections of a server: {problem}.") from problem


def main() -> None:
    """Listen to the collector, and be the command."""
    file = Path(sys.argv.pop(1)).open("w", buffering=1, encoding="ascii")  # noqa: SIM115 - open as long as the process
    gc.callbacks.append(ear(file.write))
    runpy.run_module("chatsim", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
