"""The metrics and counters of one run, computed exactly from its rows.

Decides which samples a metric has and what an aggregate of them is. Rule: every sample counts as it is, infinity
included; no buckets, no interpolation, no rounding. Whether a value is good enough is left to the judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from math import inf, isnan
from typing import Final

import numpy as np
import numpy.typing as npt

from chatsim.errors import UnbalancedError
from chatsim.journal.record import DELIVERED, FORGOTTEN, WAITING, RunRecord, Sent
from chatsim.scenario.expectations import AGGREGATES, COUNTERS, METRICS, NODE_METRICS

FloatArray = npt.NDArray[np.float64]

_REPORT_IT: Final = "this is a fault of chatsim, please report it with the journal of the run"

_PERMILLE: Final = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p99.9": 999}


def quantile(ordered: FloatArray, permille: int) -> float:
    """The smallest sample x such that at least `permille`/1000 of the samples are <= x; an exact order statistic.

    `ordered` is ascending, float64 of shape (n,), n at least 1; 0 < permille <= 1000. Whole numbers keep it exact.
    """
    assert ordered.size > 0
    assert 0 < permille <= 1000
    rank = -(-permille * ordered.size // 1000)
    return float(ordered[rank - 1])


def aggregate(name: str, ordered: FloatArray) -> float:
    """One number out of ascending samples: nan where there is none, except for `count`, which is then 0."""
    if name == "count":
        return float(ordered.size)
    if not ordered.size:
        return math.nan
    if name == "mean":
        return math.fsum(ordered.tolist()) / ordered.size
    if name == "max":
        return float(ordered[-1])
    if name == "min":
        return float(ordered[0])
    return quantile(ordered, _PERMILLE[name])


class Metrics:
    """All metrics of one run; each set of samples is computed once, when it is first asked for."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._known: dict[tuple[str, str | None], FloatArray] = {}

    def samples(self, metric: str, group: str | None = None) -> FloatArray:
        """Ascending samples of a metric, float64 of shape (n,), in seconds (`utilisation`: a share).

        `group` keeps those of one group: the sender's for latencies, the user's own for `reconnect_time` and
        `detection_time`. Metrics of nodes have no group.
        """
        found = self._known.get((metric, group))
        if found is None:
            assert group is None or metric not in NODE_METRICS, f"{metric} has no group"
            found = np.sort(np.fromiter(_SAMPLES[metric](self._record, group), dtype=np.float64))
            self._known[metric, group] = found
        return found

    def count(self, metric: str, group: str | None = None) -> int:
        """How many samples a metric has."""
        return self.samples(metric, group).size

    def aggregate(self, name: str, metric: str, group: str | None = None) -> float:
        """One aggregate of one metric; nan where there is no sample."""
        return aggregate(name, self.samples(metric, group))

    def summary(self, group: str | None = None) -> dict[str, dict[str, float]]:
        """Every aggregate of every metric (with a `group` of those that have one); a metric without a sample has its
        `count` of 0 alone."""
        table = {}
        for metric in METRICS:
            if group is not None and metric in NODE_METRICS:
                continue
            ordered = self.samples(metric, group)
            names = AGGREGATES if ordered.size else ("count",)
            table[metric] = {name: aggregate(name, ordered) for name in names}
        return table


def summary(record: RunRecord) -> dict[str, dict[str, float]]:
    """Every aggregate of every metric of a run, by metric and aggregate."""
    return Metrics(record).summary()


def counters(record: RunRecord) -> dict[str, int]:
    """All counters of a run: those its record holds (0 where it is silent), and those that follow from its rows."""
    delivered, undelivered, _ = _outcomes(record)
    return (
        dict.fromkeys(COUNTERS, 0)
        | record.counters
        | {
            "sent": len(record.sent),
            "accepted": len(record.accepted),
            "delivered": delivered,
            "undelivered": undelivered,
            "lost": _lost(record),
        }
    )


