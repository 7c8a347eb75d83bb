"""The faults of a scenario, done to a simulated crowd and node.

Decides how each event strikes and how it heals. Rule: victims come from the event's own random stream, and every
event reports whom it touched.
What happens to the node (a restart, a draining, a crash) is the node's own doing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from chatsim.core.frames import Fault
from chatsim.journal.record import Fired
from chatsim.load.people import Person
from chatsim.load.spells import Spells
from chatsim.network.link import Link
from chatsim.scenario import events as ev
from chatsim.sim.crowd import Crowd
from chatsim.sim.engine import Engine
from chatsim.sim.node import Node
from chatsim.sim.pipe import Pipe

NODE_EVENTS = (ev.RestartNode, ev.CrashNode, ev.DrainNode)
"""Events after which the node begins again, so that its log has to last."""

LOSS_MAX = 0.999
_BODY = Raw(b'"flood"')
_GARBLED = Fault("bad_json", "not JSON")


class Faults:
    """All events of one run; `choose(number, event)` gives the victims of the event with that place in the scenario."""

    def __init__(
        self,
        engine: Engine,
        node: Node,
        crowd: Crowd,
        choose: Callable[[int, ev.VictimEvent], Sequence[Person]],
        ends_at: float,
    ) -> None:
        self.fired: list[Fired] = []
        self._engine = engine
        self._node = node
        self._crowd = crowd
        self._choose = choose
        self._ends_at = ends_at
        self._spells = Spells()
        self._acts: dict[type, Callable[[float, Any, Sequence[Person]], None]] = {
            ev.Drop: self._drop,
            ev.Vanish: self._vanish,
            ev.Freeze: self._freeze,
            ev.SlowReader: self._slow_reader,
            ev.Latency: self._latency,
            ev.Loss: self._loss,
            ev.Partition: self._partition,
            ev.Flood: self._flood,
            ev.WithholdAcks: self._withhold_acks,
            ev.ExpireTokens: self._expire_tokens,
            ev.Revoke: self._revoke,
            ev.BadFrames: self._bad_frames,
        }

    def schedule(self, events: Sequence[ev.Event]) -> None:
        """Put every event on the calendar."""
        for number, event in enumerate(events):
            self._engine.at(event.at_s, self._strike, number, event)

    def _strike(self, now: float, number: int, event: ev.Event) -> None:
        if isinstance(event, NODE_EVENTS):
            self.fired.append(Fired(event.do, now, ("node",) if self._end_node(now, event) else ()))
        elif isinstance(event, ev.LogOutage):
            self._node.log_down_until = now + event.for_s
            self.fired.append(Fired(event.do, now, ("log",)))
        elif isinstance(event, ev.ClockJump):
            self._node.clock_jump(now, event.by_s)
            self.fired.append(Fired(event.do, now, ("clock",)))
        elif isinstance(event, ev.Arrive):
            # The plan has these people already; here is only the report.
            self.fired.append(Fired(event.do, now, (f"{event.users} more",)))
        else:
            assert isinstance(event, ev.VictimEvent)
            victims = self._choose(number, event)
            self.fired.append(Fired(event.do, now, tuple(person.name for person in victims)))
            self._acts[type(event)](now, event, victims)

    def _end_node(self, now: float, event: ev.Event) -> bool:
        """Have the node end; whether it was there to be ended."""
        if isinstance(event, ev.CrashNode):
            return self._node.crash(now, event.down_s)
        # A node that is only drained is replaced by the next as soon as it is empty.
        return self._node.drain(now, event.down_s if isinstance(event, ev.RestartNode) else 0.0)

    def _pipes(self, victims: Sequence[Person]) -> list[Pipe]:
        pipes = self._crowd.pipes
        return [pipes[d.number] for person in victims for d in person.devices if d.number in pipes]

    def _set(self, now: float, for_s: float, whom: Any, name: str, value: Any) -> None:
        """The attribute has this value for a while."""
        self._spells.cast(whom, name, value, now + for_s)
        self._engine.at(now + for_s, self._spells.lift, whom, name)

    def _calm(self, now: float, link: Link, factor: float) -> None:
        # Two faults may overlap, so each takes back its own part.
        link.factor /= factor

    def _drop(self, now: float, event: ev.Drop, victims: Sequence[Person]) -> None:
        for pipe in self._pipes(victims):
            self._crowd.drop(now, pipe)

    def _vanish(self, now: float, event: ev.Vanish, victims: Sequence[Person]) -> None:
        for pipe in self._pipes(victims):
            self._crowd.vanish(now, pipe, event.for_s)

    def _freeze(self, now: float, event: ev.Freeze, victims: Sequence[Person]) -> None:
        for pipe in self._pipes(victims):
            self._crowd.freeze(now, pipe, event.for_s)

    def _slow_reader(self, now: float, event: ev.SlowReader, victims: Sequence[Person]) -> None:
        for pipe in self._pipes(victims):
            self._node.limits = True
            self._set(now, event.for_s, pipe, "limited", True)
            self._set(now, event.for_s, pipe.down, "bandwidth_bit_per_s", event.bandwidth_bits_per_s)

    def _latency(self, now: float, event: ev.Latency, victims: Sequence[Person]) -> None:
        for pipe in self._pipes(victims):
            for link in (pipe.up, pipe.down):
                link.factor *= event.factor
                self._engine.at(now + event.for_s, self._calm, link, event.factor)

    def _loss(self, now: float, event: ev.Loss, victims: Sequence[Person]) -> None:
        for pipe in self._pipes(victims):
            for link in (pipe.up, pipe.down):
                self._set(now, event.for_s, link, "extra_loss", min(event.rate, LOSS_MAX))

    def _partition(self, now: float, event: ev.Partition, victims: Sequence[Person]) -> None:
        for pipe in self._pipes(victims):
            for link in (pipe.up, pipe.down):
                link.blocked_until = max(link.blocked_until, now + event.for_s)

    def _flood(self, now: float, event: ev.Flood, victims: Sequence[Person]) -> None:
        count = int(min(event.for_s, self._ends_at - now) * event.rate_per_s)
        for person in victims:
            for place in range(count):
                self._engine.at(now + place / event.rate_per_s, self._flooded, person)

    def _flooded(self, now: float, person: Person, _: Any) -> None:
        self._crowd.people.say(now, person, now, _BODY)

    def _withhold_acks(self, now: float, event: ev.WithholdAcks, victims: Sequence[Person]) -> None:
        for person in victims:
            for device in person.devices:
                self._set(now, event.for_s, device.client, "acks", False)

    def _expire_tokens(self, now: float, event: ev.ExpireTokens, victims: Sequence[Person]) -> None:
        for pipe in self._pipes(victims):
            claims = self._crowd.claims(now, pipe.peer)
            assert claims is not None, "who is in has shown a good token"
            # Straight to the handler: no token that ends this very moment would pass the gate.
            self._node.refresh(now, pipe, replace(claims, exp=self._node.handler.wall(now)))

    def _revoke(self, now: float, event: ev.Revoke, victims: Sequence[Person]) -> None:
        for person in victims:
            self._node.revoke(now, person.name)

    def _bad_frames(self, now: float, event: ev.BadFrames, victims: Sequence[Person]) -> None:
        count = int(min(event.for_s, self._ends_at - now) * event.rate_per_s)
        for pipe in self._pipes(victims):
            for place in range(count):
                self._engine.at(now + place / event.rate_per_s, self._garble, pipe)

    def _garble(self, now: float, pipe: Pipe, _: Any) -> None:
        if pipe.client_open and not pipe.vanished:
            self._engine.at(pipe.up.arrival(now, 22), self._node.garbled, pipe, _GARBLED)
