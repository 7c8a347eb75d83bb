"""The event loop is a FIFO server: its waits are Lindley's, and their mean is Pollaczek and Khinchine's."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.people.streams import Draws, Streams
from chatsim.scenario.distributions import Constant, Distribution, Exponential, Mixture, Uniform
from chatsim.sim.event_loop import EventLoop, MeasuredLoop, OccupiedLoop

L = TypeVar("L", bound=EventLoop)

REPLICATIONS = 20
T_19 = 4.897
"""Two-sided quantile of Student's t with 19 degrees of freedom that a right loop exceeds once in 10,000 times."""


def waits(gaps: np.ndarray, costs: np.ndarray) -> list[float]:
    """How long each piece of work waits (s) on a loop; `gaps` (n,) lie before each arrival."""
    loop = EventLoop()
    found = []
    for ready_at, cost_s in zip(np.cumsum(gaps).tolist(), costs.tolist(), strict=True):
        start_at = loop.start(ready_at)
        loop.end(start_at, cost_s)
        found.append(start_at - ready_at)
    return found


@pytest.mark.parametrize("seed", range(50))
def test_waits_equal_the_lindley_recursion_path_by_path(seed: int) -> None:
    dice = np.random.default_rng(seed)
    gaps = dice.exponential(1.0, 400)
    costs = dice.lognormal(-0.7, 0.8, 400)
    expected = [0.0]
    for gap, cost in zip(gaps[1:].tolist(), costs[:-1].tolist(), strict=True):
        expected.append(max(0.0, expected[-1] + cost - gap))
    assert waits(gaps, costs) == pytest.approx(expected, abs=1e-9)
    assert max(expected) > 0.0


@pytest.mark.parametrize("law", ["exponential", "constant", "uniform"])
def test_the_mean_wait_is_that_of_pollaczek_and_khinchine(law: str) -> None:
    """W = rate E[S^2] / (2 (1 - load)), Kleinrock (1975), 5.7. Other seeds would fail once in 10,000 times."""
    load, count, warmup = 0.6, 6_000, 1_000
    second_moment = {"exponential": 2.0, "constant": 1.0, "uniform": 4.0 / 3.0}[law] * load**2
    means = []
    for replication in range(REPLICATIONS):
        dice = np.random.default_rng([7, replication])
        costs = {
            "exponential": dice.exponential(load, count),
            "constant": np.full(count, load),
            "uniform": dice.uniform(0.0, 2.0 * load, count),
        }[law]
        means.append(float(np.mean(waits(dice.exponential(1.0, count), costs)[warmup:])))
    half_width = T_19 * float(np.std(means, ddof=1)) / REPLICATIONS**0.5
    expected = second_moment / (2.0 * (1.0 - load))
    assert half_width < 0.2 * expected
    assert abs(float(np.mean(means)) - expected) < half_width


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 2.0)), min_size=1, max_size=40))
def test_work_is_conserved_and_never_early(work: list[tuple[float, float]]) -> None:
    loop = EventLoop()
    ready_at, last_start, turn = 0.0, 0.0, 0
    for gap_s, cost_s in work:
        ready_at += gap_s
        lag_s = loop.lag_s(ready_at)
        start_at = loop.start(ready_at)
        assert start_at >= max(ready_at, last_start)
        assert start_at == pytest.approx(ready_at + lag_s)
        assert loop.end(start_at, cost_s) == loop.free_at == start_at + cost_s
        assert loop.turn >= turn
        last_start, turn = start_at, loop.turn
    assert loop.busy_s == pytest.approx(sum(cost_s for _, cost_s in work))


def test_a_turn_is_the_work_that_was_ready_when_it_began() -> None:
    loop = EventLoop()
    turns = []
    for ready_at in (0.0, 1.0, 5.0, 9.9, 10.0, 10.1, 25.1):
        start_at = loop.start(ready_at)
        turns.append(loop.turn)
        loop.end(start_at, 5.0)
    # The second turn begins at 5 s and takes in what was ready by then; the third at 15 s, and the last at 35 s.
    assert turns == [1, 2, 2, 3, 3, 3, 4]


def test_an_idle_loop_has_no_lag() -> None:
    loop = EventLoop()
    loop.end(loop.start(2.0), 3.0)
    assert [loop.lag_s(now) for now in (2.0, 4.0, 5.0, 9.0)] == [3.0, 1.0, 0.0, 0.0]


def test_a_loop_that_measures_does_the_same_and_notes_what_starts_in_its_time() -> None:
    plain, measured = EventLoop(), MeasuredLoop(2.0, 9.0)
    found = []
    for ready_at, cost_s in ((0.0, 1.5), (1.0, 2.5), (3.0, 2.0), (4.5, 4.0), (8.0, 1.0)):
        start_at = measured.start(ready_at)
        assert start_at == plain.start(ready_at)
        assert measured.end(start_at, cost_s) == plain.end(start_at, cost_s)
        found.append(start_at)
    assert found == [0.0, 1.5, 4.0, 6.0, 10.0]
    assert measured.turn == plain.turn
    # The first two start before 2 s, and the last after 9 s.
    assert list(measured.waits_s) == [1.0, 1.5]
    assert list(measured.works_s) == [2.0, 4.0]


