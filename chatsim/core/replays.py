"""What is replayed to whom, and how much of it at a time.

Decides which part of a replay leaves now: as much as half of a connection's outbound limits, and the rest when that has
gone. Rule: until a connection has caught up with a session, what is live there stands behind the replay, whoever says
it; what stands there is bounded as what waits to be written is.
How much waits in the network is the shell's to report; attempts and retries are the ledger's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import UNSET

from chatsim.core.config import HandlerConfig
from chatsim.core.counters import Counters
from chatsim.core.delivery import Ledger, Outgoing
from chatsim.core.effects import Conn, Effect, Send, Watch
from chatsim.core.frames import Message, StatusIn
from chatsim.core.pool import Connection, Member, Session

FRAME_BYTES = 256
"""About what a `message` frame weighs beside its body."""


class _Entry(NamedTuple):
    """One message that waits, to be replayed or live; `outgoing` is None for a live one that retention did not take."""

    member: Member
    message: Message
    outgoing: Outgoing | None
    live: bool


class _Backlog:
    """All that waits for one connection, and how much of it is live."""

    __slots__ = ("entries", "live", "live_bytes")

    def __init__(self) -> None:
        self.entries: deque[_Entry] = deque()
        self.live = 0
        self.live_bytes = 0


class Replays:
    """The replays of one handler that are under way."""

    def __init__(self, config: HandlerConfig, ledger: Ledger, counters: Counters) -> None:
        self._frames_max = max(config.outbound_frames // 2, 1)
        self._bytes_max = config.outbound_bytes // 2
        self._live_max = config.outbound_frames
        self._live_bytes_max = config.outbound_bytes
        self._ledger = ledger
        self._counters = counters
        # Who is behind in some session; the handler asks for each message whether anybody is.
        self.behind: dict[Conn, _Backlog] = {}
        # How many frames and bytes of replays went to a connection since it was last known to have nothing waiting.
        self._sent: dict[Conn, tuple[int, int]] = {}

    def missed(self, now: float, session: Session, frame: StatusIn) -> list[Outgoing] | None:
        """What a join asks for, where all of it is there; None for no resume, or one that cannot be had."""
        if not isinstance(frame.last_seq, int):
            return None
        missed = None
        if frame.epoch is UNSET or frame.epoch == session.epoch:
            missed = self._ledger.missed(now, session, frame.last_seq)
        self._counters.resumes += 1
        if missed is None:
            self._counters.unrecovered += 1
        else:
            self._counters.recovered += 1
            self._counters.replayed += len(missed)
        return missed

    def begin(self, now: float, connection: Connection, member: Member, missed: list[Outgoing]) -> list[Effect]:
        """The connection is to have these messages (one at least) of the member's session, in order, before anything
        that is live."""
        conn = connection.name
        self.leave(member, conn)
        backlog = self.behind.get(conn)
        waited = backlog is not None
        if backlog is None:
            backlog = self.behind[conn] = _Backlog()
        backlog.entries.extend(_Entry(member, outgoing.message, outgoing, live=False) for outgoing in missed)
        member.behind = {**(member.behind or {}), conn: missed[0].message.seq - 1}
        # Who is waited for already will be asked for more when what went before has gone.
        return [] if waited else self._take(now, connection, backlog)

    def ahead(self, to: tuple[Conn, ...], session: Session) -> tuple[Conn, ...]:
        """Those of these connections that have caught up with the session."""
        behind = {conn for member in session.members.values() for conn in member.behind or ()}
        return tuple(conn for conn in to if conn not in behind) if behind else to

    def hold(self, session: Session, message: Message, but: Conn) -> list[Conn]:
        """A message that is live stands behind the replays of its session; returns whom there is too much of it for.

        The connection `but` wrote it.
        """
        retained: list[Outgoing] = session.retained
        outgoing = retained[-1] if retained and retained[-1].message is message else None
        over = []
        for member in session.members.values():
            for conn in member.behind or ():
                if conn == but:
                    continue
                backlog = self.behind[conn]
                backlog.entries.append(_Entry(member, message, outgoing, live=True))
                backlog.live += 1
                backlog.live_bytes += len(message.body)
                if backlog.live > self._live_max or backlog.live_bytes > self._live_bytes_max:
                    over.append(conn)
        return over

    def relieved(self, now: float, connection: Connection) -> list[Effect]:
        """Nothing waits to be written to the connection any more: it may have the next part."""
        if not self._sent:
            return []
        self._sent.pop(connection.name, None)
        backlog = self.behind.get(connection.name)
        return [] if backlog is None else self._take(now, connection, backlog)

    def leave(self, member: Member, conn: Conn) -> None:
        """The connection is joined to the member's session no more, or begins again: what waited is not for it."""
        if member.behind is None or conn not in member.behind:
            return
        _forget(member, conn)
        backlog = self.behind[conn]
        kept = [entry for entry in backlog.entries if entry.member is not member]
        backlog.entries = deque(kept)
        backlog.live = sum(entry.live for entry in kept)
        backlog.live_bytes = sum(len(entry.message.body) for entry in kept if entry.live)
        if not kept:
            del self.behind[conn]

    def drop(self, conn: Conn, members: Mapping[str, Member]) -> None:
        """The connection is gone."""
        self._sent.pop(conn, None)
        if self.behind.pop(conn, None) is not None:
            for member in members.values():
                _forget(member, conn)

    def _take(self, now: float, connection: Connection, backlog: _Backlog) -> list[Effect]:
        conn, entries = connection.name, backlog.entries
        frames, size = self._sent.get(conn, (0, 0))
        effects: list[Effect] = []
        moved: dict[Member, int] = {}
        while entries:
            member, message, outgoing, live = entries[0]
            if connection.member_of.get(message.session) is not member:
                # The session has ended meanwhile, or she was taken out of it.
                entries.popleft()
                continue
            weight = len(message.body) + FRAME_BYTES
            if frames and (frames >= self._frames_max or size + weight > self._bytes_max):
                break
            entries.popleft()
            frames, size = frames + 1, size + weight
            moved[member] = message.seq
            if live:
                backlog.live -= 1
                backlog.live_bytes -= len(message.body)
            if outgoing is None or (live and not self._ledger.rests(outgoing, member)):
                # Its retries run since it was stored.
                effects.append(Send((conn,), message))
            else:
                effects += self._ledger.replay(now, member, [outgoing], conn)
        self._sent[conn] = (frames, size)
        if entries:
            left = {entry.member for entry in entries}
            effects.append(Watch(conn))
        else:
            left = set()
            del self.behind[conn]
        for member, seq in moved.items():
            if member in left:
                assert member.behind is not None
                member.behind = {**member.behind, conn: seq}
            else:
                _forget(member, conn)
        return effects


def _forget(member: Member, conn: Conn) -> None:
    """The connection is not behind in this session."""
    if member.behind is not None and conn in member.behind:
        member.behind = {name: seq for name, seq in member.behind.items() if name != conn} or None
