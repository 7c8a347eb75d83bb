"""The limiters: the sliding window never lets more than the limit through in any half-open window, by brute force."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chatsim.core.config import HandlerConfig, RateAlgorithm
from chatsim.core.limiter import FixedWindow, SlidingWindow, TokenBucket, make_limiter

# Eighths of a second: sums and differences are then exact, so the brute force judges the rule and not the rounding.
GAPS = st.lists(st.integers(0, 40), min_size=1, max_size=400)


def moments_of(gaps: list[int]) -> list[float]:
    now = 0
    moments = []
    for gap in gaps:
        now += gap
        moments.append(now / 8)
    return moments


def most_in_a_window(accepted: list[float], window_s: float) -> int:
    """The most moments in any [t, t + window): it is enough to begin a window at each of them."""
    return max((sum(at <= other < at + window_s for other in accepted) for at in accepted), default=0)


@settings(deadline=None)
@given(GAPS)
def test_never_more_than_60_in_any_half_open_minute(gaps: list[int]) -> None:
    limiter = SlidingWindow(60, 60.0)
    accepted = [at for at in moments_of(gaps) if not limiter.refusal(at)]
    assert most_in_a_window(accepted, 60.0) <= 60


@settings(deadline=None)
@given(GAPS, st.integers(1, 5), st.integers(1, 64))
def test_sliding_refuses_only_what_would_break_the_rule(gaps: list[int], limit: int, window: int) -> None:
    window_s = window / 8
    limiter = SlidingWindow(limit, window_s)
    accepted: list[float] = []
    for at in moments_of(gaps):
        recent = [past for past in accepted if past > at - window_s]
        wait_s = limiter.refusal(at)
        if len(recent) < limit:
            assert wait_s == 0
            accepted.append(at)
        else:
            assert wait_s == recent[-limit] + window_s - at


def test_the_61st_waits_until_the_first_is_a_minute_old() -> None:
    limiter = SlidingWindow(60, 60.0)
    assert [limiter.refusal(second / 2) for second in range(60)] == [0.0] * 60
    assert limiter.refusal(30.0) == 30.0
    assert limiter.refusal(59.999) > 0
    assert limiter.refusal(60.0) == 0.0
    assert limiter.refusal(60.0) == 0.5


def test_a_limit_of_none_refuses_everything() -> None:
    assert SlidingWindow(0, 60.0).refusal(1.0) == 60.0
    assert FixedWindow(0, 60.0).refusal(1.0) == 59.0
    assert TokenBucket(0, 60.0).refusal(1.0) > 0


def test_a_fixed_window_lets_twice_the_limit_through_around_an_edge() -> None:
    limiter = FixedWindow(60, 60.0)
    accepted = [at for at in [59.0] * 70 + [60.0] * 70 if not limiter.refusal(at)]
    assert accepted == [59.0] * 60 + [60.0] * 60
    assert limiter.refusal(61.0) == 59.0


def test_a_fixed_window_accepts_of_poisson_arrivals_what_its_windows_hold() -> None:
    """Of N arrivals a minute, Poisson with mean 60, it accepts min(N, 60): 56.91 in the mean.

    Over 2,000 minutes, within 4 standard errors: another seed would fail once in 16,000 times.
    """
    arrivals = np.arange(60)
    expected = 60 - float(((60 - arrivals) * stats.poisson.pmf(arrivals, 60)).sum())
    assert expected == pytest.approx(56.91, abs=0.005)
    minutes, limiter = 2000, FixedWindow(60, 60.0)
    accepted = np.zeros(minutes)
    moments = np.cumsum(np.random.default_rng(5).exponential(1.0, 61 * minutes))
    for at in moments[moments < 60.0 * minutes].tolist():
        accepted[int(at // 60.0)] += not limiter.refusal(at)
    assert moments[-1] > 60.0 * minutes
    assert abs(accepted.mean() - expected) < 4 * accepted.std(ddof=1) / minutes**0.5


def test_a_bucket_refills_evenly() -> None:
    limiter = TokenBucket(60, 60.0)
    assert [limiter.refusal(0.0) for _ in range(60)] == [0.0] * 60
    assert limiter.refusal(0.0) == 1.0
    assert limiter.refusal(0.5) == 0.5
    assert limiter.refusal(1.0) == 0.0


@pytest.mark.parametrize("algorithm", ["sliding", "fixed", "token_bucket"])
@settings(deadline=None)
@given(gaps=GAPS)
def test_a_refusal_says_when_to_come_back(algorithm: RateAlgorithm, gaps: list[int]) -> None:
    limiter = make_limiter(HandlerConfig(rate_algorithm=algorithm, rate_limit=3, rate_window_s=8.0))
    now = 0.0
    for gap in gaps:
        now += gap / 8
        wait_s = limiter.refusal(now)
        if wait_s:
            now += wait_s + 1e-9
            assert limiter.refusal(now) == 0.0


@pytest.mark.parametrize("algorithm", ["sliding", "fixed", "token_bucket"])
@settings(deadline=None)
@given(gaps=GAPS, pause=st.integers(0, 100))
def test_forgetting_an_idle_limiter_changes_no_answer(algorithm: RateAlgorithm, gaps: list[int], pause: int) -> None:
    config = HandlerConfig(rate_algorithm=algorithm, rate_limit=3, rate_window_s=8.0)
    limiter = make_limiter(config)
    moments = moments_of(gaps)
    for at in moments:
        limiter.refusal(at)
    now = moments[-1] + pause / 8
    if limiter.idle(now):
        fresh = make_limiter(config)
        fresh.refusal(now)
        limiter.refusal(now)
        assert [limiter.refusal(now + step) for step in range(9)] == [fresh.refusal(now + step) for step in range(9)]


def test_a_limiter_is_idle_once_its_window_is_over() -> None:
    limiter = SlidingWindow(60, 60.0)
    assert limiter.idle(0.0)
    limiter.refusal(10.0)
    assert not limiter.idle(69.9)
    assert limiter.idle(70.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=400), st.randoms(use_true_random=False))
def test_what_came_to_nothing_leaves_no_trace(steps: list[tuple[int, bool]], chance: Random) -> None:
    """The sliding window after some were forgiven answers like one that never saw them."""
    limiter = SlidingWindow(4, 8.0)
    taken: list[float] = []
    moments = moments_of([gap for gap, _ in steps])
    for at, (_, forgives) in zip(moments, steps, strict=True):
        recent = [past for past in taken if past > at - 8.0]
        assert (limiter.refusal(at) == 0) == (len(recent) < 4)
        if len(recent) < 4:
            taken.append(at)
        if taken and forgives:
            past = chance.choice(taken)
            taken.remove(past)
            limiter.forgive(past)


@pytest.mark.parametrize("algorithm", ["sliding", "fixed", "token_bucket"])
def test_one_that_is_forgiven_makes_room_for_another(algorithm: RateAlgorithm) -> None:
    limiter = make_limiter(HandlerConfig(rate_algorithm=algorithm, rate_limit=2, rate_window_s=8.0))
    assert [bool(limiter.refusal(1.0)) for _ in range(3)] == [False, False, True]
    limiter.forgive(1.0)
    assert [bool(limiter.refusal(1.0)) for _ in range(2)] == [False, True]
    limiter.forgive(-100.0)
    assert limiter.refusal(100.0) == 0
