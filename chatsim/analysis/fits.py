"""What fits measured numbers: a line through points, a distribution through samples, an interval around a median.

Decides which family describes samples, and how well. Rule: the goodness of a fit is always told beside it, and where no
family is good enough the samples speak for themselves. What the numbers are is left to who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from chatsim.analysis.arrays import FloatArray, finite
from chatsim.errors import UsageError

FIT_MAX: Final = 0.05
"""A family farther from the samples than this (Kolmogorov and Smirnov's distance) is not taken: at the 99th percentile
it would say something of the 94th or worse."""

TAIL_MAX: Final = 0.25
"""A family whose 99th percentile is farther off than this (a share) is not taken either."""

TAIL_SAMPLES_MIN: Final = 500
"""Of fewer samples nobody knows the 99th percentile."""

LEVELS: Final = (*(place / 20 for place in range(20)), 0.98, 0.99, 0.995, 0.999, 1.0)
"""The quantiles between which samples are told by bins where no family fits: a tail has bins of its own."""

RESAMPLES: Final = 2000
SAMPLES_MIN: Final = 20
"""Fewer samples say nothing of a shape."""

Family: TypeAlias = Literal["lognormal", "gamma", "empirical"]


class Median(msgspec.Struct, frozen=True):
    """A median over repetitions, with a bootstrap interval of 95 %, in the unit of the values."""

    value: float
    low: float
    high: float
    n: int


class Line(msgspec.Struct, frozen=True):
    """`intercept` + `slope` * x. `r2` is the share of the variance that it explains, `worst` how far the worst point
    lies off it, as a share of the point."""

    intercept: float
    slope: float
    r2: float
    worst: float


class Shape(msgspec.Struct, frozen=True):
    """What samples look like: the family chosen, its coefficient of variation, its distance from the samples.

    `edges` are the samples' quantiles at the `LEVELS`, shape (n,). `distances` has every family that was tried.
    """

    family: Family
    cv: float
    distance: float
    n: int
    mean: float
    edges: tuple[float, ...]
    distances: dict[str, float]


def median_of(values: npt.ArrayLike, seed: int = 0) -> Median:
    """The median of repetitions, one number each, shape (n,), with the percentile bootstrap's interval (Efron and
    Tibshirani 1993, 13.3). Raises UsageError for none."""
    array = finite(values, "repetitions")
    if not array.size:
        raise UsageError("There is no repetition to take a median of: measure for longer, on a quieter machine.")
    middle = float(np.median(array))
    if array.size < 3 or np.all(array == array[0]):
        return Median(middle, float(array.min()), float(array.max()), array.size)
    found = stats.bootstrap(
        (array,),
        np.median,
        n_resamples=RESAMPLES,
        method="percentile",
        vectorized=True,
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Median(middle, float(found.low), float(found.high), array.size)


def line_through(x: npt.ArrayLike, y: npt.ArrayLike) -> Line:
    """The line that is off by the least share of each point: weighted least squares with weights 1 / y^2.

    `x` and `y` have shape (n,), n of 2 and more. A cost of nothing at all cannot be negative: where the intercept would
    be, the line goes through 0. Raises UsageError for fewer points, or points at one x.
    """
    xs, ys = finite(x, "places"), finite(y, "points")
    if xs.size != ys.size or xs.size < 2 or np.all(xs == xs[0]):
        raise UsageError(f"A line wants two points at different places, and there are {xs.size}: measure more.")
    scale = np.maximum(np.abs(ys), max(float(np.abs(ys).max()) * 1e-6, 1e-300))
    design = np.column_stack((np.ones(xs.size), xs)) / scale[:, np.newaxis]
    (intercept, slope), *_ = np.linalg.lstsq(design, ys / scale, rcond=None)
    if intercept < 0:
        weights = xs / scale
        intercept, slope = 0.0, float((weights @ (ys / scale)) / (weights @ weights))
    off = ys - (intercept + slope * xs)
    spread = float(np.sum((ys - ys.mean()) ** 2))
    r2 = 1.0 - float(off @ off) / spread if spread else 1.0
    return Line(float(intercept), float(slope), r2, float(np.max(np.abs(off) / scale)))


SPREAD_MIN: Final = 1e-9
"""Samples that differ by less than this share are equal: what sets them apart is how they were rounded."""


def shape_of(samples: npt.ArrayLike) -> Shape:
    """The family that fits positive samples best, shape (n,): lognormal or gamma by maximum likelihood, or else bins.

    Raises UsageError for samples that are not above 0, all equal, or fewer than `SAMPLES_MIN`.
    """
    array = np.sort(finite(samples, "samples"))
    if array.size < SAMPLES_MIN or array[0] <= 0.0 or array[-1] - array[0] <= SPREAD_MIN * array[-1]:
        raise UsageError(
            f"{array.size} samples from {array[0] if array.size else 0:g} have no shape: {SAMPLES_MIN} above 0 that "
            "differ would do."
        )
    logs = np.log(array)
    sigma = float(logs.std())
    lognormal = stats.lognorm(s=sigma, scale=float(np.exp(logs.mean())))
    # In units of their mean, or the search for the shape does not converge for microseconds.
    form, _, scale = stats.gamma.fit(array / array.mean(), floc=0)
    gamma = stats.gamma(form, scale=scale * array.mean())
    edges = np.quantile(array, LEVELS)
    distances = {
        "lognormal": _distance(array, lognormal.cdf(array)),
        "gamma": _distance(array, gamma.cdf(array)),
        "empirical": _distance(array, np.interp(array, edges, LEVELS)),
    }
    cvs = {
        "lognormal": sqrt(np.expm1(sigma**2)),
        "gamma": 1 / sqrt(form),
        "empirical": float(array.std() / array.mean()),
    }
    names: tuple[Family, ...] = ("lognormal", "gamma")
    family: Family = min(names, key=lambda name: distances[name])
    tails = {"lognormal": lognormal.ppf(0.99), "gamma": gamma.ppf(0.99)}
    at_99 = float(np.quantile(array, 0.99))
    misses_tail = array.size >= TAIL_SAMPLES_MIN and abs(tails[family] - at_99) > TAIL_MAX * at_99
    if distances[family] > FIT_MAX or misses_tail:
        family = "empirical"
    return Shape(
        family, float(cvs[family]), distances[family], array.size, float(array.mean()), tuple(edges.tolist()), distances
    )


def positive_shape(samples: Sequence[float]) -> Shape | None:
    """The shape of samples of which a few may not be above 0; none where they are many, or too few are left."""
    above = [sample for sample in samples if sample > 0]
    try:
        return shape_of(above) if len(above) >= 0.95 * len(samples) else None
    except UsageError:
        return None


def _distance(ordered: FloatArray, below: FloatArray) -> float:
    """Kolmogorov and Smirnov's: the farthest that the empirical share lies from `below`, on either side of a step."""
    n = ordered.size
    above = np.arange(1, n + 1) / n - below
    under = below - np.arange(n) / n
    return float(max(above.max(), under.max()))
