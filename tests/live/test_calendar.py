"""The calendar does what it was asked for, in order, and nothing after it was stopped."""

from __future__ import annotations

import asyncio
from itertools import count
from math import inf
from typing import Any

import pytest

from chatsim.live.calendar import Calendar


def play(moments: list[tuple[float, str]], *, failing: str = "") -> tuple[list[tuple[float, str]], Calendar]:
    """Have words said at moments, and stop at the word `end`."""
    heard: list[tuple[float, str]] = []

    async def run() -> Calendar:
        loop = asyncio.get_running_loop()
        calendar, ended = Calendar(loop), loop.create_future()

        def say(now: float, word: str, _: Any) -> None:
            heard.append((now, word))
            if word == "end":
                calendar.stop()
                ended.set_result(None)
            if word == failing:
                loop.call_soon(ended.set_result, None)
                raise ValueError(word)

        for moment, word in moments:
            calendar.at(moment, say, word)
        calendar.begin()
        await ended
        return calendar

    return heard, asyncio.run(run())


def test_moments_come_in_order_and_equal_ones_in_the_order_of_asking() -> None:
    heard, _ = play([(0.02, "c"), (0.01, "a"), (0.01, "b"), (0.03, "end"), (inf, "never"), (-1.0, "past")])
    assert [word for _, word in heard] == ["past", "a", "b", "c", "end"]
    assert all(now >= moment for (now, _), moment in zip(heard, (0.0, 0.01, 0.01, 0.02, 0.03), strict=True))
    assert sorted(heard, key=lambda pair: pair[0]) == heard


def test_what_is_done_before_its_time_is_known_by_the_clock() -> None:
    heard: list[tuple[float, float]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        calendar, ended = Calendar(loop, sampled=False, timer_s=100.0), loop.create_future()
        calendar.at(0.0, lambda now, a, b: heard.append((now, calendar.reads())))
        calendar.at(50.0, lambda now, a, b: heard.append((now, calendar.reads())))
        calendar.at(50.0, lambda now, a, b: ended.set_result(None))
        calendar.begin()
        await ended

    asyncio.run(run())
    (first, first_read), (second, read) = heard
    assert 0.0 <= first_read - first < 50.0
    assert second == 50.0
    assert first_read <= read < 50.0


def test_however_close_things_are_none_comes_earlier_than_the_timer_can_tell() -> None:
    early: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        # A clock that goes on by a little whenever it is read.
        ticks = count()
        calendar = Calendar(loop, sampled=False, clock=lambda: next(ticks) * 1e-5, timer_s=0.5e-3)
        ended = loop.create_future()
        for number in range(1000):
            moment = number * 2e-4
            calendar.at(moment, lambda now, at, b: early.append(at - calendar.reads()), moment)
        calendar.at(0.2, lambda now, a, b: ended.set_result(None))
        calendar.begin()
        await ended

    asyncio.run(run())
    assert len(early) == 1000
    assert max(early) <= 0.5e-3


def test_it_is_behind_while_something_that_was_due_is_still_to_be_done() -> None:
    async def run() -> list[bool]:
        calendar = Calendar(asyncio.get_running_loop(), sampled=False)
        calendar.at(2.0, lambda now, a, b: None)
        found = [calendar.behind(1.9), calendar.behind(2.0), calendar.behind(2.1)]
        calendar.stop()
        return [*found, calendar.behind(2.1)]

    assert asyncio.run(run()) == [False, True, True, False]


def test_nothing_happens_after_the_end() -> None:
    heard, calendar = play([(0.0, "end"), (0.0, "late")])
    assert [word for _, word in heard] == ["end"]
    calendar.at(0.0, lambda now, a, b: heard.append((now, "later")))
    assert len(heard) == 1


def test_an_action_that_fails_ends_everything_and_is_kept() -> None:
    heard, calendar = play([(0.0, "bad"), (0.0, "next")], failing="bad")
    assert [word for _, word in heard] == ["bad"]
    assert isinstance(calendar.failure, ValueError)


def test_what_could_not_be_done_ends_everything_and_the_first_is_kept() -> None:
    heard, calendar = play([(0.0, "end"), (0.0, "late")])
    first = ValueError("first")
    calendar.fail(first)
    calendar.fail(ValueError("second"))
    assert calendar.failure is first
    assert [word for _, word in heard] == ["end"]


def test_the_lag_of_the_loop_is_sampled() -> None:
    _, calendar = play([(0.12, "end")])
    assert len(calendar.lag_s) == 2
    assert all(lag_s >= 0.0 for lag_s in calendar.lag_s)


def test_a_calendar_begins_once() -> None:
    _, calendar = play([(0.0, "end")])
    with pytest.raises(AssertionError):
        calendar.begin()


def test_a_calendar_that_is_not_sampled_wakes_nobody_for_it() -> None:
    async def run() -> Calendar:
        loop = asyncio.get_running_loop()
        calendar, ended = Calendar(loop, sampled=False), loop.create_future()
        calendar.at(0.12, lambda now, a, b: ended.set_result(now))
        calendar.begin()
        assert await ended >= 0.119
        return calendar

    assert not asyncio.run(run()).lag_s


def test_whoever_looks_does_what_is_due_and_nothing_before_its_time() -> None:
    async def run() -> tuple[list[str], list[str], list[str]]:
        loop, now = asyncio.get_running_loop(), [100.0]
        calendar = Calendar(loop, sampled=False, clock=lambda: now[0], timer_s=1.0)
        heard: list[str] = []
        for moment, word in ((0.25, "a"), (0.5, "b"), (0.75, "c")):
            calendar.at(moment, lambda _now, word, _: heard.append(word), word)
        ended = asyncio.Event()
        calendar.at(0.75, lambda *_: ended.set())
        calendar.begin()
        # No timer of the loop rings any more, though all is due within a tick of it.
        calendar.look()
        await asyncio.sleep(0.01)
        early = [*heard]
        now[0] = 100.5
        calendar.look()
        on_time = [*heard]
        now[0] = 100.75
        calendar.unwatched()
        await ended.wait()
        calendar.stop()
        calendar.look()
        return early, on_time, heard

    assert asyncio.run(run()) == ([], ["a", "b"], ["a", "b", "c"])
