"""The verdict on a single run: each expectation against what was observed.

Decides pass or fail, and is the one place that does. Rule: the exact value is compared with the exact limit (104 ms is
not within 100 ms), and a metric without a sample fails. What cannot be asked of a server that is seen from outside only
is skipped with the reason, and of a run that proves nothing no promise passes or fails. Intervals over replications are
not for single runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from chatsim.journal.record import RunRecord
from chatsim.scenario.expectations import Expectation
from chatsim.verdict.metrics import Metrics, counters
from chatsim.verdict.outside import Outside

Verdict: TypeAlias = Literal["pass", "fail", "inconclusive", "skipped", "invalid"]

_UNITS: Final = {"s": "s", "share": "share", "count": ""}


class Judged(msgspec.Struct, frozen=True):
    """One expectation, judged. `observed` and `limit` are in `unit`: "s", "share", or "" for a count.

    `observed` is nan where there was no sample; `n` is the number of samples, 1 for a counter. `why` says why it was
    skipped.
    """

    text: str
    observed: float
    limit: float
    verdict: Verdict
    n: int
    unit: str
    why: str = ""


class Measured(Protocol):
    """The metrics of a run, whether of samples that were kept or only counted."""

    def count(self, metric: str, group: str | None = None) -> int:
        """How many samples there are."""

    def aggregate(self, name: str, metric: str, group: str | None = None) -> float:
        """One aggregate, nan where there is no sample."""


def judge(expectations: Sequence[Expectation], record: RunRecord, outside: Outside | None = None) -> list[Judged]:
    """Every expectation of a single run, judged on its own exact values, in the order given; `outside` says what is not
    known of a server that was seen from there only."""
    counted = counters(record)
    if outside is not None:
        counted |= {name: int(bounds.low) for name, bounds in outside.bounds.items()}
    return judge_measured(expectations, Metrics(record), counted, outside)


def judge_measured(
    expectations: Sequence[Expectation],
    metrics: Measured,
    counted: Mapping[str, int],
    outside: Outside | None = None,
) -> list[Judged]:
    """The same of numbers that are known already; every counter that an expectation names must be there."""
    judged = []
    for expectation in expectations:
        why = "" if outside is None else outside.skipped(expectation)
        if why:
            judged.append(skipped(expectation, why))
        else:
            judged.append(_judged(expectation, *_observe(expectation, metrics, counted)))
    return judged


def skipped(expectation: Expectation, why: str) -> Judged:
    """One that was not judged, with the reason."""
    return Judged(expectation.text, nan, expectation.limit, "skipped", 0, _UNITS[expectation.unit], why)


def unproven(judged: Sequence[Judged]) -> list[Judged]:
    """The same in a run that is not valid: what was observed, and no verdict on it."""
    return [msgspec.structs.replace(each, verdict="invalid") for each in judged]


def verdict_of(judged: Sequence[Judged]) -> Literal["pass", "fail", "skipped"]:
    """The one word for a single run: what was skipped is no failure, and where all was, nothing has passed."""
    verdicts = {each.verdict for each in judged}
    if verdicts == {"skipped"}:
        return "skipped"
    return "pass" if verdicts <= {"pass", "skipped"} else "fail"


def _observe(expectation: Expectation, metrics: Measured, counted: Mapping[str, int]) -> tuple[float, int]:
    """What was observed, and over how many samples; nan and 0 where there is none."""
    if expectation.aggregate is None:
        return float(counted[expectation.metric]), 1
    n = metrics.count(expectation.metric, expectation.group)
    # A count of none is an observation: who writes `count(...) == 0` has thought of the empty metric.
    if n == 0 and expectation.aggregate != "count":
        return nan, 0
    return metrics.aggregate(expectation.aggregate, expectation.metric, expectation.group), n


def _judged(expectation: Expectation, observed: float, n: int) -> Judged:
    # No comparison holds for nan, so that a metric without a sample fails.
    verdict: Verdict = "pass" if expectation.holds(observed) else "fail"
    return Judged(expectation.text, observed, expectation.limit, verdict, n, _UNITS[expectation.unit])
