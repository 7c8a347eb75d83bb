"""When the host of a virtual machine ran other guests instead of what a core of this one had to do.

Decides between which moments that was. Rule: a process of its own asks to be woken at one moment after the other, ahead
of all else that runs on the core; so whatever it is late by is nobody's in this machine. The system's own count of such
time goes by hundredths of a second, and most of what is taken is shorter. Where a process may not run ahead it keeps no
watch: it would wait for those whom it is there for.
What comes of it is left to whoever measures.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from chatsim.live.notes import read, written_to
from chatsim.verdict.stalls import Stall

EVERY_S: Final = 0.0025
"""What is taken for longer than this is always seen, what is shorter now and then. Each look takes about 50 us of the
core, most of it to fall asleep and wake."""

LATE_S_MIN: Final = 0.0004
"""Who is woken late by less was woken in time: an idle core takes up to some 100 us to wake."""

NAME: Final = "sentinel"
KEEPS_WATCH: Final = "watching\n"


def watch(
    asleep: Callable[[float], bool],
    found: Callable[[Stall], object],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Look until `asleep`, which sleeps for so long (s), says that it is to end; `found` hears of each time that was
    taken, in seconds of `clock`.

    It may have begun up to `EVERY_S` before it was noticed.
    """
    due_at = clock() + EVERY_S
    while asleep(max(due_at - clock(), 0.0)):
        now = clock()
        if now - due_at >= LATE_S_MIN:
            found(Stall(due_at, now))
            due_at = now
        due_at += EVERY_S


@contextlib.contextmanager
def sentinels(cores: Iterable[int], folder: Path) -> Iterator[bool]:
    """Have these cores watched, as notes in the folder; whether they are: the system may not allow it."""
    watching = True
    with contextlib.ExitStack() as stack:
        for core in cores:
            command = [sys.executable, "-m", __name__, f"{core}", f"{folder / f'{NAME}.{core}'}"]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            # It ends when nobody holds its stdin any more, whatever ends this process.
            stack.enter_context(process)
            assert process.stdout is not None
            watching = process.stdout.readline() == KEEPS_WATCH and watching
        yield watching


def stolen(folder: Path) -> list[Stall]:
    """What the sentinels have noted, of all cores, in no order (s, of CLOCK_MONOTONIC)."""
    return [stall for path in folder.glob(f"{NAME}.*") for stall in read(path, Stall, "watch")]


def main(core: int, path: Path) -> None:
    """Keep watch over a core until stdin ends; say so, once that is allowed."""
    try:
        os.sched_setaffinity(0, {core})
        # A server that is measured has the lowest of these priorities.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_min(os.SCHED_FIFO) + 1))
    except (AttributeError, OSError):
        return
    # Who interrupts a run ends the process that holds stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with path.open("w", encoding="ascii") as file:
        sys.stdout.write(KEEPS_WATCH)
        sys.stdout.flush()
        watch(lambda for_s: not select.select([sys.stdin], [], [], for_s)[0], written_to(file))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
