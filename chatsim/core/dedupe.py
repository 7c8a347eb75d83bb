"""Client ids that were used lately: a message that is sent again is acked again, and never broadcast again.

Rule: an id stands for its first message for `dedupe_for_s`, counted from then; ids belong to one user in one session.
What is answered to a repetition is left to the handler.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from chatsim.core.effects import Conn
from chatsim.core.frames import Ack

Key: TypeAlias = tuple[str, str, str]
"""User, session, client id."""


class Accepted:
    """One client id: its ack once the log has the message, and which connections asked again before."""

    __slots__ = ("ack", "asked")

    def __init__(self) -> None:
        self.ack: Ack | None = None
        self.asked: tuple[Conn, ...] = ()


class Dedupe:
    """The ids of all users; moments and durations in seconds. Its size is bounded by the rate limit and the time."""

    def __init__(self, dedupe_for_s: float) -> None:
        self._for_s = dedupe_for_s
        self._known: dict[Key, Accepted] = {}
        self._ends: deque[tuple[float, Key, Accepted]] = deque()

    def find(self, now: float, key: Key) -> Accepted | None:
        """The entry of an id that was used within the time."""
        self.tidy(now)
        return self._known.get(key)

    def open(self, key: Key) -> Accepted | None:
        """The entry of an id whose message is on its way through the log, or has just come out of it."""
        return self._known.get(key)

    def add(self, now: float, key: Key) -> None:
        """A new message takes this id."""
        entry = self._known[key] = Accepted()
        self._ends.append((now + self._for_s, key, entry))

    def drop(self, key: Key) -> Accepted | None:
        """The log did not take the message: the id is free again."""
        return self._known.pop(key, None)

    def tidy(self, now: float) -> None:
        """Forget what is over."""
        ends = self._ends
        while ends and ends[0][0] <= now:
            _, key, entry = ends.popleft()
            # After a failed append the same id may have begun anew.
            if self._known.get(key) is entry:
                del self._known[key]

    def __len__(self) -> int:
        return len(self._known)
