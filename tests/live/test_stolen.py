"""What a host takes is told with the moments between which it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from chatsim.live.stolen import EVERY_S, StolenWatch
from chatsim.verdict.stalls import Stall

CORES = (0, 3)


class Guest:
    """A loop, a clock and a system that counts what is taken, which do what they are told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.taken_s = 4.0
        self.ring: Callable[[], None] = lambda: None
        self.found: list[tuple[Stall, float]] = []
        self.cancelled = 0
        self.watch = StolenWatch(
            cast(asyncio.AbstractEventLoop, self),
            CORES,
            lambda between, took_s: self.found.append((between, took_s)),
            clock=lambda: self.now,
            stolen=self._stolen,
        )

    def _stolen(self, cores: tuple[int, ...]) -> float:
        assert cores == CORES
        return self.taken_s

    def call_later(self, delay_s: float, callback: Callable[[], None], *args: Any) -> Guest:
        assert delay_s == EVERY_S
        self.ring = callback
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def looks(self, took_s: float = 0.0, late_s: float = 0.0) -> None:
        """The timer rings, so late, and so much was taken since it was set."""
        self.now += EVERY_S + late_s
        self.taken_s += took_s
        self.ring()


def test_what_was_taken_before_the_start_is_none_of_it() -> None:
    guest = Guest()
    guest.looks()
    guest.looks()
    assert guest.found == []


def test_what_is_taken_lies_between_the_look_before_and_the_one_that_shows_it() -> None:
    guest = Guest()
    guest.looks()
    guest.looks(took_s=0.02, late_s=0.03)
    guest.looks()
    [(between, took_s)] = guest.found
    assert took_s == pytest.approx(0.02)
    assert between == pytest.approx((100.0 + EVERY_S, 100.0 + 2 * EVERY_S + 0.03))


def test_what_shows_late_may_have_begun_before_the_last_look() -> None:
    """A hundredth of a second is the least that the system counts by, and more than there is between two looks."""
    guest = Guest()
    for _ in range(5):
        guest.looks()
    guest.looks(took_s=0.01)
    [(between, _)] = guest.found
    assert between == pytest.approx((100.0 + 6 * EVERY_S - 0.01, 100.0 + 6 * EVERY_S))


def test_nobody_looks_after_the_end() -> None:
    guest = Guest()
    guest.looks()
    guest.watch.end()
    assert guest.cancelled == 1
