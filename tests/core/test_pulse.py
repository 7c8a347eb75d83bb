"""Signs of life: pings, pong timeout and the sweep (protocol.md, `health`; the bounds of the vanished peer)."""

from __future__ import annotations

from itertools import count, pairwise
from math import nextafter
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.codes import NO_PONG
from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Ping
from chatsim.core.frames import HeartbeatIn
from tests.core.world import World
from tests.thorough import examples

BASELINE = HandlerConfig(reliability="baseline")
SEEDS = st.integers(0, 2**32)
LATE_S = 1e-9


@examples(50)
@given(SEEDS, st.floats(0, 100))
def test_the_first_ping_lies_in_the_second_half_interval_then_every_30_s(seed: int, at: float) -> None:
    world = World(seed=seed)
    world.connect("zoe")
    world.until(at)
    world.connect("ann")
    world.until(at + 200)
    pings = world.pinged("ann")
    assert at + 15 <= pings[0] <= at + 30 + LATE_S
    assert all(later - earlier == pytest.approx(30) for earlier, later in pairwise(pings))
    assert len(pings) == 1 + int((at + 200 - pings[0] + LATE_S) / 30)


def test_first_pings_are_spread() -> None:
    world = World()
    world.until(0.01)
    for number in range(2000):
        world.connect(f"c{number}", f"u{number}")
    world.until(31)
    firsts = [at for at, effect in world.done if isinstance(effect, Ping) for _ in effect.to]
    assert len(firsts) == 2000
    assert 15.01 <= firsts[0] < 15.5
    assert 29.5 < firsts[-1] <= 30.01
    assert 22 < sum(firsts) / 2000 < 23


@examples(60)
@given(SEEDS, st.floats(0, 100))
def test_a_vanished_peer_is_closed_within_the_timeout_and_an_interval(seed: int, at: float) -> None:
    world = World(seed=seed)
    world.connect("ann")
    world.until(at)
    world.dead.add("ann")
    world.until(at + 60)
    [(closed_at, conn, code)] = world.closes()
    assert (conn, code) == ("ann", 4001)
    assert 10 - LATE_S < closed_at - at <= 40 + LATE_S
    assert world.handler.counters.no_pong_closed == 1


def test_a_vanished_peer_is_found_half_an_interval_and_the_timeout_later_in_the_mean() -> None:
    """Vanished at a uniform phase of its ping cycle, it is found after uniform(T, 30 + T], in the mean 15 + T.

    Of 2,000, within 4 standard errors: another seed would fail once in 16,000 times.
    """
    world, dice, count = World(seed=2), Random(4), 2000
    vanish_at = {f"c{number}": 100.0 + 30.0 * dice.random() for number in range(count)}
    for conn in vanish_at:
        world.connect(conn, f"u{conn}")
    for conn, at in sorted(vanish_at.items(), key=lambda item: item[1]):
        world.until(at)
        world.dead.add(conn)
    world.until(200.0)
    waits_s = [at - vanish_at[conn] for at, conn, code in world.closes() if code == NO_PONG]
    assert len(waits_s) == count
    assert 10.0 < min(waits_s) < 10.1
    assert 39.9 < max(waits_s) <= 40.0 + LATE_S
    assert abs(fmean(waits_s) - 25.0) < 4 * stdev(waits_s) / count**0.5


def test_who_answers_is_never_closed() -> None:
    world = World()
    world.connect("ann")
    world.connect("bob")
    world.until(3600)
    assert world.closes() == []
    assert world.handler.counters.pings == len(world.pinged("ann")) + len(world.pinged("bob"))


@pytest.mark.parametrize("sign", ["frame", "malformed"])
def test_any_inbound_frame_counts_as_life(sign: str) -> None:
    world = World()
    world.dead.add("ann")
    world.connect("ann")
    for second in range(5, 300, 9):
        world.until(second)
        if sign == "frame":
            world.receive("ann", HeartbeatIn())
        elif second % 2:
            world.do("malformed", "ann", "bad_json", "not JSON")
        else:
            world.do("pong", "ann")
    assert world.closes() == []


