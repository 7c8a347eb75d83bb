"""Who comes in: never more than there is room for, never faster than the rate and its burst, and those who resume by a
door of their own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
