"""When there are enough replications for the precision that was asked for.

Decides by the rule of Hoad, Robinson and Davies (Journal of the Operational Research Society 61, 2010). Rule: precision
must be reached and stay reached while more replications look ahead, for an interval is narrow by luck now and then;
the answer depends on the values in the order of their replications alone, however many were run at once.
"""

from __future__ import annotations

from math import ceil, isinf
from numbers import Integral, Real
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from chatsim.analysis.arrays import FloatArray, numbers
from chatsim.analysis.intervals import LEVEL, Interval, t_interval
from chatsim.errors import UsageError

AHEAD: Final = 5
"""kLimit of the paper: replications that look ahead, in percent of n from n = 100 on."""

FIRST: Final = 3
"""Replications before the first look, as in the paper."""


RELATIVE: Final = 0.05
"""The share of the mean where nobody says how narrow."""


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """How narrow the interval shall be: half its width at most `relative` of the mean, or at most `absolute`.

    `relative` is a share, `absolute` is in the metric's unit; where both are given, either will do, and where neither
    is, `relative` is 0.05. `n_max` is when to give up. Raises UsageError for what can never be reached.
    """

    relative: float | None = None
    absolute: float | None = None
    level: float = LEVEL
    first: int = FIRST
    ahead: int = AHEAD
    n_max: int = 1000

    def __post_init__(self) -> None:
        if self.relative is None and self.absolute is None:
            msgspec.structs.force_setattr(self, "relative", RELATIVE)
        if not all(width is None or (_is_real(width) and width > 0) for width in (self.relative, self.absolute)):
            raise UsageError("A precision is a positive share or width: give relative=0.05, or absolute= in the unit.")
        if not (_is_real(self.level) and 0 < self.level < 1):
            raise UsageError(f"The level is {self.level!r}: give a number between 0 and 1.")
        whole = all(isinstance(number, Integral) for number in (self.first, self.ahead, self.n_max))
        if not (whole and 2 <= self.first <= self.n_max and self.ahead >= 0):
            raise UsageError(
                f"The first look is at {self.first!r} replications of at most {self.n_max!r}, {self.ahead!r} ahead: "
                "give whole numbers, at least 2 for the first, no more than n_max, and nothing negative."
            )

    def look_ahead(self, n: int) -> int:
        """How many more replications must confirm a precision reached at n: floor(kLimit max(n, 100) / 100)."""
        return self.ahead * max(n, 100) // 100


class Stop(msgspec.Struct, frozen=True):
    """Where the rule stands.

    `interval` is over the replications that count: all up to the stop, the looking ahead included. `reached_n` is where
    the precision was reached (0 where it is not), `more` how many replications to run before asking again, 0 at the
    end. `is_capped` says that it ended at `n_max`, or at an infinite value, without the precision.
    """

    interval: Interval | None
    reached_n: int
    more: int
    is_capped: bool = False

    @property
    def is_done(self) -> bool:
        """Whether no more replications are wanted."""
        return self.more == 0


def stopping(replications: npt.ArrayLike, precision: Precision, *, independent: bool = False) -> Stop:
    """Whether these replications, one number each in their order, shape (n,), are enough.

    Those beyond the stop do not count, so that the answer is the same for any number of them run at a time. An infinite
    value ends it at once, for then no precision can be reached. Raises UsageError, and as `t_interval` for such as are
    not known to be `independent`.
    """
    values = numbers(replications, "replications")[: precision.n_max]
    n = values.size
    if n < precision.first:
        return Stop(None, 0, precision.first - n)
    infinite = np.flatnonzero(np.isinf(values))
    narrow = _narrow(values[: infinite[0]] if infinite.size else values, precision)
    reached, end = _confirmed(narrow, precision)
    if end <= narrow.size and reached:
        return Stop(t_interval(values[:end], precision.level, independent=independent), reached, 0)
    if infinite.size:
        counted = values[: max(int(infinite[0]) + 1, 2)]
        return Stop(t_interval(counted, precision.level, independent=independent), 0, 0, is_capped=True)
    interval = t_interval(values, precision.level, independent=independent)
    if n == precision.n_max:
        return Stop(interval, reached, 0, is_capped=True)
    more = end - n if reached else _guess(interval, precision)
    return Stop(interval, reached, min(more, precision.n_max - n))


def _is_real(number: object) -> bool:
    return isinstance(number, Real)


def _narrow(values: FloatArray, precision: Precision) -> npt.NDArray[np.bool_]:
    """For each n from 1 to all: whether the first n values have the precision; never before the first look."""
    if values.size < precision.first:
        return np.zeros(values.size, dtype=np.bool_)
    n = np.arange(1, values.size + 1)
    # Centred at the first value: squares of large numbers close to each other would cancel.
    centred = values - values[0]
    sums = np.cumsum(centred)
    spread = np.maximum(np.cumsum(centred**2) - sums**2 / n, 0.0)
    freedom = np.maximum(n - 1, 1)
    half = stats.t.isf((1 - precision.level) / 2, freedom) * np.sqrt(spread / freedom / n)
    narrow = np.zeros(values.size, dtype=np.bool_)
    if precision.relative is not None:
        narrow |= half <= precision.relative * np.abs(values[0] + sums / n)
    if precision.absolute is not None:
        narrow |= half <= precision.absolute
    narrow[: precision.first - 1] = False
    return narrow


def _confirmed(narrow: npt.NDArray[np.bool_], precision: Precision) -> tuple[int, int]:
    """Where precision is reached, and where it is confirmed, maybe beyond what was run; 0, 0 where it is not."""
    reached = 0
    for n, enough in enumerate(narrow.tolist(), 1):
        if not enough:
            reached = 0
        elif not reached:
            reached = n
        if reached and n == reached + precision.look_ahead(reached):
            return reached, n
    return (reached, reached + precision.look_ahead(reached)) if reached else (0, 0)


def _guess(interval: Interval, precision: Precision) -> int:
    """How many more are probably needed, by the square root law; at most as many again, for it is a guess."""
    relative = 0.0 if precision.relative is None else precision.relative * abs(interval.mean)
    wanted = max(relative, precision.absolute or 0.0)
    if wanted <= 0.0 or isinf(interval.half_width):
        return interval.n
    factor = min((interval.half_width / wanted) ** 2, 2.0)
    return max(1, ceil(interval.n * (factor - 1.0)))
