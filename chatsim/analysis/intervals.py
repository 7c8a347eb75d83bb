"""Intervals for a mean: over independent replications, or over the batches of one long run.

Decides how sure one may be of a mean. Rule: one number per replication; an interval over the messages of one run as if
they were independent is not offered, and what is plainly such a series is refused (at a load of 0.7 it would cover a
quarter of the time, and not 95 %). Quantiles, comparisons and verdicts are left to their own modules.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf, isinf, sqrt
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from chatsim.analysis.arrays import FloatArray, between, finite, numbers
from chatsim.analysis.dependence import mean_ranks, neighbours_alike, neighbours_alike_max
from chatsim.errors import UsageError

LEVEL: Final = 0.95
"""The probability with which an interval shall cover, where nobody says otherwise."""

BATCHES: Final = 20
"""More batches are shorter and more alike, fewer widen the interval (Schmeiser, Operations Research 30, 1982)."""

_NO_SERIES: Final = 1e-6
"""How improbable independence must be before replications are refused: in a million analyses, one in error."""

_BATCHES_ALIKE: Final = 0.05
"""How often batch means of a run that is long enough are refused."""


class Interval(msgspec.Struct, frozen=True):
    """A mean and its two-sided interval, in the unit of the values.

    `n` is the number of values, `infinite` how many of them are. One infinite value makes the mean and both ends
    infinite: what can be infinite at all has an infinite expectation, and no bound below it would be honest.
    """

    mean: float
    low: float
    high: float
    n: int
    level: float = LEVEL
    infinite: int = 0

    @property
    def half_width(self) -> float:
        """From the mean to either end; infinite where the mean is."""
        return inf if isinf(self.mean) else (self.high - self.low) / 2

    def covers(self, value: float) -> bool:
        """Whether the value lies within."""
        return self.low <= value <= self.high


_SKEW_MAX: Final = 0.9
"""Skewness over sqrt(n), times t: with all of it a bound lies 1.8 times as far out as Student's, and with all that the
transformation can bear 3 times."""


class BatchMeans(msgspec.Struct, frozen=True):
    """The interval out of one run; `alike` is the lag-1 autocorrelation of its batch means, `size` theirs (samples)."""

    interval: Interval
    alike: float
    size: int


@lru_cache(maxsize=1024)
def students_t(alpha: float, freedom: int) -> float:
    """What Student's t with so many degrees of freedom exceeds with the probability alpha.

    Remembered, because scipy takes longer for it than the rest of an interval takes, and few are ever asked for.
    """
    return float(stats.t.isf(alpha, freedom))


def t_interval(replications: npt.ArrayLike, level: float = LEVEL, *, independent: bool = False) -> Interval:
    """Student's interval for the mean over independent replications, one number each, shape (n,).

    mean +- t(n - 1) * s / sqrt(n). Raises UsageError for fewer than two, and for a series whose neighbours are alike,
    as the messages of one run are, unless they are known to be `independent` (each from a seed of its own).
    """
    values = _replications(replications, independent)
    between(level, 0.0, 1.0, "The level")
    infinite = int(np.isinf(values).sum())
    if infinite:
        return Interval(inf, inf, inf, values.size, level, infinite)
    mean, error = _mean_and_error(values)
    reach = error * students_t((1 - level) / 2, values.size - 1)
    return Interval(mean, mean - reach, mean + reach, values.size, level)


def one_sided_bounds(replications: npt.ArrayLike, alpha: float, *, independent: bool = False) -> tuple[float, float]:
    """Lower and upper bound of the mean, each wrong with the probability alpha alone; both inf where a value is.

    Student's, and farther out on the side to which values are skewed, by Hall's cubic transformation (Journal of the
    Royal Statistical Society B 54, 1992): the errors of an interval's two ends make up for each other where values are
    skewed, as latencies are, but one end stands alone. Never nearer than Student's, so that alpha is kept where values
    are normal, however few; of values as skewed as an exponential's few say little about their tail, and ten of them
    with an alpha of 5 % are wrong in 9 % of cases, forty in 6 %. Raises UsageError as `t_interval` does.
    """
    values = _replications(replications, independent)
    between(alpha, 0.0, 0.5, "The error probability of a bound")
    if np.isinf(values).any():
        return inf, inf
    mean, error = _mean_and_error(values)
    t = students_t(alpha, values.size - 1)
    skew = _skewness(values) if values.size > 2 and error > 0.0 else 0.0
    below, above = _reach(t, -skew, values.size), _reach(t, skew, values.size)
    return mean - below * error, mean + above * error


def batch_means(series: npt.ArrayLike, level: float = LEVEL, batches: int = BATCHES) -> BatchMeans:
    """Student's interval for the mean of one long stationary run, from the means of equal batches.

    `series` holds the run's finite samples in order and without its warm-up, shape (n,); the n mod batches first are
    left out, for they are nearest to the warm-up. Raises UsageError where the batch means are alike (von Neumann's
    ratio; a long enough run is so refused in 5 % of cases, and one that is much too short in half of them: to pass is
    no proof) or where there are fewer than two samples to a batch.
    """
    values = finite(series, "samples of the run")
    between(level, 0.0, 1.0, "The level")
    if batches < 8:
        raise UsageError(f"{batches} batches are too few to see whether they are alike: use {BATCHES}.")
    size = values.size // batches
    if size < 2:
        raise UsageError(
            f"{values.size} samples are too few for {batches} batches: {2 * batches} would do, "
            "or use independent replications."
        )
    means = values[values.size - size * batches :].reshape(batches, size).mean(axis=1)
    alike, alike_max = neighbours_alike(means), neighbours_alike_max(batches, _BATCHES_ALIKE)
    if alike > alike_max:
        raise UsageError(
            f"Neighbouring batches are alike (autocorrelation {alike:.2f}, at most {alike_max:.2f} would do), so the "
            f"interval would be too narrow: make the run at least {4 * values.size} samples long, or use independent "
            "replications."
        )
    mean, error = _mean_and_error(means)
    reach = error * students_t((1 - level) / 2, batches - 1)
    return BatchMeans(Interval(mean, mean - reach, mean + reach, batches, level), alike, size)


def _replications(replications: npt.ArrayLike, independent: bool = False) -> FloatArray:
    values = numbers(replications, "replications")
    if values.size < 2:
        raise UsageError(
            f"An interval needs at least 2 replications, and there {'is' if values.size == 1 else 'are'} "
            f"{values.size}: 2 would do, 10 make it useful."
        )
    if independent or values.size < 3:
        return values
    if neighbours_alike(mean_ranks(values)) > neighbours_alike_max(values.size, _NO_SERIES):
        raise UsageError(
            "The replications are not independent of each other, so an interval over them would be far too narrow: "
            "give one number per replication, or the samples of one long run to batch_means."
        )
    return values


def _mean_and_error(values: FloatArray) -> tuple[float, float]:
    """The mean and its standard error; equal values have no error, whatever rounding says."""
    if np.all(values == values[0]):
        return float(values[0]), 0.0
    return float(values.mean()), float(values.std(ddof=1)) / sqrt(values.size)


def _skewness(values: FloatArray) -> float:
    """Fisher and Pearson's G1, sqrt(n (n - 1)) / (n - 2) m3 / m2^1.5, of 3 values and more, not all equal."""
    n = values.size
    centred = values - values.mean()
    centred /= np.abs(centred).max()
    m2, m3 = float(np.mean(centred**2)), float(np.mean(centred**3))
    return sqrt(n * (n - 1)) / (n - 2) * m3 / (m2 * sqrt(m2))


def _reach(t: float, skew: float, n: int) -> float:
    """How many standard errors the bound lies beyond the mean on the side to which values are skewed, where Student's
    lies t beyond it: the inverse of Hall's cubic.

    With y = skew / sqrt(n) it is 3 (1 - (1 - y (t + y / 6))^(1/3)) / y, and t where values are skewed to the other
    side. The cube root is infinitely steep where its argument is 0, which noise reaches where t is large and n small: y
    counts as no more than `_SKEW_MAX` / t, up to which the bound grows with y.
    """
    y = min(skew / sqrt(n), _SKEW_MAX / t)
    if y < 1e-6:
        return t
    return 3.0 * (1.0 - float(np.cbrt(1.0 - y * (t + y / 6.0)))) / y
