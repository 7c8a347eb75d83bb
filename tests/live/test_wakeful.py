"""A loop that never sleeps: how busy it is, is what its turns took beyond one that found nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from chatsim.live.wakeful import EMPTY, Wakeful


class FakeLoop:
    """Does what is asked for when it is told to, by a clock that is set."""

    def __init__(self) -> None:
        self.now = 5.0
        self.ready: list[Callable[[], Any]] = []

    def call_soon(self, call: Callable[[], Any]) -> None:
        self.ready.append(call)

    def turn(self, took_s: float) -> None:
        self.now += took_s
        ready, self.ready = self.ready, []
        for call in ready:
            call()


def wakeful(loop: FakeLoop, look: Callable[[], object] = lambda: None) -> Wakeful:
    return Wakeful(cast("asyncio.AbstractEventLoop", loop), look, lambda: loop.now)


def test_only_what_a_turn_found_to_do_is_work() -> None:
    loop = FakeLoop()
    made = wakeful(loop)
    for took_s in (1e-6, 1e-6, 2e-6, 50e-6, 1e-6, 31e-6):
        loop.turn(took_s)
    assert made.busy_s == pytest.approx(49e-6 + 30e-6)


def test_a_turn_is_measured_beside_the_shortest() -> None:
    loop = FakeLoop()
    made = wakeful(loop)
    loop.turn(2e-6)
    loop.turn(2e-6 * EMPTY * 0.99)
    assert made.busy_s == 0.0
    loop.turn(2e-6 * EMPTY * 1.01)
    assert made.busy_s == pytest.approx(2e-6 * (EMPTY * 1.01 - 1))


def test_it_looks_in_each_turn_and_asks_for_the_next_until_it_is_ended() -> None:
    loop, looks = FakeLoop(), [0]

    def look() -> None:
        looks[0] += 1

    made = wakeful(loop, look)
    for turns in (1, 2, 3):
        assert (len(loop.ready), looks[0]) == (1, turns)
        loop.turn(1e-6)
    made.end()
    loop.turn(1e-6)
    assert not loop.ready
    assert looks[0] == 4


def test_what_looking_takes_is_work() -> None:
    loop = FakeLoop()

    due = [0.0, 0.0, 80e-6]

    def look() -> None:
        loop.now += due.pop(0) if due else 0.0

    made = wakeful(loop, look)
    for _ in range(6):
        loop.turn(1e-6)
    assert made.busy_s == pytest.approx(80e-6, rel=0.01)
    assert made.wrote_s == pytest.approx(80e-6)


def test_what_had_come_is_work_and_none_of_what_was_due() -> None:
    loop = FakeLoop()
    made = wakeful(loop)
    for took_s in (1e-6, 1e-6, 90e-6):
        loop.turn(took_s)
    assert made.busy_s == pytest.approx(89e-6)
    assert made.wrote_s == 0.0
