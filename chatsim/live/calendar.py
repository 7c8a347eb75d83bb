"""The one clock of the crowd, or of one chat, and one timer: everything that is to happen at a moment, in order.

Decides when the loop is woken for it. Rule: moments are seconds since the calendar's start, `now` never goes back, and
what was asked for the same moment happens in the order of asking. What happens is the askers' affair.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from array import array
from collections.abc import Callable
from math import inf
from typing import Any

from chatsim.errors import HarnessError

TIMER_S = 0.0005
"""Half of the resolution of the loop's timers (epoll, libuv: 1 ms): what is due within it is done at once."""

ENTRIES_MAX = 1_000_000
LAG_INTERVAL_S = 0.05
LAG_SAMPLES_MAX = 100_000


class Calendar:
    """One heap of actions on one loop. `lag_s` holds how late the loop was at each sample.

    `started_at` is what the clock read at moment 0, in seconds (inf before `begin`).
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        sampled: bool = True,
        clock: Callable[[], float] = time.monotonic,
        timer_s: float = TIMER_S,
    ) -> None:
        """Not `sampled`, nothing wakes the loop but what was asked for. `clock` is read at once, not once per turn of
        the loop (CLOCK_MONOTONIC, unless the loop has a clock of its own); what is due within `timer_s` is done at
        once (0: the loop's own clock, which is exact)."""
        self.loop = loop
        self._clock = clock
        self._timer_s = timer_s
        self._sampled = sampled
        self.started_at = inf
        self.lag_s = array("d")
        self.failure: BaseException | None = None
        self._now = 0.0
        self._heap: list[tuple[float, int, Callable[[float, Any, Any], None], Any, Any]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._ringing = False
        self._stopped = False
        self._looked_at = False

    def now(self) -> float:
        """Seconds since the start."""
        now = self._clock() - self.started_at
        if now > self._now:
            self._now = now
        return self._now

    def reads(self) -> float:
        """What its clock reads (s since the start), which is behind `now` where something was done before its time."""
        return self._clock() - self.started_at

    def begin(self) -> None:
        """Now is moment 0: what was asked for before begins to happen, and to be `sampled`."""
        assert self.started_at == inf, "a calendar begins once"
        self.started_at = self._clock()
        if self._sampled:
            self.at(LAG_INTERVAL_S, self._sample, LAG_INTERVAL_S)
        else:
            self._rearm()

    def look(self) -> None:
        """Do what is due by now, and by no timer's tick: somebody looks in each turn of the loop, until `unwatched`."""
        if not self._looked_at:
            self._looked_at = True
            self._disarm()
        heap = self._heap
        if heap and not self._stopped and heap[0][0] <= self._clock() - self.started_at:
            self._ring()

    def unwatched(self) -> None:
        """Nobody looks any more: the loop's timers do again."""
        self._looked_at = False
        if not self._stopped:
            self._rearm()

    def behind(self, now: float) -> bool:
        """Whether something that was due by then is still to be done."""
        return bool(self._heap) and self._heap[0][0] <= now

    def at(self, moment: float, action: Callable[[float, Any, Any], None], a: Any = None, b: Any = None) -> None:
        """Have `action(now, a, b)` called at the moment, or at once where it is past; a moment of inf never comes.

        Raises HarnessError when more is planned than could ever be meant.
        """
        if moment == inf or self._stopped:
            return
        if len(self._heap) >= ENTRIES_MAX:
            raise HarnessError(f"The crowd has over {ENTRIES_MAX} things to do at once: let fewer people do less.")
        self._count += 1
        heapq.heappush(self._heap, (moment, self._turn(action, a), action, a, b))
        if not self._ringing and self.started_at < inf:
            self._rearm()

    def _turn(self, action: Callable[[float, Any, Any], None], a: Any) -> int:
        """Where what was just asked for stands among all of its moment."""
        return self._count

    def stop(self) -> None:
        """Nothing happens any more."""
        self._stopped = True
        self._heap.clear()
        self._disarm()

    def fail(self, problem: Exception) -> None:
        """Something that was asked for could not be done: a fault of the harness, with which the run ends."""
        self.failure = self.failure or problem
        self.stop()

    def _sample(self, now: float, due_at: float, _: Any) -> None:
        # The loop's own stamp, not the drain's: what was done before this entry in the same turn is lag too.
        now = self.now()
        if len(self.lag_s) < LAG_SAMPLES_MAX:
            self.lag_s.append(max(0.0, now - due_at))
            self.at(now + LAG_INTERVAL_S, self._sample, now + LAG_INTERVAL_S)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = inf

    def _rearm(self) -> None:
        if not self._heap or self._looked_at:
            return
        due_at = self._heap[0][0]
        if due_at >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due_at
        if self._timer_s > 0.0:
            self._timer = self.loop.call_later(max(0.0, due_at - self.reads()), self._ring)
        else:
            # This clock shows the very moment that it was asked for, and a difference would be off by its rounding.
            self._timer = self.loop.call_at(self.started_at + due_at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._timer_at = inf
        self._ringing = True
        heap = self._heap
        # By the clock: from a moment that came before its time the next would come earlier still, and so on.
        limit = self.reads() + (0.0 if self._looked_at else self._timer_s)
        try:
            while heap and heap[0][0] <= limit:
                moment, _, action, a, b = heapq.heappop(heap)
                if moment > self._now:
                    self._now = moment
                action(self.now(), a, b)
        except Exception as problem:
            self.fail(problem)
        finally:
            self._ringing = False
        if not self._stopped:
            self._rearm()
