"""What receivers still owe an ack for: first send, retries, giving up, and the messages kept for whoever comes back.

Rule: a message leaves the ledger for a user in exactly one way, delivered or undelivered with a reason; `owed` counts
the sum of both and what waits.
Under `hardened` retries are spent on living connections only, and what waits for an absent user ends when it slides out
of the session's retention.
Under `baseline` retries run and give up whether or not anyone is there, and nothing is kept.
"""

from __future__ import annotations

from typing import NamedTuple

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Conn, Record, Send
from chatsim.core.facts import Starts
from chatsim.core.frames import Message
from chatsim.core.pool import Member, Session
from chatsim.core.timers import Line

_NOBODY: dict[Member, int] = {}
"""What a message waits for when everybody has it; never written to."""

MANY = 64
"""Of so many receivers on, what a message waits for is made anew whenever but an eighth of it is left: a dict keeps the
table of all whom it has held, 36 KiB for a thousand, and one who does not ack would hold as much in each message."""


class Outgoing:
    """One stored message on its way: `waiting` maps each member who has not acked to the attempt she was last sent.

    The attempt is negative while no retry is under way, because nobody was there to have it. `few` is how many have to
    be left for `waiting` to be worth making anew.
    """

    __slots__ = ("few", "message", "retained", "session", "waiting")

    def __init__(self, session: Session, message: Message, waiting: dict[Member, int]) -> None:
        self.session = session
        self.message = message
        self.waiting = waiting
        self.few = _few(len(waiting))
        self.retained = False


def _few(count: int) -> int:
    return count // 8 if count >= MANY else 0


GONE_STARTS_MAX = 20
"""So many connections that are gone are remembered of a member: those that may come back with a position of theirs."""

_FORGOTTEN = ""
"""Stands among a member's starts for those of them that are remembered no more. No connection has this name."""


class GivenUp(NamedTuple):
    """A message that ends as undelivered for one user."""

    outgoing: Outgoing
    user: str
    reason: str


class _Round(NamedTuple):
    """One retry timer: the members it is for (None: all that were there at the first send), and how many retries came
    before."""

    outgoing: Outgoing
    members: tuple[Member, ...] | None
    attempt: int
    tries: int


def _is_kept(outgoing: Outgoing) -> bool:
    return outgoing.retained


def _is_on(round_: _Round) -> bool:
    """Whether a retry will find somebody whom it is for."""
    waiting = round_.outgoing.waiting
    members = waiting if round_.members is None else round_.members
    return any(waiting.get(member) == round_.attempt for member in members)


def message_of(record: Record, attempt: int = 1) -> Message:
    """The frame that a stored record is sent as."""
    return Message(
        record.message_id,
        record.session,
        record.epoch,
        record.seq,
        record.sender,
        record.body,
        record.sent_at,
        attempt,
    )


def _again(message: Message, attempt: int) -> Message:
    return Message(
        message.message_id,
        message.session,
        message.epoch,
        message.seq,
        message.sender,
        message.body,
        message.sent_at,
        attempt,
    )


def _within_reach(member: Member, seq: int) -> tuple[Conn, ...]:
    """The member's connections, except those that started from a later message, and those that have not come so far in
    their replay."""
    starts, behind = member.starts, member.behind
    if starts is None and behind is None:
        return member.names
    starts, behind = starts or {}, behind or {}
    return tuple(name for name in member.names if starts.get(name, 0) < seq <= behind.get(name, seq))


def _kept_starts(member: Member, starts: dict[Conn, int]) -> dict[Conn, int] | None:
    """Those that still tell which of her connections has not been sent something that waits; of connections that are
    gone the newest, and of the others how far behind the last of them began."""
    first = next((outgoing.message.seq for outgoing in member.owed if member in outgoing.waiting), None)
    if first is None:
        return None
    kept = {name: seq for name, seq in starts.items() if seq >= first}
    gone = [name for name in kept if name not in member.connections and name != _FORGOTTEN]
    if len(gone) > GONE_STARTS_MAX:
        dropped = gone[:-GONE_STARTS_MAX]
        kept[_FORGOTTEN] = max(kept.get(_FORGOTTEN, 0), *(kept.pop(name) for name in dropped))
    return kept or None


