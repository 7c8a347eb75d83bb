"""Lindley's recursion in arrays: the same starts and turns as the event loop's, one piece of work after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chatsim.flow.lindley import ends, starts, turn_starts
from chatsim.sim.event_loop import EventLoop

# Whole numbers, so that work becomes ready together and just when other work ends, and sums are exact.
WORK = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), max_size=80)


@given(WORK, st.integers(0, 20))
def test_starts_and_turns_are_those_of_the_event_loop(work: list[tuple[int, int]], free_at: int) -> None:
    work = sorted(work, key=lambda piece: piece[0])
    loop = EventLoop()
    loop.free_at = float(free_at)
    expected, turns = [], []
    for ready, cost in work:
        expected.append(loop.start(float(ready)))
        turns.append(loop.turn)
        loop.end(expected[-1], float(cost))
    ready_at = np.array([float(ready) for ready, _ in work])
    found, idle = starts(ready_at, np.array([float(cost) for _, cost in work]), float(free_at))
    assert found.tolist() == expected
    begins = turn_starts(ready_at, found, idle)
    assert np.cumsum(begins).tolist() == turns


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 6)), min_size=1, max_size=40))
def test_an_end_is_the_start_of_what_has_waited(work: list[tuple[float, float]]) -> None:
    ready_at = np.array(sorted(ready for ready, _ in work))
    cost_s = np.array([cost for _, cost in work])
    found, idle = starts(ready_at, cost_s, 1.0)
    ended = ends(found, cost_s, idle)
    assert np.allclose(ended, found + cost_s, rtol=0.0, atol=1e-9)
    assert (ended[:-1] <= found[1:]).all()
    assert (ended[:-1][~idle[1:]] == found[1:][~idle[1:]]).all()


def test_many_busy_periods_are_followed_side_by_side() -> None:
    ready_at = np.repeat(np.arange(100.0) * 10, 4) + np.tile([0.0, 0.5, 1.5, 2.5], 100)
    found, idle = starts(ready_at, np.full(400, 1.0), 0.0)
    begins = turn_starts(ready_at, found, idle)
    assert begins.reshape(100, 4).tolist() == [[True, True, True, True]] * 100
    found, idle = starts(ready_at, np.full(400, 1.75), 0.0)
    # The third becomes ready while the first is at work, the fourth during the second.
    assert turn_starts(ready_at, found, idle).reshape(100, 4)[:, 2].sum() == 0
