"""What was to be precise and did not become so: what was asked for, what was reached, and after how many replications.

Decides how that is told. Rule: a width is told in the way in which it was asked for, a share of the mean or the unit of
the metric. When it is given up is `sequential`'s affair.
"""

from __future__ import annotations

from math import inf
from typing import Final

import msgspec

from chatsim.analysis.intervals import Interval
from chatsim.analysis.numbers import unit_of
from chatsim.analysis.sequential import Precision
from chatsim.scenario.units import quantity

DIGITS: Final = 3
"""Of a width that was reached or asked for."""


class Missed(msgspec.Struct, frozen=True):
    """A metric whose precision was given up: what was asked for, the interval that was reached, and from which n on it
    was narrow enough (0: not at all), without as many more as must confirm it."""

    metric: str
    asked: Precision
    interval: Interval
    reached_n: int

    @property
    def relative(self) -> float:
        """Half the width as a share of the mean; inf where that is 0 or infinite."""
        return self.interval.half_width / abs(self.interval.mean) if self._has_share else inf

    @property
    def text(self) -> str:
        """What became of it, after the name of the metric: `0.2 % after 1000 replications, where 0.01 % was asked
        for`."""
        found = self.interval
        asked = self._widths(self.asked.relative, self.asked.absolute)
        if found.infinite:
            return f"infinite in {found.infinite} of {found.n} replications, where {asked} was asked for"
        if self.reached_n:
            return f"{asked} as asked for at {self.reached_n} replications, and not confirmed by {found.n}"
        relative = self.relative if self.asked.relative is not None and self._has_share else None
        absolute = found.half_width if self.asked.absolute is not None or relative is None else None
        reached = self._widths(relative, absolute)
        return f"{reached} after {found.n} replications, where {asked} was asked for"

    @property
    def _has_share(self) -> bool:
        return self.interval.mean != 0.0 and not self.interval.infinite

    def _widths(self, relative: float | None, absolute: float | None) -> str:
        # A share of a share would look like a share of the mean.
        unit = "s" if unit_of(self.metric) == "s" else ""
        told = [] if relative is None else [quantity(relative, "share", DIGITS)]
        told += [] if absolute is None else [quantity(absolute, unit, DIGITS)]
        return " or ".join(told)