class Ledger:
    """All messages of one handler that somebody has not acked, and those kept for replay."""

    def __init__(self, config: HandlerConfig) -> None:
        self._config = config
        self._hardened = config.reliability == "hardened"
        self._rounds: Line[_Round] = Line(config.retry_interval_s, _is_on)
        # Kept messages in the order of their ends; those that nobody waits for any more move on to the second line,
        # which wakes nobody: letting them go late changes no answer. What retention ended early for is held no longer.
        self._kept: Line[Outgoing] = Line(config.retention_s, _is_kept)
        self._settled: Line[Outgoing] = Line(config.retention_s, _is_kept)
        self._by_id: dict[str, Outgoing] = {}
        # What there was no room for when an earlier life was taken over; told at the first wake.
        self._late: list[GivenUp] = []
        self.owed = 0
        self.delivered = 0
        self.undelivered = 0
        self.undelivered_by: dict[str, int] = {}
        self.retries = 0
        self.gave_up = 0

    def rearm(self) -> float:
        """When the next retry or the next end of retention that matters is due (s, inf if none): those of messages that
        everybody has are passed over."""
        if self._late:
            return 0.0
        rounds, kept = self._rounds, self._kept
        while (round_ := rounds.first) is not None and not round_.outgoing.waiting:
            rounds.shift()
        while (outgoing := kept.first) is not None and not outgoing.waiting:
            self._settled.add(kept.shift(), outgoing)
        return min(rounds.next_at, kept.next_at)

    @property
    def waiting(self) -> int:
        """How many (message, user) pairs are neither delivered nor undelivered."""
        return self.owed - self.delivered - self.undelivered

    def pairs(self) -> list[tuple[str, str]]:
        """What waits, as pairs of message id and user."""
        return [(name, member.user.name) for name, outgoing in self._by_id.items() for member in outgoing.waiting]

    def add(self, now: float, session: Session, message: Message) -> list[GivenUp]:
        """A message was stored and goes out now; returns what its keeping pushed out of retention."""
        waiting = dict.fromkeys(session.receivers, 1)
        author = session.members.get(message.sender)
        if author is not None:
            # Who has been away for long may write without coming in, and is no receiver.
            waiting.pop(author, None)
        if not waiting and not self._hardened:
            return []
        outgoing = Outgoing(session, message, waiting)
        if waiting:
            self.owed += len(waiting)
            self._by_id[message.message_id] = outgoing
            for member in waiting:
                member.owed.append(outgoing)
            self._rounds.add(now, _Round(outgoing, None, 1, 0))
        if not self._hardened:
            return []
        outgoing.retained = True
        session.retained.append(outgoing)
        session.retained_bytes += len(message.body)
        self._kept.add(now, outgoing)
        lost: list[GivenUp] = []
        while self._crowded(session):
            lost += self._let_go(session.retained[0])
        return lost

    def restore(self, session: Session, message: Message, since: float, waiting: dict[Member, int]) -> None:
        """A message of an earlier life that is still kept; it was stored at `since` (s, before the start), and waits
        for the return of those in `waiting`, whose attempts are negative."""
        outgoing = Outgoing(session, message, waiting)
        outgoing.retained = True
        session.retained.append(outgoing)
        session.retained_bytes += len(message.body)
        self._kept.add(since, outgoing)
        if waiting:
            self.owed += len(waiting)
            self._by_id[message.message_id] = outgoing
            for member in waiting:
                member.owed.append(outgoing)
        while self._crowded(session):
            self._late += self._let_go(session.retained[0])

    def _crowded(self, session: Session) -> bool:
        """Whether the session keeps more than the settings allow."""
        config = self._config
        return len(session.retained) > config.retention_messages or session.retained_bytes > config.retention_bytes

    @staticmethod
    def position(member: Member) -> int:
        """The seq up to which the member has everything."""
        first = next((outgoing.message.seq for outgoing in member.owed if member in outgoing.waiting), None)
        return member.session.seq if first is None else first - 1

    @staticmethod
    def is_stranded(member: Member) -> bool:
        """Whether something waits for the member that none of her connections has been sent, or is about to be."""
        first = next((outgoing.message.seq for outgoing in member.owed if member in outgoing.waiting), None)
        starts = member.starts
        return first is not None and starts is not None and all(starts.get(name, 0) >= first for name in member.names)

    @staticmethod
    def fresh(member: Member) -> Conn | None:
        """The newest of the member's connections that was sent nothing yet of what is live."""
        starts, newest = member.starts or {}, member.session.seq
        return next((name for name in reversed(member.names) if starts.get(name) == newest), None)

    def start(self, member: Member, conn: Conn) -> None:
        """The connection starts from the newest message: what waits for the user goes on waiting for another device."""
        if self._hardened and member.owed:
            member.starts = _kept_starts(member, {**(member.starts or {}), conn: member.session.seq})

    def resume(self, member: Member, conn: Conn, former: Conn | None, position: int) -> None:
        """The connection goes on at this position (seq), where `former` was: it has all up to there, but for what that
        one started behind.

        Where nobody says which one that was, or it is remembered no more, it may be any that started behind something
        and has come so far: what waits may then end as undelivered though it was seen, and is never taken for seen.
        """
        if member.starts is None:
            return
        starts = dict(member.starts)
        if former is None:
            start = max((seq for seq in starts.values() if seq <= position), default=0)
        else:
            start = min(starts.pop(former, starts.get(_FORGOTTEN, 0)), position)
        starts.pop(conn, None)
        if start:
            starts[conn] = start
        member.starts = _kept_starts(member, starts)

    def reach(self, member: Member, conn: Conn) -> None:
        """The connection is sent all that waits for the member, wherever it started."""
        starts = dict(member.starts or {})
        starts.pop(conn, None)
        member.starts = _kept_starts(member, starts)

    @staticmethod
    def remember(member: Member, starts: Starts) -> None:
        """The member's connections of an earlier life, once what waits for her is restored."""
        member.starts = _kept_starts(member, dict(starts))

    def depart(self, member: Member) -> None:
        """A connection of hers is gone; where it started is kept as long as it matters to one that follows it."""
        if member.starts is not None:
            member.starts = _kept_starts(member, member.starts)

    def ack_up_to(self, member: Member, seq: int, conn: Conn) -> list[Outgoing]:
        """The member has everything up to `seq`, as far as this connection was sent it; returns what that settles, in
        order."""
        owed = member.owed
        if member.starts is not None and conn in member.starts:
            return self._ack_between(member, member.starts[conn], seq)
        settled = []
        count = 0
        for outgoing in owed:
            if outgoing.message.seq > seq:
                break
            count += 1
            waiting = outgoing.waiting
            if waiting.pop(member, 0):
                settled.append(outgoing)
                if len(waiting) <= outgoing.few:
                    self._settle(outgoing)
        del owed[:count]
        if not owed:
            member.starts = None
        elif member not in owed[0].waiting:
            # Another device of hers acked what comes next, and could not ack this.
            self._trim(member)
        self.delivered += len(settled)
        return settled

    def _ack_between(self, member: Member, after: int, seq: int) -> list[Outgoing]:
        settled: list[Outgoing] = [
            outgoing
            for outgoing in member.owed
            if after < outgoing.message.seq <= seq and outgoing.waiting.pop(member, 0)
        ]
        for outgoing in settled:
            self._settle(outgoing)
        self._trim(member)
        self.delivered += len(settled)
        return settled

    def ack_one(self, user: str, message_id: str) -> tuple[Member, Outgoing] | None:
        """The user has this one message; returns what that settles, if anything."""
        outgoing = self._by_id.get(message_id)
        if outgoing is None:
            return None
        member = outgoing.session.members.get(user)
        if member is None or not outgoing.waiting.pop(member, 0):
            return None
        self._settle(outgoing)
        self._trim(member)
        self.delivered += 1
        return member, outgoing

    @staticmethod
    def keeps(member: Member) -> bool:
        """Whether anything that waits for the member is kept for her return."""
        return any(outgoing.retained and member in outgoing.waiting for outgoing in member.owed)

    def forsake(self, member: Member, reason: str) -> list[GivenUp]:
        """The member is no receiver any more: all she was owed ends as undelivered."""
        lost = [self._lose(outgoing, member, reason) for outgoing in tuple(member.owed) if member in outgoing.waiting]
        member.owed.clear()
        return lost

    def receivers(self, session: Session) -> list[Member]:
        """Everybody who may be owed something in the session."""
        if self._hardened:
            return list(session.members.values())
        # Here retries run on for those who are no members any more.
        waiting = (o.waiting for o in self._by_id.values() if o.session is session)
        return list(dict.fromkeys(member for members in waiting for member in members))

    def end(self, session: Session, reason: str) -> list[GivenUp]:
        """The session is over: all that is owed in it ends as undelivered, and nothing is kept for replay."""
        lost = [given_up for member in self.receivers(session) for given_up in self.forsake(member, reason)]
        for outgoing in session.retained:
            outgoing.retained = False
        session.retained.clear()
        session.retained_bytes = 0
        return lost

    def missed(self, now: float, session: Session, last_seq: int) -> list[Outgoing] | None:
        """The messages after `last_seq` that are kept, or None where one of them is gone."""
        if not self._hardened or last_seq > session.seq:
            return None
        self.release(now)
        retained: list[Outgoing] = session.retained
        wanted = session.seq - last_seq
        if wanted > len(retained):
            return None
        return retained[len(retained) - wanted :]

    @staticmethod
    def rests(outgoing: Outgoing, member: Member) -> bool:
        """Whether she has not acked it and no retry is under way."""
        return outgoing.waiting.get(member, 0) < 0

    def replay(self, now: float, member: Member, missed: list[Outgoing], conn: Conn) -> list[Send]:
        """Send them again to one connection: each counts one more attempt, and has its retries anew."""
        sends = []
        for outgoing in missed:
            attempt = abs(outgoing.waiting.get(member, 0)) + 1
            if attempt > 1:
                outgoing.waiting[member] = attempt
                self._rounds.add(now, _Round(outgoing, (member,), attempt, 0))
            sends.append(Send((conn,), _again(outgoing.message, attempt)))
        return sends

    def wake(self, now: float) -> tuple[list[Send], list[GivenUp]]:
        """Everything that is due: retries to send, and what is given up."""
        sends: list[Send] = []
        lost, self._late = self._late, []
        while (round_ := self._rounds.pop(now)) is not None:
            if round_.outgoing.waiting:
                self._retry(now, round_, sends, lost)
        # What has settled came before what has not: everything leaves retention in the order in which it came.
        self.release(now)
        while (outgoing := self._kept.pop(now)) is not None:
            if outgoing.retained:
                lost += self._let_go(outgoing)
        return sends, lost

    def release(self, now: float) -> None:
        """Let go the settled messages whose time is over."""
        while (outgoing := self._settled.pop(now)) is not None:
            if outgoing.retained:
                self._let_go(outgoing)

    def _retry(self, now: float, round_: _Round, sends: list[Send], lost: list[GivenUp]) -> None:
        outgoing, members, attempt, tries = round_
        again: list[Member] = []
        names: list[Conn] = []
        for member in tuple(outgoing.waiting) if members is None else members:
            if outgoing.waiting.get(member) != attempt:
                continue
            reached = _within_reach(member, outgoing.message.seq)
            if self._hardened and not reached:
                # It waits for her return as long as it is kept; `_let_go` ends it then.
                if outgoing.retained:
                    outgoing.waiting[member] = -attempt
                else:
                    lost.append(self._lose(outgoing, member, "expired"))
            elif tries >= self._config.retries:
                self.gave_up += 1
                lost.append(self._lose(outgoing, member, "no_ack"))
            else:
                outgoing.waiting[member] = attempt + 1
                again.append(member)
                names += reached
        if again:
            self.retries += len(again)
            if names:
                sends.append(Send(tuple(names), _again(outgoing.message, attempt + 1)))
            self._rounds.add(now, _Round(outgoing, tuple(again), attempt + 1, tries + 1))

    def _let_go(self, outgoing: Outgoing) -> list[GivenUp]:
        """The message slides out of retention: it ends for every receiver who is not there, or whom no retry will
        reach."""
        session = outgoing.session
        assert session.retained[0] is outgoing, "messages leave retention in the order in which they came"
        del session.retained[0]
        session.retained_bytes -= len(outgoing.message.body)
        outgoing.retained = False
        absent = [m for m, attempt in outgoing.waiting.items() if attempt < 0 or not m.connections]
        return [self._lose(outgoing, member, "expired") for member in absent]

    def _lose(self, outgoing: Outgoing, member: Member, reason: str) -> GivenUp:
        del outgoing.waiting[member]
        self._settle(outgoing)
        self._trim(member)
        self.undelivered += 1
        self.undelivered_by[reason] = self.undelivered_by.get(reason, 0) + 1
        return GivenUp(outgoing, member.user.name, reason)

    def _settle(self, outgoing: Outgoing) -> None:
        left = len(outgoing.waiting)
        if not left:
            del self._by_id[outgoing.message.message_id]
            # It may be kept for minutes yet: an emptied dict holds on to its table, the shared one holds nothing.
            outgoing.waiting = _NOBODY
        elif left <= outgoing.few:
            outgoing.waiting = dict(outgoing.waiting)
            outgoing.few = _few(left)

    def _trim(self, member: Member) -> None:
        owed = member.owed
        count = 0
        while count < len(owed) and member not in owed[count].waiting:
            count += 1
        if count:
            del owed[:count]
        if not owed:
            # With nothing that waits, it says nothing any more who began where.
            member.starts = None
