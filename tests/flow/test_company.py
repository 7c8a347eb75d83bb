"""Notices in company, many at once, against one after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.notices import EAGER_MAX, LINGER_S
from chatsim.flow.company import alone, eager

moments = st.integers(0, 400).map(lambda step: step * 0.00101)


@given(st.lists(st.tuples(moments, st.integers(1, 20)), max_size=60))
def test_in_each_stretch_of_time_the_first_few_are_written_at_once(works: list[tuple[float, int]]) -> None:
    works.sort()
    at = np.array([moment for moment, _ in works])
    count = np.array([many for _, many in works], dtype=np.int64)
    found = eager(at, count)
    left: dict[int, int] = {}
    for moment, many, got in zip(at, count, found, strict=True):
        stretch = int(np.floor(moment / LINGER_S))
        expected = min(left.get(stretch, EAGER_MAX), int(many))
        left[stretch] = left.get(stretch, EAGER_MAX) - expected
        assert got == expected


@given(
    st.lists(st.tuples(moments, st.integers(0, 5)), max_size=60),
    st.lists(st.tuples(moments, st.integers(0, 2)), max_size=10),
)
def test_a_wait_is_for_all_that_come_in_it_and_a_write_of_the_session_takes_it_along(
    waiting: list[tuple[float, int]], written: list[tuple[float, int]]
) -> None:
    """Two connections a session; as the rule says it, one notice after the other."""
    waiting.sort()
    conn = np.array([name for _, name in waiting], dtype=np.int64)
    at = np.array([moment for moment, _ in waiting])
    found = alone(
        conn,
        at,
        conn // 2,
        np.array([name for _, name in written], dtype=np.int64),
        np.array([at for at, _ in written]),
    )
    since: dict[int, float] = {}
    for place, (moment, name) in enumerate(waiting):
        begins = name not in since or moment > since[name] + LINGER_S
        if begins:
            since[name] = moment
        taken = any(session == name // 2 and moment <= at <= moment + LINGER_S for at, session in written)
        assert found[place] == (begins and not taken)