def check_conservation(record: RunRecord, receivers: int | None = None, waiting: int | None = None) -> None:
    """Raise UnbalancedError unless every message is accounted for: receivers = delivered + undelivered + waiting.

    `receivers` (summed over accepted messages) and `waiting` are what the handlers say of themselves at the end, where
    a wire can ask them; the rest is counted from the rows, so that the two accounts check each other.
    """
    # Not the reverse: an id that is used again after the server forgot it names the newer message only.
    unknown = [name for name in record.accepted.values() if name not in record.owed]
    unknown += [name for name, owed in record.owed.items() if not all(owed.values())]
    if unknown:
        raise UnbalancedError(
            f"{len(unknown)} messages, {unknown[0]} the first, are accepted without an account of their receivers: "
            f"{_REPORT_IT}"
        )
    delivered, undelivered, still = _outcomes(record)
    receivers = delivered + undelivered + still if receivers is None else receivers
    waiting = still if waiting is None else waiting
    if receivers != delivered + undelivered + waiting or still != waiting:
        raise UnbalancedError(
            f"messages are not conserved: {receivers} receivers and {waiting} waiting by the handler's account, but "
            f"{delivered} delivered, {undelivered} undelivered and {still} waiting by the journal's: {_REPORT_IT}"
        )


def _outcomes(record: RunRecord) -> tuple[int, int, int]:
    """How many (message, receiver) pairs are delivered, undelivered and waiting."""
    delivered = waiting = total = 0
    for receivers in record.owed.values():
        total += len(receivers)
        for outcome in receivers.values():
            delivered += outcome == DELIVERED
            waiting += outcome == WAITING
    return delivered, total - delivered - waiting, waiting


def _lost(record: RunRecord) -> int:
    """Accepted messages that some receiver never saw, though it neither waits for her nor was reported undelivered.

    The server's belief that it was delivered is no excuse: what was acked and never seen is lost, and so is what a
    server that began again has forgotten.
    """
    lost = 0
    for message_id in record.accepted.values():
        seen = record.receipts.get(message_id, {})
        owed = record.owed.get(message_id, {})
        lost += any(outcome in (DELIVERED, FORGOTTEN) and user not in seen for user, outcome in owed.items())
    return lost


def _measured(record: RunRecord, group: str | None) -> Iterator[tuple[Sent, str]]:
    """Accepted messages of the group whose intended moment lies past the warm-up, each with its message id."""
    for sent in record.sent:
        if sent.intended_at >= record.warmup_s and (group is None or sent.group == group):
            message_id = record.accepted.get((sent.user, sent.id))
            if message_id is not None:
                yield sent, message_id


def _delivery_latency(record: RunRecord, group: str | None) -> Iterator[float]:
    for sent, message_id in _measured(record, group):
        seen = record.receipts.get(message_id, {})
        for user, outcome in record.owed.get(message_id, {}).items():
            if user in seen:
                yield seen[user] - sent.intended_at
            elif outcome != WAITING:
                yield inf


def _stable_latency(record: RunRecord, group: str | None) -> Iterator[float]:
    for sent, message_id in _measured(record, group):
        seen = record.receipts.get(message_id, {})
        owed = record.owed.get(message_id, {})
        missing = [outcome for user, outcome in owed.items() if user not in seen]
        if any(outcome != WAITING for outcome in missing):
            yield inf
        elif owed and not missing:
            yield max(seen[user] for user in owed) - sent.intended_at


def _ack_latency(record: RunRecord, group: str | None) -> Iterator[float]:
    # An accepted message whose sender never heard so took for ever: silence is not better than slowness.
    for sent, _ in _measured(record, group):
        yield inf if isnan(sent.acked_at) else sent.acked_at - sent.intended_at
    # Seen from outside it is not even known to be accepted, and took no less long.
    for sent in record.sent if record.unanswered else ():
        counts = sent.intended_at >= record.warmup_s and (group is None or sent.group == group)
        if counts and (sent.user, sent.id) in record.unanswered:
            yield inf


def _reconnect_time(record: RunRecord, group: str | None) -> Iterator[float]:
    return (row.joined_at - row.lost_at for row in record.outages if group is None or row.group == group)


def _detection_time(record: RunRecord, group: str | None) -> Iterator[float]:
    return (row.closed_at - row.gone_at for row in record.detections if group is None or row.group == group)


_SAMPLES: Final[dict[str, Callable[[RunRecord, str | None], Iterator[float]]]] = {
    "delivery_latency": _delivery_latency,
    "ack_latency": _ack_latency,
    "stable_latency": _stable_latency,
    "reconnect_time": _reconnect_time,
    "detection_time": _detection_time,
    "drain_time": lambda record, _: iter(record.drain_time_s),
    "loop_lag": lambda record, _: iter(record.loop_lag_s),
    "utilisation": lambda record, _: iter(record.utilisation),
}
