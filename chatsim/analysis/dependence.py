"""Whether numbers in the order of their making look independent.

Decides by two tests that need no normal samples to speak of: a portmanteau on ranks, for samples of any law, and the
von Neumann ratio, for a few batch means. Rule: the false-alarm rate is the caller's, so that who refuses knows how
often it is in error. What to do about dependence is left to the intervals.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import Final

import numpy as np
from scipy import stats

from chatsim.analysis.arrays import FloatArray

LAGS: Final = 5
"""How far apart two numbers may be for their likeness to be noticed: more would alarm falsely in small samples."""


def dependence_p(values: FloatArray) -> float:
    """How probable so much likeness between near numbers is among independent ones: the p-value of a test.

    `values` in the order of their making, float64 of shape (n,), infinity allowed; 1.0 where n < 20 or all are equal.
    Ljung and Box's portmanteau (Biometrika 65, 1978), Q = n (n + 2) sum r_k^2 / (n - k) against chi-square, with the
    autocorrelations of ranks (after Wald and Wolfowitz, 1943): a few huge values would hide likeness, and infinite
    ones have no correlation.
    """
    n = values.size
    if n < 4 * LAGS:
        return 1.0
    ranks = mean_ranks(values) - (n + 1) / 2
    spread = float(ranks @ ranks)
    if spread == 0.0:
        return 1.0
    lags = np.arange(1, LAGS + 1)
    likeness = np.array([float(ranks[:-lag] @ ranks[lag:]) for lag in lags]) / spread
    return float(stats.chi2.sf(n * (n + 2) * np.sum(likeness**2 / (n - lags)), LAGS))


def mean_ranks(values: FloatArray) -> FloatArray:
    """The place of each value among all, from 1 on, float64 of shape (n,); equal values share the mean of theirs."""
    # scipy.stats.rankdata is the same, and takes far longer for the few numbers that replications are.
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def neighbours_alike(values: FloatArray) -> float:
    """The lag-1 autocorrelation of a few numbers, corrected for the ends: 0 on average where they are independent.

    `values` finite, float64 of shape (n,), n at least 3. 1 - sum (x_i+1 - x_i)^2 / (2 sum (x_i - mean)^2), the von
    Neumann ratio as Fishman (Principles of Discrete Event Simulation, 1978) writes it; 0 where all are equal.
    """
    spread = float(np.sum((values - values.mean()) ** 2))
    return 1.0 - float(np.sum(np.diff(values) ** 2)) / (2.0 * spread) if spread > 0.0 else 0.0


@lru_cache(maxsize=1024)
def neighbours_alike_max(n: int, false_alarm: float) -> float:
    """What `neighbours_alike` of n independent normal numbers exceeds with the probability `false_alarm` only.

    Its variance is (n - 2) / (n^2 - 1) and it is all but normal from n = 8 on (Young, 1941).
    """
    return float(stats.norm.isf(false_alarm)) * sqrt((n - 2) / (n * n - 1))
