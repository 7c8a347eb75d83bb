"""Runs of today beside those of a baseline: what is equal, what differs, and what cannot be told.

Decides by which rule. Rule: runs in virtual time are compared exactly, digit by digit; runs on real clocks by
one-sided bounds over pairs of repetitions that share their seed, wrong with a probability of at most 5 % over all that
is compared of a scenario together. What such bounds cannot take out is how the machine drifts from day to day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, exp, inf, isinf, isnan, log, log2, nan
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec.structs import replace

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.intervals import LEVEL, one_sided_bounds
from chatsim.analysis.numbers import name_of, unit_of
from chatsim.analysis.slo import Looks, rule
from chatsim.errors import UsageError
from chatsim.scenario.conditions import Condition
from chatsim.scenario.expectations import Expectation
from chatsim.scenario.units import DIGITS, MEAN_DIGITS, about, apart

Verdict: TypeAlias = Literal["pass", "fail", "inconclusive"]

EQUAL: Final = "all numbers as saved"
"""What is asked in virtual time where nobody says otherwise."""

NOT_KNOWN: Final = "not known"
"""What is shown of a number that a side has not."""

TRACE: Final = "trace_hash"
SHOWN: Final = 5
"""Differences that a sentence names; the table has them all."""

RATIO_MARGIN: Final = 1.25
"""Beyond a fifth less or a quarter more a difference matters."""

MARGIN_S: Final = 0.0002
"""Differences of less than this (s) matter to nobody."""

_UNLESS: Final[Mapping[str, Literal["<=", "<", ">=", ">"]]] = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}


class Difference(msgspec.Struct, frozen=True):
    """One number that is another: nan where it had no sample, and None where one side does not know it."""

    name: str
    saved: float | str | None
    observed: float | str | None

    @property
    def shown(self) -> tuple[str, str]:
        """What was saved and what was observed, in the unit of the number, told apart."""
        known = iter(apart([v for v in (self.saved, self.observed) if isinstance(v, float)], unit_of(self.name)))
        shown = [next(known) if isinstance(v, float) else v or NOT_KNOWN for v in (self.saved, self.observed)]
        return shown[0], shown[1]

    @property
    def sentence(self) -> str:
        """`lost: saved 0, observed 3`."""
        saved, observed = self.shown
        return f"{self.name}: saved {saved}, observed {observed}"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one comparison. `observed`, `limit`, `low`, `high` and `saved` are in `unit` ("s", "share" or "" for
    a count); bounds are nan where exact values were compared, `n` is how many pairs there were."""

    text: str
    verdict: Verdict
    saved: float = nan
    observed: float = nan
    limit: float = nan
    low: float = nan
    high: float = nan
    unit: str = ""
    n: int = 1
    why: str = ""

    @property
    def shown(self) -> tuple[str, str, str]:
        """What was saved, what is observed (with its bounds, where there are some) and the limit, told apart;
        nothing where there is no limit."""
        values = [self.saved, self.observed, self.limit, self.low, self.high]
        spreads = self.low < self.high
        saved, observed, limit, low, high = apart(values, self.unit, MEAN_DIGITS if spreads else DIGITS)
        return saved, f"{observed} ({low} .. {high})" if spreads else observed, "" if isnan(self.limit) else limit


Numbers: TypeAlias = Mapping[str, float]


def differences(saved: Numbers, observed: Numbers, saved_trace: str, trace: str) -> list[Difference]:
    """Everything that is not equal to the last digit, in the order of the saved numbers, what is new after them, the
    trace at the end."""
    found = []
    for name in dict.fromkeys([*saved, *observed]):
        before, now = saved.get(name), observed.get(name)
        both = before is not None and now is not None
        if not (both and (before == now or (isnan(before) and isnan(now)))):  # type: ignore[arg-type]
            found.append(Difference(name, before, now))
    if saved_trace != trace:
        found.append(Difference(TRACE, saved_trace, trace))
    return found


def equal(saved: Numbers, observed: Numbers, saved_trace: str, trace: str) -> Compared:
    """Whether all numbers and the trace are those that were saved: `observed` counts what is equal, `limit` all."""
    found = differences(saved, observed, saved_trace, trace)
    total = len({*saved, *observed}) + 1
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return Compared(
        text=EQUAL,
        verdict="fail" if found else "pass",
        observed=float(total - len(found)),
        limit=float(total),
        n=total,
        why="; ".join(each.sentence for each in found[:SHOWN]) + more,
    )


