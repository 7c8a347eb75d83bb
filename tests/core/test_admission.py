"""Who comes in: never more than there is room for, never faster than the rate and its burst, and those who resume by a
door of their own."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chatsim.core.admission import RETRY_AFTER_S_MAX, Admission
from chatsim.core.config import HandlerConfig

CONFIG = HandlerConfig(accept_rate_per_s=5.0, resume_rate_per_s=10.0, connections_max=100)


def knock(door: Admission, now: float, *, back: bool = False, connections: int = 0, draining: bool = False) -> bool:
    return door.refusal(now, connections=connections, draining=draining, back=back) is None


@given(st.lists(st.floats(0.0, 0.5), max_size=80))
def test_never_more_than_the_rate_and_one_burst_in_any_time(gaps_s: list[float]) -> None:
    door, now, admitted = Admission(CONFIG, seed=1), 0.0, list[float]()
    for gap_s in gaps_s:
        now += gap_s
        if knock(door, now):
            admitted.append(now)
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            assert last - first + 1 <= 5 + 5 * (admitted[last] - admitted[first]) + 1e-6


def test_those_who_resume_do_not_queue_behind_those_who_are_new() -> None:
    door = Admission(CONFIG, seed=1)
    assert [knock(door, 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [knock(door, 0.0, back=True) for _ in range(12)] == [True] * 10 + [False] * 2
    assert knock(door, 0.2)


def test_a_full_node_refuses_and_a_draining_one_too() -> None:
    door = Admission(CONFIG, seed=1)
    assert door.refusal(0.0, connections=100, draining=False, back=False) == "overloaded"
    assert door.refusal(0.0, connections=0, draining=True, back=True) == "draining"
    assert knock(door, 0.0, connections=99)


def test_a_slow_rate_lets_one_through_at_a_time() -> None:
    door = Admission(HandlerConfig(accept_rate_per_s=0.5), seed=1)
    assert [knock(door, at) for at in (0.0, 1.0, 2.0, 3.9, 4.0)] == [True, False, True, False, True]


def test_the_refused_are_spread() -> None:
    door = Admission(CONFIG, seed=1)
    drawn = [door.retry_after_s() for _ in range(500)]
    assert set(drawn) == set(range(1, RETRY_AFTER_S_MAX + 1))
    # Each of five values is drawn 100 times in the mean, sd 9: a false alarm in a million runs of another seed.
    assert all(50 < drawn.count(value) < 150 for value in set(drawn))


@pytest.mark.parametrize("law", ["exponential", "lognormal", "constant"])
def test_a_full_node_refuses_what_erlang_says_however_long_people_stay(law: str) -> None:
    """Erlang's B: the share refused depends on the load alone, where the refused do not come back (Erlang, 1917).

    Judged by the mean of 20 batches at 99.99 %: another seed would fail once in 10,000 times.
    """
    places, load, count = 10, 7.0, 40_000
    door = Admission(HandlerConfig(connections_max=places, accept_rate_per_s=1e6), seed=1)
    dice = np.random.default_rng(3)
    came_at = np.cumsum(dice.exponential(1.0 / load, count)).tolist()
    stays_s = {
        "exponential": dice.exponential(1.0, count),
        "lognormal": dice.lognormal(-0.5, 1.0, count),
        "constant": np.ones(count),
    }[law].tolist()
    leaving: list[float] = []
    refused = np.zeros(count)
    for number, (now, stay_s) in enumerate(zip(came_at, stays_s, strict=True)):
        while leaving and leaving[0] <= now:
            heappop(leaving)
        if knock(door, now, connections=len(leaving)):
            heappush(leaving, now + stay_s)
        else:
            refused[number] = 1.0
    batches = refused[count // 21 :][-20 * (count // 21) :].reshape(20, -1).mean(axis=1)
    half_width = stats.t.ppf(1 - 5e-5, 19) * batches.std(ddof=1) / 20**0.5
    expected = 1.0
    for place in range(1, places + 1):
        expected = load * expected / (place + load * expected)
    assert expected == pytest.approx(0.0787, abs=1e-4)
    assert half_width < 0.2 * expected
    assert abs(batches.mean() - expected) < half_width
