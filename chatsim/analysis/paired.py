"""Small differences, seen by taking out the luck that two systems share, or luck whose mean is known.

Decides what is subtracted. Rule: the mean stays what it was, only its variance falls, and by how much is always told.
Common random numbers are those of the named streams; antithetic ones are not offered, for they gained nothing.
"""

from __future__ import annotations

from math import inf, sqrt

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from chatsim.analysis.arrays import FloatArray, between, finite, numbers
from chatsim.analysis.intervals import LEVEL, Interval, students_t, t_interval
from chatsim.errors import UsageError


class Paired(msgspec.Struct, frozen=True):
    """The difference b - a over replications with common random numbers, in the unit of the values.

    `variance_ratio` is how much greater the variance of the difference would be with luck of their own:
    (var a + var b) / var (b - a); below 1, sharing luck has hurt.
    """

    difference: Interval
    variance_ratio: float


class Controlled(msgspec.Struct, frozen=True):
    """A mean with the luck of its controls taken out.

    `variance_ratio` is how much greater the variance of the plain mean is, by the same replications; `weights` are the
    regression's, shape (k,), in units of the value per unit of the control.
    """

    interval: Interval
    variance_ratio: float
    weights: tuple[float, ...]


def compare_paired(a: npt.ArrayLike, b: npt.ArrayLike, level: float = LEVEL, *, independent: bool = False) -> Paired:
    """Student's interval for the mean of b - a, where replication i of both had the same seed; both of shape (n,).

    Law, Simulation Modeling and Analysis (2015), 10.2.1 and 11.2. Infinity in one of a pair makes the difference
    infinite; its interval is that alone where a sign test over all pairs (Conover, Practical Nonparametric Statistics,
    1999, 3.4) is sure of the direction at this level, and has no ends where it is not. Raises UsageError for different
    lengths, where infinities meet, which has no difference, and as `t_interval` for pairs that are not known to be
    `independent`.
    """
    first, second = numbers(a, "replications of a"), numbers(b, "replications of b")
    if first.size != second.size:
        raise UsageError(
            f"There are {first.size} replications of a and {second.size} of b: a pair is one seed in both, "
            "so run as many of each."
        )
    above, below = np.isinf(second) & ~np.isinf(first), np.isinf(first) & ~np.isinf(second)
    infinite = int(np.sum(np.isinf(first) | np.isinf(second)))
    if infinite > int(above.sum() + below.sum()) or (above.any() and below.any()):
        raise UsageError(
            f"{infinite} of {first.size} pairs are infinite in ways that have no difference: compare how much was "
            "undelivered, or a lower quantile."
        )
    if infinite:
        end = inf if above.any() else -inf
        more = int(np.sum(second > first))
        unequal = more + int(np.sum(second < first))
        # Whose mean is infinite has no variance: what is left is how many pairs differ that way.
        sure = stats.binomtest(more, unequal).pvalue <= 1.0 - level and (2 * more > unequal) == bool(above.any())
        ends = (end, end) if sure else (-inf, inf)
        return Paired(Interval(end, *ends, first.size, level, infinite), 1.0)
    difference = t_interval(second - first, level, independent=independent)
    apart = float(first.var(ddof=1) + second.var(ddof=1))
    return Paired(difference, _ratio(apart, float((second - first).var(ddof=1))))


def control_variates(
    replications: npt.ArrayLike, controls: npt.ArrayLike, means: npt.ArrayLike, level: float = LEVEL
) -> Controlled:
    """The mean over replications, corrected by controls whose true means are known.

    `replications` has shape (n,), `controls` (n, k) or (n,), `means` (k,) or a number. The estimate is the intercept of
    the regression on controls less their means, its interval Student's with n - k - 1 degrees of freedom (Lavenberg and
    Welch, Management Science 27, 1981). Raises UsageError for infinite values, for fewer than k + 3 replications, and
    for controls that do not vary or are sums of each other.
    """
    values = finite(replications, "replications")
    centred = _centred(controls, means, values.size)
    n, k = centred.shape
    between(level, 0.0, 1.0, "The level")
    if n < k + 3:
        raise UsageError(f"{n} replications are too few for {k} controls: {k + 3} would do, or use fewer controls.")
    design = np.column_stack((np.ones(n), centred / np.maximum(np.abs(centred).max(axis=0), 1e-300)))
    solution, _, ranked, _ = np.linalg.lstsq(design, values, rcond=1e-10)
    if ranked < k + 1:
        raise UsageError("A control never varies, or is a sum of others, so it corrects nothing: leave it out.")
    residual = values - design @ solution
    variance = float(residual @ residual) / (n - k - 1)
    # The first diagonal element of the inverse is how uncertain an intercept is.
    error = sqrt(variance * float(np.linalg.inv(design.T @ design)[0, 0]))
    mean = float(solution[0])
    reach = error * students_t((1 - level) / 2, n - k - 1)
    interval = Interval(mean, mean - reach, mean + reach, n, level)
    weights = solution[1:] / np.maximum(np.abs(centred).max(axis=0), 1e-300)
    return Controlled(interval, _ratio(float(values.var(ddof=1)) / n, error**2), tuple(weights.tolist()))


def _centred(controls: npt.ArrayLike, means: npt.ArrayLike, n: int) -> FloatArray:
    """The controls less their known means, float64 of shape (n, k)."""
    columns = np.asarray(controls, dtype=np.float64)
    columns = columns[:, np.newaxis] if columns.ndim == 1 else columns
    known = np.atleast_1d(np.asarray(means, dtype=np.float64))
    if columns.ndim != 2 or columns.shape[0] != n or known.shape != columns.shape[1:]:
        raise UsageError(
            f"The controls have the shape {columns.shape} and their means {known.shape}: give one row for each of the "
            f"{n} replications and one mean for each column."
        )
    centred: FloatArray = columns - known
    if not np.all(np.isfinite(centred)):
        raise UsageError("A control or its mean is not a finite number: leave it out.")
    return centred


def _ratio(before: float, after: float) -> float:
    if after > 0.0:
        return before / after
    return inf if before > 0.0 else 1.0
