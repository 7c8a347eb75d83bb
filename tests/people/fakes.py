"""A calendar that is read out by hand, and a wire on which nothing is meant to happen."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class FakeCalendar:
    """A calendar that is read out by hand."""

    def __init__(self) -> None:
        self.entries: list[tuple[float, int, Callable[[float, Any, Any], None], Any, Any]] = []
        self._count = 0

    def at(self, moment: float, action: Callable[[float, Any, Any], None], a: Any = None, b: Any = None) -> None:
        self._count += 1
        heapq.heappush(self.entries, (moment, self._count, action, a, b))

    def run(self, until: float) -> None:
        while self.entries and self.entries[0][0] <= until:
            moment, _, action, a, b = heapq.heappop(self.entries)
            action(moment, a, b)


class NoWire:
    """For people who do nothing with their devices."""

    def dial(self, *_: object) -> None:
        raise AssertionError("nobody dials here")

    transmit = refresh = hang_up = arm = dial