def exactly(condition: Condition, saved: Numbers, observed: Numbers) -> Compared:
    """Whether a condition holds between two runs in virtual time; without a sample on either side it fails, and so it
    does where there is no limit. From infinity there is no change that could be told, so that nothing passes."""
    name = name_of(condition.metric, condition.aggregate, condition.group)
    before, now = saved[name], observed[name]
    limit, unit = condition.limit(before), _unit(condition.unit)
    broken = isnan(limit) or isnan(now) or condition.holds(before, now)
    found = Compared(
        text=f"fail if {condition.text}",
        verdict="fail" if broken else "inconclusive" if isinf(before) else "pass",
        saved=before,
        observed=now,
        limit=limit,
        unit=unit,
    )
    why = f"saved {found.shown[0]}"
    if isnan(limit):
        why += f", observed {found.shown[1]}"
    if isnan(before) or isinf(before):
        what = "never happened" if isnan(before) else "never came to an end"
        why += f": what {what} is no measure, so save a run in which it does, or leave this condition out"
    return replace(found, why=why)


# Of real clocks.


def repetitions_min(comparisons: int, level: float = LEVEL) -> int:
    """How many pairs it takes to tell anything of so many comparisons together: so many differences of one sign in a
    row have, by luck alone, no more than the probability that each comparison may be wrong with."""
    return ceil(log2(max(1, comparisons) / (1 - level)))


def check_repetitions(n: int, comparisons: int, what: str) -> None:
    """Raise UsageError where n pairs are too few, with the number that would do."""
    enough = repetitions_min(comparisons)
    if n < enough:
        compared = "one comparison" if comparisons == 1 else f"{comparisons} comparisons together"
        raise UsageError(f"{what} {n}: too few to tell anything of {compared} at 95 %; {enough} would do")


def over_pairs(
    condition: Condition, saved: Sequence[Numbers], observed: Sequence[Numbers], comparisons: int
) -> Compared:
    """Whether a condition holds in the mean over pairs: of log ratios where it is relative and all values allow it,
    else of differences."""
    before, now, name = _pairs(condition.metric, condition.aggregate, condition.group, saved, observed)
    text, unit, n = f"fail if {condition.text}", _unit(condition.unit), before.size
    spoilt = _spoilt(before, now)
    if spoilt:
        verdict: Verdict = "fail" if np.isnan(before).any() or np.isnan(now).any() else "inconclusive"
        return Compared(text=text, verdict=verdict, unit=unit, n=n, why=f"{name}: {spoilt}")
    values, limit = _scaled(condition, before, now)
    looks = Looks(first=n, n_max=n, expectations=comparisons)
    ruling = rule(values, limit, _UNLESS[condition.op], looks)
    centre, limit = _centre(before), condition.limit(_centre(before))
    low, mean, high = (_back(condition, before, now, each) for each in (ruling.low, ruling.mean, ruling.high))
    made = Compared(
        text=text, verdict=ruling.verdict, saved=centre, observed=mean, limit=limit, low=low, high=high, unit=unit, n=n
    )
    why = f"saved {made.shown[0]}"
    if ruling.would_do and ruling.would_do < inf:
        why += f"; {about(ruling.would_do)} repetitions would probably decide"
    return replace(made, why=why)


