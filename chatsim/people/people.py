"""The people of a scenario: what they do with their devices, and what they see.

The same code drives the simulated and the real crowd: a wire calls in when something happens to a device, and is
called back to dial, write and hang up.
Rule: messages are sent at their intended moments whatever the server answers; everything a verdict needs is noted
here, exactly.
How bytes travel, and when a device is called, is left to the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any, Protocol

from chatsim.core.client import TRIED_AGAIN, ChatClient, ClientConfig
from chatsim.core.effects import ClientEffects, Dial, HangUp, Show, Transmit
from chatsim.core.frames import (
    Ack,
    Body,
    ClientFrame,
    Draining,
    Error,
    HeartbeatIn,
    Joined,
    Left,
    Message,
    ServerFrame,
    StatusIn,
    TokenExpiring,
    Welcome,
)
from chatsim.journal.record import Outage
from chatsim.people.memory import AGAIN, LATE, Memory
from chatsim.people.sent import SentRows


class Device:
    """One connection's worth of a person: a client, whether she wants it to be connected, and what she saw on it.

    `returns` is whether it comes back when a connection is lost; where it is watched, it may hear nothing for
    `silence_s` at a time, and so until `silent_until`.
    """

    __slots__ = (
        "armed_at",
        "client",
        "joined",
        "lost_at",
        "memory",
        "number",
        "returns",
        "silence_s",
        "silent_until",
        "user",
        "wanted",
    )

    def __init__(
        self, number: int, user: Person, client: ChatClient, memory: Memory | None = None, *, returns: bool = True
    ) -> None:
        """Without a memory of its own the device is all that its person has seen."""
        self.number = number
        self.user = user
        self.client = client
        self.memory = user.memory if memory is None else memory
        self.wanted = False
        self.joined = False
        self.lost_at = nan
        self.armed_at = inf
        self.returns = returns
        self.silence_s = self.silent_until = inf


class Person:
    """One user of a group, with her devices; the first of them does the writing. `memory` is what she saw on any."""

    __slots__ = ("devices", "group", "memory", "name", "number", "session", "typing")

    def __init__(self, number: int, name: str, group: str, session: str, *, typing: bool) -> None:
        self.number = number
        self.name = name
        self.group = group
        self.session = session
        self.typing = typing
        self.devices: list[Device] = []
        self.memory = Memory()


class CrowdWire(Protocol):
    """What a wire does for a device."""

    def dial(self, now: float, device: Device, after_s: float) -> None:
        """Open a connection `after_s` from now; a later call replaces an earlier one."""

    def transmit(self, now: float, device: Device, frame: ClientFrame) -> None:
        """Write one frame."""

    def refresh(self, now: float, device: Device) -> None:
        """Fetch a new token and hand it in on the open connection."""

    def hang_up(self, now: float, device: Device, code: int) -> None:
        """Close the device's connection."""

    def arm(self, now: float, device: Device) -> None:
        """The device's `client.wake_at()` may have moved earlier than `device.armed_at`."""


class DeviceWatch(Protocol):
    """Who watches what devices do by themselves: `chatsim.verdict.invariants.devices`. `number` is the device's."""

    def dials(self, now: float, number: int, after_s: float) -> None: ...
    def knocks(self, now: float, number: int, former: str) -> None: ...
    def opened(self, now: float, number: int) -> None: ...
    def welcomed(self, number: int, frame: Welcome) -> float: ...
    def refused(
        self, now: float, number: int, status: int, retry_after_s: float | None, dials: float | None, *, returns: bool
    ) -> None: ...
    def lost(self, now: float, number: int, code: int, dials: float | None, *, returns: bool) -> None: ...
    def left(self, number: int) -> None: ...
    def told(self, now: float, number: int, frame: Draining | Error) -> None: ...
    def late(self, now: float, number: int, until: float) -> None: ...
    def joins(self, now: float, number: int, frame: StatusIn) -> None: ...
    def joined(self, number: int, session: str) -> None: ...
    def ended(self, number: int, frame: Left) -> None: ...
    def parts(self, number: int, session: str) -> None: ...


