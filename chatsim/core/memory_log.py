"""The log of one process that forgets everything when it ends.

Decides the order of a session: it gives each record its `seq` (1, 2, 3 ... without gaps) and its `message_id`.
Rule: it answers at once; keeping messages for replay is the handler's retention, durable storage another log behind
the same call.
"""

from __future__ import annotations

from chatsim.core.effects import Record
from chatsim.core.facts import Fact


class MemoryLog:
    """A log whose `append` is done when it returns."""

    def __init__(self, *, epoch: int = 1) -> None:
        """`epoch` names this life of the log: positions of one epoch mean nothing in another."""
        self.epoch = epoch
        self._seqs: dict[str, int] = {}
        self._count = 0

    def note(self, fact: Fact) -> None:
        """A fact is forgotten at once: whoever would ask for it is gone when this log is."""

    def append(self, record: Record) -> Record:
        """The record with its place in the session; `message_id` is unique in the log's life."""
        seq = self._seqs.get(record.session, 0) + 1
        self._seqs[record.session] = seq
        self._count += 1
        return Record(
            record.session,
            record.sender,
            record.conn,
            record.id,
            record.body,
            record.sent_at,
            self.epoch,
            seq,
            f"m{self.epoch}-{self._count}",
        )