@examples(40)
@given(SEEDS, st.floats(0, 100))
def test_the_sweep_alone_finds_the_silent_within_an_interval(seed: int, at: float) -> None:
    world = World(BASELINE, seed=seed)
    world.dead.add("ann")
    world.connect("ann")
    world.until(at)
    world.receive("ann", HeartbeatIn())
    world.until(at + 400)
    [(closed_at, conn, code)] = world.closes()
    assert (conn, code) == ("ann", 4005)
    assert closed_at - at + LATE_S > 300
    assert closed_at - at <= 330 + LATE_S
    assert world.handler.counters.stale_closed == 1


def test_baseline_pings_all_the_same() -> None:
    world = World(BASELINE)
    world.connect("ann")
    world.until(120)
    assert len(world.pinged("ann")) in (3, 4)


def test_a_stopped_process_pings_everyone_once_when_it_goes_on() -> None:
    world = World()
    world.connect("ann")
    world.connect("bob")
    world.now = 1000.0
    world.do("wake")
    assert world.pinged("ann") == [1000.0]
    assert world.pinged("bob") == [1000.0]
    assert world.handler.wake_at() > 1000


@examples(50)
@given(SEEDS, st.lists(st.floats(0, 60), max_size=12))
def test_late_wake_ups_close_a_silent_peer_once(seed: int, pauses: list[float]) -> None:
    world = World(seed=seed)
    world.dead.add("ann")
    world.connect("ann")
    for pause_s in [*pauses, 60.0, 60.0, 60.0]:
        world.now += pause_s
        pinged_before = len(world.pinged("ann"))
        world.do("wake")
        assert len(world.pinged("ann")) <= pinged_before + 1
    assert [(conn, code) for _, conn, code in world.closes()] == [("ann", 4001)]


@examples(50)
@given(SEEDS, st.lists(st.tuples(st.integers(0, 5), st.floats(0, 40)), min_size=1, max_size=30))
def test_everyone_is_pinged_on_time_whoever_comes_and_goes(seed: int, moves: list[tuple[int, float]]) -> None:
    world = World(seed=seed)
    since: dict[str, float] = {}
    for number, (who, pause_s) in enumerate(moves):
        present = sorted(since)
        if who < len(present):
            world.gone(present[who])
            del since[present[who]]
        else:
            since[f"c{number}"] = world.now
            world.connect(f"c{number}", "ann")
        world.pass_s(pause_s)
        for conn, from_at in since.items():
            moments = [from_at, *world.pinged(conn), world.now]
            assert all(later - earlier <= 30.1 for earlier, later in pairwise(moments))
    assert world.closes() == []


@pytest.mark.parametrize("code", ["token_expired", "flood"])
def test_a_refresh_that_is_refused_is_a_sign_of_life(code: str) -> None:
    world = World(HandlerConfig(frame_limit=0) if code == "flood" else None)
    world.connect("ann")
    world.dead.add("ann")
    world.until(29)
    [pinged_at] = world.pinged("ann")
    world.until(pinged_at + 5)
    world.do("refuse_refresh", "ann", "token_expired")
    world.until(pinged_at + 11)
    assert world.closes() == []


def test_whoever_slept_through_an_interval_pings_each_once_though_the_clock_stands_just_before_a_slot() -> None:
    world = World(HandlerConfig(ping_interval_s=0.7, pong_timeout_s=10))
    for number in range(2000):
        world.connect(f"c{number}", f"u{number}")
    step_s = 0.7 / 512
    # Where a division rounds up to the slot whose moment is still to come.
    world.now = next(at for k in count(1500) if int((at := nextafter(k * step_s, 0.0)) / step_s) == k)
    world.do("wake")
    pinged = [conn for _, effect in world.done if isinstance(effect, Ping) for conn in effect.to]
    assert len(pinged) == len(set(pinged)) == 2000
