"""Turns in arrays: what is for one alone leaves at once, and from the first frame for many on all leaves at the end."""

from __future__ import annotations

import numpy as np
import pytest

from chatsim.flow import turns as flow
from chatsim.flow.turns import Turns
from chatsim.sim import turn as sim

WRITE_S, FLUSH_S = 0.01, 0.5

# Two turns: an answer, a message to twenty, another one and an answer in the first, and one answer in the second.
LINE = np.arange(5)
TURN = np.array([0, 0, 0, 0, 1])
MANY = np.array([False, True, True, False, False])
FLUSHES = np.array([1, 21, 20, 1, 1])
ANSWERS = np.array([True, True, True, True, True])
TELLING_S = np.array([0.0, 0.02, 0.02, 0.0, 0.0])
END = np.array([1.0, 3.0, 5.0, 6.0, 9.0])


def worked(pace: float = 1.0) -> tuple[Turns, np.ndarray, np.ndarray, np.ndarray]:
    """Two rounds, in the second of which it is known what was written in the first."""
    made = Turns(np.full(LINE.size, WRITE_S))
    made.leave(LINE, TURN, END, pace, MANY)
    spent = made.spend(FLUSHES, np.full(LINE.size, FLUSH_S), TELLING_S, ANSWERS)
    return (made, spent, *made.leave(LINE, TURN, END, pace, MANY))


def test_the_flow_takes_as_many_connections_for_one_as_the_simulation() -> None:
    assert flow.TOGETHER == sim.TOGETHER


def test_what_is_for_many_is_written_at_the_turns_end_and_only_that_costs_one() -> None:
    _, spent, left, _ = worked()
    assert left.tolist() == [1.0, 6.0, 6.0, 6.0, 9.0]
    assert spent.tolist() == [0.0, FLUSH_S, 0.0, 0.0, 0.0]


def test_what_is_for_one_alone_leaves_at_once_until_there_is_something_for_many() -> None:
    """The second answers before what the twenty cost and the turn's end that it pays for; those behind it wait."""
    for pace in (1.0, 2.0):
        _, _, _, answered = worked(pace)
        assert answered == pytest.approx([1.0, 3.0 - pace * (20 * WRITE_S + 0.02 + FLUSH_S), 6.0, 6.0, 9.0])


def test_writes_are_shared_from_the_first_frame_for_many_on() -> None:
    shares = worked()[0].sharing()
    assert shares[1] == shares[2] == shares[3]
    assert len(set(shares.tolist())) == 3


def test_one_connection_is_written_to_after_the_other_and_behind_come_those_of_the_next() -> None:
    """Of the first message all twenty are written before the twenty of the second and the last answer."""
    made = worked()[0]
    say, place = np.array([0] * 20 + [1] * 20), np.tile(np.arange(20), 2)
    before_s = made.before_end_s(slice(1, 3), say, place)
    assert before_s[:20] == pytest.approx([WRITE_S * (21 + 4)] * 16 + [WRITE_S * 21] * 4)
    assert before_s[20:] == pytest.approx([WRITE_S * (1 + 4)] * 16 + [WRITE_S * 1] * 4)
