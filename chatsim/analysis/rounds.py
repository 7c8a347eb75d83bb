"""What the rounds of a calibration showed, load by load, at the machine's usual speed.

Decides how rounds are averaged, and what is read off them. Rule: every load is divided by the speed of the server just
then, and rounds are averaged without the quarters that are farthest off. What the numbers cost is left to `costing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, nan
from statistics import fmean
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.makeup import BY_NAME, makeup, slept_s
from chatsim.live.calibration.seen import Seen

Round: TypeAlias = Mapping[str, Seen]
"""What each load showed, by its name."""

SLEEPS_APART_MIN: Final = 4.0
"""By so much long sleeps have to be longer than short ones (one load in ten lets it sleep longer, one shorter), or what
they cost apart cannot be told."""

CUT: Final = 0.25
"""So much of the rounds is left out at either end before they are averaged: what is left is as robust as a median
against a few bad rounds, and averages what two speeds of a machine make of a load."""


class Loads:
    """What the rounds showed, at the machine's usual speed: `usual_s` is what the reference work takes then, and
    `power` that by which the server follows it."""

    def __init__(self, rounds: Sequence[Round], usual_s: float, power: float = 1.0) -> None:
        self.rounds = rounds
        self.power = power
        self._usual_s = usual_s
        self.idle = np.array([self._loop_s(seen, "silence") / seen["silence"].wall_s for seen in rounds])
        self._idle = middle(self.idle)
        self.idle_wakes = float(np.mean([seen["silence"].wakes / seen["silence"].wall_s for seen in rounds]))
        self.levels = levels_of(rounds)
        self.kinds = [self.levels == level for level in np.unique(self.levels)]

    def speed(self, one: Seen) -> float:
        """How much slower than usual the machine was while this was seen."""
        return float((one.reference_s / self._usual_s) ** self.power) if one.reference_s and self._usual_s else 1.0

    def _loop_s(self, seen: Round, load: str) -> float:
        return seen[load].loop_s / self.speed(seen[load])

    def ops(self, load: str) -> FloatArray:
        """The loop's time for one operation by round, without what a silent server uses (s), shape (rounds,)."""
        of = [seen[load] for seen in self.rounds]
        return np.array(
            [(one.loop_s / self.speed(one) - self._idle * one.wall_s) / one.ops if one.ops else np.nan for one in of]
        )

    def parts(self, load: str, cold_after_s: float = 0.0) -> list[dict[str, float] | None]:
        """What an operation was made of in each round; None where it is looked at otherwise, or was not played."""
        of = [seen[load] for seen in self.rounds]
        return [makeup(BY_NAME[load], one, self.idle_wakes, cold_after_s) if one.ops else None for one in of]

    def amounts(self, load: str, words: Sequence[str], cold_after_s: float) -> FloatArray:
        """How much of each cost an operation was made of by round, shape (rounds, words)."""
        parts = self.parts(load, cold_after_s)
        return np.array([[nan if part is None else part.get(word, 0.0) for word in words] for part in parts])

    def sleeps_differ(self, names: Sequence[str]) -> bool:
        """Whether some loads let the loop sleep so much longer than others that cold tells."""
        slept = [slept_s(seen[name], self.idle_wakes) for name in names for seen in self.rounds]
        short, long = np.percentile([each_s for each_s in slept if each_s < inf] or [0.0], [10, 90])
        return bool(long > SLEEPS_APART_MIN * short)

    def median(self, load: str) -> FloatArray:
        """What the median operation takes by round (s), shape (rounds,)."""
        of = [seen[load] for seen in self.rounds]
        return np.array([np.median(one.each_s) / self.speed(one) if one.each_s else np.nan for one in of])

    def thread(self, load: str) -> FloatArray:
        """CPU time of the log's thread for one operation by round (s), shape (rounds,)."""
        of = [seen[load] for seen in self.rounds]
        return np.array([(one.cpu_s - one.loop_s) / one.ops / self.speed(one) for one in of])

    def answered(self, load: str) -> FloatArray:
        """How long an operation waited for its answer, in the mean by round (s), shape (rounds,)."""
        of = [seen[load] for seen in self.rounds]
        return np.array([mean_of(one.answered_s) / self.speed(one) for one in of])

    def rested(self, load: str) -> FloatArray:
        """For how long nobody waited for an answer between two operations, in the mean by round (s): (rounds,)."""
        of = [seen[load] for seen in self.rounds]
        rests = [one.wall_s / one.ops - mean_of(one.answered_s) if one.ops else nan for one in of]
        return np.array([max(rest_s, 0.0) for rest_s in rests])

    def presence(self, listeners: int) -> float:
        """Of one change of presence that so many hear of, wake-ups included (s)."""
        return float(middle(self.ops(f"presence 1x{listeners} plain")))

    def per_frame(self, load: str, what: str) -> float:
        """Of a counter, for each frame sent."""
        return float(middle(np.array([getattr(seen[load], what) / seen[load].frames for seen in self.rounds])))


def levels_of(rounds: Sequence[Round]) -> FloatArray:
    """How busy the loads of each round were to keep the server, shape (rounds,)."""
    return np.array([next(iter(seen.values())).level for seen in rounds])


def kinds_of(rounds: Sequence[Round]) -> list[npt.NDArray[np.int64]]:
    """The rounds of each level."""
    levels = levels_of(rounds)
    return [np.flatnonzero(levels == level) for level in np.unique(levels)]


def mean_of(values: Sequence[float]) -> float:
    """The mean of the values, nan of none."""
    return fmean(values) if values else nan


def middle(values: FloatArray, axis: int = 0) -> Any:
    """The mean without the `CUT` lowest and highest of the values that are there, along an axis."""
    ordered = np.sort(values, axis=axis)
    ordered = np.moveaxis(ordered, axis, -1)
    there = np.sum(~np.isnan(ordered), axis=-1)
    cut = np.floor(CUT * there)
    place = np.arange(ordered.shape[-1])
    kept = (place >= cut[..., np.newaxis]) & (place < (there - cut)[..., np.newaxis])
    with np.errstate(invalid="ignore"):
        return np.where(kept, ordered, 0.0).sum(axis=-1) / kept.sum(axis=-1)
