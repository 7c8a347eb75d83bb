"""Client ids that were used lately: a message that is sent again is acked again, and never broadcast again.

Rule: an id stands for its first message for `dedupe_for_s`, counted from then; ids belong to one user in one session.
What is answered to a repetition is left to the handler.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TypeAlias

import msgspec

from chatsim.core.effects import Conn
from chatsim.core.frames import Ack, Message
from chatsim.core.timers import Line

Key: TypeAlias = tuple[str, str, str]
"""User, session, client id."""


class Accepted(msgspec.Struct, gc=False):
    """One client id: the epoch of its session, since when it is known (s) and, once the log has it, its message.

    Not tracked by the garbage collector, since there is one for each message of the last minutes, and no way back to it
    from what it holds.
    """

    key: Key
    epoch: int
    since: float
    message: Message | None = None

    def ack(self, message: Message, *, duplicate: bool) -> Ack:
        """The ack of the message, the first or one more."""
        _, session, id_ = self.key
        return Ack(id_, message.message_id, session, message.epoch, message.seq, duplicate)


class Dedupe:
    """The ids of all users; moments and durations in seconds. Its size is bounded by the rate limit and the time."""

    def __init__(self, dedupe_for_s: float) -> None:
        self._known: dict[Key, Accepted] = {}
        self._ends: Line[Accepted] = Line(dedupe_for_s)
        self._asked: dict[Key, tuple[Conn, ...]] = {}

    def find(self, now: float, key: Key) -> Accepted | None:
        """The entry of an id that was used within the time."""
        self.tidy(now)
        return self._known.get(key)

    def open(self, key: Key) -> Accepted | None:
        """The entry of an id whose message is on its way through the log, or has just come out of it."""
        return self._known.get(key)

    def add(self, now: float, key: Key, epoch: int = 0) -> Accepted:
        """A new message takes this id; `epoch` is that of its session."""
        entry = self._known[key] = Accepted(key, epoch, now)
        self._ends.add(now, entry)
        return entry

    def ask(self, key: Key, conn: Conn, among: Container[Conn]) -> None:
        """The connection repeats an id whose message is under way; of those that did before, the ones that are still
        `among` these wait on."""
        waiting = (name for name in self._asked.get(key, ()) if name in among and name != conn)
        self._asked[key] = (*waiting, conn)

    def asked(self, key: Key) -> tuple[Conn, ...]:
        """Which connections repeated the id while its message was under way: told once."""
        return self._asked.pop(key, ()) if self._asked else ()

    def drop(self, key: Key) -> Accepted | None:
        """The log did not take the message: the id is free again."""
        return self._known.pop(key, None)

    def tidy(self, now: float) -> None:
        """Forget what is over."""
        while (entry := self._ends.pop(now)) is not None:
            # After a failed append the same id may have begun anew.
            if self._known.get(entry.key) is entry:
                del self._known[entry.key]
                self.asked(entry.key)

    def __len__(self) -> int:
        return len(self._known)
