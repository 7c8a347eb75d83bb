"""The log of one process that forgets everything when it ends.

Decides the order of a session: it gives each record its `seq` (1, 2, 3 ... without gaps within an epoch) and its
`message_id`, and keeps the newest for whoever asks for history.
Rule: it answers at once, and no message pays for more than a few that are forgotten; keeping messages for replay is the
handler's retention, durable storage another log behind the same call.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable
from math import inf

from chatsim.core.effects import Record
from chatsim.core.facts import Ended, Fact

FORGET_MAX = 2
"""Messages that one more lets go for their age, at most: more than one comes, so that what is too old does end."""

PRUNE_MAX = 10_000
"""Messages that one `prune` lets go, at most: some 2 ms of work. The rest is hidden, and goes next time."""


_NOTHING: deque[Record] = deque()
"""What is kept of a session where no history is: one for all, since an empty deque takes 600 bytes."""


class _Place:
    """How far one session is, and what is kept of it, in order of seq."""

    __slots__ = ("epoch", "kept", "seq")

    def __init__(self) -> None:
        self.epoch = self.seq = 0
        self.kept = _NOTHING


class MemoryLog:
    """A log whose `append` is done when it returns."""

    def __init__(
        self,
        *,
        epoch: int = 1,
        history_messages: int = 0,
        history_messages_max: int = 0,
        history_for_s: float = inf,
    ) -> None:
        """`epoch` names this life of the log: positions of one epoch mean nothing in another.

        Kept are the newest `history_messages_max` messages, of one session `history_messages` of them at most, and none
        that was sent more than `history_for_s` before the newest.
        """
        self.epoch = epoch
        self._places: dict[str, _Place] = {}
        self._count = 0
        self._of_one = history_messages if history_messages_max else 0
        self._of_all = history_messages_max
        self._for_s = history_for_s
        # What was sent before this moment (wall time, s) is history to nobody, whether or not it is still here.
        self._since = -inf
        self._kept: deque[tuple[_Place, Record]] = deque()

    def note(self, fact: Fact) -> None:
        """Of all facts only the end of a session means something here: its history goes, and its name is free."""
        if isinstance(fact, Ended):
            place = self._places.pop(fact.session, None)
            if place is not None:
                place.kept.clear()

    def settled(self, answered: Callable[[bool], None]) -> None:
        """Say at once that every fact is kept, for as long as this log is."""
        answered(True)

    def append(self, record: Record) -> Record:
        """The record with its place in the session; `message_id` is unique in the log's life.

        A record of a newer epoch than the session's begins it anew; one of an older is stored nowhere.
        """
        place = self._places.get(record.session)
        if place is None:
            place = self._places[record.session] = _Place()
        epoch = max(self.epoch, record.epoch)
        if epoch < place.epoch:
            # Its session has ended on its way, and another has the name: it is none of that one's.
            self._count += 1
            return record.placed(epoch, 1, f"m{self.epoch}-{self._count}")
        if epoch > place.epoch:
            place.epoch, place.seq = epoch, 0
            place.kept.clear()
        place.seq += 1
        self._count += 1
        stored = record.placed(place.epoch, place.seq, f"m{self.epoch}-{self._count}")
        if self._of_one:
            self._keep(place, stored)
        return stored

    @property
    def kept(self) -> int:
        """How many messages are still here, those included that are too old to be told."""
        return len(self._kept)

    def prune(self, before: float) -> None:
        """Tell nobody any more what was sent before this moment (wall time, s), and let it go, piece by piece."""
        self._since = max(self._since, before)
        self._forget(PRUNE_MAX)

    def _keep(self, place: _Place, record: Record) -> None:
        if place.kept is _NOTHING:
            place.kept = deque()
        place.kept.append(record)
        if len(place.kept) > self._of_one:
            place.kept.popleft()
        self._kept.append((place, record))
        if len(self._kept) > self._of_all:
            self._drop()
        since = record.sent_at - self._for_s
        if since > self._since:
            self._since = since
        if self._kept[0][1].sent_at < self._since:
            self._forget(FORGET_MAX)

    def _forget(self, most: int) -> None:
        while most and self._kept and self._kept[0][1].sent_at < self._since:
            self._drop()
            most -= 1

    def _drop(self) -> None:
        """The oldest of all goes."""
        place, record = self._kept.popleft()
        # Unless its session let it go before.
        if place.kept and place.kept[0] is record:
            place.kept.popleft()

    def history(self, session: str, after: int, limit: int) -> list[Record]:
        """Up to `limit` messages of the session with a seq above `after`, oldest first."""
        place = self._places.get(session)
        if place is None:
            return []
        kept = list(place.kept)
        # Within a session both numbers and moments go up.
        begin = max(
            bisect_right(kept, after, key=lambda record: record.seq),
            bisect_left(kept, self._since, key=lambda record: record.sent_at),
        )
        return kept[begin : begin + limit]