def _dials(effects: ClientEffects) -> float | None:
    """After how long (s) the client is to dial, None where it is not."""
    return next((effect.after_s for effect in effects if isinstance(effect, Dial)), None)


class People:
    """All people of one run, and the notes about them (moments in seconds since the start of the run).

    `asking` maps the id of each message that the server has not answered yet to the device that wrote it. `on_say(now,
    intended_at)` hears of each message as it is written, `on_ack(now, person)` of each that the server has accepted.
    `watch` hears of all that devices do to be connected (None: nobody does).
    """

    def __init__(self, wire: CrowdWire) -> None:
        self._wire = wire
        self._transmit = wire.transmit
        self.persons: list[Person] = []
        self.devices: list[Device] = []
        self.sent = SentRows()
        self.outages: list[Outage] = []
        self.on_ack: Callable[[float, Person], None] | None = None
        self.on_say: Callable[[float, float], None] | None = None
        self.watch: DeviceWatch | None = None
        self.auth_refused = 0
        self.duplicates = 0
        self.out_of_order = 0
        self.turned_away = 0
        self._trespasses = 0
        self._notes: dict[type, Callable[[float, Device, Any], None]] = {
            Message: self._saw,
            Ack: self._acked,
            Welcome: self._welcomed,
            Draining: self._draining,
            Joined: self._joined,
            Left: self._left,
            Error: self._refusal,
            TokenExpiring: self._expiring,
        }
        self._open: set[str] = set()
        self.asking: dict[str, Device] = {}

    def add(
        self,
        name: str,
        group: str,
        session: str,
        *,
        devices: int,
        seed: int,
        config: ClientConfig,
        typing: bool = False,
    ) -> Person:
        """A person who will be in `session`; her devices' dice come from `seed`."""
        person = Person(len(self.persons), name, group, session, typing=typing)
        for place in range(devices):
            client = ChatClient(config, user=name, seed=seed + place)
            memory = None if devices == 1 else Memory()
            device = Device(len(self.devices), person, client, memory, returns=config.reconnect)
            person.devices.append(device)
            self.devices.append(device)
        self.persons.append(person)
        return person

    # What people do.

    def arrive(self, now: float, person: Person) -> None:
        """She opens all her devices."""
        for device in person.devices:
            if device.client.state != "idle":
                continue
            device.wanted = True
            self.perform(now, device, device.client.join(now, person.session))
            self.perform(now, device, device.client.start(now))

    def say(self, now: float, person: Person, intended_at: float, body: Body) -> None:
        """She writes a message that she meant to write at `intended_at`."""
        if self.on_say is not None:
            self.on_say(now, intended_at)
        id_ = self.sent.add(person, intended_at)
        self._open.add(id_)
        device = self.asking[id_] = person.devices[0]
        client = device.client
        if person.typing:
            self.perform(now, device, client.typing(now, person.session, True))
        self.perform(now, device, client.say(now, id_, person.session, body))
        if person.typing:
            self.perform(now, device, client.typing(now, person.session, False))

    def beat(self, now: float, person: Person) -> None:
        """Each of her devices sends a heartbeat."""
        for device in person.devices:
            if device.joined:
                self._wire.transmit(now, device, HeartbeatIn(now))

    def show_presence(self, now: float, person: Person, state: str) -> None:
        """She says that she is online, or away."""
        device = person.devices[0]
        self.perform(now, device, device.client.presence(now, state))

    def leave(self, now: float, person: Person) -> None:
        """She closes everything and does not come back."""
        for device in person.devices:
            device.wanted = False
            self.perform(now, device, device.client.hang_up(now))

    def part(self, now: float, person: Person) -> None:
        """She leaves her session on all her devices, and stays connected."""
        for device in person.devices:
            device.joined = False
            # Who does not want to be there is not waited for.
            device.lost_at = nan
            if self.watch is not None:
                self.watch.parts(device.number, person.session)
            self._ask(now, device, device.client.leave(now, person.session))

    def rejoin(self, now: float, person: Person) -> None:
        """She is in her session again on all devices that she has not laid aside."""
        for device in person.devices:
            if device.wanted and not device.client.wants(person.session):
                self._ask(now, device, device.client.join(now, person.session))

    def trespass(self, now: float, person: Person, session: str, body: Body) -> None:
        """She asks to join a session that is not hers, and writes to it."""
        client = person.devices[0].client
        self._trespasses += 1
        self._ask(now, person.devices[0], client.join(now, session))
        self.perform(now, person.devices[0], client.say(now, f"trespass-{self._trespasses}", session, body))

    # What happens to devices.

    def knocks(self, now: float, device: Device) -> str:
        """The device asks to be let in: the name of its former connection, which it shows ("": none)."""
        former = device.client.former
        if self.watch is not None:
            self.watch.knocks(now, device.number, former)
        return former

    def opened(self, now: float, device: Device) -> None:
        """The WebSocket is open."""
        device.silent_until = now + device.silence_s
        if self.watch is not None:
            self.watch.opened(now, device.number)
        device.client.opened(now)

    def refused(self, now: float, device: Device, status: int, retry_after_s: float | None = None) -> None:
        """The dial was refused: `status` is that of the HTTP answer, 0 where there was none."""
        if status in (401, 403):
            self.auth_refused += 1
        elif status == 503:
            self.turned_away += 1
        waiting = device.client.state == "waiting"
        effects = device.client.refused(now, status, retry_after_s)
        if self.watch is not None and waiting:
            self.watch.refused(now, device.number, status, retry_after_s, _dials(effects), returns=device.returns)
        self.perform(now, device, effects)

    def closed(self, now: float, device: Device, code: int) -> None:
        """The WebSocket is gone."""
        self._hears(now, device)
        effects = device.client.closed(now, code)
        self._ended(now, device, code, effects)
        self._lost(now, device)
        self.perform(now, device, effects)

    def vanished(self, now: float, device: Device, *, returns: bool) -> None:
        """The device is gone without a word; its person will be back on a new connection, or never."""
        device.silent_until = inf
        if not returns:
            device.wanted = False
        elif device.wanted and device.joined:
            device.lost_at = now

    def frozen(self, device: Device, until: float) -> None:
        """The device does nothing until then, and reads no sooner."""
        device.silent_until = max(device.silent_until, until + device.silence_s)

    def receive(self, now: float, device: Device, frame: ServerFrame) -> None:
        """One frame arrived."""
        # This is `_hears`, written out: it is asked for every frame.
        if now > device.silent_until:
            self._late(now, device)
        device.silent_until = now + device.silence_s
        client = device.client
        self.perform(now, device, client.receive(now, frame))
        # Being heard from only moves the alarm away; a delayed ack brings it nearer, and the first frame sets it.
        armed_at = device.armed_at
        if client.due_at < armed_at or armed_at == inf:
            self._wire.arm(now, device)

    def heard(self, now: float, device: Device) -> None:
        """A ping arrived."""
        self._hears(now, device)
        device.client.heard(now)

    def _hears(self, now: float, device: Device) -> None:
        """Something came, or the end did: nobody was to wait for it for longer than she may."""
        if now > device.silent_until:
            self._late(now, device)
        device.silent_until = now + device.silence_s

    def _late(self, now: float, device: Device) -> None:
        assert self.watch is not None, "who is not watched may hear nothing for ever"
        self.watch.late(now, device.number, device.silent_until)

    def _ended(self, now: float, device: Device, code: int, effects: ClientEffects) -> None:
        device.silent_until = inf
        if self.watch is not None:
            self.watch.lost(now, device.number, code, _dials(effects), returns=device.returns)

    def wake(self, now: float, device: Device) -> None:
        """The moment that the device was armed for."""
        self.perform(now, device, device.client.wake(now))
        if device.client.wake_at() < device.armed_at:
            self._wire.arm(now, device)

    def _ask(self, now: float, device: Device, effects: ClientEffects) -> None:
        """The device asks to be in a session, or not to be; where it puts that off, its alarm comes nearer."""
        self.perform(now, device, effects)
        if device.client.wake_at() < device.armed_at:
            self._wire.arm(now, device)

    def perform(self, now: float, device: Device, effects: ClientEffects) -> None:
        """Do what the client asks for, in order."""
        for effect in effects:
            kind = effect.__class__
            if kind is Show:
                message = effect.message  # type: ignore[union-attr]
                note = self._notes.get(message.__class__)
                if note is not None:
                    note(now, device, message)
            elif kind is Transmit:
                written = effect.message  # type: ignore[union-attr]
                if written.__class__ is StatusIn and self.watch is not None:
                    self.watch.joins(now, device.number, written)
                self._transmit(now, device, written)  # type: ignore[arg-type]
            elif isinstance(effect, Dial):
                if self.watch is not None:
                    self.watch.dials(now, device.number, effect.after_s)
                self._wire.dial(now, device, effect.after_s)
            elif isinstance(effect, HangUp):
                if effect.code != 1000:
                    self._ended(now, device, effect.code, effects)
                    self._lost(now, device)
                elif self.watch is not None:
                    device.silent_until = inf
                    self.watch.left(device.number)
                self._wire.hang_up(now, device, effect.code)

    # What people see.

    @property
    def receipts(self) -> dict[str, dict[str, float]]:
        """Who has seen which message: message id to {receiving user: moment of first receipt}, made anew each time."""
        receipts: dict[str, dict[str, float]] = {}
        for person in self.persons:
            for message_id, at in person.memory:
                receipts.setdefault(message_id, {})[person.name] = at
        return receipts

    @property
    def copies(self) -> int:
        """How many messages were seen on how many devices: one that is on three of them counts as three."""
        return sum(len(device.memory) for device in self.devices)

    def _acked(self, now: float, device: Device, frame: Ack) -> None:
        self.asking.pop(frame.id, None)
        if frame.id in self._open:
            self._open.discard(frame.id)
            self.sent.acked(frame.id, now, frame.message_id)
            if self.on_ack is not None:
                self.on_ack(now, device.user)

    def _welcomed(self, now: float, device: Device, frame: Welcome) -> None:
        if self.watch is not None:
            device.silence_s = self.watch.welcomed(device.number, frame)
            device.silent_until = now + device.silence_s

    def _draining(self, now: float, device: Device, frame: Draining) -> None:
        if self.watch is not None:
            self.watch.told(now, device.number, frame)

    def _joined(self, now: float, device: Device, frame: Joined) -> None:
        person = device.user
        if self.watch is not None:
            self.watch.joined(device.number, frame.session)
        if frame.session == person.session:
            device.joined = True
            if device.lost_at == device.lost_at:
                self.outages.append(Outage(person.name, person.group, device.lost_at, now))
                device.lost_at = nan

    def _left(self, now: float, device: Device, frame: Left) -> None:
        if self.watch is not None:
            self.watch.ended(device.number, frame)
        # Unless she has asked to come back already: then this was the answer to what she wanted before.
        if frame.session == device.user.session and not device.client.wants(frame.session):
            device.joined = False

    def _expiring(self, now: float, device: Device, frame: TokenExpiring) -> None:
        self._wire.refresh(now, device)

    def _refusal(self, now: float, device: Device, frame: Error) -> None:
        if self.watch is not None:
            self.watch.told(now, device.number, frame)
        # What is tried again is still to be answered.
        if isinstance(frame.id, str) and frame.code not in TRIED_AGAIN:
            self.asking.pop(frame.id, None)
            self._open.discard(frame.id)

    def _saw(self, now: float, device: Device, frame: Message) -> None:
        person, memory = device.user, device.memory
        own = frame.sender == person.name
        # Each message comes on each of her devices, which is no fault; on one of them twice, or behind a newer, it is.
        how = memory.see(now, frame, own)
        if how:
            self.duplicates += how == AGAIN
            self.out_of_order += how == LATE
        if memory is not person.memory and not own:
            person.memory.see(now, frame)

    def _lost(self, now: float, device: Device) -> None:
        if device.wanted and device.joined and device.client.state == "waiting" and device.lost_at != device.lost_at:
            device.lost_at = now
        device.joined = False

    def finish(self) -> None:
        """The run is over: who is still away never came back."""
        for device in self.devices:
            if device.lost_at == device.lost_at:
                self.outages.append(Outage(device.user.name, device.user.group, device.lost_at, inf))
                device.lost_at = nan
