"""What can be said of a server that is seen from outside only.

Decides whether an expectation can be judged there. Rule: it is, where every value that the server's own could have
keeps it, or every one breaks it; else it is skipped with the reason, and never passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from chatsim.scenario.expectations import Expectation


class Bounds(NamedTuple):
    """A counter lies between `low` and `high`, both included; `why` says why no more is known."""

    low: float
    high: float = inf
    why: str = ""

    @property
    def exact(self) -> bool:
        """Whether there is one value only."""
        return self.low == self.high


class Outside(NamedTuple):
    """Metrics that cannot be measured, with the reason, and the bounds of the counters that are not the crowd's own."""

    unseen: Mapping[str, str]
    bounds: Mapping[str, Bounds]

    def skipped(self, expectation: Expectation) -> str:
        """Why the expectation cannot be judged; nothing where it can."""
        if expectation.aggregate is not None:
            return self.unseen.get(expectation.metric, "")
        bounds = self.bounds.get(expectation.metric)
        if bounds is None or bounds.exact or decided(expectation, bounds):
            return ""
        return f"{expectation.metric} is at least {bounds.low:g}, and what else there was is not known: {bounds.why}"

    def counted(self, counters: Mapping[str, int]) -> dict[str, int]:
        """The counters whose value is known."""
        known = {name: int(bounds.low) for name, bounds in self.bounds.items() if bounds.exact}
        return {name: known.get(name, value) for name, value in counters.items() if self._is_known(name)}

    def unknown(self) -> dict[str, str]:
        """Every metric and counter that is not known, with the reason."""
        counters = {name: bounds.why for name, bounds in self.bounds.items() if not bounds.exact}
        return {**self.unseen, **counters}

    def _is_known(self, name: str) -> bool:
        return name not in self.bounds or self.bounds[name].exact


def decided(expectation: Expectation, bounds: Bounds) -> bool:
    """Whether all values within the bounds keep the expectation, or all break it."""
    ends = {expectation.holds(bounds.low), expectation.holds(bounds.high)}
    if expectation.op == "==":
        # Only one value keeps it, and there are more than one.
        return not bounds.low <= expectation.limit <= bounds.high
    return len(ends) == 1
