"""A stall is what a timer was late by and the process was not busy with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from chatsim.live import stalls
from chatsim.live.stalls import EVERY_S, STALL_S_MIN, StallWatch
from chatsim.verdict.stalls import Stall


class Machine:
    """A loop, a clock and a processor, which do what they are told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.used_s = 7.0
        self.ring: Callable[[], None] = lambda: None
        self.found: list[Stall] = []
        self.cancelled = 0
        loop = cast(asyncio.AbstractEventLoop, self)
        self.watch = StallWatch(loop, self.found.append, clock=lambda: self.now, cpu=lambda: self.used_s)

    def call_later(self, delay_s: float, callback: Callable[[], None], *args: Any) -> Machine:
        assert delay_s == EVERY_S
        self.ring = callback
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def wakes(self, late_s: float, busy_s: float = 0.0) -> None:
        """The timer rings so late, and the process was busy for so long since it was set."""
        self.now += EVERY_S + late_s
        self.used_s += busy_s
        self.ring()


def test_a_late_timer_of_an_idle_process_is_a_stall() -> None:
    machine = Machine()
    machine.wakes(0.0)
    machine.wakes(0.050)
    [stall] = machine.found
    assert stall == pytest.approx((100.0 + 2 * EVERY_S, 100.0 + 2 * EVERY_S + 0.050))


def test_what_the_process_was_busy_with_is_none() -> None:
    machine = Machine()
    machine.wakes(0.050, busy_s=0.055)
    assert machine.found == []
    machine.wakes(0.050, busy_s=0.020)
    [stall] = machine.found
    assert stall.ended_at - stall.began_at == pytest.approx(0.030)


def test_a_timer_may_be_a_little_late() -> None:
    machine = Machine()
    machine.wakes(0.9 * STALL_S_MIN)
    assert machine.found == []


def test_no_more_are_kept_than_the_limit_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "STALLS_MAX", 3)
    machine = Machine()
    for _ in range(5):
        machine.wakes(0.1)
    assert len(machine.found) == 3


def test_it_ends() -> None:
    machine = Machine()
    machine.watch.end()
    assert machine.cancelled == 1
