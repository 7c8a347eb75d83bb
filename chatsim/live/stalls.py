"""When the machine did not run a process that had something to do: other processes had the processor, or other guests
of the same host.

Decides how long such a stall was. Rule: what is counted is time by which a timer of the loop was late and in which the
process used no processor, so that whatever the process itself was busy with is never taken for the machine's. A call
that waits for something else inside the loop looks the same from here; that is why a stall may excuse a broken limit,
and never keep one.
What comes of it is left to `chatsim.verdict.stalls`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from chatsim.verdict.stalls import Stall

EVERY_S = 0.005
"""A stall shows where it is in the way of a timer: one of 20 ms is seen for the most part. Two hundred looks a second
cost half a per cent of a processor."""

STALL_S_MIN = 0.003
"""Timers are late by up to 1 ms by themselves, on a loop of libuv, and a little more where the loop has work."""

STALLS_MAX = 100_000
"""So many are kept of one process."""


class StallWatch:
    """Looks at one loop until it is ended; `found` hears when each stall began and ended, in seconds of `clock`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        found: Callable[[Stall], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        """`clock` is one that processes share (CLOCK_MONOTONIC), `cpu` the processor time of this one (s)."""
        self._loop = loop
        self._found = found
        self._clock = clock
        self._cpu = cpu
        self._left = STALLS_MAX
        self._arm()

    def _arm(self) -> None:
        self._used_s = self._cpu()
        self._due_at = self._clock() + EVERY_S
        self._timer = self._loop.call_later(EVERY_S, self._ring)

    def _ring(self) -> None:
        now = self._clock()
        stalled_s = (now - self._due_at) - (self._cpu() - self._used_s)
        if stalled_s >= STALL_S_MIN and self._left:
            self._left -= 1
            self._found(Stall(now - stalled_s, now))
        self._arm()

    def end(self) -> None:
        """Look no longer."""
        self._timer.cancel()
