"""The search for the largest load: against judges that know, that cannot tell, and that see through noise."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.analysis.searching import LOADS_MAX, Found, grid, search
from chatsim.analysis.slo import Looks, Verdict, rule
from chatsim.errors import UsageError

LOADS = grid(10, 20_000, 0.02)


def knows(capacity: float) -> Callable[[int], Verdict]:
    """A judge who is never wrong and never in doubt."""
    return lambda load: "pass" if load <= capacity else "fail"


def test_a_grid_rises_by_its_step_and_ends_where_it_is_told() -> None:
    assert grid(1, 10, 0.5) == (1, 2, 3, 4, 6, 9, 10)
    assert grid(7, 7, 0.02) == (7,)
    assert LOADS[0] == 10
    assert LOADS[-1] == 20_000
    assert all(b <= max(a + 1, round(1.02 * a)) for a, b in pairwise(LOADS))


@pytest.mark.parametrize(("smallest", "largest", "step"), [(0, 5, 0.1), (6, 5, 0.1), (1, 5, 0.0)])
def test_a_grid_that_is_none_is_refused(smallest: int, largest: int, step: float) -> None:
    with pytest.raises(UsageError, match="are none"):
        grid(smallest, largest, step)


@given(capacity=st.floats(10, 19_999), start=st.integers(0, len(LOADS) - 1))
def test_the_truth_lies_between_the_two_ends_which_are_neighbours(capacity: float, start: int) -> None:
    found = search(LOADS, start, knows(capacity), most=60)
    assert found.outcome == "found"
    assert found.low <= capacity < found.high
    assert LOADS.index(found.high) == LOADS.index(found.low) + 1


@given(capacity=st.floats(100, 15_000), off=st.floats(0.7, 1.4))
def test_a_guess_that_is_near_saves_loads(capacity: float, off: float) -> None:
    start = min(range(len(LOADS)), key=lambda place: abs(LOADS[place] - capacity * off))
    found = search(LOADS, start, knows(capacity))
    assert found.outcome == "found"
    assert len(found.tried) <= 10


@given(start=st.integers(0, len(LOADS) - 1))
def test_none_and_more_are_said_and_are_no_numbers(start: int) -> None:
    none = search(LOADS, start, knows(9), most=60)
    assert (none.outcome, none.low, none.high) == ("none", 0, 10)
    more = search(LOADS, start, knows(1e9), most=60)
    assert (more.outcome, more.low, more.high) == ("more", 20_000, 0)


@given(low=st.floats(10, 19_000), wide=st.floats(1.0, 3.0), start=st.integers(0, len(LOADS) - 1))
def test_what_cannot_be_decided_lies_between_the_ends(low: float, wide: float, start: int) -> None:
    def judge(load: int) -> Verdict:
        return "pass" if load <= low else "fail" if load > low * wide else "inconclusive"

    found = search(LOADS, start, judge, most=80)
    assert found.low <= low
    if found.outcome == "found":
        assert found.high > low * wide
        assert not any(found.low < load <= low or low * wide < load < found.high for load in LOADS)
    else:
        assert found.outcome == "undecided"
        assert low * wide >= 20_000


def test_who_can_never_tell_is_told_apart_from_who_says_no() -> None:
    found = search(LOADS, 100, lambda load: "inconclusive")
    assert (found.outcome, found.low, found.high) == ("undecided", 0, 0)


@given(start=st.integers(0, len(LOADS) - 1), most=st.integers(1, 12))
def test_no_more_loads_are_tried_than_allowed_and_none_twice(start: int, most: int) -> None:
    found = search(LOADS, start, knows(777), most=most)
    loads = [tried.load for tried in found.tried]
    assert len(loads) <= most
    assert len(set(loads)) == len(loads)
    assert found.low <= 777
    assert found.high == 0 or found.high > 777


@pytest.mark.parametrize(("loads", "start"), [((), 0), ((3, 2), 0), ((1, 2), 2)])
def test_what_is_no_search_is_refused(loads: tuple[int, ...], start: int) -> None:
    with pytest.raises(UsageError):
        search(loads, start, knows(1))


class Noisy:
    """Replications of a curve that rises like a queue's wait, with the noise of a quantile: skewed, and wider the
    nearer to saturation. The mean at a load is `limit` exactly at the capacity."""

    def __init__(self, capacity: float, dice: np.random.Generator, spread: float) -> None:
        self.capacity, self.dice, self.spread = capacity, dice, spread
        self.looks = Looks(first=4, n_max=8, level=1 - 0.05 / LOADS_MAX)

    def judge(self, load: int) -> Verdict:
        busy = 0.95 * load / self.capacity
        mean = 0.06 + 0.04 * min(busy / max(1 - busy, 1e-3), 1e3) / 19
        sigma = self.spread * (0.1 + busy)
        values = mean * self.dice.lognormal(-sigma * sigma / 2, sigma, 8)
        return rule(values, 0.1, "<=", self.looks).verdict


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3])
def test_the_interval_covers_the_capacity_of_a_planted_curve(spread: float) -> None:
    """The truth is left out in at most 5 % of searches: of 150, more than 16 would be seen with p < 0.001 if it were
    exactly so often."""
    dice = np.random.default_rng(11)
    outside, widths = 0, []
    for _ in range(150):
        capacity = float(dice.uniform(300, 9000))
        start = min(range(len(LOADS)), key=lambda place: abs(LOADS[place] - capacity * float(dice.uniform(0.7, 1.3))))
        found: Found = search(LOADS, start, Noisy(capacity, dice, spread).judge)
        assert found.low
        outside += not (found.low <= capacity and (found.high == 0 or capacity < found.high))
        if found.high:
            widths.append(log(found.high / found.low))
    assert outside <= 16
    # It says something: an interval from nothing to everything would cover too.
    assert float(np.median(widths)) < (0.25 if spread < 0.2 else 0.8)
