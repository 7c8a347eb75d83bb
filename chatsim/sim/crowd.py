"""The simulated crowd: devices at the far ends of simulated links.

It is the `CrowdWire` of the simulation: it dials, carries frames over the links, and keeps one alarm a device.
Rule: what a device does is decided by the people and the client; here is only what the network and the faults make of
it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from chatsim.core.frames import ClientFrame, Say, ServerFrame, encode
from chatsim.core.tokens import Claims
from chatsim.journal.record import Detection
from chatsim.network.link import Link
from chatsim.people.people import Device, People
from chatsim.people.tokens import EXPIRED_FOR_S, LAST_MOMENT_S, REVOKED_JTI, STRANGER, Held
from chatsim.scenario.events import HandedIn
from chatsim.sim.engine import Engine
from chatsim.sim.node import Node
from chatsim.sim.pipe import Pipe, frame_bytes

HANDSHAKE_BYTES = 600
ABNORMAL = 1006
ALARM_S = 1.0
"""Alarms further away than two of these wait in slots of this width, outside the heap of events."""


SPOILT: Final[dict[str, Callable[[Claims], Claims]]] = {
    "good": lambda claims: claims,
    "expired": lambda claims: replace(claims, exp=(claims.iat or 0.0) - EXPIRED_FOR_S),
    "foreign": lambda claims: replace(claims, sub=STRANGER),
    "revoked": lambda claims: replace(claims, jti=REVOKED_JTI),
}
"""What is wrong with a token that a gate can read; one that nobody signed who may is refused before."""


class Knock(msgspec.Struct, frozen=True):
    """How a group knocks at the door: `claims(user, now)` are those of a token made then, by a clock that is right.

    None is a token that the server refuses with 401 whatever the time, after verifying it if `verified`; of the others
    the node's own clock is the judge, as at a real gate.
    """

    claims: Callable[[str, float], Claims | None]
    verified: bool = True
    tls: bool = False


class Crowd:
    """All devices of a run; `links(number, device)` makes the two directions of a connection, `knocks` maps groups to
    their tokens, which have names where they are `named`; `held` knows those."""

    def __init__(
        self,
        engine: Engine,
        node: Node,
        links: Callable[[int, Device], tuple[Link, Link]],
        knocks: dict[str, Knock],
        *,
        named: bool = False,
    ) -> None:
        self.engine = engine
        self.node = node
        node.serve(self)
        self.people = People(self)
        self._read = self.people.receive
        self._at = engine.at
        self._arrived = node.arrived
        self.pipes: dict[int, Pipe] = {}
        self.detections: list[Detection] = []
        self.gone: dict[str, Pipe] = {}
        self._links = links
        self._knocks = knocks
        self.held = Held()
        self._named = named
        self._alarms: dict[int, list[Device]] = {}
        self._dials: dict[int, int] = {}
        self._numbered = 0

    # What people ask of the wire.

    def dial(self, now: float, device: Device, after_s: float) -> None:
        serial = self._dials.get(device.number, 0) + 1
        self._dials[device.number] = serial
        self.engine.at(now + after_s, self._dial, device, serial)

    def transmit(self, now: float, device: Device, frame: ClientFrame) -> None:
        pipe = self.pipes.get(device.number)
        if pipe is not None and not pipe.vanished:
            size = frame_bytes(len(encode(frame)), masked=True) if pipe.limited else 0
            self._at(pipe.departure(now, size), self._arrived, pipe, frame)

    def refresh(self, now: float, device: Device) -> None:
        pipe = self.pipes.get(device.number)
        claims = self.claims(now, device)
        if pipe is not None and claims is not None and not pipe.vanished:
            self.engine.at(pipe.up.arrival(now, HANDSHAKE_BYTES), self.node.refreshed, pipe, claims)

    def hand_in(self, now: float, pipe: Pipe, token: HandedIn) -> None:
        """The device hands in such a token, as in `refresh`."""
        # One that is never taken is none that the device holds.
        claims: Claims | None = self.claims(now, pipe.peer) if token == "good" else self._claims(now, pipe.peer)
        assert claims is not None, "who is in has shown a good token"
        if pipe.vanished:
            return
        at = pipe.up.arrival(now, HANDSHAKE_BYTES)
        if token == "forged":
            self.engine.at(at, self.node.refresh_refused, pipe, "token_invalid")
        else:
            self.engine.at(at, self.node.refreshed, pipe, SPOILT[token](claims))

    def hand_in_ending(self, now: float, pipe: Pipe) -> None:
        """The device hands in a good token that ends at once."""
        good: Claims | None = self._claims(now, pipe.peer)
        assert good is not None, "who is in has shown a good token"
        assert good.iat is not None
        ending = self._issued(pipe.peer, replace(good, exp=good.iat + LAST_MOMENT_S))
        if not pipe.vanished:
            self.engine.at(pipe.up.arrival(now, HANDSHAKE_BYTES), self.node.refreshed, pipe, ending)

    def claims(self, now: float, device: Device) -> Claims | None:
        """What a token says that is issued to the device now, and that it holds; None where no good one can be had."""
        made: Claims | None = self._claims(now, device)
        return None if made is None else self._issued(device, made)

    def _claims(self, now: float, device: Device) -> Claims | None:
        return self._knocks[device.user.group].claims(device.user.name, now)

    def _issued(self, device: Device, claims: Claims) -> Claims:
        """The token, once the device has it."""
        if not self._named or claims.jti is not None:
            return claims
        jti = self.held.name()
        self.held.hold(device, jti, claims.exp)
        return replace(claims, jti=jti)

    def hang_up(self, now: float, device: Device, code: int) -> None:
        pipe = self.pipes.pop(device.number, None)
        if pipe is None:
            return
        pipe.client_open = False
        pipe.deaf = True
        if not pipe.vanished:
            self.engine.at(pipe.up.arrival(now, 8), self.node.hung_up, pipe, code)

    def arm(self, now: float, device: Device) -> None:
        wake_at = device.client.wake_at()
        if wake_at == inf:
            return
        device.armed_at = wake_at
        if wake_at - now < 2 * ALARM_S:
            self.engine.at(max(wake_at, now), self._wake, device, wake_at)
        else:
            self._slot(int(wake_at / ALARM_S)).append(device)

    def _slot(self, number: int) -> list[Device]:
        """Those whose alarm waits in this slot; it is looked through when it begins."""
        waiting = self._alarms.get(number)
        if waiting is None:
            waiting = self._alarms[number] = []
            self.engine.at(number * ALARM_S, self._look, number)
        return waiting

    def _look(self, now: float, slot: int, _: Any) -> None:
        """Alarms that may be due in this slot: most were heard from since, and move on; the rest get a moment of
        their own."""
        until = (slot + 1) * ALARM_S
        soon, ahead, waiting = now + 2 * ALARM_S, -1, self._alarms[slot]
        for device in self._alarms.pop(slot):
            if not slot * ALARM_S <= device.armed_at < until:
                continue
            wake_at = device.client.wake_at()
            if wake_at < soon or wake_at == inf:
                device.armed_at = inf
                self.arm(now, device)
                continue
            # This is `arm` for almost everybody; neighbours move on to the same slot.
            device.armed_at = wake_at
            if int(wake_at / ALARM_S) != ahead:
                ahead = int(wake_at / ALARM_S)
                waiting = self._slot(ahead)
            waiting.append(device)

    def _wake(self, now: float, device: Device, armed_at: float) -> None:
        if armed_at != device.armed_at:
            return
        device.armed_at = inf
        if device.client.wake_at() > now:
            # Heard from since: being heard from only stores a moment, and the alarm catches up here.
            self.arm(now, device)
            return
        pipe = self.pipes.get(device.number)
        if pipe is not None and pipe.vanished:
            return
        if pipe is not None and pipe.frozen_until > now:
            device.armed_at = pipe.frozen_until
            self.engine.at(pipe.frozen_until, self._wake, device, pipe.frozen_until)
            return
        self.people.wake(now, device)

    # Opening.

    def _dial(self, now: float, device: Device, serial: int) -> None:
        if self._dials[device.number] != serial or device.client.state != "waiting":
            return
        self._numbered += 1
        up, down = self._links(self._numbered, device)
        limited = up.bandwidth_bit_per_s is not None or down.bandwidth_bit_per_s is not None
        self.node.limits = self.node.limits or limited
        pipe = Pipe(self._numbered, device, up, down, limited=limited)
        # One round trip for TCP and, where it is used, one for TLS 1.3; then the upgrade travels.
        at = down.arrival(up.arrival(now, 0), 0)
        knock = self._knocks[device.user.group]
        if knock.tls:
            at = down.arrival(up.arrival(at, HANDSHAKE_BYTES), HANDSHAKE_BYTES)
        self.engine.at(at, self._ask, pipe)

    def _ask(self, now: float, pipe: Pipe, _: Any) -> None:
        """The way is open: the device asks for the upgrade, and shows a token of this moment."""
        pipe.former = self.people.knocks(now, pipe.peer)
        claims = self.claims(now, pipe.peer)
        if not self.node.up:
            # Nobody listens: the system has answered, and the round trip is paid.
            self._refused(now, pipe.peer, (0, None))
            return
        self.node.knocking[pipe.name] = pipe
        self.engine.at(pipe.up.arrival(now, HANDSHAKE_BYTES), self._knock, pipe, claims)

    def _knock(self, now: float, pipe: Pipe, claims: Claims | None) -> None:
        device = pipe.peer
        if self.node.knocking.pop(pipe.name, None) is None:
            return  # the node has ended since, and the device finds the connection cut
        knock = self._knocks[device.user.group]
        cost_s = self.node.cost_s("verify") if knock.verified else self.node.cost_s("frame")
        cost_s += self.node.cost_s("handshake")
        if knock.tls:
            cost_s += self.node.cost_s("tls_handshake")
        reason, answer = self._refusal(now, pipe, claims)
        if claims is None or reason:
            answered_at = self.node.refused(now, cost_s, reason)
            self.engine.at(pipe.down.arrival(answered_at, HANDSHAKE_BYTES), self._refused, device, answer)
            return
        start_at = self.node.loop.start(now)
        answered_at = start_at + self.node.loop.takes_s(start_at, cost_s)
        self.engine.at(pipe.down.arrival(answered_at, HANDSHAKE_BYTES), self._opened, pipe)
        self.node.opened(now, pipe, claims, cost_s)

    def turned_away(self, now: float, pipe: Pipe, _: Any) -> None:
        """The node ended before it had the request: the device finds the connection cut."""
        self._refused(now, pipe.peer, (0, None))

    def _refusal(self, now: float, pipe: Pipe, claims: Claims | None) -> tuple[str, tuple[int, float | None]]:
        """The error code that the node answers with, the status, and when to come back; no code where it takes in."""
        if claims is None:
            verified = self._knocks[pipe.peer.user.group].verified
            return ("token_invalid" if verified else "token_missing"), (401, None)
        refusal = self.node.judged(now, claims)
        if refusal is not None:
            return refusal.code, (401, None)
        reason, wait_s = self.node.no_room(now, claims.sub, pipe.former)
        return reason, (503, wait_s)

    def _refused(self, now: float, device: Device, answer: tuple[int, float | None]) -> None:
        self.people.refused(now, device, *answer)

    def _opened(self, now: float, pipe: Pipe, _: Any) -> None:
        device = pipe.peer
        if device.client.state != "waiting" or not pipe.client_open:
            self.engine.at(pipe.up.arrival(now, 8), self.node.hung_up, pipe, ABNORMAL)
            return
        self.pipes[device.number] = pipe
        self.people.opened(now, device)

    # What arrives at a device.

    def deliver(self, now: float, pipes: Sequence[Pipe], frame: ServerFrame) -> None:
        """A frame reached the devices: it is read, unless the peer is gone, or later, if it is frozen."""
        read = self._read
        for pipe in pipes:
            if not pipe.deaf or self._listens(now, pipe, self.deliver, frame):
                read(now, pipe.peer, frame)

    def pinged(self, now: float, pipes: Sequence[Pipe], _: Any) -> None:
        """A ping reached the devices: the pong goes back at once."""
        pongs = []
        for pipe in pipes:
            if not pipe.deaf or self._listens(now, pipe, self.pinged, None):
                self.people.heard(now, pipe.peer)
                pongs.append((pipe.departure(now, 6), pipe))
        self.engine.each(self.node.ponged, pongs)

    def _listens(self, now: float, pipe: Pipe, again: Callable[[float, Any, Any], None], what: Any) -> bool:
        """Whether a device that was deaf reads now; if it is frozen it will read when it wakes, in the same order."""
        if pipe.frozen_until > now or pipe.held:
            if not pipe.held:
                self.engine.at(pipe.frozen_until, self._thaw, pipe)
            pipe.held.append((again, what))
            return False
        pipe.deaf = pipe.vanished or not pipe.client_open
        return not pipe.deaf

    def _thaw(self, now: float, pipe: Pipe, _: Any) -> None:
        """The device reads what has come while it was frozen, unless it was frozen again meanwhile."""
        if pipe.frozen_until > now:
            self.engine.at(pipe.frozen_until, self._thaw, pipe)
            return
        held, pipe.held = pipe.held, []
        for again, what in held:
            again(now, (pipe,), what)

    def closed(self, now: float, pipes: Sequence[Pipe], code: int) -> None:
        """The server's close reached the devices."""
        for pipe in pipes:
            if not pipe.deaf or self._listens(now, pipe, self.closed, code):
                self._cut(now, pipe, code)
                self._answered(now, pipe)

    def cut(self, now: float, pipe: Pipe, _: Any) -> None:
        """The device finds its connection cut: the node is gone."""
        if not pipe.deaf or self._listens(now, pipe, self.closed, ABNORMAL):
            self._cut(now, pipe, ABNORMAL)

    def _answered(self, now: float, pipe: Pipe) -> None:
        """The device answers the server's close, and the server lets go of the connection when it has that."""
        self.engine.at(pipe.up.arrival(now, 8), self.node.let_go, pipe)

    def _cut(self, now: float, pipe: Pipe, code: int) -> None:
        pipe.client_open = False
        pipe.deaf = True
        if self.pipes.get(pipe.peer.number) is pipe:
            del self.pipes[pipe.peer.number]
            self.people.closed(now, pipe.peer, code)

    # What faults do to connections.

    def drop(self, now: float, pipe: Pipe) -> None:
        """Both sides lose the connection, and know it."""
        self.engine.at(pipe.up.arrival(now, 0), self.node.hung_up, pipe, ABNORMAL)
        self._cut(now, pipe, ABNORMAL)

    def vanish(self, now: float, pipe: Pipe, for_s: float | None) -> None:
        """The peer is gone without a word; after `for_s` the person is back, on a new connection, and has kept her
        memory."""
        self._is_gone(now, pipe)
        pipe.vanished = True
        self.people.vanished(now, pipe.peer, returns=for_s is not None)
        if for_s is not None:
            self.engine.at(now + for_s, self._returns, pipe)

    def _returns(self, now: float, pipe: Pipe, _: Any) -> None:
        self._cut(now, pipe, ABNORMAL)

    def freeze(self, now: float, pipe: Pipe, for_s: float) -> None:
        """The client stops reading and answering, then goes on."""
        self._is_gone(now, pipe)
        pipe.frozen_until = max(pipe.frozen_until, now + for_s)
        self.people.frozen(pipe.peer, pipe.frozen_until)

    def _is_gone(self, now: float, pipe: Pipe) -> None:
        # Who was gone already is looked for since then.
        if not pipe.vanished and pipe.frozen_until <= now:
            pipe.gone_at = now
        pipe.deaf = True
        self.gone[pipe.name] = pipe

    def found(self) -> list[Detection]:
        """For each peer that vanished or froze, when the server closed it; the frozen that woke in time give none."""
        rows = []
        for name, pipe in self.gone.items():
            closed_at = self.node.closed_at.get(name, inf)
            if closed_at == inf and not pipe.vanished:
                continue
            rows.append(Detection(pipe.peer.user.name, pipe.peer.user.group, pipe.gone_at, closed_at))
        return rows

    def undetected(self) -> bool:
        """Whether the server still believes in a peer that vanished."""
        return any(pipe.vanished and pipe.server_open for pipe in self.gone.values())

    def unanswered(self) -> bool:
        """Whether a message of somebody who is there has had no answer yet: it, or the answer, is under way."""
        for device in self.people.asking.values():
            pipe = self.pipes.get(device.number)
            if pipe is not None and device.joined and not pipe.vanished:
                return True
        return False


