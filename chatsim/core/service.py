"""The session service: sessions by order, who takes part in them, and how they end.

Decides what an order does to those who are joined and to what they are owed. Rule: an order that cannot be followed (no
such session, no room) does nothing, and every one that is followed is noted, so that it outlives the process.
Whether somebody may give it is left to whoever asks the handler; when a session's time is over, to `sessions`.
"""

from __future__ import annotations

from typing import NamedTuple

from chatsim.core.config import HandlerConfig
from chatsim.core.delivery import Ledger
from chatsim.core.effects import Effect, Note, Send
from chatsim.core.facts import Added, Ended, Made, Removed
from chatsim.core.frames import Left
from chatsim.core.notices import Notices
from chatsim.core.pool import Member, Session
from chatsim.core.positions import Positions
from chatsim.core.sessions import Sessions, is_own
from chatsim.core.signals import Signals

SERVER = "@server"
"""Whom messages of the server itself are from. No token has it as `sub`: see `chatsim.core.tokens.RESERVED`."""


class Standing(NamedTuple):
    """One session as its participants may see it. `expires_at` is wall time (s), None: it does not end by itself."""

    participants: tuple[str, ...]
    expires_at: float | None
    epoch: int
    seq: int


class Service:
    """What is done to sessions by order."""

    def __init__(
        self,
        config: HandlerConfig,
        sessions: Sessions,
        ledger: Ledger,
        signals: Signals,
        notices: Notices,
    ) -> None:
        self._participants_max = config.participants_max
        self._sessions_per_user = config.sessions_per_user
        self._sessions = sessions
        self._ledger = ledger
        self._signals = signals
        self._notices = notices

    def standing(self, name: str) -> Standing | None:
        """What a session is, None where there is none. A user's own session is always there."""
        session = self._sessions.by_name.get(name)
        if session is not None:
            return Standing(tuple(session.participants), session.expires_at, session.epoch, session.seq)
        return Standing((name[1:],), None, self._sessions.newest_epoch, 0) if is_own(name) else None

    def crowded(self, now: float) -> tuple[str, str] | None:
        """The error (code and sentence) for one session more, where there is no room to be made for it."""
        if not self._sessions.packed:
            return None
        # What nobody waits for any more is let go late, but here it takes somebody's room.
        self._ledger.release(now)
        return self._sessions.crowded()

    def make_room(self, now: float) -> list[Effect]:
        """Forget the session that has been empty for longest, where there is no room for one more."""
        spare = None if self.crowded(now) is not None or not self._sessions.packed else self._sessions.spare()
        return [] if spare is None else self.end(spare, "ended")

    def open(
        self,
        now: float,
        epoch: float,
        name: str,
        participants: tuple[str, ...],
        ttl_s: float | None,
        opener: str | None,
    ) -> list[Effect]:
        """A session by order, for `ttl_s` seconds from now; `epoch` is the wall time of `now` = 0.

        It counts against `opener` until it is over; the administrator (None) is bound by the room there is only.
        """
        people = tuple(dict.fromkeys(participants))
        if name in self._sessions.by_name or is_own(name) or not 1 <= len(people) <= self._participants_max:
            return []
        # Such a session is never forgotten for another, so that without this one user could keep out all others.
        if opener is not None and self._sessions.opened(opener) >= self._sessions_per_user:
            return []
        effects = self.make_room(now)
        if self._sessions.packed:
            return []
        expires_at = None if ttl_s is None else epoch + now + ttl_s
        session = self._sessions.open(epoch, name, people, expires_at, opener)
        return [*effects, Note(Made(name, people, expires_at, session.epoch, lasting=True, opener=opener))]

    def add(self, name: str, user: str) -> list[Effect]:
        """The user takes part from now on."""
        session = self._sessions.by_name.get(name)
        if (
            session is None
            or is_own(name)
            or user in session.participants
            or len(session.participants) >= self._participants_max
        ):
            return []
        return [enrol(session, user)]

    def remove(self, now: float, wall: float, name: str, user: str) -> list[Effect]:
        """The user takes part no more; with its last participant a session that was opened ends, since nobody could
        come back to it."""
        session = self._sessions.by_name.get(name)
        if session is None or is_own(name) or user not in session.participants:
            return []
        if session.lasting and len(session.participants) == 1:
            return self.end(session, "removed")
        del session.participants[user]
        session.told = None
        return [Note(Removed(name, user)), *self.expel(now, wall, session, user, "removed")]

    def expel(self, now: float, wall: float, session: Session, user: str, reason: str) -> list[Effect]:
        """The user is no member any more: her connections hear why, and what she was owed is undelivered."""
        effects: list[Effect] = []
        member = session.members.get(user)
        if member is not None and member.names:
            effects.append(Send(member.names, Left(session=session.name, reason=reason)))
        for receiver in self._ledger.receivers(session):
            if receiver.user.name == user:
                effects += self._notices.undelivered(self._ledger.forsake(receiver, reason))
        if member is not None:
            _part(member)
            self._sessions.part(member)
            self._signals.part(now, member)
            effects += self._signals.left(wall, member)
        return effects

    def banish(self, now: float, wall: float, user: str, positions: Positions) -> list[Effect]:
        """The user, whose tokens are good no more, is a receiver nowhere any more."""
        effects: list[Effect] = []
        for session in self._sessions.by_name.values():
            if user in session.participants:
                effects += self.expel(now, wall, session, user, "revoked")
                effects += positions.put_out(session, user)
        return effects

    def finish(self, name: str) -> list[Effect]:
        """The session is over by order; a user's own is never."""
        session = self._sessions.by_name.get(name)
        return [] if session is None or is_own(name) else self.end(session, "ended")

    def end(self, session: Session, reason: str) -> list[Effect]:
        """The session is over: those who are joined hear it, and what they were owed is undelivered."""
        effects: list[Effect] = [Note(Ended(session.name))]
        names = session.names()
        if names:
            effects.append(Send(names, Left(session=session.name, reason=reason)))
        effects += self._notices.undelivered(self._ledger.end(session, reason))
        for member in session.members.values():
            _part(member)
            # Nobody is left to be told of her, and her timers must not speak into the next session of that name.
            member.typing = False
            member.told = "offline"
        self._sessions.end(session)
        return effects


def enrol(session: Session, user: str) -> Note:
    """The user takes part in a session that is there."""
    session.participants[user] = None
    session.told = None
    return Note(Added(session.name, user))


def _part(member: Member) -> None:
    for connection in member.connections.values():
        connection.part(member.session.name)
    member.connections = {}
    member.names = ()
