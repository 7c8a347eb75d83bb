"""How connections come into sessions and go out of them: joins, resumes, leaves, and each user's own session.

Decides what a connection that comes into a session is sent, and what it means to be there no more. Rule: everybody is
in her own session `@USER` without asking, so nobody asks for what she missed there either: what waits for her in it and
was sent to none of the connections that she has is sent to the newest of them that was sent nothing newer, since a
client drops what comes behind that. Where there is none, it waits for her next one.
Who may come in is the sessions' to say, what is replayed how fast that of the replays.
"""

from __future__ import annotations

from chatsim.core.config import HandlerConfig
from chatsim.core.delivery import Ledger
from chatsim.core.effects import Conn, Effect, Note, Send
from chatsim.core.facts import Made
from chatsim.core.frames import Left, StatusIn
from chatsim.core.notices import Notices
from chatsim.core.pool import Connection, Member, Session, User
from chatsim.core.positions import Positions
from chatsim.core.replays import Replays
from chatsim.core.service import Service, enrol
from chatsim.core.sessions import Sessions, is_own
from chatsim.core.signals import Signals


class Membership:
    """The ways into the sessions of one handler and out of them. Moments in seconds; `wall` is wall time."""

    def __init__(
        self,
        config: HandlerConfig,
        users: dict[str, User],
        sessions: Sessions,
        service: Service,
        ledger: Ledger,
        signals: Signals,
        notices: Notices,
        positions: Positions,
        replays: Replays,
    ) -> None:
        self._hardened = config.reliability == "hardened"
        self._users = users
        self._sessions = sessions
        self._service = service
        self._ledger = ledger
        self._signals = signals
        self._notices = notices
        self._positions = positions
        self._replays = replays

    def session(self, now: float, name: str) -> tuple[Session, list[Effect]]:
        """The session of this name, made where there was none, and what is to be noted: its owner receives at once."""
        session = self._sessions.by_name.get(name)
        if session is not None:
            return session, []
        session = self._sessions.make(now, name, self._users.get(name[1:]) if is_own(name) else None)
        return session, [note for member in session.members.values() for note in self._positions.came(member)]

    def connect(self, connection: Connection) -> list[Note]:
        """A connection is in its user's own session, where there is one: what is to be noted of that."""
        own = self._sessions.by_name.get("@" + connection.user.name)
        if own is None:
            return []
        new = connection.user.name not in own.members
        member = self._sessions.enter(own, connection)
        return self._positions.came(member) if new else []

    def welcomed(self, now: float, connection: Connection) -> list[Effect]:
        """What a connection is sent after its welcome."""
        member = connection.member_of.get("@" + connection.user.name)
        if member is None or not member.owed:
            return []
        before = member.starts
        self._ledger.start(member, connection.name)
        effects = self._catch_up(now, member)
        return [*self._began(member, before), *effects]

    def _catch_up(self, now: float, member: Member) -> list[Effect]:
        """A connection in its user's own session is sent what waits there, unless another of hers is to have it."""
        if not self._hardened or not self._ledger.is_stranded(member):
            return []
        name = self._ledger.fresh(member)
        if name is None:
            return []
        waiting = self._ledger.missed(now, member.session, self._ledger.position(member))
        if not waiting:
            return []
        self._ledger.reach(member, name)
        return self._replays.begin(now, member.connections[name], member, waiting)

    def _began(self, member: Member, before: dict[Conn, int] | None) -> list[Note]:
        """What is to be noted where it is not as `before` which of her connections began behind something."""
        return [] if member.starts == before else self._positions.began(member, self._ledger)

    def join(self, now: float, wall: float, connection: Connection, frame: StatusIn, name: str) -> list[Effect]:
        """A connection joins, or resumes, a session that it may join and for which there is room."""
        session, effects = self._entered(now, name, connection.user.name)
        again = name in connection.member_of
        new = connection.user.name not in session.members
        member = self._sessions.enter(session, connection)
        news = self._signals.came(wall, member)
        missed = self._replays.missed(now, session, frame)
        before = member.starts
        if missed is not None:
            former = frame.replaces if isinstance(frame.replaces, str) else None
            self._ledger.resume(member, connection.name, former, session.seq - len(missed))
        elif not again:
            self._ledger.start(member, connection.name)
        effects += self._began(member, before)
        effects.append(Send((connection.name,), self._sessions.joined(session, missed)))
        if missed:
            effects += self._replays.begin(now, connection, member, missed)
        effects += news
        if new:
            effects += self._positions.came(member)
        return effects

    def _entered(self, now: float, name: str, user: str) -> tuple[Session, list[Effect]]:
        """The session that the user joins, in which she takes part from now on, and what is to be noted of it."""
        session = self._sessions.by_name.get(name)
        if session is not None:
            return session, [] if user in session.participants else [enrol(session, user)]
        notes = self._service.make_room(now)
        session, more = self.session(now, name)
        notes += more
        if not is_own(name):
            session.participants[user] = None
            notes.append(Note(Made(name, (user,), None, session.epoch)))
        return session, notes

    def leave(self, now: float, wall: float, connection: Connection, member: Member) -> list[Effect]:
        """A connection leaves a session that it has joined; with her last one the user is a receiver no more."""
        name = member.session.name
        effects: list[Effect] = [Send((connection.name,), Left(session=name, reason="left"))]
        effects += self.exit(now, member, connection)
        connection.part(name)
        if not member.connections:
            effects += self._notices.undelivered(self._ledger.forsake(member, "left"))
            self._sessions.part(member)
            effects += self._positions.parted(member)
            self._signals.part(now, member)
            effects += self._signals.left(wall, member)
        return effects

    def exit(self, now: float, member: Member, connection: Connection) -> list[Effect]:
        """The connection is joined no more; its user stays a receiver for the time of retention."""
        self._replays.leave(member, connection.name)
        if self._sessions.exit(now, member, connection):
            self._signals.absent(now, member)
        self._ledger.depart(member)
        if not member.connections or not is_own(member.session.name):
            return []
        before = member.starts
        effects = self._catch_up(now, member)
        return [*self._began(member, before), *effects]
