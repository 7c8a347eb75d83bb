"""All sessions of one handler: which there are, who may be in them, and who is.

Decides who may join and whether there is room, and makes a session when it is first needed.
Rule: a member is a receiver for the time of retention after her last connection went, and stays one who may come back
for what she was owed by then for as long as any of that is kept.
A session that nobody opened is kept, with its place in the log, until its room is needed for another: then the one that
has been empty for longest is forgotten, which ends it. A name that is used again after an end has a new epoch, higher
than any that ended before.
What she is owed is the ledger's affair, what the others hear of her that of the signals.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sized
from itertools import islice
from math import inf

from chatsim.core.config import HandlerConfig
from chatsim.core.frames import Joined, Participant
from chatsim.core.pool import Connection, Member, Session, User
from chatsim.core.snapshot import SessionState
from chatsim.core.timers import Heap, Line

SEARCHED_MAX = 16
"""How many empty sessions are looked at for one that may be forgotten: what is retained in one ends by itself."""


def is_own(name: str) -> bool:
    """Whether this is some user's own session, `@USER`, which no client joins and nobody leaves."""
    return name[0] == "@"


class Sessions:
    """The sessions by name, and the members whose last connection has gone. Moments and durations in seconds."""

    def __init__(self, config: HandlerConfig, first_epoch: int = 1) -> None:
        """`first_epoch` is that of a session which is new to the log."""
        self._config = config
        self._absences: Line[tuple[Member, float]] = Line(config.retention_s, _is_absent)
        self._ends: Heap[Session] = Heap()
        self._empty: OrderedDict[str, Session] = OrderedDict()
        self._opened: dict[str, int] = {}
        self.newest_epoch = first_epoch
        self.by_name: dict[str, Session] = {}

    @property
    def next_at(self) -> float:
        """When the next absence or session ends (s, inf if none)."""
        return min(self._absences.next_at, self._ends.next_at)

    # Sessions.

    def make(self, now: float, name: str, owner: User | None) -> Session:
        """A session that was not there; `owner` is the user whose own it is, where she is known: who has gone lately
        has been in it too."""
        session = self.by_name[name] = Session(name, self.newest_epoch)
        self._empty[name] = session
        if is_own(name):
            session.participants[name[1:]] = None
            for connection in tuple(owner.connections.values()) if owner is not None else ():
                self.enter(session, connection)
            if owner is not None and now < owner.receives_until and not owner.connections:
                # Nobody else is there to hear that she is gone.
                self.await_return(owner.gone_at, session, owner).told = "offline"
        return session

    def restore(self, state: SessionState) -> Session:
        """A session as the log has it; `jump` sets its end."""
        session = self.by_name[state.name] = Session(state.name, state.epoch, state.seq)
        # Who takes part in a user's own session is never noted: she does, and nobody else.
        session.participants = dict.fromkeys((state.name[1:],) if is_own(state.name) else state.participants)
        session.lasting = state.lasting
        session.expires_at = state.expires_at
        self._charge(session, state.opener)
        if not session.lasting:
            self._empty[session.name] = session
        self.newest_epoch = max(self.newest_epoch, state.epoch)
        return session

    def await_return(self, start: float, session: Session, user: User) -> Member:
        """A receiver who is not there: she has the time of retention, from the start on, to come back. The start may
        lie before that of others."""
        member = session.members[user.name] = Member(session, user)
        member.gone_at = start
        member.told = "online"
        self._absences.put(start, (member, start))
        self._empty.pop(session.name, None)
        session.touch()
        session.told = None
        return member

    def open(
        self, epoch: float, name: str, participants: tuple[str, ...], expires_at: float | None, opener: str | None
    ) -> Session:
        """A session by order of `opener`; `epoch` is the wall time of `now` = 0, `expires_at` wall time too."""
        session = self.by_name[name] = Session(name, self.newest_epoch)
        session.lasting = True
        self._charge(session, opener)
        session.participants.update(dict.fromkeys(participants))
        session.expires_at = expires_at
        if expires_at is not None:
            # Sessions that were ended before their time leave entries behind: no more of them than there are sessions.
            if len(self._ends) > 2 * len(self.by_name):
                self.jump(epoch)
            else:
                self._ends.add(expires_at - epoch, session)
        return session

    def end(self, session: Session) -> None:
        """The session is no more, and its name is free for another with a newer epoch."""
        del self.by_name[session.name]
        session.over = True
        if session.opener is not None:
            left = self._opened.pop(session.opener) - 1
            if left:
                self._opened[session.opener] = left
        self._empty.pop(session.name, None)
        session.members.clear()
        session.touch()
        self.newest_epoch = max(self.newest_epoch, session.epoch + 1)

    def opened(self, user: str) -> int:
        """How many sessions the user has opened that are not over, whoever takes part in them now."""
        return self._opened.get(user, 0)

    def _charge(self, session: Session, opener: str | None) -> None:
        session.opener = opener
        if opener is not None:
            self._opened[opener] = self.opened(opener) + 1

    def ended(self, now: float) -> list[Session]:
        """The sessions whose time is over."""
        found = []
        while (session := self._ends.pop(now)) is not None:
            if self.by_name.get(session.name) is session:
                found.append(session)
        return found

    def jump(self, epoch: float) -> None:
        """The wall time of `now` = 0 is another: every end comes so much sooner or later."""
        self._ends = Heap()
        for session in self.by_name.values():
            if session.expires_at is not None:
                self._ends.add(session.expires_at - epoch, session)

    @property
    def packed(self) -> bool:
        """Whether one session more is one too many."""
        return len(self.by_name) >= self._config.sessions_max

    def spare(self) -> Session | None:
        """A session that may be forgotten: nobody opened it, is in it, or may still want to have it replayed."""
        for session in islice(self._empty.values(), SEARCHED_MAX):
            if not session.retained:
                return session
        return None

    # Who may join.

    def may_join(self, connection: Connection, name: str) -> bool:
        """By the token's list where it has one, which makes a session at its first join; else by membership."""
        user = connection.user.name
        if is_own(name):
            return name == "@" + user
        if connection.allowed is not None:
            return name in connection.allowed
        session = self.by_name.get(name)
        return session is not None and user in session.participants

    def full(self, connection: Connection, name: str) -> tuple[str, str] | None:
        """The error (code and sentence) for one join more than the settings allow, if it is one more."""
        config, own = self._config, "@" + connection.user.name
        # Her own session she is in unasked, and it takes nobody's room.
        others = len(connection.member_of) - (own in connection.member_of)
        if name != own and name not in connection.member_of and others >= config.sessions_per_connection:
            return "bad_frame", "too many sessions on one connection: leave one first"
        session = self.by_name.get(name)
        if session is None:
            return self.crowded()
        if connection.user.name not in session.participants and len(session.participants) >= config.participants_max:
            return "not_a_participant", "the session is full"
        return None

    def crowded(self) -> tuple[str, str] | None:
        """The error for one session more than the settings allow, if it would be one more."""
        if not self.packed or self.spare() is not None:
            return None
        return "unavailable", "the server holds as many sessions as it can: try again later"

    # Members.

    def enter(self, session: Session, connection: Connection) -> Member:
        """The connection joins; its user becomes a member if she was none."""
        user = connection.user
        member = session.members.get(user.name)
        if member is None:
            if not session.members:
                self._empty.pop(session.name, None)
            member = session.members[user.name] = Member(session, user)
        member.user = user
        member.lapsed = False
        member.connections[connection.name] = connection
        member.names = tuple(member.connections)
        member.gone_at = inf
        connection.member_of[session.name] = member
        session.touch()
        return member

    def exit(self, now: float, member: Member, connection: Connection) -> bool:
        """The connection is joined no more; returns whether it was the member's last."""
        del member.connections[connection.name]
        member.names = tuple(member.connections)
        member.session.touch()
        if member.connections:
            return False
        member.gone_at = now
        self._absences.add(now, (member, now))
        return True

    def lapse(self, now: float, member: Member) -> None:
        """The member is a receiver no more, and is there for what is kept for her: that is over a retention later."""
        member.lapsed = True
        member.session.touch()
        self._absences.add(now, (member, member.gone_at))

    def part(self, member: Member) -> None:
        """The user is a member no more; a participant she stays."""
        session = member.session
        del session.members[member.user.name]
        session.touch()
        session.told = None
        if not session.members and not session.lasting:
            self._empty[session.name] = session

    def overdue(self, now: float) -> list[Member]:
        """Members whose last connection went a retention ago, or who lapsed then, and who have not come back."""
        # Who went, came and went again at one instant is in the line twice.
        found: dict[Member, None] = {}
        while (absence := self._absences.pop(now)) is not None:
            if _is_absent(absence):
                found[absence[0]] = None
        return list(found)

    def joined(self, session: Session, missed: Sized | None) -> Joined:
        """The answer to a join: where the session is, who takes part, and what will be replayed (None: no resume, or
        one that cannot be had)."""
        if session.told is None:
            session.told = tuple(_participant(session, name) for name in session.participants)
        return Joined(
            session=session.name,
            epoch=session.epoch,
            seq=session.seq,
            recovered=missed is not None,
            replayed=0 if missed is None else len(missed),
            participants=session.told,
        )


def _is_absent(absence: tuple[Member, float]) -> bool:
    """Whether she is a member still, and has not come back since."""
    member, gone_at = absence
    return member.gone_at == gone_at and member.session.members.get(member.user.name) is member


def _participant(session: Session, name: str) -> Participant:
    member = session.members.get(name)
    return Participant(name, "offline" if member is None else member.told)
