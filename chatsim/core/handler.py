"""The chat handler: every dated input of the server goes in here, and what to do about it comes out, in order.

It is where the parts meet: the pool (who is here), the sessions (who is where), the credentials (until when), the pulse
(who is alive), the ledger (who has what), the signals (typing and presence), the limiters (who may send), the service
(what becomes of sessions by order).
Rule: no clock, no socket, no await, no logging; `now` is seconds since the start and never goes back; nothing that a
peer sends raises.
Verifying tokens, storing records and writing bytes is left to the shell.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf
from typing import Any

from msgspec import UNSET

from chatsim.core.chance import Dice
from chatsim.core.codes import (
    FATAL,
    FLOOD,
    GOING_AWAY,
    NO_PONG,
    REPLACED,
    STALE,
    TOKEN_EXPIRED,
    TOKEN_REFUSED,
    TOKEN_REVOKED,
    TOO_SLOW,
    VIOLATIONS,
)
from chatsim.core.config import HandlerConfig
from chatsim.core.counters import Counters
from chatsim.core.credentials import Credentials
from chatsim.core.dedupe import Dedupe
from chatsim.core.delivery import Ledger, Outgoing, message_of
from chatsim.core.effects import NOTHING, Append, Close, Conn, Effect, Effects, Note, Ping, Record, Send
from chatsim.core.facts import Ended, Revoked
from chatsim.core.frame_rate import FrameRate
from chatsim.core.frames import (
    Ack,
    AckIn,
    Body,
    ClientFrame,
    Error,
    Heartbeat,
    HeartbeatIn,
    Presence,
    PresenceIn,
    Refreshed,
    Say,
    ServerFrame,
    StatusIn,
    TokenExpiring,
    Typing,
    TypingIn,
)
from chatsim.core.greetings import farewell, welcome
from chatsim.core.histogram import Times
from chatsim.core.laggards import Laggards
from chatsim.core.limiter import make_limiter
from chatsim.core.membership import Membership
from chatsim.core.notices import Notices
from chatsim.core.pool import Connection, Member, User, idle
from chatsim.core.positions import Positions
from chatsim.core.pulse import Pulse
from chatsim.core.replays import Replays
from chatsim.core.restorer import Restorer
from chatsim.core.service import SERVER, Service, Standing
from chatsim.core.sessions import Sessions, is_own
from chatsim.core.signals import Signals
from chatsim.core.snapshot import Snapshot
from chatsim.core.timers import Heap
from chatsim.core.tokens import Claims


class ChatHandler:
    """One node's chat handler. All durations in its settings are seconds; `epoch` is the wall time of `now` = 0 (s
    since 1970)."""

    def __init__(
        self,
        config: HandlerConfig,
        *,
        epoch: float,
        seed: int,
        snapshot: Snapshot | None = None,
        first_epoch: int = 1,
        start: float = 0.0,
    ) -> None:
        """`snapshot` is what a log that lasts knew at the start; None for a log that forgets, which is told less.

        `first_epoch` is the log's epoch of a session that is new to it, `start` the `now` at which it begins (s).
        """
        self.config = config
        self.counters = Counters()
        self.times = Times()
        self.ledger = Ledger(config)
        self._epoch = epoch
        self._start = start
        self._dice = Dice(seed)
        self._pulse = Pulse(config, self._dice)
        self._connections: dict[Conn, Connection] = {}
        self._users: dict[str, User] = {}
        self._sessions = Sessions(config, first_epoch)
        self._credentials = Credentials(config)
        self._signals = Signals(config)
        self._notices = Notices(self._users)
        self._service = Service(config, self._sessions, self.ledger, self._signals, self._notices)
        self._replays = Replays(config, self.ledger, self.counters)
        self._behind = self._replays.behind
        self._numbered = 0
        self._ids = Dedupe(config.dedupe_for_s)
        self._closings: Heap[Connection] = Heap()
        self._positions = Positions(kept=snapshot is not None)
        self._membership = Membership(
            config,
            self._users,
            self._sessions,
            self._service,
            self.ledger,
            self._signals,
            self._notices,
            self._positions,
            self._replays,
        )
        self._laggards = Laggards(config, self._connections, self.counters)
        self._next_at = inf
        self._frame_rate = FrameRate(config)
        # Whichever of a message's two moments comes first: its retry, or its end of retention.
        self._message_due_s = min(config.retry_interval_s, config.retention_s)
        self._doors: dict[type, Callable[[float, Connection, Any], Effects]] = {
            Say: self._say,
            AckIn: self._ack,
            TypingIn: self._typing,
            PresenceIn: self._presence,
            HeartbeatIn: self._heartbeat,
            StatusIn: self._status,
        }
        if snapshot is not None:
            restorer = Restorer(
                config, epoch, start, self._sessions, self._users, self._ids, self.ledger, self._signals
            )
            restorer.restore(snapshot)
            for revoked in snapshot.revoked:
                self._credentials.revoke(revoked.jti, revoked.user, revoked.at)
            self._rearm()

    # Coming and going.

    def connect(self, now: float, conn: Conn, claims: Claims) -> Effects:
        """A WebSocket opened with a verified token: `welcome`, and the user's oldest connection goes if there are too
        many."""
        user = self._users.get(claims.sub)
        if user is None:
            user = self._users[claims.sub] = User(claims.sub, make_limiter(self.config))
        elif not user.connections and now >= user.gone_at + self.config.presence_grace_s:
            user.state = "online"
        effects: list[Effect] = []
        while len(user.connections) >= self.config.connections_per_user:
            effects += self._close(now, next(iter(user.connections.values())), REPLACED, "connection limit")
        self._numbered += 1
        connection = Connection(conn, self._numbered, user, now)
        self._credentials.hold(self._epoch, connection, claims)
        self._connections[conn] = connection
        user.connections[conn] = connection
        user.names = tuple(user.connections)
        self._pulse.add(now, connection)
        self.counters.connections_peak = max(self.counters.connections_peak, len(self._connections))
        effects += self._membership.connect(connection)
        effects.append(welcome(self.config, connection, now, self._epoch + now))
        if self._credentials.revoked(claims):
            effects += self._close(now, connection, TOKEN_REVOKED, "token revoked")
        else:
            effects += self._membership.welcomed(now, connection)
        self._rearm()
        return tuple(effects)

    def disconnect(self, now: float, conn: Conn) -> Effects:
        """The WebSocket is gone, however it went; a connection that the handler closed itself is unknown already."""
        connection = self._connections.get(conn)
        if connection is None:
            return NOTHING
        effects = self._drop(now, connection)
        self._rearm()
        return effects

    def wall(self, now: float) -> float:
        """Wall time by this node's clock, right or wrong (s since 1970)."""
        return self._epoch + now

    def knows(self, conn: Conn) -> bool:
        """Whether the connection is open in the handler's eyes."""
        return conn in self._connections

    def remembers(self, now: float, user: str, *, earlier: bool) -> bool:
        """Whether the user may be one who comes back: somebody who is known here or, with a name from an `earlier` life
        of the node, comes so soon after the start of this one that it may not know her yet."""
        return user in self._users or (earlier and now < self._start + self.config.retention_s)

    def present(self) -> tuple[int, int]:
        """How many connections are open, and how many users have one; counted anew at each call."""
        return len(self._connections), sum(1 for user in self._users.values() if user.connections)

    @property
    def connected(self) -> int:
        """How many connections were opened since the start."""
        return self._numbered

    def revoked(self, claims: Claims) -> bool:
        """Whether the token was revoked, by its `jti` or with all that its user had then."""
        return self._credentials.revoked(claims)

    def revocable(self, now: float, jti: str | None, user: str | None) -> bool:
        """Whether one revocation more can be remembered: where not, `revoke` does nothing."""
        return self._credentials.revocable(self._epoch + now, jti, user)

    def standing(self, session: str) -> Standing | None:
        """What a session is, None where there is none."""
        return self._service.standing(session)

    def opened(self, user: str) -> int:
        """How many sessions the user has opened that are not over; `sessions_per_user` is the most."""
        return self._sessions.opened(user)

    # What comes in.

    def receive(self, now: float, conn: Conn, frame: ClientFrame) -> Effects:
        """One well-formed frame from a client."""
        connection = self._connections.get(conn)
        if connection is None:
            return NOTHING
        connection.heard_at = now
        excess_s = self._frame_rate.excess_s(now, connection)
        if excess_s:
            return self._flood(now, connection, excess_s, getattr(frame, "id", UNSET))
        if now >= connection.exp_at:
            return self._error(
                connection, "token_expired", "the token has expired: refresh it", getattr(frame, "id", UNSET)
            )
        return self._doors[type(frame)](now, connection, frame)

    def malformed(self, now: float, conn: Conn, code: str, detail: str) -> Effects:
        """Bytes that are no frame: `bad_json bad_frame unknown_type` are answered, `binary bad_utf8 too_large`
        close."""
        connection = self._connections.get(conn)
        if connection is None:
            return NOTHING
        connection.heard_at = now
        fatal = FATAL.get(code)
        if fatal is not None:
            return self._close(now, connection, fatal, detail)
        recent = [at for at in connection.violations or () if at + self.config.violation_window_s > now]
        recent.append(now)
        connection.violations = recent
        if len(recent) > self.config.violation_limit:
            return self._close(now, connection, VIOLATIONS, "protocol violations")
        return self._error(connection, code, detail)

    def pong(self, now: float, conn: Conn) -> Effects:
        """The peer answered a ping."""
        connection = self._connections.get(conn)
        if connection is not None:
            connection.heard_at = now
            if connection.pinged_at >= 0.0:
                self.times.pong.observe(now - connection.pinged_at)
                connection.pinged_at = -1.0
        return NOTHING

    def pressure(self, now: float, conn: Conn, queued_bytes: int, queued_frames: int = 0) -> Effects:
        """How much waits to be written to a connection: above half of a limit it is spared typing and presence until
        there is room for them, above the whole closed."""
        connection = self._connections.get(conn)
        if connection is None:
            return NOTHING
        config = self.config
        if queued_bytes > config.outbound_bytes or queued_frames > config.outbound_frames:
            return self._too_slow(now, connection)
        effects = self._laggards.pressed(connection, queued_bytes, queued_frames)
        if queued_bytes or queued_frames:
            return tuple(effects) or NOTHING
        return self._ordered([*effects, *self._replays.relieved(now, connection)])

    def refresh(self, now: float, conn: Conn, claims: Claims) -> Effects:
        """A `refresh` whose token the shell has verified."""
        connection = self._connections.get(conn)
        if connection is None:
            return NOTHING
        connection.heard_at = now
        excess_s = self._frame_rate.excess_s(now, connection)
        if excess_s:
            return self._flood(now, connection, excess_s, UNSET)
        if claims.sub != connection.user.name:
            return self._close(now, connection, TOKEN_REFUSED, "the token is another user's")
        if self._credentials.revoked(claims):
            return self._close(now, connection, TOKEN_REVOKED, "token revoked")
        self._credentials.hold(self._epoch, connection, claims, renewed_at=now)
        self._rearm()
        return (Send((conn,), Refreshed(expires_in_s=connection.exp_at - now)),)

    def refuse_refresh(self, now: float, conn: Conn, code: str) -> Effects:
        """A `refresh` whose token is no good: it counts for nothing, and an unusable token ends the connection."""
        connection = self._connections.get(conn)
        if connection is None:
            return NOTHING
        connection.heard_at = now
        excess_s = self._frame_rate.excess_s(now, connection)
        if excess_s:
            return self._flood(now, connection, excess_s, UNSET)
        refused = self.counters.refused_refreshes
        refused[code] = refused.get(code, 0) + 1
        if code == "token_expired":
            return self._error(connection, code, "the new token has expired already")
        reason = TOKEN_REVOKED if code == "token_revoked" else TOKEN_REFUSED
        return self._close(now, connection, reason, code)

    def revoke(self, now: float, jti: str | None, user: str | None) -> Effects:
        """A token (`jti`), or all of a user's that were issued before now, are good no more.

        Such a user is no receiver any more either; who loses a token may have another, and stays one.
        """
        if not self.revocable(now, jti, user):
            return NOTHING
        wall = self._epoch + now
        holders = [c for c in self._connections.values() if jti is not None and c.jti == jti]
        end = max((self._epoch + holder.exp_at for holder in holders), default=inf)
        self._credentials.revoke(jti, user, wall, end)
        effects: list[Effect] = [Note(Revoked(jti, user, wall))]
        known = None if user is None else self._users.get(user)
        victims = [*holders, *(() if known is None else known.connections.values())]
        for victim in dict.fromkeys(victims):
            effects += self._close(now, victim, TOKEN_REVOKED, "token revoked")
        # Who goes with the others is not sent what waited for them.
        gone = {(victim.name,) for victim in victims}
        effects = [effect for effect in effects if not isinstance(effect, Send) or effect.to not in gone]
        if user is not None:
            effects += self._service.banish(now, wall, user, self._positions)
            if known is not None:
                known.receives_until = -inf
        self._rearm()
        return tuple(effects)

    def drain(self, now: float) -> Effects:
        """The server is going away: everyone is told when to come back, and closes are spread over the window
        (protocol.md, section 3). Once said is enough."""
        if len(self._closings):
            return NOTHING
        self._positions.hurry(now)
        effects = farewell(self.config, now, self._connections.values(), self._dice, self._closings)
        self._rearm()
        return effects

    def clock_jump(self, now: float, by_s: float) -> Effects:
        """The wall clock of the machine was set `by_s` seconds ahead (back, if negative); `now` goes on as before.

        Tokens are judged by wall time, so they end so much sooner or later; every interval stays what it is.
        """
        self._epoch += by_s
        self._credentials.jump(now, by_s, self._connections.values())
        self._sessions.jump(self._epoch)
        self._rearm()
        return NOTHING

    # Orders that come over HTTP, from those who may give them; one that cannot be followed does nothing.

    def open_session(
        self, now: float, session: str, participants: tuple[str, ...], ttl_s: float | None, opener: str | None = None
    ) -> Effects:
        """A session for these users, which ends after `ttl_s` seconds (None: by order only); its name must be free."""
        return self._ordered(self._service.open(now, self._epoch, session, participants, ttl_s, opener))

    def add_participant(self, now: float, session: str, user: str) -> Effects:
        """The user takes part from now on."""
        return self._ordered(self._service.add(session, user))

    def remove_participant(self, now: float, session: str, user: str) -> Effects:
        """The user takes part no more; with the last one the session ends."""
        return self._ordered(self._service.remove(now, self._epoch + now, session, user))

    def end_session(self, now: float, session: str) -> Effects:
        """The session is over for everybody."""
        return self._ordered(self._service.finish(session))

    def post(self, now: float, user: str, id_: str, body: Body) -> Effects:
        """A message of the server to all connections of a user, in her own session; `id_` is the shell's own."""
        name = "@" + user
        effects: list[Effect] = []
        if name not in self._sessions.by_name:
            effects += self._service.make_room(now)
            if self._sessions.packed:
                return NOTHING
        session, notes = self._membership.session(now, name)
        epoch = session.epoch
        return self._ordered([*effects, *notes, Append(Record(name, SERVER, "", id_, body, self._epoch + now, epoch))])

    def _ordered(self, effects: list[Effect]) -> Effects:
        self._rearm()
        return tuple(effects) or NOTHING

    # What the log says.

    def appended(self, now: float, record: Record) -> Effects:
        """The log has the record: ack it to the sender's connection, and send it to everyone joined."""
        found = self._sessions.by_name.get(record.session)
        if record.epoch < (self._sessions.newest_epoch if found is None else found.epoch):
            return self._too_late(record, over=found is None)
        session, effects = (found, []) if found is not None else self._membership.session(now, record.session)
        session.epoch = record.epoch
        session.seq = record.seq
        self.counters.accepted += 1
        self.times.ack.observe(self._epoch + now - record.sent_at)
        message = message_of(record)
        entry = self._ids.open((record.sender, record.session, record.id))
        if entry is not None:
            entry.message = message
            if record.conn in self._connections:
                effects.append(Send((record.conn,), entry.ack(message, duplicate=False)))
            asked = self._ids.asked(entry.key)
            if asked:
                asked = tuple(conn for conn in asked if conn in self._connections)
                effects += [Send(asked, entry.ack(message, duplicate=True))] if asked else ()
        to = session.names_but(record.conn)
        if self._behind:
            to = self._replays.ahead(to, session)
        if to:
            effects.append(Send(to, message))
        lost = self.ledger.add(now, session, message)
        if self._behind:
            for conn in self._replays.hold(session, message, record.conn):
                effects += self._too_slow(now, self._connections[conn])
        if lost:
            self._positions.lost(now, lost)
            effects += self._notices.undelivered(lost)
            self._rearm()
        due_at = now + self._message_due_s
        if due_at < self._next_at:
            self._next_at = due_at
        return tuple(effects)

    def _too_late(self, record: Record, *, over: bool) -> Effects:
        """The session ended while its message was on its way: it was accepted, and nobody is left to have it.

        Where it is `over` and no other has its name, the log has just made it again, and is told to forget it.
        """
        self.counters.accepted += 1
        notes = (Note(Ended(record.session)),) if over else NOTHING
        if record.conn not in self._connections:
            return notes
        ack = Ack(record.id, record.message_id, record.session, record.epoch, record.seq, False)
        return (*notes, Send((record.conn,), ack))

    def append_failed(self, now: float, record: Record) -> Effects:
        """The log could not take the record: nothing was accepted, and the same id may be tried again."""
        key = (record.sender, record.session, record.id)
        entry = self._ids.open(key)
        if entry is not None and entry.epoch == record.epoch:
            self._ids.drop(key)
            sender = self._users.get(record.sender)
            if sender is not None:
                sender.limiter.forgive(entry.since)
        else:
            # The session ended meanwhile, and the id may be in use in the next one of its name.
            entry = None
        asked = [record.conn, *(self._ids.asked(key) if entry is not None else ())]
        to = tuple(conn for conn in asked if conn in self._connections)
        if not to:
            return NOTHING
        self.counters.errors += 1
        return (Send(to, Error("unavailable", "the log cannot take it now: try again", record.id)),)

    def told(self, now: float, session: str, message: ServerFrame) -> Effects:
        """A frame that is not stored, from this node or another: to the others of the session; those who lag are told
        later."""
        room = self._sessions.by_name.get(session)
        if room is None:
            return NOTHING
        assert isinstance(message, (Typing, Presence))
        member = room.members.get(message.user)
        to = room.names() if member is None else room.names_but_user(member)
        if not self._laggards.count:
            return self._signalled(to, message)
        to, effects, over = self._laggards.spare(session, message, to)
        effects[:0] = self._signalled(to, message)
        for connection in over:
            effects += self._too_slow(now, connection)
        return tuple(effects) or NOTHING

    def _signalled(self, to: tuple[Conn, ...], message: Typing | Presence) -> Effects:
        if not to:
            return NOTHING
        self.counters.signalled(len(to), typing=isinstance(message, Typing))
        return (Send(to, message),)

    # Time.

    def wake_at(self) -> float:
        """When `wake` wants to be called (s, inf if never); may be early, never late."""
        return self._next_at

    def wake(self, now: float) -> Effects:
        """Do what is due; waking early does nothing."""
        if now < self._next_at:
            return NOTHING
        effects: list[Effect] = []
        for to in self._pulse.pings(now):
            self.counters.pings += len(to)
            effects.append(Ping(to))
        for connection in self._pulse.silent(now):
            self.counters.no_pong_closed += 1
            effects += self._close(now, connection, NO_PONG, "no pong")
        stale = self._pulse.stale(now)
        if stale is not None:
            for connection in stale:
                self.counters.stale_closed += 1
                effects += self._close(now, connection, STALE, "stale")
            self._tidy(now)
        while (closing := self._closings.pop(now)) is not None:
            if self._connections.get(closing.name) is closing:
                effects += self._close(now, closing, GOING_AWAY, "server going away")
        effects += self._wake_tokens(now)
        sends, lost = self.ledger.wake(now)
        effects += sends
        self._positions.lost(now, lost)
        effects += self._notices.undelivered(lost)
        effects += self._signals.wake(now, self._epoch + now)
        effects += self._wake_absent(now)
        effects += self._positions.wake(now, self.ledger)
        for session in self._sessions.ended(now):
            effects += self._service.end(session, "ended")
        self._rearm()
        return tuple(effects)

    def _rearm(self) -> None:
        self._next_at = min(
            self._pulse.next_at,
            self.ledger.rearm(),
            self._signals.next_at,
            self._sessions.next_at,
            self._credentials.next_at,
            self._closings.next_at,
            self._positions.next_at,
        )

    def _wake_tokens(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for connection, over in self._credentials.due(now):
            if over:
                self.counters.token_expired += 1
                effects += self._close(now, connection, TOKEN_EXPIRED, "token expired")
            else:
                left_s = max(connection.exp_at - now, 0.0)
                effects.append(Send((connection.name,), TokenExpiring(expires_in_s=left_s)))
        return effects

    def _wake_absent(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for member in self._sessions.overdue(now):
            if self.ledger.keeps(member):
                self._sessions.lapse(now, member)
            else:
                # Under `baseline` the retries that she is owed run on without her.
                if self.config.reliability == "hardened":
                    effects += self._notices.undelivered(self.ledger.forsake(member, "expired"))
                self._sessions.part(member)
                effects += self._positions.parted(member)
            # Where the grace is longer than retention: nobody is to hear of her absence when she is back as another.
            effects += self._signals.left(self._epoch + now, member)
        return effects

    def _tidy(self, now: float) -> None:
        """Once a sweep: forget what can no longer change an answer."""
        self._ids.tidy(now)
        # As long as she is a receiver somewhere, she is somebody who comes back.
        for name in idle(self._users, now, max(self.config.presence_grace_s, self.config.retention_s)):
            del self._users[name]

    # The seven types.

    def _say(self, now: float, connection: Connection, frame: Say) -> Effects:
        session = self._sessions.by_name.get(frame.session)
        user = connection.user
        if (
            session is None
            or user.name not in session.participants
            or (connection.allowed is not None and frame.session not in connection.allowed)
        ):
            if frame.session != "@" + user.name:
                return self._no_entry(connection, frame.session, frame.id)
            crowded = None if session is not None else self._service.crowded(now)
            if crowded is not None:
                return self._error(connection, *crowded, frame.id)
        key = (user.name, frame.session, frame.id)
        entry = self._ids.find(now, key)
        # An id that was used in an earlier session of this name means nothing in this one.
        if entry is not None and session is not None and entry.epoch == session.epoch:
            self.counters.duplicates_suppressed += 1
            if entry.message is not None:
                return (Send((connection.name,), entry.ack(entry.message, duplicate=True)),)
            # One answer for each connection that still waits: as many at most as a user has connections.
            self._ids.ask(key, connection.name, user.connections)
            return NOTHING
        wait_s = user.limiter.refusal(now)
        if wait_s:
            self.counters.rate_limited += 1
            return self._error(
                connection,
                "rate_limited",
                f"over {self.config.rate_limit} messages in {self.config.rate_window_s:g} s: try again later",
                frame.id,
                max(1, ceil(wait_s * 1000)) if wait_s < inf else UNSET,
            )
        room: list[Effect] = []
        if session is None:
            room = self._service.make_room(now)
            session, notes = self._membership.session(now, frame.session)
            room += notes
        epoch = session.epoch
        self._ids.add(now, key, epoch)
        wall = self._epoch + now
        record = Record(frame.session, user.name, connection.name, frame.id, frame.body, wall, epoch)
        return (*room, Append(record)) if room else (Append(record),)

    def _ack(self, now: float, connection: Connection, frame: AckIn) -> Effects:
        session, up_to, message_id = frame.session, frame.up_to, frame.message_id
        if message_id is not UNSET:
            found = self.ledger.ack_one(connection.user.name, message_id)
            if found is None:
                return NOTHING
            member, outgoing = found
            return self._had(now, member, [outgoing])
        if session is UNSET or up_to is UNSET:
            return self.malformed(
                now, connection.name, "bad_frame", "an ack names a message_id, or a session and up_to"
            )
        joined = connection.member_of.get(session)
        if joined is None or not joined.owed:
            return NOTHING
        settled = self.ledger.ack_up_to(joined, up_to, connection.name)
        return self._had(now, joined, settled) if settled else NOTHING

    def _moved(self, now: float, member: Member) -> None:
        self._positions.moved(now, member)
        self._next_at = min(self._next_at, self._positions.next_at)

    def _had(self, now: float, member: Member, settled: list[Outgoing]) -> Effects:
        """The member has these now: note how long each took, and tell whose they were."""
        self._moved(now, member)
        observe, wall = self.times.delivery.observe, self._epoch + now
        for outgoing in settled:
            observe(wall - outgoing.message.sent_at)
        return self._notices.delivered(member, settled)

    def _typing(self, now: float, connection: Connection, frame: TypingIn) -> Effects:
        member = connection.member_of.get(frame.session)
        if member is None:
            # Of her own session, which nobody else is in, there may be nothing yet.
            return NOTHING if frame.session == "@" + connection.user.name else self._no_entry(connection, frame.session)
        effects = self._signals.typing(now, member, frame.active)
        self._next_at = min(self._next_at, self._signals.next_at)
        return effects

    def _presence(self, now: float, connection: Connection, frame: PresenceIn) -> Effects:
        return self._signals.presence(self._epoch + now, connection.user, frame.state)

    def _heartbeat(self, now: float, connection: Connection, frame: HeartbeatIn) -> Effects:
        # Her own session is made when somebody writes to it, and joined all the while.
        seqs = {"@" + connection.user.name: 0}
        for name, member in connection.member_of.items():
            seqs[name] = member.session.seq
        return (Send((connection.name,), Heartbeat(self._epoch + now, seqs, frame.t)),)

    def _status(self, now: float, connection: Connection, frame: StatusIn) -> Effects:
        if not isinstance(frame.session, str):
            return self.malformed(now, connection.name, "bad_frame", f"{frame.action} names a session")
        if frame.action == "join":
            effects = self._join(now, connection, frame, frame.session)
        elif frame.action == "leave":
            effects = self._leave(now, connection, frame.session)
        else:
            return self.malformed(now, connection.name, "bad_frame", "refresh names a token")
        self._rearm()
        return effects

    # Sessions.

    def _join(self, now: float, connection: Connection, frame: StatusIn, name: str) -> Effects:
        if not self._sessions.may_join(connection, name):
            return self._no_entry(connection, name)
        effects: list[Effect] = []
        if isinstance(frame.replaces, str) and frame.replaces != connection.name:
            former = connection.user.connections.get(frame.replaces)
            if former is not None:
                effects += self._close(now, former, REPLACED, "resumed by a newer connection")
        full = self._service.crowded(now) if name not in self._sessions.by_name else None
        full = full or self._sessions.full(connection, name)
        if full is not None:
            return (*effects, *self._error(connection, *full))
        return (*effects, *self._membership.join(now, self._epoch + now, connection, frame, name))

    def _leave(self, now: float, connection: Connection, name: str) -> Effects:
        member = connection.member_of.get(name)
        if member is None or is_own(name):
            return self._no_entry(connection, name)
        return tuple(self._membership.leave(now, self._epoch + now, connection, member))

    # Endings and refusals.

    def _drop(self, now: float, connection: Connection) -> Effects:
        """Forget a connection: no later effect names it."""
        del self._connections[connection.name]
        user = connection.user
        del user.connections[connection.name]
        user.names = tuple(user.connections)
        self._pulse.remove(connection)
        self._credentials.drop(connection)
        self._replays.drop(connection.name, connection.member_of)
        self._laggards.drop(connection)
        effects: list[Effect] = []
        for member in connection.member_of.values():
            effects += self._membership.exit(now, member, connection)
        if not user.connections:
            user.gone_at = now
            user.receives_until = now + self.config.retention_s
        return tuple(effects) or NOTHING

    def _close(self, now: float, connection: Connection, code: int, reason: str) -> Effects:
        effects = self._drop(now, connection)
        self._rearm()
        closed = self.counters.closed
        closed[code] = closed.get(code, 0) + 1
        return (Close(connection.name, code, reason), *effects)

    def _too_slow(self, now: float, connection: Connection) -> Effects:
        self.counters.slow_closed += 1
        return self._close(now, connection, TOO_SLOW, "too slow a reader")

    def _flood(self, now: float, connection: Connection, excess_s: float, frame_id: Any) -> Effects:
        """Refuse a frame over the limit; when that has gone on for another window, end it."""
        window_s = self._frame_rate.window_s
        begins = connection.flooding_from == inf
        goes_on = now >= connection.flooding_from + window_s
        if not (begins or goes_on) and frame_id is UNSET:
            # One answer for the flood is enough, but for those who wait for theirs.
            return NOTHING
        if begins:
            connection.flooding_from = now
        text = f"over {self._frame_rate.limit} frames in {window_s:g} s"
        refusal = self._error(connection, "frame_rate", text, frame_id, max(1, ceil(excess_s * 1000)))
        return refusal + self._close(now, connection, FLOOD, "frame flood") if goes_on else refusal

    def _no_entry(self, connection: Connection, session: str, frame_id: Any = UNSET) -> Effects:
        if session in self._sessions.by_name or session == "@" + connection.user.name:
            return self._error(connection, "not_a_participant", "not a participant of this session", frame_id)
        return self._error(connection, "no_such_session", "no such session", frame_id)

    def _error(
        self, connection: Connection, code: str, text: str, frame_id: Any = UNSET, retry_after_ms: Any = UNSET
    ) -> Effects:
        self.counters.errors += 1
        return (Send((connection.name,), Error(code, text, frame_id, retry_after_ms)),)
