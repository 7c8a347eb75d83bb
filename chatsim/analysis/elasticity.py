"""By which power a server slows down when a fixed work does.

Decides how much of a slow moment's cost is the machine's. Rule: two threads that share a core, or a cache, hold each
other up the more the more code and data they go through, so that a server, which goes through much, becomes slower by
more than a small loop beside it. What it spent on the same load in many rounds is held against that loop on logarithmic
scales, each load by itself; the slope that they have in common is the power (an elasticity). What is seen of the loop
is seen with errors of its own, by which a slope would come out too low, so that one half of it is the instrument of the
other (Durbin 1954).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.fits import Median

IntArray = npt.NDArray[np.int64]

SPREAD_MIN: Final = 0.03
"""A fixed work that wavers by less (standard deviation of its logarithm) tells nothing of what follows it."""

FAR: Final = 4.0
"""What lies so many times the median distance off the line was in somebody's way, and does not count."""

WIDTH_MAX: Final = 0.5
"""A power whose interval of 95 % is wider is not known."""


def elasticity_of(
    halves_s: FloatArray, spent_s: FloatArray, kinds: Sequence[IntArray], drawn: Sequence[IntArray]
) -> Median | None:
    """The power, with the interval of 95 % that rounds drawn again give; None where they do not tell.

    `halves_s` is what the fixed work took meanwhile, every second time and the others (s), shape (2, rounds, loads),
    and `spent_s` what an operation did (s), shape (rounds, loads), nan where a load was not seen; only rounds of one of
    the `kinds` are held against each other. `drawn` are the rounds, first as they are, and then as often as they were
    drawn again.
    """
    seen = np.stack([*halves_s, spent_s])
    there = np.asarray((seen > 0).all(axis=0))
    logs = np.log(np.where(there, seen, np.nan))
    for kind in kinds:
        count = there[kind].sum(axis=0)
        # What was seen once lies on every line.
        middle = np.where(count > 1, np.nansum(logs[:, kind], axis=1) / np.maximum(count, 1), np.nan)
        logs[:, kind] -= middle[:, np.newaxis]
    there = np.asarray(np.isfinite(logs).all(axis=0))
    if not there.any():
        return None
    # The covariance of the halves is the variance of what both of them saw.
    spread = float((logs[0][there] * logs[1][there]).mean())
    if spread < SPREAD_MIN**2:
        return None
    one, other, spent = np.where(there, logs, 0.0)
    slope = float(((one + other) * spent).sum() / (2 * one * other).sum())
    off = np.abs(spent - slope * (one + other) / 2)
    there &= off <= max(FAR * float(np.median(off[there])), 1e-9)
    one, other, spent = np.where(there, (one, other, spent), 0.0)
    rise, run = ((one + other) * spent).sum(axis=1), (2 * one * other).sum(axis=1)
    slopes = np.array([rise[rounds].sum() / run[rounds].sum() for rounds in drawn])
    low, high = np.percentile(slopes[1:], [2.5, 97.5])
    known = low > 0.0 and high - low <= WIDTH_MAX
    return Median(float(slopes[0]), float(low), float(high), spent.shape[0]) if known else None
