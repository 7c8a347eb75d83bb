"""A histogram of logarithmic buckets: quantiles of any number of samples within half a percent, in 26 KiB.

Decides what an aggregate of samples is that nobody kept. Rule: a quantile is off by at most `ERROR` of itself, for
samples from 1 ns to 10,000 s; count, mean, least and greatest are exact. Sketches that were filled apart are added.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ERROR: Final = 0.005
"""The greatest relative error of a quantile."""

LEAST_S: Final = 1e-9
GREATEST_S: Final = 1e4
"""What is smaller or greater is counted in the first or last bucket."""

_GAMMA: Final = (1.0 + ERROR) / (1.0 - ERROR)
_PER_LOG: Final = 1.0 / math.log(_GAMMA)
_BUCKETS: Final = math.ceil(math.log(GREATEST_S / LEAST_S) * _PER_LOG) + 2
_PERMILLE: Final = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p99.9": 999}


class Sketch:
    """Counts of samples (s, or shares) by bucket: bucket i holds those up to `LEAST_S` * gamma**i, with gamma =
    (1 + e) / (1 - e), so that the middle of a bucket is within e of all that is in it (Masson, Rim & Lee 2019,
    DDSketch)."""

    __slots__ = ("_counts", "count", "greatest", "least", "total")

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, dtype=np.int64)
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.greatest = -math.inf

    def add(self, samples: FloatArray) -> None:
        """Count these, float64 of shape (n,), none negative."""
        if not samples.size:
            return
        self.count += samples.size
        self.total += float(samples.sum())
        self.least = min(self.least, float(samples.min()))
        self.greatest = max(self.greatest, float(samples.max()))
        scaled = np.log(np.maximum(samples, LEAST_S) / LEAST_S) * _PER_LOG
        place = np.minimum(np.ceil(scaled), _BUCKETS - 1).astype(np.int64)
        self._counts += np.bincount(place, minlength=_BUCKETS)

    def merge(self, other: Sketch) -> None:
        """Count what the other one has counted."""
        self._counts += other._counts
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    def quantile(self, permille: int) -> float:
        """The smallest sample x such that at least `permille`/1000 of the samples are <= x, within `ERROR` of it."""
        assert self.count > 0
        assert 0 < permille <= 1000
        rank = -(-permille * self.count // 1000)
        place = int(np.searchsorted(np.cumsum(self._counts), rank))
        middle = LEAST_S * _GAMMA**place * 2.0 / (1.0 + _GAMMA)
        return min(max(middle, self.least), self.greatest)

    def aggregate(self, name: str) -> float:
        """One number by the name that an expectation gives it: nan where there is no sample, but for `count`."""
        if name == "count":
            return float(self.count)
        if not self.count:
            return math.nan
        if name == "mean":
            return self.total / self.count
        if name == "max":
            return self.greatest
        if name == "min":
            return self.least
        return self.quantile(_PERMILLE[name])