def wavering(loop: L, pace: Distribution, hold: Distribution, seed: int = 1) -> L:
    """The loop, on a machine whose speed wavers."""
    loop.waver(draws("pace", pace, seed).next, draws("hold", hold, seed).next)
    return loop


def draws(name: str, law: Distribution, seed: int) -> Draws:
    return Streams(seed).draws(name, 0, law)


def test_work_takes_as_many_times_longer_as_the_machine_is_slower_when_it_starts() -> None:
    loop = wavering(EventLoop(), Uniform(low=0.5, high=2.0), Constant(value=10.0))
    paces = draws("pace", Uniform(low=0.5, high=2.0), 1)
    first, second = paces.next(), paces.next()
    assert loop.end(loop.start(0.0), 1.0) == first
    # What starts later in the same stretch, and what goes on beyond its end, is as fast.
    assert loop.end(loop.start(9.0), 3.0) == 9.0 + 3.0 * first
    start_at = loop.start(19.0)
    assert loop.takes_s(start_at, 2.0) == 2.0 * second
    assert loop.end(start_at, 2.0) == start_at + 2.0 * second
    assert loop.busy_s == pytest.approx(4.0 * first + 2.0 * second)
    third = paces.next()
    for _ in range(3):
        third = paces.next()
    assert loop.takes_s(loop.start(50.0), 1.0) == third


def test_a_loop_that_measures_notes_what_work_took() -> None:
    pace, hold = Uniform(low=0.5, high=2.0), Exponential(scale=3.0)
    plain, measured = wavering(EventLoop(), pace, hold), wavering(MeasuredLoop(0.0, 100.0), pace, hold)
    took = []
    for ready_at in range(50):
        start_at = measured.start(float(ready_at))
        took.append(plain.end(plain.start(float(ready_at)), 0.1) - start_at)
        measured.end(start_at, 0.1)
    assert list(measured.works_s) == pytest.approx(took)
    assert len(set(took)) > 5


def test_a_wavering_speed_changes_no_mean_and_makes_queues_longer() -> None:
    """Work of 0.5 s arrives at random, one a second. At a steady speed it waits 0.25 s (Pollaczek and Khinchine); at
    two speeds that last it takes 0.25 s one half of the time and 0.75 s the other, and waits
    (0.25^2 / 0.75 + 0.75^2 / 0.25) / 4 = 0.58 s. Four standard errors of that are 0.15."""
    two = Mixture(weights=(0.5, 0.5), parts=(Constant(value=0.5), Constant(value=1.5)))
    means = {}
    unsteady = wavering(EventLoop(), two, Exponential(scale=100.0))
    for name, loop in (("steady", EventLoop()), ("wavering", unsteady)):
        dice, now, waited = np.random.default_rng(3), 0.0, []
        for gap_s in dice.exponential(1.0, 200_000):
            now += gap_s
            start_at = loop.start(now)
            waited.append(start_at - now)
            loop.end(start_at, 0.5)
        means[name] = float(np.mean(waited))
        assert loop.busy_s / now == pytest.approx(0.5, abs=0.03)
    assert means["steady"] == pytest.approx(0.25, abs=0.03)
    assert means["wavering"] == pytest.approx(0.58, abs=0.15)


def test_what_else_a_loop_is_occupied_with_waits_in_line_and_is_waited_for() -> None:
    loop = OccupiedLoop([(1.0, 0.5), (2.0, 0.5), (3.0, 1.0), (3.2, 1.0), (9.0, 0.5)])
    # Done before it is asked for, it keeps nobody waiting.
    assert loop.start(1.6) == 1.6
    # Still under way, it is waited for; nothing has to be woken then.
    assert loop.end(loop.start(2.1), 0.5) == 3.0
    assert loop.free_at == 3.0
    # Both of them first, as they were there when the loop came to it; all that is ready by then is one turn.
    assert loop.start(3.3) == 5.0
    assert loop.free_at == 5.0
    turn = loop.turn
    assert loop.start(4.9) == 5.0
    assert loop.turn == turn
    loop.end(5.0, 6.0)
    # What was ready while the loop was busy comes behind that work, and counts as none of the node's.
    assert loop.start(9.5) == 11.5
    assert loop.busy_s == 6.5


def test_a_loop_that_nothing_occupies_is_as_any() -> None:
    plain, occupied = EventLoop(), OccupiedLoop([])
    for ready_at, cost_s in ((0.0, 1.5), (1.0, 2.5), (3.0, 2.0), (4.5, 4.0), (18.0, 1.0)):
        start_at = occupied.start(ready_at)
        assert start_at == plain.start(ready_at)
        assert occupied.end(start_at, cost_s) == plain.end(start_at, cost_s)
    assert (plain.turn, plain.busy_s, plain.turn_began_at) == (occupied.turn, occupied.busy_s, occupied.turn_began_at)
