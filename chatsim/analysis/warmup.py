"""How much of the beginning of a run is not yet what it will be, and should not be counted.

Decides where to cut by MSER-5. Rule: on the mean series over several replications, never on one run; a cut beyond the
middle means that the run never settled, so it is refused, with a warning, and nothing is cut. It helps a run that
starts full; from an empty start it may do slight harm, so it is a choice and not a habit.
"""

from __future__ import annotations

import warnings
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from chatsim.analysis.arrays import finite
from chatsim.errors import UsageError

BATCH: Final = 5
"""The 5 of MSER-5: samples to a batch, which takes the noise out of the rule."""

_ENDS: Final = 5
"""Batches at the end that no cut may reach: a mean of so few says nothing (Hoad, Robinson and Davies, 2010)."""


class WarmupWarning(UserWarning):
    """The run never settled, so no warm-up was cut."""


class Warmup(msgspec.Struct, frozen=True):
    """Where to cut: `cut` samples of `n` belong to the warm-up; `proposed` is what the rule said before any refusal."""

    cut: int
    proposed: int
    n: int

    @property
    def is_refused(self) -> bool:
        """Whether the rule wanted to cut beyond the middle."""
        return self.cut != self.proposed


def mean_series(replications: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The mean over replications of each place in the run: (replications, n) becomes (n,). Raises UsageError."""
    series = np.asarray(replications, dtype=np.float64)
    if series.ndim != 2 or series.shape[0] < 2:
        raise UsageError(
            f"The series have the shape {series.shape}: give at least 2 replications of equal length, "
            "one row each, for one run alone shows its own luck."
        )
    return finite(series.mean(axis=0), "means of the series")


def mser5(replications: npt.ArrayLike) -> Warmup:
    """The cut that makes the mean of the rest most precise, on the mean series of (replications, n) samples.

    Over means z of batches of 5, the d that minimises sum_{i > d} (z_i - mean)^2 / (m - d)^2 (White, Cobb and Spratt,
    2000), times 5. Warns with WarmupWarning and cuts nothing where that is more than n / 2. Raises UsageError for
    other shapes, infinite samples, and fewer than 10 batches.
    """
    series = mean_series(replications)
    m = series.size // BATCH
    if m < 2 * _ENDS:
        raise UsageError(f"{series.size} samples are too few to find a warm-up in: {2 * _ENDS * BATCH} would do.")
    z = series[: m * BATCH].reshape(m, BATCH).mean(axis=1)
    # Sums from the end, of what is centred first so that squares do not cancel.
    z = z - z[m // 2 :].mean()
    left = np.arange(m, 0, -1)
    sums, squares = np.cumsum(z[::-1])[::-1], np.cumsum(z[::-1] ** 2)[::-1]
    spread = np.maximum(squares - sums**2 / left, 0.0) / left**2
    proposed = int(np.argmin(spread[: m - _ENDS])) * BATCH
    if 2 * proposed <= series.size:
        return Warmup(proposed, proposed, series.size)
    warnings.warn(
        f"The series has not settled: MSER-5 would cut {proposed} of its {series.size} samples, more than half, "
        f"so nothing is cut; make the runs at least {4 * proposed} samples long.",
        WarmupWarning,
        stacklevel=2,
    )
    return Warmup(0, proposed, series.size)
