"""When the host of a virtual machine ran other guests instead of a server or its crowd.

Decides between which moments that was. Rule: the system counts such time by hundredths of a second and tells no
moments, so that it is looked at often, and all that was taken lies between the look before, or as much earlier as it is
long, and the look that shows it. What comes of it is left to whoever measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from chatsim.live.cores import stolen_s
from chatsim.verdict.stalls import Stall

EVERY_S = 0.005
"""Half of what the system counts by; a look takes some ten microseconds."""


class StolenWatch:
    """Looks at these cores until it is ended; `found` hears of each time that was taken, in seconds of `clock`, and how
    long it was (s)."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        cores: tuple[int, ...],
        found: Callable[[Stall, float], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        stolen: Callable[[tuple[int, ...]], float] = stolen_s,
    ) -> None:
        """`clock` is one that processes share (CLOCK_MONOTONIC), `stolen` tells what was taken from some cores so far
        (s)."""
        self._loop = loop
        self._cores = cores
        self._found = found
        self._clock = clock
        self._stolen = stolen
        self._total_s = stolen(cores)
        self._looked_at = clock()
        self._timer = loop.call_later(EVERY_S, self._ring)

    def _ring(self) -> None:
        now, total_s = self._clock(), self._stolen(self._cores)
        took_s = total_s - self._total_s
        if took_s > 0.0:
            self._found(Stall(min(self._looked_at, now - took_s), now), took_s)
        self._total_s, self._looked_at = total_s, now
        self._timer = self._loop.call_later(EVERY_S, self._ring)

    def end(self) -> None:
        """Look no longer."""
        self._timer.cancel()
