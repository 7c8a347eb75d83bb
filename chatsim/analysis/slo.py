"""The verdict over replications: whether a metric keeps its limit, breaks it, or cannot be told yet.

Decides about a mean by one-sided bounds: pass where the bound on the far side keeps the limit, fail where the bound on
the near side breaks it, inconclusive between. Rule: the probability of a wrong pass, and of a wrong fail, is at most
1 - level over all expectations of a scenario and all looks at growing numbers of replications together, so that looking
again until it passes gains nothing. So it is for numbers that are about normal from one replication to another; how
much oftener the bounds of skewed ones err, `intervals.one_sided_bounds` says. A quantile of too few samples to bound it
decides nothing. What is promised of every run (a count, the greatest or the least of a run) is no matter of a mean: one
run that breaks it is a fail. How one number per replication comes about, and running more of them, is left to others.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, inf, isfinite, isnan, nan
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from chatsim.analysis.arrays import FloatArray, numbers
from chatsim.analysis.intervals import LEVEL, one_sided_bounds
from chatsim.analysis.quantiles import Side, smallest_n
from chatsim.errors import UsageError

Verdict: TypeAlias = Literal["pass", "fail", "inconclusive"]
Operator: TypeAlias = Literal["<=", "<", ">=", ">", "=="]

FIRST: Final = 10
"""Replications before the first look: fewer have bounds so wide that little is decided."""

N_MAX: Final = 80
"""Replications at the last look, where nobody says otherwise: three doublings."""

_KEEPS: Final[dict[Operator, np.ufunc]] = {
    "<=": np.less_equal,
    "<": np.less,
    ">=": np.greater_equal,
    ">": np.greater,
    "==": np.equal,
}

_POWER: Final = 0.95
"""How probably the number of replications that would do does."""


class Looks(msgspec.Struct, frozen=True, kw_only=True):
    """At which numbers of replications a verdict is tried, and how much error each look may spend.

    The first look is at `first`, each next at twice as many, the last at `n_max`: for a fixed number of replications
    make both the same. `expectations` is how many a scenario has, judged together at `level` (Bonferroni).
    Raises UsageError.
    """

    first: int = FIRST
    n_max: int = N_MAX
    level: float = LEVEL
    expectations: int = 1

    def __post_init__(self) -> None:
        if not 2 <= self.first <= self.n_max:
            raise UsageError(
                f"The first verdict is at {self.first} replications and the last at {self.n_max}: give at least 2 for "
                "the first, and no fewer for the last."
            )
        if not 0.5 < self.level < 1:
            raise UsageError(f"The level is {self.level}: give a number between 0.5 and 1.")
        if self.expectations < 1:
            raise UsageError(f"A scenario with {self.expectations} expectations has no verdict: give it one.")

    @property
    def at(self) -> tuple[int, ...]:
        """The numbers of replications at which to look, ascending."""
        found = [self.first]
        while found[-1] < self.n_max:
            found.append(min(2 * found[-1], self.n_max))
        return tuple(found)

    def alpha(self, n: int) -> float:
        """The error probability of each bound at the look at n, for one expectation.

        In proportion to the replications since the last look: the linear spending function of Lan and DeMets
        (Biometrika 70, 1983), whose parts add up to (1 - level) / expectations whatever the looks have in common.
        """
        at = self.at
        assert n in at
        place = at.index(n)
        return (1 - self.level) / self.expectations * (n - (at[place - 1] if place else 0)) / self.n_max


class Ruling(msgspec.Struct, frozen=True):
    """The verdict on one expectation, in the unit of its metric.

    `low` and `high` are the one-sided bounds of the look at `n` replications, each wrong with probability `alpha`; of
    what is promised of `every` run they are the least and the greatest, and `broken` is how many break it.
    `infinite` of the n are infinite and `empty` have no sample: either fails an upper limit, and an empty one any.
    `more` is how many replications to run before the next look, 0 where it is decided or the last look is past.
    `would_do` is how many would probably decide, 0 where decided, and inf where no number would: the mean is at the
    limit exactly, or of a quantile (`bounded`) of which a replication has no more than `samples`, and `needed` are the
    fewest that would do.
    """

    verdict: Verdict
    mean: float
    low: float
    high: float
    n: int
    alpha: float
    infinite: int = 0
    empty: int = 0
    more: int = 0
    would_do: float = 0
    samples: int = 0
    needed: int = 0
    every: bool = False
    broken: int = 0

    @property
    def share_max(self) -> float:
        """How large a share of all runs may break what none of n broke, or as many as did: the upper bound of Clopper
        and Pearson, wrong with probability `alpha`. Of a mean it is nan."""
        if not self.every:
            return nan
        kept = self.n - self.broken
        return float(stats.beta.isf(self.alpha, self.broken + 1, kept)) if kept else 1.0

    @property
    def why(self) -> str:
        """How many runs broke what every run was to keep; or why nothing is decided, where more replications would not
        help; else nothing."""
        if self.broken:
            return f"broken by {self.broken} of {self.n} runs"
        if not self.needed:
            return ""
        return f"a quantile of {self.samples} samples in a run, where {self.needed} would do: make the runs longer"


def rule(
    replications: npt.ArrayLike,
    limit: float,
    op: Operator,
    looks: Looks,
    *,
    every: bool = False,
    independent: bool = False,
) -> Ruling:
    """The verdict on one number per replication, in their order, shape (n,): that of the first look which decides.

    Values beyond that look do not count, so that the verdict is the same however many were run at once. Infinity
    counts as it is; nan is a replication without a sample, and fails. What is promised of `every` run, and `==` always
    is, fails where one of the first look breaks it, and passes where none does: how many may do so all the same,
    `Ruling.share_max` says. Raises UsageError for fewer replications than the first look needs, and as `t_interval` for
    such as are not known to be `independent`.
    """
    values = np.asarray(replications, dtype=np.float64)
    if isnan(limit):
        raise UsageError("The limit is no number: give one in the unit of the metric.")
    if values.ndim != 1 or values.size < looks.first:
        raise UsageError(
            f"{values.size} replications are too few for a verdict: {looks.first} would do for the first look."
        )
    ruling = None
    for n in looks.at:
        if n > values.size:
            assert ruling is not None
            return msgspec.structs.replace(ruling, more=n - values.size)
        ruling = _look(values[:n], limit, op, looks.alpha(n), every or op == "==", independent)
        if ruling.verdict != "inconclusive":
            return ruling
    assert ruling is not None
    return ruling


def bounded(ruling: Ruling, q: float, op: Operator, samples: npt.ArrayLike) -> Ruling:
    """The verdict where each number is the quantile q of its replication's samples; `samples` are their counts, (n,).

    That a quantile is below its limit is only seen by samples that can bound it from above, that it is above by such as
    can bound it from below (`smallest_n`): the p99 of 20 samples is the greatest of them, and too low on average.
    With fewer in any of the replications that were looked at, the verdict is inconclusive, however many are added. What
    is infinite or has no sample fails as it did. Raises UsageError.
    """
    if ruling.infinite or ruling.empty or (op == "==" and ruling.verdict == "fail"):
        return ruling
    fewest = int(numbers(samples, "counts of samples")[: ruling.n].min())
    is_below = (op in ("<=", "<")) == (ruling.verdict != "fail")
    side: Side = "both" if op == "==" else "upper" if is_below else "lower"
    needed = smallest_n(q, LEVEL, side)
    if fewest >= needed:
        return ruling
    return msgspec.structs.replace(ruling, verdict="inconclusive", more=0, would_do=inf, samples=fewest, needed=needed)


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a scenario: fail where one expectation fails, pass where all pass. Raises UsageError for none."""
    found = set(verdicts)
    if not found:
        raise UsageError("Without an expectation there is no verdict: give the scenario one.")
    return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"


