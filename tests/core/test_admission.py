"""Who comes in: never more than there is room for, never faster than the rate and its burst, and those who resume by a
door of their own."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats
from scipy.sparse.linalg import spsolve

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


def erlang_b(places: int, load: float) -> float:
    """The share of those who come that a node of so many places refuses, where they do not come back (Erlang, 1917)."""
    found = 1.0
    for place in range(1, places + 1):
        found = load * found / (place + load * found)
    return found


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
    expected = erlang_b(places, load)
    assert expected == pytest.approx(0.0787, abs=1e-4)
    assert half_width < 0.2 * expected
    assert abs(batches.mean() - expected) < half_width


def refused_with_retries(places: int, load: float, again: float) -> float:
    """The share of all attempts that are refused where each refused one comes back after an exponential time, `again`
    times in a mean stay: the stationary law of how many are inside and how many wait outside (Falin and Templeton,
    Retrial Queues, 1997, chapter 2), cut off where so many waiting are as good as impossible."""
    outside_max = 400
    inside, outside = (index.ravel() for index in np.indices((places + 1, outside_max + 1)))
    place = inside * (outside_max + 1) + outside
    full, has_room = inside == places, inside < places
    moves = [
        (has_room, outside_max + 1, np.full(place.size, load)),
        (full & (outside < outside_max), 1, np.full(place.size, load)),
        (inside > 0, -(outside_max + 1), inside.astype(float)),
        (has_room & (outside > 0), outside_max, again * outside),
    ]
    rates = sparse.lil_matrix((place.size, place.size))
    for may, step, rate in moves:
        rates[place[may] + step, place[may]] = rate[may]
    rates.setdiag(-np.asarray(rates.sum(axis=0)).ravel())
    # One of the equations follows from the others: the probabilities add up to 1 instead.
    rates[0, :] = 1.0
    law = spsolve(rates.tocsc(), np.eye(1, place.size).ravel())
    assert law[outside == outside_max].sum() < 1e-9
    attempts = load + again * outside
    return float((law * attempts)[full].sum() / (law * attempts).sum())


def test_where_the_refused_come_back_it_is_far_worse_than_erlang_says() -> None:
    """0.54 of all attempts are refused, where the formula says 0.11 for those who do not come back.

    Judged by the mean of 20 batches at 99.99 %, as above.
    """
    places, load, again, count = 10, 7.75, 5.4, 150_000
    door = Admission(HandlerConfig(connections_max=places, accept_rate_per_s=1e6), seed=1)
    dice = np.random.default_rng(3)
    came_at, stays_s = np.cumsum(dice.exponential(1.0 / load, count)), dice.exponential(1.0, count)
    # In their order, as a heap wants them.
    attempts = list(zip(came_at.tolist(), stays_s.tolist(), strict=True))
    leaving: list[float] = []
    refused: list[float] = []
    while attempts:
        now, stay_s = heappop(attempts)
        while leaving and leaving[0] <= now:
            heappop(leaving)
        comes_in = knock(door, now, connections=len(leaving))
        refused.append(0.0 if comes_in else 1.0)
        if comes_in:
            heappush(leaving, now + stay_s)
        else:
            heappush(attempts, (now + dice.exponential(1.0 / again), stay_s))
    size = len(refused) // 21
    batches = np.array(refused[-20 * size :]).reshape(20, -1).mean(axis=1)
    half_width = stats.t.ppf(1 - 5e-5, 19) * batches.std(ddof=1) / 20**0.5
    expected = refused_with_retries(places, load, again)
    assert erlang_b(places, load) == pytest.approx(0.11, abs=0.005)
    assert expected == pytest.approx(0.54, abs=0.005)
    assert half_width < 0.12 * expected
    assert abs(batches.mean() - expected) < half_width
