"""What the rows of a run would say if time had stood still whenever the machine did.

Decides how much of a span is the machine's. Rule: every span ends earlier by exactly that part of it in which a process
of the run was stalled, and by nothing else: not by the work that had piled up meanwhile. So what still breaks a limit
broke it by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from math import inf, isfinite
from typing import Final, NamedTuple

import msgspec

from chatsim.journal.record import RunRecord

DRAINS: Final = frozenset({"drain_node", "restart_node"})
"""What makes a node drain."""


class Stall(NamedTuple):
    """A span in which a process was not run (s, on one clock)."""

    began_at: float
    ended_at: float


class Stalls:
    """The stalls of all processes of a run, as one: where two overlap, the time counts once. Moments are the run's."""

    def __init__(self, found: Iterable[Stall], zero_at: float = 0.0) -> None:
        """`zero_at` is what the clock of `found` showed at the run's moment 0."""
        began: list[float] = []
        ended: list[float] = []
        for began_at, ended_at in sorted(found):
            if ended and began_at - zero_at <= ended[-1]:
                ended[-1] = max(ended[-1], ended_at - zero_at)
            else:
                began.append(began_at - zero_at)
                ended.append(ended_at - zero_at)
        self._began, self._ended = began, ended
        # How much was stalled before each of them.
        self._before = [0.0, *accumulate(end - start for start, end in zip(began, ended, strict=True))]

    @property
    def total_s(self) -> float:
        """All of them together (s)."""
        return self._before[-1]

    @property
    def longest_s(self) -> float:
        """The longest (s), 0 where there was none."""
        return max((end - start for start, end in zip(self._began, self._ended, strict=True)), default=0.0)

    def _until(self, moment: float) -> float:
        """How much was stalled before the moment (s)."""
        place = bisect_right(self._began, moment)
        if not place:
            return 0.0
        return self._before[place] - max(0.0, self._ended[place - 1] - moment)

    def within(self, begin_at: float, end_at: float) -> float:
        """How much of a span was stalled (s)."""
        return self._until(end_at) - self._until(begin_at)

    def earlier(self, begin_at: float, end_at: float) -> float:
        """When a span would have ended without them; an end that never came (inf, nan) stays what it is."""
        return end_at - self.within(begin_at, end_at) if isfinite(end_at) and end_at > begin_at else end_at


def without(record: RunRecord, stalls: Stalls) -> RunRecord:
    """The record with every latency, detection, return and drain as it would have been without the stalls."""
    intended = {record.accepted.get((sent.user, sent.id)): sent.intended_at for sent in record.sent}
    earlier = stalls.earlier
    drained = [fired.at for fired in record.fired if fired.do in DRAINS and not fired.vain]
    drains = record.drain_time_s
    if len(drained) == len(drains):
        drains = [earlier(at, at + lasted_s) - at for at, lasted_s in zip(drained, drains, strict=True)]
    replace = msgspec.structs.replace
    return replace(
        record,
        sent=[replace(sent, acked_at=earlier(sent.intended_at, sent.acked_at)) for sent in record.sent],
        receipts={
            name: {user: earlier(intended.get(name, inf), at) for user, at in receipts.items()}
            for name, receipts in record.receipts.items()
        },
        outages=[replace(lost, joined_at=earlier(lost.lost_at, lost.joined_at)) for lost in record.outages],
        detections=[replace(gone, closed_at=earlier(gone.gone_at, gone.closed_at)) for gone in record.detections],
        drain_time_s=drains,
    )
