"""A log in memory that lasts: what was stored outlives the node, within one run.

Decides what a node that begins again is told, as the log in SQLite does for a server that people run. Rule: a snapshot
is what was appended and noted before it, nothing else. Latency and outages are the node's affair.
"""

from __future__ import annotations

from collections import deque

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Record
from chatsim.core.facts import Added, Ended, Fact, Made, Parted, Position, Removed, Revoked
from chatsim.core.memory_log import MemoryLog
from chatsim.core.service import SERVER
from chatsim.core.snapshot import SessionState, Snapshot


class _Kept:
    """One session of the log."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.seq = 0
        self.expires_at: float | None = None
        self.participants: dict[str, None] = {}
        self.positions: dict[str, Position] = {}
        self.records: list[Record] = []
        self.lasting = False
        self.opener: str | None = None

    def begin(self, epoch: int) -> None:
        """The session is in this epoch: a newer one than before begins anew."""
        if epoch > self.epoch:
            self.epoch, self.seq = epoch, 0
            self.records.clear()


class KeptLog(MemoryLog):
    """A memory log that can say what it knows. Moments are wall time in seconds since the Unix epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, _Kept] = {}
        self._revoked: list[Revoked] = []
        # What users said (moment, user), apart from the sessions, which may end: it counts against them all the same.
        self._said: deque[tuple[float, str]] = deque()
        self.newest_epoch = 1

    def append(self, record: Record) -> Record:
        """The record with its place in the session."""
        stored = super().append(record)
        if record.sender != SERVER:
            self._said.append((record.sent_at, record.sender))
        session = self._session(record.session)
        if stored.epoch < session.epoch:
            return stored
        session.begin(stored.epoch)
        session.seq = stored.seq
        self.newest_epoch = max(self.newest_epoch, stored.epoch)
        session.records.append(stored)
        return stored

    def newest(self, session: str) -> Record | None:
        """What the session took last, of what it was told to keep; None where that is nothing."""
        known = self._known.get(session)
        return known.records[-1] if known is not None and known.records else None

    def note(self, fact: Fact) -> None:
        """Keep a fact."""
        if isinstance(fact, Revoked):
            self._revoked.append(fact)
            if fact.user is not None:
                # She takes part still, and is no receiver any more.
                for kept in self._known.values():
                    kept.positions.pop(fact.user, None)
            return
        if isinstance(fact, Ended):
            super().note(fact)
            self._known.pop(fact.session, None)
            return
        session = self._session(fact.session)
        if isinstance(fact, Made):
            session.begin(fact.epoch)
            session.expires_at = fact.expires_at
            session.lasting = fact.lasting
            session.opener = fact.opener
            session.participants |= dict.fromkeys(fact.participants)
        elif isinstance(fact, Added):
            session.participants[fact.user] = None
        elif isinstance(fact, Removed):
            session.participants.pop(fact.user, None)
            # Who takes part no more is owed nothing either.
            session.positions.pop(fact.user, None)
        elif isinstance(fact, Position):
            session.positions[fact.user] = fact
        else:
            assert isinstance(fact, Parted)
            session.positions.pop(fact.user, None)

    def snapshot(self, config: HandlerConfig, wall: float) -> Snapshot:
        """What a handler that begins now has to know; older records are forgotten here too."""
        since = wall - max(config.retention_s, config.dedupe_for_s)
        sessions = []
        for name, kept in self._known.items():
            kept.records = [record for record in kept.records if record.sent_at > since]
            sessions.append(
                SessionState(
                    name,
                    kept.epoch,
                    kept.seq,
                    tuple(kept.participants),
                    kept.expires_at,
                    tuple((user, position.seq) for user, position in kept.positions.items()),
                    tuple(kept.records),
                    kept.lasting,
                    kept.opener,
                    tuple((user, position.starts) for user, position in kept.positions.items() if position.starts),
                )
            )
        lately = wall - config.rate_window_s
        self._said = deque(sorted(entry for entry in self._said if entry[0] > lately))
        return Snapshot(tuple(sessions), tuple(self._revoked), tuple((user, at) for at, user in self._said))

    def _session(self, name: str) -> _Kept:
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = _Kept(self.epoch)
        return found
