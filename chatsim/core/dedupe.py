"""Client ids that were used lately: a message that is sent again is acked again, and never broadcast again.

Rule: an id stands for its first message for `dedupe_for_s`, counted from then; ids belong to one user in one session.
What is answered to a repetition is left to the handler.
"""

from __future__ import annotations

from typing import TypeAlias

from chatsim.core.effects import Conn, Record
from chatsim.core.frames import Ack
from chatsim.core.timers import Line

Key: TypeAlias = tuple[str, str, str]
"""User, session, client id."""


class Accepted:
    """One client id: its place in the log once the log has the message, and which connections asked again before."""

    __slots__ = ("asked", "epoch", "key", "message_id", "seq", "since")

    def __init__(self, key: Key, since: float) -> None:
        self.key = key
        self.since = since
        self.message_id = ""
        self.epoch = self.seq = 0
        self.asked: tuple[Conn, ...] = ()

    def store(self, record: Record) -> None:
        """The log has the message."""
        self.message_id, self.epoch, self.seq = record.message_id, record.epoch, record.seq

    @property
    def stored(self) -> bool:
        """Whether the log has the message, so that there is an ack to give."""
        return self.seq > 0

    def ack(self, *, duplicate: bool) -> Ack:
        """The ack of the message, the first or one more."""
        _, session, id_ = self.key
        return Ack(id_, self.message_id, session, self.epoch, self.seq, duplicate)


class Dedupe:
    """The ids of all users; moments and durations in seconds. Its size is bounded by the rate limit and the time."""

    def __init__(self, dedupe_for_s: float) -> None:
        self._known: dict[Key, Accepted] = {}
        self._ends: Line[Accepted] = Line(dedupe_for_s)

    def find(self, now: float, key: Key) -> Accepted | None:
        """The entry of an id that was used within the time."""
        self.tidy(now)
        return self._known.get(key)

    def open(self, key: Key) -> Accepted | None:
        """The entry of an id whose message is on its way through the log, or has just come out of it."""
        return self._known.get(key)

    def add(self, now: float, key: Key, epoch: int = 0) -> None:
        """A new message takes this id; `epoch` is that of its session."""
        entry = self._known[key] = Accepted(key, now)
        entry.epoch = epoch
        self._ends.add(now, entry)

    def restore(self, since: float, record: Record) -> None:
        """A message that was stored at `since` (s, before the start)."""
        key = (record.sender, record.session, record.id)
        self.add(since, key, record.epoch)
        self._known[key].store(record)

    def drop(self, key: Key) -> Accepted | None:
        """The log did not take the message: the id is free again."""
        return self._known.pop(key, None)

    def tidy(self, now: float) -> None:
        """Forget what is over."""
        while (entry := self._ends.pop(now)) is not None:
            # After a failed append the same id may have begun anew.
            if self._known.get(entry.key) is entry:
                del self._known[entry.key]

    def __len__(self) -> int:
        return len(self._known)
