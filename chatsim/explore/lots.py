"""Choices out of one seed: whether, which, how many, how long.

Rule: a seed gives the same choices everywhere; what is chosen is always written in the words and units of a scenario
file, so that a drawn scenario is one that a person could have written. What is asked is decided by `draw`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

from chatsim.people.streams import Streams

T = TypeVar("T")

Words: TypeAlias = dict[str, Any]
"""A scenario, or a part of it, as its file would say it."""


class Lots:
    """The choices of one seed, in the order in which they are asked for; a `stream` of its own leaves those of others
    what they are."""

    def __init__(self, seed: int, stream: int = 0) -> None:
        self._generator = Streams(seed).generator("explore", stream)

    def chance(self, share: float) -> bool:
        """Yes in this share of the cases."""
        return bool(self._generator.random() < share)

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self._generator.integers(low, high + 1))

    def pick(self, among: Sequence[T]) -> T:
        """One of these."""
        return among[self.whole(0, len(among) - 1)]

    def some(self, among: Sequence[T], share: float) -> list[T]:
        """Each of these with this probability, in their order."""
        return [one for one in among if self.chance(share)]

    def number(self, low: float, high: float) -> float:
        """A number between these, with three digits after the point."""
        return round(float(low + (high - low) * self._generator.random()), 3)

    def duration(self, low_s: float, high_s: float, *, round_: float = 0.3) -> str:
        """A duration between these (s), in whole seconds in a share `round_` of the cases: then moments coincide."""
        found = self.number(low_s, high_s)
        if self.chance(round_):
            return f"{max(round(found), 1)}s"
        return f"{max(found, 0.001):g}s"
