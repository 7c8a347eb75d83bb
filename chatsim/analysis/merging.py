"""Quantiles of what several nodes measured, each on its own.

Decides how parts become one. Rule: samples are merged, or sketches of them whose quantiles are within a known relative
error; quantiles themselves are never averaged, for the mean of two nodes' p99 is the p99 of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, log
from typing import Final

import numpy as np
import numpy.typing as npt

from chatsim.analysis.arrays import between, numbers
from chatsim.analysis.quantiles import quantile, rank
from chatsim.errors import UsageError

ERROR: Final = 0.01
"""The relative error of a sketch's quantiles, where nobody says otherwise: 100 ms is then told as 99 to 101."""

SMALLEST: Final = 1e-9
"""What is smaller counts as 0: in seconds, a nanosecond, which no clock here can tell from nothing."""


def merged_quantile(nodes: Sequence[npt.ArrayLike], q: float) -> float:
    """The exact quantile of all nodes' samples together; a node may have none. Raises UsageError if all have none."""
    return quantile(np.concatenate([numbers(samples, "samples") for samples in nodes] or [np.empty(0)]), q)


class Sketch:
    """Counts of samples in buckets whose edges grow by one factor, so that quantiles have a bounded relative error.

    DDSketch (Masson, Rim and Lee, VLDB 2019): with g = (1 + e) / (1 - e), the bucket i holds (g^(i-1), g^i] and answers
    2 g^i / (g + 1), which is within e of all in it. Sketches of the same error add up to what one of all samples would
    be. It never changes; infinity and zero have counts of their own.
    """

    __slots__ = ("_counts", "error", "infinite", "n", "zeros")

    def __init__(self, samples: npt.ArrayLike = (), error: float = ERROR) -> None:
        """Of samples >= 0, shape (n,), in any order and unit. Raises UsageError."""
        values = numbers(samples, "samples")
        if np.any(values < 0):
            raise UsageError(f"A sketch holds durations and sizes, and {values.min()} is below 0: leave it out.")
        self.error = between(error, 0.0, 1.0, "The relative error")
        self.n = int(values.size)
        self.infinite = int(np.isinf(values).sum())
        self.zeros = int((values < SMALLEST).sum())
        between_ends = values[(values >= SMALLEST) & np.isfinite(values)]
        places, counts = np.unique(np.ceil(np.log(between_ends) / log(self._growth)), return_counts=True)
        self._counts = dict(zip(places.astype(int).tolist(), counts.tolist(), strict=True))

    @property
    def _growth(self) -> float:
        return (1 + self.error) / (1 - self.error)

    @classmethod
    def merged(cls, sketches: Iterable[Sketch]) -> Sketch:
        """One sketch of all that the others hold. Raises UsageError where their errors differ, or for none."""
        parts = list(sketches)
        if len({part.error for part in parts}) != 1:
            raise UsageError(
                f"Sketches merge where their relative errors are the same, and these have "
                f"{sorted({part.error for part in parts})}: make them with one error."
            )
        whole = cls(error=parts[0].error)
        for part in parts:
            whole.n += part.n
            whole.infinite += part.infinite
            whole.zeros += part.zeros
            for place, count in part._counts.items():
                whole._counts[place] = whole._counts.get(place, 0) + count
        return whole

    def quantile(self, q: float) -> float:
        """The quantile within the relative error; exactly 0 or infinity where it is. Raises UsageError if empty."""
        if not self.n:
            raise UsageError("There is no sample to take a quantile of: make the run long enough to have one.")
        left = rank(q, self.n) - self.zeros
        if left <= 0:
            return 0.0
        for place in sorted(self._counts):
            left -= self._counts[place]
            if left <= 0:
                return float(2 * self._growth**place / (self._growth + 1))
        return inf
