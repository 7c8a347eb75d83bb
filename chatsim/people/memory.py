"""What a pair of eyes has seen, a person's or those of one of her devices: which messages, and when first.

Decides whether a message is new to them, seen before, or late (behind one that they have seen already). Rule: exact
whatever comes, and 16 bytes a message for what comes in order, since everything that anybody sees is kept to the end.
What follows from it is left to the people.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from chatsim.core.frames import Message

NEW, AGAIN, LATE = 0, 1, 2


class Memory:
    """The messages that were seen. Moments in seconds since the start."""

    __slots__ = ("_at", "_epoch", "_ids", "_known", "_newest", "_own", "_seq", "_session")

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._at = array("d")
        # The session of the last message, with its newest place: people look at one session most of the time.
        self._session = ""
        self._epoch = 0
        self._seq = 0
        self._newest: dict[str, tuple[int, int]] | None = None
        self._own: list[str] | None = None
        self._known: set[str] | None = None

    def see(self, now: float, frame: Message, own: bool = False) -> int:
        """A message is seen: NEW, AGAIN (nothing is noted) or LATE (noted as first seen now).

        A copy of her `own` has its place among the others, and is no receipt.
        """
        if frame.session != self._session:
            self._turn_to(frame.session)
        seq = frame.seq
        if seq > self._seq and frame.epoch == self._epoch:
            self._seq = seq
        elif frame.epoch > self._epoch:
            self._epoch, self._seq = frame.epoch, seq
        else:
            return self._look_back(now, frame.message_id, own)
        if own:
            self._note_own(frame.message_id)
        else:
            self._ids.append(frame.message_id)
            self._at.append(now)
        if self._known is not None:
            self._known.add(frame.message_id)
        return NEW

    def __len__(self) -> int:
        """How many messages were seen, copies of her own among them."""
        return len(self._ids) + len(self._own or ())

    def __iter__(self) -> Iterator[tuple[str, float]]:
        """Ids and moments of first sight of what others wrote, in the order of seeing."""
        return zip(self._ids, self._at, strict=True)

    def _turn_to(self, session: str) -> None:
        if self._session:
            self._newest = self._newest or {}
            self._newest[self._session] = (self._epoch, self._seq)
        self._session = session
        self._epoch, self._seq = (0, 0) if self._newest is None else self._newest.get(session, (0, 0))

    def _note_own(self, message_id: str) -> None:
        if self._own is None:
            self._own = []
        self._own.append(message_id)

    def _look_back(self, now: float, message_id: str, own: bool) -> int:
        # Only who looks back needs to find a message by its id: most people never do.
        if self._known is None:
            self._known = {*self._ids, *(self._own or ())}
        if message_id in self._known:
            return AGAIN
        if own:
            self._note_own(message_id)
        else:
            self._ids.append(message_id)
            self._at.append(now)
        self._known.add(message_id)
        return LATE
