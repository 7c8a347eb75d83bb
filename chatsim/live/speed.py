"""How fast the machine is for a server while it serves: a little fixed work, done over and over again in its own loop.

Decides what that work is and how often it is done. Rule: half of it is plain Python and half calls of the system, as a
server's work is, and what is timed is done with warm caches: so it takes longer only where the machine is slower, for
the neighbours of its core or for the clock of its processor. Before and after a run a machine may be another one than
during it, most of all where two cores that a guest sees are the two threads of one: then a server is slower for as long
as its crowd is busy.
What follows from it is left to whoever measures.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Final, NamedTuple

EVERY_S: Final = 0.01
"""Between two glances at the speed; they cost about a hundredth of a processor, in what is calibrated as in what is
held against it."""

WARMING: Final = 0.25
"""Before it is timed, so much of the work is done for the caches."""

TURNS, CALLS = 240, 8
"""How often the loop of a glance's work turns, and how often it sends and receives."""

_WORDS = b"a hundred and twenty bytes " * 4


class FixedWork:
    """Always the same: so many turns of a loop, and so many times sending and receiving. Leave it by `close`."""

    def __init__(self, turns: int, calls: int) -> None:
        self._turns = turns
        self._calls = calls
        self._ends = socket.socketpair()

    def __call__(self) -> tuple[float, float]:
        """Do it, and tell the CPU time of this thread that either half took (s); a part of it is done before, for the
        caches."""
        self._do(round(self._turns * WARMING), round(self._calls * WARMING))
        turns, calls = self._turns // 2, self._calls // 2
        began = time.thread_time()
        self._do(turns, calls)
        halfway = time.thread_time()
        self._do(self._turns - turns, self._calls - calls)
        return halfway - began, time.thread_time() - halfway

    def close(self) -> None:
        """No more of it."""
        for end in self._ends:
            end.close()

    def _do(self, turns: int, calls: int) -> None:
        total = 0
        kept: dict[int, int] = {}
        for turn in range(turns):
            total = (total * 31 + turn) & 0xFFFF
            kept[total & 255] = total
        here, there = self._ends
        for _ in range(calls):
            here.send(_WORDS)
            there.recv(256)


class Glance(NamedTuple):
    """When the work was done (s, of CLOCK_MONOTONIC), what it took, and what the first half of it took (s of CPU): what
    the halves have in common is the speed just then, and how they differ is chance."""

    at: float
    took_s: float
    first_s: float = 0.0


class SpeedProbe:
    """Glances at the speed until it is ended; `found` hears of each."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        found: Callable[[Glance], None],
        *,
        work: FixedWork | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`work` is what is done each time, and closed at the end; `clock` is one that processes share."""
        self._loop = loop
        self._found = found
        self._work = work or FixedWork(TURNS, CALLS)
        self._clock = clock
        self._timer = loop.call_later(EVERY_S, self._ring)

    def _ring(self) -> None:
        at = self._clock()
        first_s, second_s = self._work()
        self._found(Glance(at, first_s + second_s, first_s))
        self._timer = self._loop.call_later(EVERY_S, self._ring)

    def end(self) -> None:
        """Look no longer."""
        self._timer.cancel()
        self._work.close()
