"""How the machine's speed wavers, out of the same work done over and over again.

Decides how much of what is seen is the machine and how much the clock that it is seen by. Rule: a speed is held for a
random time (exponential) and then drawn anew, so that its correlation fades by exp(-t / hold); whatever is not
correlated from one group of samples to the next is noise, and left out: also the single glance that took many times as
long, which is a hiccup and no speed that is held. Of one run that was seen itself each glance counts beside that.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import ndimage, stats

from chatsim.analysis.arrays import FloatArray, finite
from chatsim.errors import UsageError

GROUP: Final = 3
"""So many pieces of work are one glance at the speed."""

GLANCES_MIN: Final = 200
"""Fewer glances say nothing of how it wavers."""

STRETCHES: Final = 10
"""What is seen is cut into so many stretches, and how much these differ says how sure it is."""

CV_MIN: Final = 0.02
"""A machine whose speed wavers by less is steady."""

ERRORS_MIN: Final = 4.0
"""One glance has to tell of the next by so many standard errors of what noise would."""

BINS: Final = 20
"""Equally probable levels that the speeds are told by."""

LEVEL_MIN: Final = 0.1
"""No machine is ten times as fast as in the mean."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """`levels` are how many times as long as in the mean work takes, each equally probable: the means of `BINS` equally
    large parts of what was seen, ascending, shape (BINS,), with a mean of 1; `cv` its coefficient of variation,
    `hold_s` for how long it stays as it is in the mean (s), each with an interval of 95 % as (low, high), `n` how many
    glances there were."""

    levels: tuple[float, ...]
    cv: float
    cv_within: tuple[float, float]
    hold_s: float
    hold_s_within: tuple[float, float]
    n: int


class Course(NamedTuple):
    """How the speed went in one run: for `holds_s` (s, one after the other from moment 0 on) work took `levels` times
    as long as in the mean of the run, both of shape (n,), n >= 1; the last goes on."""

    holds_s: tuple[float, ...]
    levels: tuple[float, ...]


def pace_of(took_s: npt.ArrayLike, every_s: float) -> Pace | None:
    """How the speed wavers that pieces of the same work show which were done one after the other; None where it does
    not, or they are too few to tell. `took_s` is what each took (s, shape (n,)), one begun every `every_s` in the mean.

    Raises UsageError for what is no number.
    """
    glances = _grouped(finite(took_s, "times"))
    count = glances.size
    if count < GLANCES_MIN:
        return None
    off = glances / glances.mean() - 1.0
    found = _wavers(off)
    if found is None or found[0] < CV_MIN:
        return None
    cv, lags = found
    held = np.sort(_held(off, lags))
    held *= min(1.0, cv / float(held.std()))
    levels = np.maximum([part.mean() for part in np.array_split(1.0 + held, BINS)], 0.0)
    levels /= levels.mean()
    glance_s = GROUP * every_s
    told = [each for part in np.array_split(off, STRETCHES) if (each := _wavers(part - part.mean())) is not None]
    cvs, holds = np.array(told).reshape(-1, 2).T
    return Pace(
        levels=tuple(map(float, levels)),
        cv=cv,
        cv_within=_within(cv, cvs),
        hold_s=lags * glance_s,
        hold_s_within=_within(lags * glance_s, holds * glance_s),
        n=count,
    )


def course_of(
    at: npt.ArrayLike, took_s: npt.ArrayLike, first_s: npt.ArrayLike, held_s: float, every_s: float
) -> Course:
    """How the speed went in a run of which pieces of the same work tell: `at` is when each was done (s since moment 0,
    ascending), `took_s` what it took and `first_s` what its first half did (s), all of shape (n,), n >= 1, one begun
    every `every_s` in the mean; a speed is held for `held_s` in the mean (0: it does not waver).

    Slow moments as short as the works are apart make queues, too: beside the middle of its neighbours each work counts
    by itself, by as much as both of its halves say the same of it (reliability: Spearman 1910, Brown 1910). The rest is
    chance.

    Raises UsageError for what is no number, for none, and for another number of moments or halves.
    """
    moments, glances, first = finite(at, "moments"), finite(took_s, "times"), finite(first_s, "halves")
    if not glances.size or not moments.size == glances.size == first.size:
        raise UsageError("the course of a speed takes a glance at it, with its moment and its half")
    halves = np.stack([first, glances - first])
    halves /= np.maximum(halves.mean(axis=1, keepdims=True), 1e-12)
    off = halves.mean(axis=0) - 1.0
    held = _held(off, held_s / every_s) if held_s else np.zeros(glances.size)
    apart = halves - 1.0 - held
    both, common = float(np.mean((off - held) ** 2)), float(np.mean(apart[0] * apart[1]))
    levels = 1.0 + held + (off - held) * min(max(common / both, 0.0), 1.0) if both else 1.0 + held
    levels = np.maximum(levels, LEVEL_MIN)
    # Each level reaches half of the way to its neighbours.
    ends = np.append((moments[1:] + moments[:-1]) / 2, moments[-1])
    holds_s = np.diff(np.maximum.accumulate(ends), prepend=0.0)
    return Course(tuple(map(float, np.maximum(holds_s, 0.0))), tuple(map(float, levels / levels.mean())))


def _grouped(values: FloatArray) -> FloatArray:
    """The means of so many at a time, of as many as are whole."""
    count = values.size // GROUP
    return np.asarray(values[: count * GROUP].reshape(count, GROUP).mean(axis=1))


def _held(off: FloatArray, lags: float) -> FloatArray:
    """What is left of glances, shape (n,), without what did not last: the middle one of neighbours within about half
    of the time for which a speed is held (`lags` of them), and of three at least."""
    return np.asarray(ndimage.median_filter(off, size=2 * max(1, round(lags / 4)) + 1, mode="nearest"))


def _wavers(off: FloatArray) -> tuple[float, float] | None:
    """The coefficient of variation that is the machine's, and after how many glances (a fraction) its correlation has
    fallen to 1/e, of what each glance is off from the mean, shape (n,); None where nothing lasts."""
    count = off.size
    covariances = np.array([np.mean(off[: count - lag] * off[lag:]) for lag in range(1, count // 4)])
    faded = np.flatnonzero(covariances < covariances[0] / np.e)
    # What is only noise has a covariance of 0, give or take one standard error.
    if covariances[0] <= ERRORS_MIN * float(off @ off) / count**1.5 or not faded.size:
        return None
    # Between the lag before and this one, along a straight line.
    lag = int(faded[0])
    before, after = covariances[lag - 1], covariances[lag]
    lags = float(lag - 1 + (before - covariances[0] / np.e) / (before - after))
    # At lag 0 the noise of each glance is in it too: from lag 1 back to there it would have risen by this.
    variance = float(covariances[0]) * float(np.exp(1.0 / lags))
    return min(variance, float(off @ off) / count) ** 0.5, lags


def _within(value: float, stretches: FloatArray) -> tuple[float, float]:
    """The interval of 95 % around a value of which these are those of stretches of its own (Student's t)."""
    if stretches.size < 2:
        return 0.0, float("inf")
    quantile = float(stats.t.ppf(0.975, stretches.size - 1))
    half = quantile * float(stretches.std(ddof=1)) / float(stretches.size) ** 0.5
    return max(value - half, 0.0), value + half
