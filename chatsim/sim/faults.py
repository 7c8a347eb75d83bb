"""The faults of a scenario, done to a simulated crowd and node.

Decides when each event strikes, and what is the simulation's own in how it does. Rule: every event reports whom or what
it touched. What is the same on every wire is `load.strikes`' affair; what happens to the node (a restart, a draining, a
crash) is the node's own doing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from chatsim.core.frames import Fault, decode_client
from chatsim.people.people import Device, Person
from chatsim.people.script import EPOCH
from chatsim.people.strikes import (
    BROKEN,
    Addition,
    Choose,
    Ending,
    Opening,
    Order,
    Posting,
    Removal,
    Revocation,
    Strikes,
)
from chatsim.scenario import events as ev
from chatsim.sim.crowd import Crowd
from chatsim.sim.engine import Engine
from chatsim.sim.node import Node
from chatsim.sim.pipe import Pipe, frame_bytes

_DOORS: Final[dict[type, str]] = {
    Removal: "remove_participant",
    Addition: "add_participant",
    Ending: "end_session",
    Opening: "open_session",
    Posting: "post",
}
_FATAL: Final[dict[ev.Broken, str]] = {"binary": "frames are text", "bad_utf8": "text is UTF-8"}
"""What a node says of what it cannot answer."""


class Faults(Strikes[Pipe]):
    """All events of one run; `choose` gives the victims of an event among those who are there."""

    def __init__(self, engine: Engine, node: Node, crowd: Crowd, choose: Choose, ends_at: float) -> None:
        """Floods end at `ends_at` (s)."""
        super().__init__(engine, crowd, crowd.people, crowd.pipes, choose)
        self._engine = engine
        self._node = node
        self._crowd = crowd
        self._ends_at = ends_at

    def schedule(self, events: Sequence[ev.Event]) -> None:
        """Put every event on the calendar."""
        for number, event in enumerate(events):
            self._engine.at(event.at_s, self._strike, number, event)

    def _strike(self, now: float, number: int, event: ev.Event) -> None:
        if isinstance(event, ev.NodeEvent):
            place = self.strike_node(now, event)
            if not self._end_node(now, event):
                self.missed(place)
        elif isinstance(event, ev.LogOutage):
            self._node.log_down_until = now + event.for_s
            self.strike_thing(now, event)
        elif isinstance(event, ev.ClockJump):
            self._node.clock_jump(now, event.by_s)
            self.strike_thing(now, event)
        else:
            self.touch(now, number, event)

    def _end_node(self, now: float, event: ev.Event) -> bool:
        """Have the node end; whether it was there to be ended."""
        if isinstance(event, ev.CrashNode):
            return self._node.crash(now, event.down_s)
        # A node that is only drained is replaced by the next as soon as it is empty.
        return self._node.drain(now, event.down_s if isinstance(event, ev.RestartNode) else 0.0)

    def _slow_reader(self, now: float, event: ev.SlowReader, victims: Sequence[Person]) -> None:
        for pipe in self._of(victims):
            self._node.limits = True
            self._set(now, event.for_s, pipe, "limited", True)
        super()._slow_reader(now, event, victims)

    def _flood(self, now: float, event: ev.Flood, victims: Sequence[Person]) -> None:
        count = int(min(event.for_s, self._ends_at - now) * event.rate_per_s)
        for person in victims:
            for place in range(count):
                self._engine.at(now + place / event.rate_per_s, self._flooded, person)

    def _expire_tokens(self, now: float, event: ev.ExpireTokens, victims: Sequence[Person]) -> None:
        for pipe in self._of(victims):
            self._crowd.hand_in_ending(now, pipe)

    def _refresh_token(self, now: float, event: ev.RefreshToken, victims: Sequence[Person]) -> None:
        for pipe in self._of(victims):
            self._crowd.hand_in(now, pipe, event.token)

    def _revoke_tokens(self, now: float, devices: Sequence[Device]) -> None:
        wall = EPOCH + now
        self._node.revoke(now, lambda: [jti for device in devices for jti in self._crowd.held.of(device, wall)])

    def _give(self, now: float, order: Order) -> None:
        if isinstance(order, Revocation):
            self._node.order(now, "revoke", (None, order.user))
        else:
            self._node.order(now, _DOORS[type(order)], tuple(order))

    def _bad_frames(self, now: float, event: ev.BadFrames, victims: Sequence[Person]) -> None:
        count = int(min(event.for_s, self._ends_at - now) * event.rate_per_s)
        for pipe in self._of(victims):
            for place in range(count):
                self._engine.at(now + place / event.rate_per_s, self._garble, pipe, event.kind)

    def _garble(self, now: float, pipe: Pipe, kind: ev.Broken) -> None:
        if pipe.client_open and not pipe.vanished:
            size = frame_bytes(len(BROKEN[kind]), masked=True)
            self._engine.at(pipe.up.arrival(now, size), self._node.garbled, pipe, _found(kind))


@cache
def _found(kind: ev.Broken) -> tuple[str, str]:
    """The code and the detail with which a node hears of it."""
    if kind in _FATAL:
        return kind, _FATAL[kind]
    fault = decode_client(BROKEN[kind])
    assert isinstance(fault, Fault), f"{kind} is a frame"
    return fault.code, fault.detail