def _look(values: FloatArray, limit: float, op: Operator, alpha: float, every: bool, independent: bool) -> Ruling:
    n = values.size
    empty = int(np.isnan(values).sum())
    infinite = int(np.isinf(values).sum())
    if empty:
        return Ruling("fail", nan, nan, nan, n, alpha, infinite, empty, every=every)
    values = numbers(values, "replications")
    if every:
        broken = n - int(np.sum(_KEEPS[op](values, limit)))
        ends = float(values.min()), float(values.max())
        verdict: Verdict = "fail" if broken else "pass"
        return Ruling(verdict, _mean(values), *ends, n, alpha, infinite, every=True, broken=broken)
    low, high = one_sided_bounds(values, alpha, independent=independent)
    if infinite and op in (">=", ">"):
        # One infinite value would carry the mean of all others over a lower limit, so it counts as the greatest other.
        finite = np.minimum(values, max(limit, values[np.isfinite(values)].max(initial=limit)))
        low, _ = one_sided_bounds(finite, alpha, independent=independent)
    verdict = _verdict(low, high, limit, op)
    would_do = _would_do(values, limit, alpha) if verdict == "inconclusive" else 0
    return Ruling(verdict, _mean(values), low, high, n, alpha, infinite, would_do=would_do)


def _verdict(low: float, high: float, limit: float, op: Operator) -> Verdict:
    if op == "<=":
        kept, broken = high <= limit, low > limit
    elif op == "<":
        kept, broken = high < limit, low >= limit
    elif op == ">=":
        kept, broken = low >= limit, high < limit
    else:
        kept, broken = low > limit, high <= limit
    return "pass" if kept else "fail" if broken else "inconclusive"


def _mean(values: FloatArray) -> float:
    return float(values[0]) if np.all(values == values[0]) else float(values.mean())


def _would_do(values: FloatArray, limit: float, alpha: float) -> float:
    """How many replications would decide with a probability of 95 %, if mean and deviation stay what they are.

    ((z(alpha) + z(0.05)) s / (mean - limit))^2, the sample size of a one-sided test.
    """
    away = abs(_mean(values) - limit)
    if not isfinite(away) or away == 0.0:
        return inf
    z = float(stats.norm.isf(alpha)) + float(stats.norm.isf(1 - _POWER))
    return max(values.size + 1, ceil((z * float(values.std(ddof=1)) / away) ** 2))