def promised(
    expectation: Expectation, saved: Sequence[Numbers], observed: Sequence[Numbers], comparisons: int
) -> Compared:
    """Whether what a scenario promises something about is better, worse, or no different than it was: worse is what
    comes nearer to breaking the promise. Where neither a difference nor its absence is seen, it is inconclusive."""
    before, now, name = _pairs(expectation.metric, expectation.aggregate, expectation.group, saved, observed)
    subject = name_in_words(expectation)
    unit, n = _unit(expectation.unit), before.size
    same = Compared(text=f"{subject} as saved", verdict="inconclusive", unit=unit, n=n)
    centre = _centre(before)
    if np.array_equal(before, now, equal_nan=True):
        known = {"saved": centre, "observed": centre, "limit": centre, "low": centre, "high": centre}
        return replace(same, verdict="pass", why="no difference", **known)
    spoilt = _spoilt(before, now)
    if spoilt:
        return replace(same, why=f"{name}: {spoilt}")
    ratio = bool((before > 0).all() and (now > 0).all())
    values = np.log(now / before) if ratio else now - before
    low, high = one_sided_bounds(values, (1 - LEVEL) / comparisons)
    matters = _matters(before, unit, ratio=ratio)
    verdict, word = _word(expectation, low, high, matters)
    if verdict == "inconclusive" and matters > 0:
        # As wide as what matters: the width falls with the root of how many there are.
        would_do = max(n + 1, ceil(n * ((high - low) / 2 / matters) ** 2))
        word += f"; {about(would_do)} repetitions would probably decide"
    mean, low, high = (centre * exp(each) if ratio else centre + each for each in (float(values.mean()), low, high))
    return replace(same, verdict=verdict, saved=centre, observed=mean, limit=centre, low=low, high=high, why=word)


def name_in_words(said: Expectation | Condition) -> str:
    """`p95(delivery_latency, group=mobile)`, or a counter's name."""
    if said.aggregate is None:
        return said.metric
    group = "" if said.group is None else f", group={said.group}"
    return f"{said.aggregate}({said.metric}{group})"


def _word(expectation: Expectation, low: float, high: float, matters: float) -> tuple[Verdict, str]:
    if -matters <= low and high <= matters:
        return "pass", "no difference that can be seen"
    if low <= 0 <= high:
        return "inconclusive", "neither a difference nor its absence can be seen"
    more_is_worse = expectation.op in ("<=", "<")
    if expectation.op == "==" or (low > 0) == more_is_worse:
        return "fail", "worse"
    return "pass", "better"


def _matters(before: FloatArray, unit: str, *, ratio: bool) -> float:
    """The least difference that matters, as a log ratio or in the unit."""
    if not ratio:
        return MARGIN_S if unit == "s" else 0.0
    if unit != "s":
        return log(RATIO_MARGIN)
    return max(log(RATIO_MARGIN), log(1 + MARGIN_S / _centre(before)))


def _pairs(
    metric: str, aggregate: str | None, group: str | None, saved: Sequence[Numbers], observed: Sequence[Numbers]
) -> tuple[FloatArray, FloatArray, str]:
    name = name_of(metric, aggregate, group)
    assert len(saved) == len(observed), "a pair is one seed in both"
    before = np.array([numbers[name] for numbers in saved], dtype=np.float64)
    return before, np.array([numbers[name] for numbers in observed], dtype=np.float64), name


def _spoilt(before: FloatArray, now: FloatArray) -> str:
    """Why there is nothing to compare, in a few words; what became infinite since is no reason."""
    for values, when in ((before, "saved"), (now, "observed")):
        empty = int(np.isnan(values).sum())
        if empty:
            return f"no sample in {empty} of {values.size} {when} repetitions"
    infinite = int(np.isinf(before).sum())
    return f"infinite in {infinite} of {before.size} saved repetitions" if infinite else ""


def _scaled(condition: Condition, before: FloatArray, now: FloatArray) -> tuple[FloatArray, float]:
    """What is compared in the mean with what limit."""
    if not condition.relative:
        return now - before, condition.change
    if _by_ratio(condition, before, now):
        return np.log(now / before), log(1 + condition.change)
    return now - (1 + condition.change) * before, 0.0


def _by_ratio(condition: Condition, before: FloatArray, now: FloatArray) -> bool:
    return condition.relative and condition.change > -1 and bool((before > 0).all() and (now > 0).all())


def _back(condition: Condition, before: FloatArray, now: FloatArray, value: float) -> float:
    """A mean or bound of what was compared, in the unit of the metric beside the saved centre."""
    if _by_ratio(condition, before, now):
        return _centre(before) * exp(value)
    return (condition.limit(_centre(before)) if condition.relative else _centre(before)) + value


def _centre(values: FloatArray) -> float:
    """The geometric mean where all are above 0, as befits ratios, else the mean."""
    if np.all(values == values[0]):
        return float(values[0])
    return float(np.exp(np.log(values).mean())) if (values > 0).all() else float(values.mean())


def _unit(unit: str) -> str:
    return "" if unit == "count" else unit
