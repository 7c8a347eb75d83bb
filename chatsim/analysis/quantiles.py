"""Intervals for a quantile: by replication, or distribution-free where samples are independent.

Decides how sure one may be of a p99. Rule: a quantile is an exact order statistic, and none is computed from fewer
samples than can bound it: they are refused, with the number that would do. Quantiles of several nodes are left to
`merging`, limits on them to `slo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, log, log1p
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from chatsim.analysis.arrays import FloatArray, between, numbers
from chatsim.analysis.dependence import dependence_p
from chatsim.analysis.intervals import LEVEL, Interval, t_interval
from chatsim.errors import UsageError

Side: TypeAlias = Literal["both", "upper", "lower"]

_DEPENDENT: Final = 1e-3
"""How often independent samples are taken for dependent ones."""


class QuantileInterval(msgspec.Struct, frozen=True):
    """A quantile of `n` independent samples and its interval, in their unit; an end that nobody asked for is infinite.

    The interval covers with probability `level` at least. `infinite` is how many of the samples are.
    """

    quantile: float
    low: float
    high: float
    n: int
    level: float = LEVEL
    infinite: int = 0


def quantile(samples: npt.ArrayLike, q: float) -> float:
    """The smallest sample x such that at least a share q of the samples are <= x: exact, never between two samples.

    `samples` in any order, shape (n,), n at least 1, infinity allowed. Raises UsageError.
    """
    values = numbers(samples, "samples")
    if not values.size:
        raise UsageError("There is no sample to take a quantile of: make the run long enough to have one.")
    place = rank(q, values.size) - 1
    return float(np.partition(values, place)[place])


def rank(q: float, n: int) -> int:
    """Which of n ascending samples, counted from 1, is their quantile: ceil(q n).

    Of q as people write it: 0.999 is 999 thousandths, though no float is. Raises UsageError.
    """
    between(q, 0.0, 1.0, "The quantile")
    return ceil(Fraction(str(float(q))) * n)


def smallest_n(q: float, level: float = LEVEL, side: Side = "upper") -> int:
    """The fewest independent samples whose order statistics can bound the quantile, whatever their distribution.

    The largest of n is below it with q^n, the smallest above it with (1 - q)^n, and one side takes 1 - level, each of
    both half of that (David and Nagaraja, Order Statistics, 2003, 7.1). One-sided at 95 %: p95 59, p99 299, p99.9 2995;
    two-sided 72, 368, 3688. Raises UsageError.
    """
    between(q, 0.0, 1.0, "The quantile")
    alpha = 1 - between(level, 0.0, 1.0, "The level")
    if side == "upper":
        return ceil(log(alpha) / log(q))
    if side == "lower":
        return ceil(log(alpha) / log1p(-q))
    # With one sample, the lower end would be the upper one.
    return max(2, ceil(log(alpha / 2) / log(q)), ceil(log(alpha / 2) / log1p(-q)))


def replication_quantiles(replications: Sequence[npt.ArrayLike], q: float) -> FloatArray:
    """The quantile of each replication's samples, float64 of shape (n,): one number each, for any interval or verdict.

    Raises UsageError where a replication has too few samples to bound its quantile from above (`smallest_n`): its
    quantile would be its greatest sample or nearly so, and too low on average.
    """
    least = smallest_n(q)
    found = np.empty(len(replications))
    for index, samples in enumerate(replications):
        values = numbers(samples, f"samples of replication {index}")
        if values.size < least:
            raise UsageError(
                f"Replication {index} has {values.size} samples, too few for the quantile {q:g}: {least} would do, "
                "so make the runs longer or ask for a lower quantile."
            )
        found[index] = quantile(values, q)
    return found


def quantile_interval(replications: Sequence[npt.ArrayLike], q: float, level: float = LEVEL) -> Interval:
    """Student's interval over the quantiles of independent replications, each given by its samples in any order.

    Within a replication samples may depend on each other as they like. Raises UsageError for fewer than two
    replications, and for a replication with too few samples.
    """
    return t_interval(replication_quantiles(replications, q), level)


def order_statistic_interval(
    samples: npt.ArrayLike, q: float, level: float = LEVEL, side: Side = "both"
) -> QuantileInterval:
    """A distribution-free interval for a quantile of independent samples, given in the order of their making.

    From the l-th to the u-th of n ascending samples, with l and u by the binomial law of how many lie below the
    quantile (David and Nagaraja, Order Statistics, 2003, 7.1). Raises UsageError for too few samples, and for samples
    that depend on each other (a rank portmanteau; independent ones are so refused in 0.1 % of cases, in 0.3 % where n
    is below 100): of one queueing run it would cover a third of the time.
    """
    values = numbers(samples, "samples")
    n, least = values.size, smallest_n(q, level, side)
    if n < least:
        raise UsageError(
            f"{n} samples are too few to bound the quantile {q:g} at {level:.0%}: {least} would do, "
            "or ask for a lower quantile."
        )
    if dependence_p(values) < _DEPENDENT:
        raise UsageError(
            "The samples are not independent in the order given, as those of one run seldom are: use quantile_interval "
            "over independent replications (sorted samples look so too, so give them as they came)."
        )
    alpha = (1 - level) / (2 if side == "both" else 1)
    ordered = np.sort(values)
    # There are enough samples for either end, so only rounding could lead beyond the first or the last.
    low = -np.inf if side == "upper" else ordered[max(int(stats.binom.ppf(alpha, n, q)) - 1, 0)]
    high = np.inf if side == "lower" else ordered[min(int(stats.binom.isf(alpha, n, q)), n - 1)]
    infinite = int(np.isinf(values).sum())
    return QuantileInterval(float(ordered[rank(q, n) - 1]), float(low), float(high), n, level, infinite)
