"""Signs of life: when each connection is pinged, who did not answer, and who has been silent too long.

Rule: a ping goes out every interval, the first at a random point of the second half interval; being heard from costs
one float store.
The moments of pings lie on a wheel of 512 slots an interval, so that a wake-up pings a whole slot and a quiet
connection costs next to nothing.
"""

from __future__ import annotations

from math import ceil, inf

from chatsim.core.chance import Dice
from chatsim.core.config import HandlerConfig
from chatsim.core.pool import Connection
from chatsim.core.timers import Line

_SLOTS = 512


class Pulse:
    """The ping wheel, the pong deadlines and the sweep of one handler."""

    def __init__(self, config: HandlerConfig, dice: Dice) -> None:
        self._step_s = config.ping_interval_s / _SLOTS
        self._dice = dice
        self._timeout_s = inf if config.reliability == "baseline" else config.pong_timeout_s
        self._stale_after_s = config.stale_after_s
        self._sweep_interval_s = config.sweep_interval_s
        self._wheel: list[dict[str, Connection]] = [{} for _ in range(_SLOTS)]
        self._slot_of: dict[str, int] = {}
        self._tick = 0
        self._deadlines: Line[tuple[float, tuple[Connection, ...]]] = Line(self._timeout_s)
        self._sweep = 1

    def add(self, now: float, connection: Connection) -> None:
        """A connection opened: it finds its slot."""
        # One slot less than half an interval, because rounding up to a slot may add one.
        tick = ceil(now / self._step_s + _SLOTS / 2 + (_SLOTS / 2 - 1) * self._dice.uniform())
        if not self._slot_of:
            self._tick = tick
        self._tick = min(self._tick, tick)
        self._slot_of[connection.name] = tick % _SLOTS
        self._wheel[tick % _SLOTS][connection.name] = connection

    def remove(self, connection: Connection) -> None:
        """A connection is gone."""
        del self._wheel[self._slot_of.pop(connection.name)][connection.name]

    @property
    def next_at(self) -> float:
        """When there is something to do; may be early."""
        if not self._slot_of:
            return self._deadlines.next_at
        return min(self._tick * self._step_s, self._deadlines.next_at, self._sweep * self._sweep_interval_s)

    def pings(self, now: float) -> list[tuple[str, ...]]:
        """Who is to be pinged now, a tuple a slot."""
        due: list[tuple[str, ...]] = []
        if not self._slot_of:
            return due
        last = int(now / self._step_s)
        if last * self._step_s > now:
            last -= 1
        if last - self._tick >= _SLOTS:
            # Long asleep (a stopped process): each connection is pinged once, not once per interval slept through.
            self._tick = last - _SLOTS + 1
        while self._tick * self._step_s <= now:
            slot = self._wheel[self._tick % _SLOTS]
            if slot:
                due.append(tuple(slot))
                for connection in slot.values():
                    connection.pinged_at = now
                if self._timeout_s < inf:
                    self._deadlines.add(now, (now, tuple(slot.values())))
            self._tick += 1
        while not self._wheel[self._tick % _SLOTS]:
            self._tick += 1
        return due

    def silent(self, now: float) -> list[Connection]:
        """Who was pinged a pong timeout ago and has given no sign of life since."""
        # A late wake-up may find two unanswered pings of one connection.
        found: dict[str, Connection] = {}
        while (entry := self._deadlines.pop(now)) is not None:
            pinged_at, connections = entry
            found |= {c.name: c for c in connections if c.heard_at < pinged_at and c.name in self._slot_of}
        return list(found.values())

    def stale(self, now: float) -> list[Connection] | None:
        """At the time of a sweep, who has been silent for longer than `stale_after_s`; else None."""
        if self._sweep * self._sweep_interval_s > now:
            return None
        while self._sweep * self._sweep_interval_s <= now:
            self._sweep += 1
        return [
            connection
            for slot in self._wheel
            for connection in slot.values()
            if now - connection.heard_at > self._stale_after_s
        ]
