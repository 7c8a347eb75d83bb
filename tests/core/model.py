"""Invariant: what a chat node owes each connection, found by looking through everything it was ever told.

A second, naive reading of the protocol, against which the handler is played: plain dicts and lists, no timer, no index
and nothing that is kept because it will be needed. Whatever is due at a moment is found by asking each message, each
connection and each member. Every input is one method; `out` is what each connection is to hear of it, in order.
Left out are pings (given to it, and held against their bounds), typing (given to it where somebody is spared of it),
draining and jumps of the clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf
from typing import Literal

from msgspec import UNSET, UnsetType

from chatsim.core.config import HandlerConfig
from chatsim.core.frames import (
    Ack,
    Delivered,
    Error,
    Heartbeat,
    Joined,
    Left,
    Message,
    Participant,
    Presence,
    RateLimit,
    Refreshed,
    ServerFrame,
    TokenExpiring,
    Typing,
    Undelivered,
    Welcome,
)

Heard = ServerFrame | int
"""What a connection hears: a frame, or the code that it is closed with."""


@dataclass
class Device:
    """One open connection. `joined` says, for each session, after which seq it began there without a resume."""

    user: str
    since: float
    exp_at: float
    warn_at: float
    jti: str | None
    allowed: tuple[str, ...] | None
    joined: dict[str, int] = field(default_factory=dict)
    heard_at: float = 0.0
    pings: list[float] = field(default_factory=list)
    faults: list[float] = field(default_factory=list)
    pressed: bool = False
    spared: dict[tuple[str, str, type], Presence | Typing] = field(default_factory=dict)

    @property
    def lags(self) -> bool:
        """Whether it is told of nobody now: the newest about each is told when there is room."""
        return self.pressed or bool(self.spared)

    def spare(self, session: str, signal: Presence | Typing) -> None:
        key = (session, signal.user, type(signal))
        self.spared.pop(key, None)
        self.spared[key] = signal

    def part(self, session: str) -> None:
        del self.joined[session]
        self.spared = {key: signal for key, signal in self.spared.items() if key[0] != session}


@dataclass
class Person:
    """One user, for ever: when she said what was let through, and what she says she is."""

    state: Literal["online", "away"] = "online"
    gone_at: float = -inf
    receives_until: float = -inf
    said: list[float] = field(default_factory=list)


@dataclass
class Debt:
    """One message that one user has not acked: how often and when it was sent; `rests` while nobody is there."""

    attempt: int
    sent_at: float
    retries: int = 0
    rests: bool = False


@dataclass
class Stored:
    """One message of the log."""

    frame: Message
    at: float
    kept: bool = True
    debts: dict[str, Debt] = field(default_factory=dict)


@dataclass
class Place:
    """One user in one session, from her first join on: when her last connection went, and whether others know."""

    gone_at: float = inf
    told: Literal["online", "away", "offline"] = "offline"
    # Away for so long that nothing new is owed to her.
    lapsed: bool = False


@dataclass
class Room:
    """One session."""

    epoch: int
    participants: list[str]
    places: dict[str, Place] = field(default_factory=dict)
    stored: list[Stored] = field(default_factory=list)
    opened: bool = False
    ends_at: float = inf

    @property
    def seq(self) -> int:
        return len(self.stored)


@dataclass
class Used:
    """One client id: when it was used first, and who asked again while its message was on its way."""

    at: float
    epoch: int
    conn: str
    stored: Message | None = None
    asked: list[str] = field(default_factory=list)


class Model:
    """What must hold. Moments are seconds since the start, `epoch` the wall time of the start."""

    def __init__(self, config: HandlerConfig, epoch: float) -> None:
        self.config, self.epoch = config, epoch
        self.devices: dict[str, Device] = {}
        self.people: dict[str, Person] = {}
        self.rooms: dict[str, Room] = {}
        self.ids: dict[tuple[str, str, str], Used] = {}
        self.revoked_jtis: set[str] = set()
        self.revoked_users: dict[str, float] = {}
        self.newest_epoch = 1
        # After which seq each connection began in a session, for as long as anybody may name it.
        self.began: dict[tuple[str, int, str, str | UnsetType], int] = {}
        self.delivered = self.undelivered = 0
        self.out: dict[str, list[Heard]] = {}

    # Questions.

    def of(self, user: str) -> list[str]:
        """Her connections, the oldest first."""
        return [conn for conn, device in self.devices.items() if device.user == user]

    def joined(self, session: str, user: str | None = None) -> list[str]:
        """Who is joined; of one user, or of all."""
        return [c for c, d in self.devices.items() if session in d.joined and user in (None, d.user)]

    def reached(self, session: str, user: str, seq: int) -> list[str]:
        """Her joined connections that did not begin after this seq."""
        return [conn for conn in self.joined(session, user) if self.devices[conn].joined[session] < seq]

    def owing(self) -> list[tuple[Stored, str, Debt]]:
        """Everything that somebody has not acked."""
        stored = [one for room in self.rooms.values() for one in room.stored]
        return [(one, user, debt) for one in stored for user, debt in one.debts.items()]

    def may_join(self, device: Device, session: str) -> bool:
        if session.startswith("@"):
            return session == "@" + device.user
        if device.allowed is not None:
            return session in device.allowed
        return session in self.rooms and device.user in self.rooms[session].participants

    def due_at(self) -> float:
        """When the next thing is due, pings included: no later than that the handler wants to be woken."""
        config, moments = self.config, [inf]
        for device in self.devices.values():
            moments.append((device.pings or [device.since])[-1] + config.ping_interval_s)
            moments += [p + config.pong_timeout_s for p in device.pings if p > device.heard_at]
            moments += [device.warn_at, device.exp_at + config.token_grace_s]
        for stored, _, debt in self.owing():
            if not debt.rests:
                moments.append(debt.sent_at + config.retry_interval_s)
            if stored.kept:
                moments.append(stored.at + config.retention_s)
        for room in self.rooms.values():
            moments.append(room.ends_at)
            for place in room.places.values():
                if not place.lapsed:
                    moments.append(place.gone_at + config.retention_s)
                if place.told != "offline":
                    moments.append(place.gone_at + config.presence_grace_s)
        return min(moments)

    # Telling.

    def tell(self, to: list[str], *frames: Heard) -> None:
        for conn in to:
            self.out.setdefault(conn, []).extend(frames)

    def error(self, conn: str, code: str, id_: str | UnsetType = UNSET, after_ms: int | UnsetType = UNSET) -> None:
        self.tell([conn], Error(code, "", id_, after_ms))

    def no_entry(self, conn: str, session: str, id_: str | UnsetType = UNSET) -> None:
        here = session in self.rooms or session == "@" + self.devices[conn].user
        self.error(conn, "not_a_participant" if here else "no_such_session", id_)

    def presence(self, now: float, session: str, user: str, state: Literal["online", "away", "offline"]) -> None:
        if user in self.rooms[session].places:
            self.rooms[session].places[user].told = state
        if session.startswith("@"):
            return
        signal = Presence(user, state, self.epoch + now)
        for conn in self.joined(session):
            device = self.devices[conn]
            if device.user != user and device.lags:
                device.spare(session, signal)
            elif device.user != user:
                self.tell([conn], signal)

    def lose(self, stored: Stored, user: str, reason: str) -> None:
        del stored.debts[user]
        self.undelivered += 1
        frame = stored.frame
        notice = Undelivered(message_id=frame.message_id, session=frame.session, user=user, reason=reason)
        self.tell(self.of(frame.sender), notice)

    # Coming and going.

    def connect(
        self, now: float, conn: str, user: str, ttl_s: float, jti: str | None, allowed: tuple[str, ...] | None
    ) -> None:
        person = self.people.setdefault(user, Person())
        if not self.of(user) and now >= person.gone_at + self.config.presence_grace_s:
            person.state = "online"
        while len(self.of(user)) >= self.config.connections_per_user:
            self.close(now, self.of(user)[0], 4502)
        exp_at = now + ttl_s
        device = Device(user, now, exp_at, exp_at - self.config.token_warning_s, jti, allowed, heard_at=now)
        self.devices[conn] = device
        if "@" + user in self.rooms:
            self.enter(conn, "@" + user)
        self.tell(
            [conn],
            Welcome(
                connection=conn,
                user=user,
                server_time=self.epoch + now,
                ping_interval_s=self.config.ping_interval_s,
                pong_timeout_s=self.config.pong_timeout_s,
                expires_in_s=ttl_s,
                message_bytes_max=self.config.message_bytes_max,
                rate_limit=RateLimit(self.config.rate_limit, self.config.rate_window_s),
            ),
        )
        if self.is_revoked(user, jti, now):
            self.close(now, conn, 4501)
        self.catch_up(now, user)

    def catch_up(self, now: float, user: str) -> None:
        """Her newest connection that was sent nothing newer is sent what waits in her own session, if none was."""
        own = "@" + user
        room = self.rooms.get(own)
        fresh = [c for c in self.of(user) if room is not None and self.devices[c].joined[own] == room.seq]
        if room is None or not fresh:
            return
        conn = fresh[-1]
        device = self.devices[conn]
        waiting = [stored.frame.seq for stored in room.stored if user in stored.debts]
        missed = room.stored[waiting[0] - 1 :] if waiting else []
        sent = waiting and self.reached(own, user, waiting[0])
        if missed and not sent and all(self.is_kept(now, stored) for stored in missed):
            device.joined[own] = self.began[own, room.epoch, device.user, conn] = 0
            self.replay(now, conn, missed)

    def replay(self, now: float, conn: str, missed: list[Stored]) -> None:
        user = self.devices[conn].user
        for stored in missed:
            debt = stored.debts.get(user)
            if debt is not None:
                stored.debts[user] = debt = Debt(debt.attempt + 1, now)
            self.send([conn], stored, 1 if debt is None else debt.attempt)

    def is_revoked(self, user: str, jti: str | None, issued_at: float) -> bool:
        return jti in self.revoked_jtis or issued_at < self.revoked_users.get(user, -inf)

    def enter(self, conn: str, session: str) -> None:
        """The connection is joined, as a new device is: what waits for its user is not its affair."""
        device, room = self.devices[conn], self.rooms[session]
        place = room.places.setdefault(device.user, Place())
        place.gone_at, place.lapsed = inf, False
        if session not in device.joined:
            device.joined[session] = self.began[session, room.epoch, device.user, conn] = room.seq

    def disconnect(self, now: float, conn: str) -> None:
        device = self.devices.pop(conn)
        for session in device.joined:
            self.left_by(now, session, device.user)
        self.catch_up(now, device.user)
        if not self.of(device.user):
            self.people[device.user].gone_at = now
            self.people[device.user].receives_until = now + self.config.retention_s

    def left_by(self, now: float, session: str, user: str) -> None:
        if not self.joined(session, user):
            self.rooms[session].places[user].gone_at = now

    def close(self, now: float, conn: str, code: int) -> None:
        self.disconnect(now, conn)
        self.tell([conn], code)

    def is_there(self, now: float, conn: str, id_: str | UnsetType = UNSET) -> Device | None:
        """The device that a frame came from, unless its token is over."""
        device = self.devices[conn]
        device.heard_at = now
        if now < device.exp_at:
            return device
        self.error(conn, "token_expired", id_)
        return None

    # Sessions.

    def join(
        self,
        now: float,
        conn: str,
        session: str,
        epoch: int | UnsetType = UNSET,
        last_seq: int | UnsetType = UNSET,
        replaces: str | UnsetType = UNSET,
    ) -> None:
        device = self.is_there(now, conn)
        if device is None:
            return
        user = device.user
        if not self.may_join(device, session):
            self.no_entry(conn, session)
            return
        if replaces in self.of(user) and replaces != conn:
            self.close(now, str(replaces), 4502)
        room = self.rooms.get(session) or self.make(now, session, [user])
        if user not in room.participants:
            room.participants.append(user)
        # Where the former one began; itself, named so, has not begun before it enters. Unnamed it may be any of hers.
        former = (session, room.epoch, user, str(replaces))
        hers = [seq for key, seq in self.began.items() if key[:3] == former[:3]] if replaces is UNSET else []
        start = self.began.get(former, 0)
        self.enter(conn, session)
        place = room.places[user]
        news, place.told = place.told != self.people[user].state, self.people[user].state
        missed = None
        if isinstance(last_seq, int) and epoch in (UNSET, room.epoch) and last_seq <= room.seq:
            wanted = room.stored[last_seq:]
            missed = wanted if all(self.is_kept(now, stored) for stored in wanted) else None
        if missed is not None:
            # It goes on where the former one was, and that one may have begun behind something.
            self.began.pop(former, None)
            at = room.seq - len(missed)
            device.joined[session] = max(min(start, at), *(seq for seq in [0, *hers] if seq <= at))
            self.began[session, room.epoch, user, conn] = device.joined[session]
        self.tell([conn], self.told_joined(session, missed))
        self.replay(now, conn, missed or [])
        if news:
            self.presence(now, session, user, self.people[user].state)

    def told_joined(self, session: str, missed: list[Stored] | None) -> Joined:
        room = self.rooms[session]
        participants = []
        for name in room.participants:
            place = room.places.get(name)
            participants.append(Participant(name, "offline" if place is None else place.told))
        return Joined(
            session=session,
            epoch=room.epoch,
            seq=room.seq,
            recovered=missed is not None,
            replayed=len(missed or []),
            participants=tuple(participants),
        )

    def send(self, to: list[str], stored: Stored, attempt: int) -> None:
        f = stored.frame
        self.tell(to, Message(f.message_id, f.session, f.epoch, f.seq, f.sender, f.body, f.sent_at, attempt))

    def make(self, now: float, session: str, participants: list[str]) -> Room:
        room = self.rooms[session] = Room(self.newest_epoch, participants)
        if session.startswith("@"):
            owner = self.people.get(session[1:], Person())
            for conn in self.of(session[1:]):
                self.enter(conn, session)
            if now < owner.receives_until and not self.of(session[1:]):
                room.places[session[1:]] = Place(gone_at=owner.gone_at)
        return room

    def leave(self, now: float, conn: str, session: str) -> None:
        device = self.is_there(now, conn)
        if device is None:
            return
        if session not in device.joined or session.startswith("@"):
            self.no_entry(conn, session)
            return
        self.tell([conn], Left(session=session, reason="left"))
        device.part(session)
        if not self.joined(session, device.user):
            self.forsake(now, session, device.user, "left")

    def forsake(self, now: float, session: str, user: str, reason: str) -> None:
        """She is a receiver no more, and the others hear that she is not there."""
        for stored in self.rooms[session].stored:
            if user in stored.debts:
                self.lose(stored, user, reason)
        place = self.rooms[session].places.pop(user, None)
        if place is not None and place.told != "offline":
            self.presence(now, session, user, "offline")

    def expel(self, now: float, session: str, user: str, reason: str) -> None:
        for conn in self.joined(session, user):
            self.tell([conn], Left(session=session, reason=reason))
            self.devices[conn].part(session)
        self.forsake(now, session, user, reason)

    def open(self, now: float, session: str, participants: list[str], ttl_s: float | None) -> None:
        if session not in self.rooms:
            room = self.make(now, session, list(dict.fromkeys(participants)))
            room.opened, room.ends_at = True, inf if ttl_s is None else now + ttl_s

    def add(self, now: float, session: str, user: str) -> None:
        room = self.rooms.get(session)
        if room is not None and user not in room.participants:
            room.participants.append(user)

    def remove(self, now: float, session: str, user: str) -> None:
        room = self.rooms.get(session)
        if room is None or user not in room.participants:
            return
        if room.opened and room.participants == [user]:
            self.end(session, "removed")
            return
        room.participants.remove(user)
        self.expel(now, session, user, "removed")

    def end(self, session: str, reason: str = "ended") -> None:
        """The session is over, for everybody at once."""
        room = self.rooms.get(session)
        if room is None:
            return
        for conn in self.joined(session):
            self.tell([conn], Left(session=session, reason=reason))
            self.devices[conn].part(session)
        for user in list(room.places):
            for stored in room.stored:
                if user in stored.debts:
                    self.lose(stored, user, reason)
        del self.rooms[session]
        self.newest_epoch = max(self.newest_epoch, room.epoch + 1)

    # Messages.

    def say(self, now: float, conn: str, id_: str, session: str) -> bool:
        """Whether the log is to be asked."""
        device = self.is_there(now, conn, id_)
        if device is None:
            return False
        user, room, own = device.user, self.rooms.get(session), session == "@" + device.user
        listed = device.allowed is None or session in device.allowed
        if not own and (room is None or user not in room.participants or not listed):
            self.no_entry(conn, session, id_)
            return False
        used = self.ids.get((user, session, id_))
        if used and room and used.epoch == room.epoch and now < used.at + self.config.dedupe_for_s:
            if used.stored is not None:
                self.tell([conn], self.ack_of(id_, used.stored, True))
            else:
                used.asked = [name for name in used.asked if name != conn] + [conn]
            return False
        person, window_s, limit = self.people[user], self.config.rate_window_s, self.config.rate_limit
        recent = [at for at in person.said if at + window_s > now]
        if len(recent) >= limit:
            self.error(conn, "rate_limited", id_, max(1, ceil((recent[-limit] + window_s - now) * 1000)))
            return False
        person.said.append(now)
        room = room or self.make(now, session, [user])
        self.ids[user, session, id_] = Used(now, room.epoch, conn)
        return True

    @staticmethod
    def ack_of(id_: str, frame: Message, duplicate: bool) -> Ack:
        return Ack(id_, frame.message_id, frame.session, frame.epoch, frame.seq, duplicate)

    def appended(self, now: float, conn: str, id_: str, frame: Message) -> None:
        """The log has it, at its place."""
        room = self.rooms.get(frame.session)
        if room is None or frame.epoch < room.epoch:
            # Its session ended while it was on its way.
            self.tell([conn] if conn in self.devices else [], self.ack_of(id_, frame, False))
            return
        assert frame.seq == room.seq + 1, "without gaps"
        assert frame.epoch == room.epoch
        used = self.ids.get((frame.sender, frame.session, id_))
        if used is not None:
            used.stored = frame
            self.tell([conn] if conn in self.devices else [], self.ack_of(id_, frame, False))
            self.tell([name for name in used.asked if name in self.devices], self.ack_of(id_, frame, True))
        stored = Stored(frame, now)
        room.stored.append(stored)
        self.send([name for name in self.joined(frame.session) if name != conn], stored, 1)
        there = [user for user, place in room.places.items() if not place.lapsed]
        stored.debts = {user: Debt(1, now) for user in there if user != frame.sender}
        kept = [one for one in room.stored if self.is_kept(now, one)]
        while len(kept) > self.config.retention_messages or self.weight(kept) > self.config.retention_bytes:
            self.let_go(kept.pop(0))

    def is_kept(self, now: float, stored: Stored) -> bool:
        return stored.kept and now < stored.at + self.config.retention_s

    @staticmethod
    def weight(kept: list[Stored]) -> int:
        return sum(len(stored.frame.body) for stored in kept)

    def let_go(self, stored: Stored) -> None:
        """It slides out of retention: who is not there will not have it."""
        stored.kept = False
        for user, debt in list(stored.debts.items()):
            if debt.rests or not self.joined(stored.frame.session, user):
                self.lose(stored, user, "expired")

    def append_failed(self, now: float, conn: str, user: str, id_: str, session: str, epoch: int) -> None:
        used = self.ids.get((user, session, id_))
        asked = [conn]
        if used is not None and used.epoch == epoch:
            asked += used.asked
            self.people[user].said.remove(used.at)
            del self.ids[user, session, id_]
        for name in asked:
            if name in self.devices:
                self.error(name, "unavailable", id_)

    def post(self, now: float, user: str) -> None:
        if "@" + user not in self.rooms:
            self.make(now, "@" + user, [user])

    def ack(self, now: float, conn: str, session: str, up_to: int) -> None:
        device = self.is_there(now, conn)
        if device is not None and session in device.joined:
            after = device.joined[session]
            has = [s for s in self.rooms[session].stored if after < s.frame.seq <= up_to and device.user in s.debts]
            self.has(session, device.user, has)

    def ack_one(self, now: float, conn: str, message_id: str) -> None:
        device = self.is_there(now, conn)
        if device is None:
            return
        for session, room in self.rooms.items():
            has = [s for s in room.stored if s.frame.message_id == message_id and device.user in s.debts]
            self.has(session, device.user, has)

    def has(self, session: str, user: str, has: list[Stored]) -> None:
        for stored in has:
            del stored.debts[user]
        self.delivered += len(has)
        for sender in dict.fromkeys(stored.frame.sender for stored in has):
            ids = tuple(stored.frame.message_id for stored in has if stored.frame.sender == sender)
            self.tell(self.of(sender), Delivered(session=session, user=user, message_ids=ids))

    # The rest of what a client says.

    def says_presence(self, now: float, conn: str, state: Literal["online", "away"]) -> None:
        device = self.is_there(now, conn)
        if device is None or self.people[device.user].state == state:
            return
        self.people[device.user].state = state
        for session in dict.fromkeys(name for c in self.of(device.user) for name in self.devices[c].joined):
            self.presence(now, session, device.user, state)

    def heartbeat(self, now: float, conn: str, t: int) -> None:
        device = self.is_there(now, conn)
        if device is not None:
            seqs = {"@" + device.user: 0} | {session: self.rooms[session].seq for session in device.joined}
            self.tell([conn], Heartbeat(self.epoch + now, seqs, t))

    def malformed(self, now: float, conn: str, code: str) -> None:
        device = self.devices[conn]
        device.heard_at = now
        device.faults.append(now)
        recent = [at for at in device.faults if at + self.config.violation_window_s > now]
        if len(recent) > self.config.violation_limit:
            self.close(now, conn, 4503)
        else:
            self.error(conn, code)

    def pressure(self, now: float, conn: str, frames: int) -> None:
        if frames > self.config.outbound_frames:
            self.close(now, conn, 4000)
            return
        device = self.devices[conn]
        device.pressed = 2 * frames > self.config.outbound_frames
        if not device.pressed:
            self.tell([conn], *device.spared.values())
            device.spared = {}

    # Tokens.

    def refresh(
        self, now: float, conn: str, user: str, ttl_s: float, jti: str | None, allowed: tuple[str, ...] | None
    ) -> None:
        device = self.devices[conn]
        if user != device.user:
            self.close(now, conn, 4500)
        elif self.is_revoked(user, jti, now):
            self.close(now, conn, 4501)
        else:
            device.heard_at, device.exp_at = now, now + ttl_s
            device.jti, device.allowed = jti, allowed
            # One that lives for less than the warning is warned of at half its life.
            device.warn_at = now + max(ttl_s - self.config.token_warning_s, ttl_s / 2)
            self.tell([conn], Refreshed(expires_in_s=ttl_s))

    def revoke(self, now: float, jti: str | None, user: str | None) -> None:
        if jti is not None:
            self.revoked_jtis.add(jti)
        if user is not None:
            self.revoked_users[user] = now
        hers = [c for c, d in self.devices.items() if user == d.user or (jti is not None and jti == d.jti)]
        for conn in hers:
            self.close(now, conn, 4501)
        for conn in hers:
            # Who goes with the others is not sent what waited for them.
            self.out[conn] = [frame for frame in self.out[conn] if not isinstance(frame, Message)]
        for session, room in self.rooms.items():
            if user in room.participants:
                self.expel(now, session, str(user), "revoked")
        if user in self.people:
            self.people[str(user)].receives_until = -inf

    # Time.

    def wake(self, now: float, pinged: list[str]) -> None:
        """Everything that is due at this moment; `pinged` are those whom the handler says it pings."""
        for conn in pinged:
            self.ping(now, conn)
        self.wake_devices(now)
        self.wake_messages(now)
        for session, room in self.rooms.items():
            for user, place in list(room.places.items()):
                self.wake_place(now, session, user, place)
        for session in [name for name, room in self.rooms.items() if now >= room.ends_at]:
            self.end(session)

    def wake_devices(self, now: float) -> None:
        config = self.config
        for conn, device in list(self.devices.items()):
            if any(device.heard_at < at <= now - config.pong_timeout_s for at in device.pings):
                self.close(now, conn, 4001)
        for conn, device in list(self.devices.items()):
            if now >= device.exp_at + config.token_grace_s:
                self.close(now, conn, 4002)
            elif now >= device.warn_at:
                device.warn_at = inf
                self.tell([conn], TokenExpiring(expires_in_s=max(device.exp_at - now, 0.0)))

    def wake_messages(self, now: float) -> None:
        config = self.config
        for stored, user, debt in self.owing():
            if not debt.rests and now >= debt.sent_at + config.retry_interval_s:
                self.retry(now, stored, user, debt)
        for room in self.rooms.values():
            for stored in room.stored:
                if stored.kept and not self.is_kept(now, stored):
                    self.let_go(stored)

    def wake_place(self, now: float, session: str, user: str, place: Place) -> None:
        if place.told != "offline" and now >= place.gone_at + self.config.presence_grace_s:
            self.presence(now, session, user, "offline")
        owed = [stored.kept for stored in self.rooms[session].stored if user in stored.debts]
        place.lapsed = now >= place.gone_at + self.config.retention_s
        if place.lapsed and not any(owed):
            self.forsake(now, session, user, "expired")

    def ping(self, now: float, conn: str) -> None:
        device, interval_s = self.devices[conn], self.config.ping_interval_s
        if device.pings:
            assert now == device.pings[-1] + interval_s
        else:
            assert device.since + interval_s / 2 <= now <= device.since + interval_s
        device.pings.append(now)

    def retry(self, now: float, stored: Stored, user: str, debt: Debt) -> None:
        to = self.reached(stored.frame.session, user, stored.frame.seq)
        if not to and stored.kept:
            debt.rests = True
        elif not to:
            self.lose(stored, user, "expired")
        elif debt.retries == self.config.retries:
            self.lose(stored, user, "no_ack")
        else:
            stored.debts[user] = Debt(debt.attempt + 1, now, debt.retries + 1)
            self.send(to, stored, debt.attempt + 1)
