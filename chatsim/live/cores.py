"""On which cores of the machine a server and its crowd run, where what they take is measured.

Rule: each has one of its own where there are two, and what else the machine does waits for the server where that is
allowed. Left to itself a system may put two processes that are half idle on one core, or chores of its own on the
server's, and then one waits for the other, which no server did and no model knows of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path


def cores() -> tuple[int, int] | None:
    """A core for the server and one for the crowd; None where there are not two, or nobody can be held to one."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[1]) if len(free) > 1 else None


@contextmanager
def held_to(core: int | None, *, ahead: bool = False) -> Iterator[None]:
    """This thread, and whatever it starts meanwhile, runs on this core only (None: where it likes), and there `ahead`
    of all that is not of real time (sched(7)) where the system has that and allows it."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with _ahead() if ahead else nullcontext():
            yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _ahead() -> Iterator[None]:
    try:
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_min(os.SCHED_FIFO)))
    except (AttributeError, OSError):
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def stolen_s(cores: Iterable[int], stat: Path = Path("/proc/stat")) -> float:
    """For how long these cores of a guest would have run and the host ran somebody else so far (s), all together
    (`steal` of proc(5)); 0 where the system does not tell."""
    names = {f"cpu{core}" for core in cores}
    total = 0
    try:
        with stat.open(encoding="ascii") as lines:
            for line in lines:
                if not line.startswith("cpu"):
                    # What follows is long, and some look often.
                    break
                row = line.split()
                if row[0] in names and len(row) > 8:
                    total += int(row[8])
    except OSError:
        return 0.0
    return total / os.sysconf("SC_CLK_TCK")
