"""Replications stop when the interval is as narrow as asked, and it still covers."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.analysis.intervals import t_interval
from chatsim.analysis.sequential import Precision, Stop, stopping
from chatsim.errors import UsageError
from tests.analysis.mm1 import MEAN_WAIT, replication_means


@pytest.mark.slow
@pytest.mark.parametrize("relative", [0.2, 0.1, 0.05])
def test_the_interval_covers_at_the_stop(relative: float) -> None:
    """1000 analyses, of which 0.92 must cover: measured 0.949, 0.935 and 0.936, a standard error of 0.8 %."""
    found = [stopping(row, Precision(relative=relative)) for row in replication_means()]
    assert all(stop.is_done and not stop.is_capped for stop in found)
    intervals = [stop.interval for stop in found if stop.interval is not None]
    assert all(interval.half_width <= relative * interval.mean for interval in intervals)
    assert np.mean([interval.covers(MEAN_WAIT) for interval in intervals]) >= 0.92


def by_the_paper(values: list[float], precision: Precision) -> int | None:
    """How many replications the rule runs in all, one at a time, as the paper tells it; None while it goes on."""
    reached = None
    for n in range(precision.first, len(values) + 1):
        interval = t_interval(values[:n])
        assert precision.relative is not None
        if interval.half_width > precision.relative * abs(interval.mean):
            reached = None
        elif reached is None:
            reached = n
        if reached is not None and n == reached + precision.ahead * max(reached, 100) // 100:
            return n
    return None


@given(st.integers(0, 10_000), st.integers(3, 300), st.sampled_from([0.0, 0.5, 2.0]), st.integers(0, 5))
def test_it_is_the_rule_of_the_paper(seed: int, n: int, noise: float, ahead: int) -> None:
    values = (1.0 + noise * np.random.default_rng(seed).standard_exponential(n)).tolist()
    precision = Precision(relative=0.08, ahead=ahead)
    stop, expected = stopping(values, precision), by_the_paper(values, precision)
    assert stop.is_done == (expected is not None)
    if expected is not None:
        assert stop.interval == t_interval(values[:expected])
        # However many are run at a time, the answer is the same.
        assert stopping(values[:expected], precision) == stop
        assert not stopping(values[: expected - 1], precision).is_done


def test_looking_ahead_grows_with_n() -> None:
    assert [Precision().look_ahead(n) for n in (3, 100, 119, 120, 1000)] == [5, 5, 5, 6, 50]


def test_a_precision_that_is_lost_again_does_not_stop() -> None:
    lucky = [10.0, 10.0, 10.0, 10.0, 17.0, 3.0]
    stop = stopping(lucky, Precision())
    assert (stop.reached_n, stop.is_done) == (0, False)
    assert stop.more >= 1


def test_more_never_leads_past_the_stop_once_reached() -> None:
    assert stopping([10.0] * 3, Precision()) == Stop(t_interval([10.0] * 3), 3, 5)
    assert stopping([10.0] * 7, Precision()).more == 1
    assert stopping([10.0] * 8, Precision()) == stopping([10.0] * 50, Precision()) == Stop(t_interval([10.0] * 8), 3, 0)


def test_before_the_first_look_there_is_no_interval() -> None:
    assert stopping([], Precision()) == Stop(None, 0, 3)
    assert stopping([1.0, 1.0], Precision(first=10)) == Stop(None, 0, 8)


def test_asking_for_as_many_as_it_says_comes_to_an_end() -> None:
    row = replication_means(50)[0]
    n = rounds = 0
    while (stop := stopping(row[:n], Precision(relative=0.06))).more:
        n, rounds = n + stop.more, rounds + 1
        assert rounds < 30
    assert stop.interval is not None
    assert n - stop.interval.n < stop.interval.n


def test_it_gives_up_at_the_most() -> None:
    wild = np.random.default_rng(1).pareto(1.1, 60)
    stop = stopping(wild, Precision(relative=0.01, n_max=50))
    assert stop == Stop(t_interval(wild[:50]), 0, 0, is_capped=True)
    assert stopping(wild[:45], Precision(relative=0.01, n_max=50)).more <= 5


def test_an_absolute_width_is_for_means_near_zero() -> None:
    around_zero = np.random.default_rng(2).normal(0.0, 1.0, 400)
    assert not stopping(around_zero, Precision()).is_done
    stop = stopping(around_zero, Precision(absolute=0.25))
    assert stop.interval is not None
    assert stop.interval.half_width <= 0.25
    assert stopping(np.zeros(8), Precision()).is_done


def test_an_absolute_width_alone_counts_alone_and_either_does_where_both_are_given() -> None:
    far_from_zero = 100.0 + np.random.default_rng(2).normal(0.0, 1.0, 400)
    narrow = stopping(far_from_zero, Precision(absolute=0.25))
    assert narrow.interval is not None
    assert narrow.interval.n > 8
    assert narrow.interval.half_width <= 0.25
    assert (Precision().relative, Precision(absolute=0.25).relative) == (0.05, None)
    # A share of 5 % is there at the first look.
    both = stopping(far_from_zero, Precision(relative=0.05, absolute=0.25))
    assert both == stopping(far_from_zero, Precision())
    assert both.reached_n == 3


def test_large_values_close_together_do_not_cancel() -> None:
    values = 1e9 + np.random.default_rng(3).random(30)
    stop = stopping(values, Precision(absolute=0.2))
    assert stop.is_done
    assert stop.interval is not None
    assert stop.interval.half_width <= 0.2
    assert not stopping(values, Precision(absolute=0.02)).is_done


def test_an_infinite_replication_ends_it_and_is_shown() -> None:
    stop = stopping([1.0, 5.0, 2.0, inf, 2.0], Precision())
    assert stop.is_done
    assert stop.is_capped
    assert stop.interval is not None
    assert (stop.interval.mean, stop.interval.n, stop.interval.infinite) == (inf, 4, 1)
    assert stopping([inf, 1.0, 1.0], Precision()).is_capped
    # What was enough before it came is not undone by running more.
    assert stopping([*[10.0] * 8, inf], Precision()) == stopping([10.0] * 8, Precision())


@pytest.mark.parametrize(
    "wrong",
    [
        {"relative": 0.0},
        {"relative": "x"},
        {"absolute": -1.0},
        {"absolute": "1ms"},
        {"relative": 0.05, "absolute": float("nan")},
        {"level": 95.0},
        {"level": "95%"},
        {"first": 3.5},
        {"first": 1},
        {"n_max": 2},
        {"ahead": -1},
    ],
)
def test_what_is_no_precision_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="give"):
        Precision(**wrong)


def test_a_series_is_refused_unless_its_values_are_known_to_be_independent() -> None:
    rising = [float(value) for value in range(40)]
    with pytest.raises(UsageError, match="not independent of each other"):
        stopping(rising, Precision())
    assert stopping(rising, Precision(), independent=True).more


def test_a_mean_of_zero_has_no_relative_precision_and_asks_for_as_many_again() -> None:
    assert stopping([-1.0, 1.0, -1.0, 1.0], Precision()).more == 4
