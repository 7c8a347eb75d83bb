"""Every message that people meant to send, and what came of it at the sender's.

Decides the ids of messages: their numbers in the run. Rule: columns, not rows, since every message of a run is kept to
its end and a row of objects takes four times as much; a row is made when somebody looks at it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import nan
from typing import Protocol, overload

from chatsim.journal.record import Sent


class Author(Protocol):
    """Who means to send: her name, her group and the session that she writes to."""

    name: str
    group: str
    session: str


class SentRows(Sequence[Sent]):
    """The messages in the order in which they were meant. Moments in seconds since the start of the run."""

    def __init__(self) -> None:
        self._authors: list[Author] = []
        self._intended_at = array("d")
        self._acked_at = array("d")
        self._message_ids: list[str] = []

    def add(self, author: Author, intended_at: float) -> str:
        """One message more; returns its client id."""
        id_ = f"{len(self._authors)}"
        self._authors.append(author)
        self._intended_at.append(intended_at)
        self._acked_at.append(nan)
        self._message_ids.append("")
        return id_

    def acked(self, id_: str, now: float, message_id: str) -> None:
        """The server's ack of this message came."""
        place = int(id_)
        self._acked_at[place] = now
        self._message_ids[place] = message_id

    def __len__(self) -> int:
        return len(self._authors)

    @overload
    def __getitem__(self, place: int) -> Sent: ...

    @overload
    def __getitem__(self, place: slice) -> list[Sent]: ...

    def __getitem__(self, place: int | slice) -> Sent | list[Sent]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = range(len(self))[place]
        author = self._authors[number]
        return Sent(
            author.name,
            author.group,
            author.session,
            f"{number}",
            self._intended_at[number],
            self._acked_at[number],
            self._message_ids[number],
        )
