"""Averages over time: Little's law holds to rounding, whatever the queue."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.analysis.areas import occupancy, time_average
from chatsim.errors import UsageError
from tests.analysis.mm1 import paths


def test_littles_law_on_a_drained_run() -> None:
    """L = lambda W to 1e-9 (Little, Operations Research 9, 1961): an identity of areas once all have left."""
    for runs in (paths(np.random.default_rng(1), 10, 5000), paths(np.random.default_rng(2), 10, 5000, load=0.95)):
        for waits, services, gaps in zip(*runs, strict=True):
            came_at = np.concatenate(([0.0], np.cumsum(gaps)[:-1]))
            left_at = came_at + waits + services
            end_at = float(left_at.max())
            mean_level = time_average(*occupancy(came_at, left_at), end_at)
            assert mean_level == pytest.approx(came_at.size / end_at * np.mean(left_at - came_at), rel=1e-9)


def test_averages_at_changes_would_be_wrong() -> None:
    at_s, level = [0.0, 1.0, 1.1, 1.2], [0.0, 1.0, 2.0, 0.0]
    assert time_average(at_s, level, 10.0) == pytest.approx(0.03)
    assert np.mean(level) == 0.75


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30))
def test_occupancy_is_who_is_there(stays: list[tuple[int, int]]) -> None:
    came_at, left_at = [min(stay) for stay in stays], [max(stay) for stay in stays]
    at_s, level = occupancy(came_at, left_at)
    for moment in range(21):
        there = sum(came <= moment < left for came, left in zip(came_at, left_at, strict=True))
        place = np.searchsorted(at_s, moment, side="right")
        assert (level[place - 1] if place else 0.0) == there


def test_who_never_leaves_stays() -> None:
    at_s, level = occupancy([1.0, 2.0], [inf, 3.0])
    assert (at_s.tolist(), level.tolist()) == ([1.0, 2.0, 3.0], [1.0, 2.0, 1.0])
    assert time_average(at_s, level, 5.0) == 1.25


def test_what_has_no_area_is_refused() -> None:
    with pytest.raises(UsageError, match="1 moments and 2 levels"):
        time_average([0.0], [1.0, 2.0], 3.0)
    with pytest.raises(UsageError, match="0 moments"):
        time_average([], [], 3.0)
    for moments, end in (([1.0, 0.0], 3.0), ([0.0, 1.0], 0.5), ([0.0, 1.0], inf), ([1.0, 1.0], 1.0)):
        with pytest.raises(UsageError, match="Moments go back"):
            time_average(moments, [1.0, 1.0], end)
    for left in ([0.0], [], [2.0, 3.0]):
        with pytest.raises(UsageError, match="left before she came"):
            occupancy([1.0], left)
