"""The fixed work is the same each time, and a server's loop does it again and again until it is told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from chatsim.live.speed import EVERY_S, FixedWork, Glance, SpeedProbe


class Work(FixedWork):
    """Takes what it is told (s), and knows whether it was closed."""

    def __init__(self, *took_s: tuple[float, float]) -> None:
        super().__init__(1, 1)
        self.took_s = iter(took_s)
        self.closed = False

    def __call__(self) -> tuple[float, float]:
        return next(self.took_s)

    def close(self) -> None:
        super().close()
        self.closed = True


class Loop:
    """Rings when it is told."""

    def __init__(self) -> None:
        self.ring: Callable[[], None] = lambda: None
        self.cancelled = 0

    def call_later(self, delay_s: float, callback: Callable[[], None], *args: Any) -> Loop:
        assert delay_s == EVERY_S
        self.ring = callback
        return self

    def cancel(self) -> None:
        self.cancelled += 1


def test_each_glance_has_its_moment_and_what_the_work_took() -> None:
    loop, found, work = Loop(), list[Glance](), Work((1e-4, 2e-4), (3e-4, 4e-4))
    moments = iter((7.0, 8.0))
    probe = SpeedProbe(cast(asyncio.AbstractEventLoop, loop), found.append, work=work, clock=lambda: next(moments))
    loop.ring()
    loop.ring()
    assert found == [pytest.approx((7.0, 3e-4, 1e-4)), pytest.approx((8.0, 7e-4, 3e-4))]
    probe.end()
    assert (loop.cancelled, work.closed) == (1, True)


def test_more_work_takes_longer() -> None:
    """Ten times as much, and at least twice as long in the least of five: whatever else the machine does."""
    little, much = FixedWork(2_000, 20), FixedWork(20_000, 200)
    try:
        assert min(sum(much()) for _ in range(5)) > 2 * min(sum(little()) for _ in range(5)) > 0
    finally:
        little.close()
        much.close()


def test_either_half_is_half_of_it() -> None:
    """In the least of fifty, since anything may be in the way of one."""
    work = FixedWork(20_000, 200)
    try:
        first_s, second_s = (min(each) for each in zip(*(work() for _ in range(50)), strict=True))
    finally:
        work.close()
    assert first_s == pytest.approx(second_s, rel=0.5)


def test_what_is_closed_has_no_sockets_left() -> None:
    work = FixedWork(1, 1)
    work.close()
    with pytest.raises(OSError, match="descriptor"):
        work()
