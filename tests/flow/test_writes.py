"""Collected writes in arrays: the flushes of connections that remember the turn in which they were written to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from chatsim.flow.writes import by_key, flushed

MEMBERS = 4
# A piece of work: its session, whether it is a broadcast, else the senders who hear of it, and whether a turn begins.
WORK = st.lists(
    st.tuples(st.integers(0, 2), st.booleans(), st.sets(st.integers(0, MEMBERS - 1), min_size=1), st.booleans()),
    min_size=1,
    max_size=40,
)


@given(WORK)
def test_a_connection_is_flushed_once_a_turn(work: list[tuple[int, bool, set[int], bool]]) -> None:
    expected: list[int] = []
    written: set[tuple[int, int]] = set()
    for session, broadcast, senders, begins in work:
        if begins:
            written = set()
        to = {(session, member) for member in (range(MEMBERS) if broadcast else senders)}
        expected.append(len(to - written))
        written |= to

    def senders_of(notices: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        pairs = [(n, s + MEMBERS * work[n][0]) for n in notices.tolist() for s in sorted(work[n][2])]
        return np.array([n for n, _ in pairs], dtype=np.int64), np.array([s for _, s in pairs], dtype=np.int64)

    turn = np.cumsum([begins for _, _, _, begins in work])
    found = flushed(
        np.array([session for session, _, _, _ in work]),
        np.array([MEMBERS if broadcast else len(senders) for _, broadcast, senders, _ in work]),
        np.array([broadcast for _, broadcast, _, _ in work]),
        lambda: turn,
        lambda earlier, later: np.ones(earlier.size, dtype=np.bool_),
        senders_of,
    )
    assert found.tolist() == expected


@given(st.lists(st.integers(0, 9)))
def test_by_key_is_a_stable_argsort(keys: list[int]) -> None:
    found = by_key(np.array(keys, dtype=np.int64))
    assert found.tolist() == np.argsort(np.array(keys, dtype=np.int64), kind="stable").tolist()
