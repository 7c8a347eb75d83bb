"""A loop that never sleeps, and how busy it is all the same.

Decides which of its time counts as work. Rule: whoever writes to a process that sleeps on the same machine has to wake
it, which takes the writer longer than the write itself; and timers of a loop ring by the millisecond, so that what is
to happen at moments of its own happens in clumps, which are read in one turn. A crowd that a server is measured with
must do neither, so that it looks for what has come and for what is due over and over again, as the crowd of a
calibration does. Turns in which there was nothing to do are none of its work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import inf
from typing import Final

EMPTY: Final = 5.0
"""A turn that takes longer than so many of the shortest had something to do."""


class Wakeful:
    """Keeps the loop awake until it is ended. `busy_s` is for how long it had something to do (s), of what it looked
    at on the way: a turn that found nothing takes a few microseconds, one that did at least some ten. `wrote_s` is the
    part of it that what was due took, the rest is what had come."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        look: Callable[[], object],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`look` is called in each turn, and does what is due."""
        self._loop = loop
        self._look = look
        self._clock = clock
        self._shortest_s = inf
        self._ended = False
        self._at = clock()
        self.busy_s = self.wrote_s = 0.0
        self._turn()

    def end(self) -> None:
        """The loop may sleep again."""
        self._ended = True

    def _turn(self) -> None:
        now = self._clock()
        took_s = now - self._at
        self._at = now
        if 0.0 < took_s < self._shortest_s:
            self._shortest_s = took_s
        if took_s > EMPTY * self._shortest_s:
            self.busy_s += took_s - self._shortest_s
        if not self._ended:
            self._look()
            looked_s = self._clock() - now
            if looked_s > self._shortest_s:
                self.wrote_s += looked_s
            self._loop.call_soon(self._turn)