class BusyCrowd(Crowd):
    """A crowd that is one process, as the live one is: it does one thing after the other, in the order in which they
    come. When the turn of a connection comes that it has been sent something on, it reads all that is there by then,
    and what it answers to that is written before the next is read; acks of many people that are due at one moment leave
    one after the other. What is written leaves when it has been.

    `reads_s`, `frames_s` and `writes_s` are how long each time that it reads, each frame that it finds there, and each
    that it writes, keeps it busy (s).
    """

    def __init__(
        self,
        engine: Engine,
        node: Node,
        links: Callable[[int, Device], tuple[Link, Link]],
        knocks: dict[str, Knock],
        *,
        named: bool = False,
    ) -> None:
        super().__init__(engine, node, links, knocks, named=named)
        self.reads_s = self.frames_s = self.writes_s = 0.0
        self._free_at = 0.0
        self._at_work = False
        # What has come and is not begun, and the frames among it by the connection's number.
        self._todo: deque[tuple[Callable[[float, Any, Any], None], Any, Any]] = deque()
        self._unread: dict[int, list[ServerFrame]] = {}

    def transmit(self, now: float, device: Device, frame: ClientFrame) -> None:
        """As in any crowd, when its turn comes; a message is never kept waiting, since who told when had that
        measured."""
        if self._todo and not self._at_work and frame.__class__ is not Say:
            self._comes(now, self.transmit, device, frame)
            return
        begins_at = self._free_at if self._free_at > now else now
        self._free_at = begins_at + self.writes_s
        super().transmit((now if frame.__class__ is Say else begins_at) + self.writes_s, device, frame)

    def deliver(self, now: float, pipes: Sequence[Pipe], frame: ServerFrame) -> None:
        """A frame reached the devices, each of which comes to it in turn."""
        for pipe in pipes:
            waiting = self._unread.get(pipe.number)
            if waiting is None:
                self._unread[pipe.number] = [frame]
                self._comes(now, self._reads, pipe, None)
            else:
                waiting.append(frame)

    def _reads(self, now: float, pipe: Pipe, _: Any) -> None:
        """All that has come on a connection is read at once."""
        frames = self._unread.pop(pipe.number)
        self._free_at = now + self.reads_s + self.frames_s * len(frames)
        for frame in frames:
            super().deliver(now, (pipe,), frame)

    def pinged(self, now: float, pipes: Sequence[Pipe], _: Any) -> None:
        """A ping reached the devices."""
        self._comes(now, super().pinged, pipes, None)

    def closed(self, now: float, pipes: Sequence[Pipe], code: int) -> None:
        """The server's close reached the devices."""
        self._comes(now, super().closed, pipes, code)

    def cut(self, now: float, pipe: Pipe, _: Any) -> None:
        """The device is to find its connection cut, behind what came before that."""
        self._comes(now, super().cut, pipe, None)

    def _comes(self, now: float, action: Callable[[float, Any, Any], None], a: Any, b: Any) -> None:
        """Something is there to be done when all that came before has been."""
        self._todo.append((action, a, b))
        if len(self._todo) == 1 and not self._at_work:
            self.engine.at(max(now, self._free_at), self._next)

    def _next(self, now: float, _: Any, __: Any) -> None:
        if self._free_at > now:
            # Something was written meanwhile.
            self.engine.at(self._free_at, self._next)
            return
        action, a, b = self._todo.popleft()
        self._at_work = True
        action(now, a, b)
        self._at_work = False
        if self._todo:
            self.engine.at(self._free_at, self._next)
