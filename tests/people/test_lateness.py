"""Who is to be as late as somebody was, is: to the message where the plan is the same, and nearly where it is not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chatsim.people.lateness import ON_TIME, Lateness

moments = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=20).map(lambda found: np.sort(np.array(found)))


@given(moments, st.lists(st.floats(-0.001, 0.2), min_size=20, max_size=20))
def test_the_same_plan_is_written_when_it_was_written(meant_at: np.ndarray, late_s: list[float]) -> None:
    meant_at = np.unique(meant_at)
    # What was measured was written in its order, and never before the start.
    said_at = np.maximum(np.maximum.accumulate(meant_at + late_s[: meant_at.size]), 0.0)
    late = Lateness(meant_at, said_at - meant_at)
    assert np.allclose(late.moments(meant_at), said_at, rtol=0.0, atol=1e-12)


@given(moments, moments, st.lists(st.floats(-0.5, 0.5), min_size=20, max_size=20))
def test_whatever_was_measured_order_stays_and_nobody_is_before_the_start(
    meant_at: np.ndarray, others: np.ndarray, late_s: list[float]
) -> None:
    said_at = Lateness(meant_at, np.array(late_s[: meant_at.size])).moments(others)
    assert said_at.shape == others.shape
    assert (np.diff(said_at) >= 0.0).all()
    assert said_at[0] >= 0.0


def test_another_plan_is_as_late_as_what_was_meant_just_before() -> None:
    late = Lateness(np.array([1.0, 2.0, 3.0]), np.array([0.25, 0.5, 0.0]))
    assert late.moments(np.array([0.5, 1.0, 1.5, 2.0, 2.25, 9.0])).tolist() == [0.75, 1.25, 1.75, 2.5, 2.75, 9.0]


def test_nobody_was_late_whom_nobody_has_measured() -> None:
    meant_at = np.array([1.0, 2.0])
    assert ON_TIME.moments(meant_at) is meant_at
    assert Lateness(meant_at, meant_at).moments(np.empty(0)).size == 0
