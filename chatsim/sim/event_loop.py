"""The node's event loop as one FIFO server: when a piece of work starts, and when it ends.

Rule: work starts in the order in which it became ready, never before that and never before the work ahead of it has
ended
(Lindley, 1952: W' = max(0, W + S - A)). What each piece costs is left to the node.
A turn is all the work that was ready when the turn began; it is what collected writes are shared over.
Where the machine's speed wavers, a piece of work takes as many times longer as the machine is slower when it starts.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from math import inf


class EventLoop:
    """Moments and durations in seconds."""

    __slots__ = ("_holds", "_pace", "_pace_until", "_paces", "busy_s", "free_at", "turn", "turn_began_at")

    def __init__(self) -> None:
        self.free_at = 0.0
        self.busy_s = 0.0
        self.turn = 0
        self.turn_began_at = -1.0
        self._pace = 1.0
        self._pace_until = inf
        self._paces: Callable[[], float] | None = None
        self._holds: Callable[[], float] | None = None

    def waver(self, paces: Callable[[], float], holds: Callable[[], float]) -> None:
        """From moment 0 on work takes as many times longer as `paces` says, anew when one of `holds` (s) is past."""
        self._paces, self._holds = paces, holds
        self._pace_until = 0.0

    def _repace(self, now: float) -> None:
        assert self._paces is not None
        assert self._holds is not None
        while self._pace_until <= now:
            self._pace_until += self._holds()
            self._pace = self._paces()

    def start(self, ready_at: float) -> float:
        """When work that is ready at `ready_at` starts."""
        start_at = ready_at if ready_at > self.free_at else self.free_at
        if ready_at > self.turn_began_at:
            self.turn += 1
            self.turn_began_at = start_at
        return start_at

    def takes_s(self, start_at: float, cost_s: float) -> float:
        """How long work that costs so much at the machine's usual speed takes where it starts then."""
        if self._pace_until <= start_at:
            self._repace(start_at)
        return cost_s * self._pace

    def end(self, start_at: float, cost_s: float) -> float:
        """The work that started at `start_at` took `cost_s`, at the machine's usual speed: the moment when it ends."""
        # This is `takes_s` written out: every piece of work comes by here.
        if self._pace_until <= start_at:
            self._repace(start_at)
        cost_s *= self._pace
        self.busy_s += cost_s
        self.free_at = end_at = start_at + cost_s
        return end_at

    def occupy(self, now: float, cost_s: float) -> float:
        """Something that is none of the loop's work has its core from now on, while it sleeps: the moment when the core
        is let go of."""
        self.free_at = end_at = now + self.takes_s(now, cost_s)
        return end_at

    def lag_s(self, now: float) -> float:
        """How long work that became ready now would wait."""
        return self.free_at - now if self.free_at > now else 0.0


class MeasuredLoop(EventLoop):
    """A loop that notes every piece of work that starts in [`from_at`, `until_at`): how long it waited, and what it
    took (s)."""

    __slots__ = ("_from_at", "_until_at", "waits_s", "works_s")

    def __init__(self, from_at: float, until_at: float) -> None:
        super().__init__()
        self._from_at = from_at
        self._until_at = until_at
        self.waits_s = array("d")
        self.works_s = array("d")

    def start(self, ready_at: float) -> float:
        """As every loop, and the wait is noted."""
        start_at = super().start(ready_at)
        if self._from_at <= start_at < self._until_at:
            self.waits_s.append(start_at - ready_at)
        return start_at

    def end(self, start_at: float, cost_s: float) -> float:
        """As every loop, and what it took is noted."""
        end_at = super().end(start_at, cost_s)
        if self._from_at <= start_at < self._until_at:
            self.works_s.append(self.takes_s(start_at, cost_s))
        return end_at


class OccupiedLoop(EventLoop):
    """A loop that is also occupied with something else, which is ready at given moments and waits in line like all
    work; it counts as none of the node's. It costs the node no wake-up where it was under way."""

    __slots__ = ("_chores", "_place")

    def __init__(self, chores: Sequence[tuple[float, float]]) -> None:
        """`chores` are when each is ready, ascending, and what it takes, whatever the machine's speed (s)."""
        super().__init__()
        self._chores = chores
        self._place = 0

    def start(self, ready_at: float) -> float:
        """As every loop, behind what it is occupied with."""
        before = self.turn
        free_at = self.free_at
        start_at = super().start(ready_at)
        chores, place = self._chores, self._place
        while place < len(chores) and chores[place][0] <= start_at:
            began_at, takes_s = chores[place]
            free_at = max(free_at, began_at) + takes_s
            place += 1
            if free_at > start_at:
                self.free_at = start_at = free_at
        self._place = place
        if self.turn != before:
            self.turn_began_at = start_at
        return start_at
