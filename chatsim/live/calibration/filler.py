"""A core that is never idle: a process that turns in a circle on it whenever nobody else wants it.

Rule: it gives way to everybody. Two cores that a guest sees may be the two threads of one, and then a server is slower,
by up to 1.4 times, for as long as its crowd is busy. A crowd that sleeps between two loads would have the server's
speed looked at in another machine than the loads are played in.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

FILLS: Final = "filling\n"


@contextlib.contextmanager
def never_idle(core: int | None) -> Iterator[bool]:
    """Keep this core busy meanwhile; whether it is: there may be none (None), and the system may not allow it."""
    if core is None:
        yield False
        return
    command = [sys.executable, "-m", __name__, f"{core}"]
    # It ends when nobody holds its stdin any more, whatever ends this process.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline() == FILLS


def main(core: int) -> None:
    """Turn in a circle on this core until stdin ends; say so, once that is allowed."""
    try:
        os.sched_setaffinity(0, {core})
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        return
    # Who interrupts a calibration ends the process that holds stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout.write(FILLS)
    sys.stdout.flush()
    # What a crowd does that waits: ask the system whether there is something.
    while not select.select([sys.stdin], [], [], 0)[0]:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]))
