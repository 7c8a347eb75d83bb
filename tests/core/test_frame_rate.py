"""The frame rate: never more than the limit of frames in any half-open window, by brute force, refused ones counted."""

from __future__ import annotations

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.core.frame_rate import FrameRate
from chatsim.core.limiter import make_limiter
from chatsim.core.pool import Connection, User

# Eighths of a second: sums and differences are then exact, so the brute force judges the rule and not the rounding.
GAPS = st.lists(st.integers(0, 40), min_size=1, max_size=400)


def made(limit: int, window_s: float) -> tuple[FrameRate, Connection]:
    config = HandlerConfig(frame_limit=limit, frame_window_s=window_s)
    return FrameRate(config), Connection("c1", 1, User("ann", make_limiter(config)), 0.0)


@settings(deadline=None)
@given(GAPS, st.integers(1, 40), st.integers(1, 300))
def test_a_frame_is_refused_where_the_window_that_it_ends_has_more_than_the_limit(
    gaps: list[int], limit: int, window: int
) -> None:
    window_s = window / 8
    rate, connection = made(limit, window_s)
    now = 0.0
    seen: list[float] = []
    for gap in gaps:
        now += gap / 8
        seen.append(now)
        recent = [at for at in seen if at > now - window_s]
        excess_s = rate.excess_s(now, connection)
        if len(recent) <= limit:
            assert excess_s == 0
            continue
        # One that comes then has at most `limit - 1` others in its window, and one that comes before has more.
        free_at = now + excess_s
        assert sum(at > free_at - window_s for at in seen) <= limit - 1
        assert sum(at >= free_at - window_s for at in seen) >= limit


def test_two_bursts_around_a_minutes_edge_are_one_flood() -> None:
    rate, connection = made(600, 60.0)
    assert [rate.excess_s(59.0, connection) for _ in range(600)] == [0.0] * 600
    assert rate.excess_s(61.0, connection) == 58.0
    assert rate.excess_s(119.0, connection) == 0.0


def test_no_more_moments_are_kept_than_the_limit_needs() -> None:
    rate, connection = made(100, 60.0)
    for number in range(10_000):
        rate.excess_s(number / 100, connection)
        assert connection.frames is not None
        assert len(connection.frames) <= 101
    for number in range(1000):
        rate.excess_s(200.0 + number * 30.0, connection)
        assert connection.frames is not None
        assert len(connection.frames) <= 2 + 16, "a quiet connection keeps little"


def test_a_flood_is_over_with_the_first_frame_within_the_limit() -> None:
    rate, connection = made(1, 1.0)
    connection.flooding_from = 0.0
    assert [bool(rate.excess_s(at, connection)) for at in (0.0, 0.5, 2.0)] == [False, True, False]
    assert connection.flooding_from == inf


def test_a_limit_of_none_refuses_everything() -> None:
    rate, connection = made(0, 60.0)
    assert [rate.excess_s(at, connection) for at in (0.0, 1.0, 100.0)] == [60.0] * 3
