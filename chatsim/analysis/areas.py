"""Averages over time of what changes by steps: connections, queues, messages under way.

Decides how a level becomes one number. Rule: by the area under its steps, never by averaging what was seen at its
changes, which counts busy moments more often than quiet ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chatsim.analysis.arrays import FloatArray, finite, numbers
from chatsim.errors import UsageError


def time_average(at_s: npt.ArrayLike, level: npt.ArrayLike, until_s: float) -> float:
    """The average from the first moment to `until_s` of a level that holds from each moment to the next.

    `at_s` (s) ascends, shape (n,), n at least 1; `level` has the same shape, in any unit. Raises UsageError.
    """
    moments, levels = finite(at_s, "moments"), finite(level, "levels")
    if moments.size != levels.size or not moments.size:
        raise UsageError(f"There are {moments.size} moments and {levels.size} levels: give one level for each moment.")
    if np.any(np.diff(moments) < 0) or not moments[-1] <= until_s < np.inf or moments[0] == until_s:
        raise UsageError(
            f"Moments go back, or the end {until_s} s is not after them: sort them, and end where the run ends."
        )
    lasted_s = np.diff(moments, append=until_s)
    return float(levels @ lasted_s) / float(until_s - moments[0])


def occupancy(came_at: npt.ArrayLike, left_at: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """How many are there over time: the moments (s) at which it changes and the level from each of them on.

    `came_at` and `left_at` (s), shape (n,), belong together; who never leaves has inf. Both results are float64 of one
    shape, and where several come or leave at one moment only the last of its levels lasts. Raises UsageError.
    """
    came, left = finite(came_at, "arrivals"), numbers(left_at, "departures")
    if came.size != left.size or np.any(left < came):
        raise UsageError("Somebody left before she came, or never came: give the arrival of each departure.")
    left = left[np.isfinite(left)]
    moments = np.concatenate((came, left))
    order = np.argsort(moments, kind="stable")
    steps = np.concatenate((np.ones(came.size), -np.ones(left.size)))
    return moments[order], np.cumsum(steps[order])
