"""Quantile intervals cover as often as they say, and are refused where they would not."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chatsim.analysis.quantiles import (
    Side,
    order_statistic_interval,
    quantile,
    quantile_interval,
    rank,
    replication_quantiles,
    smallest_n,
)
from chatsim.errors import UsageError
from tests.analysis.mm1 import analyses, paths, wait_quantile

ONE_SIDED: tuple[Side, Side] = ("upper", "lower")
EXACT = {0.5: Fraction(1, 2), 0.9: Fraction(9, 10), 0.95: Fraction(19, 20), 0.99: Fraction(99, 100)}


@given(st.lists(st.floats(0.0, 1e6) | st.just(inf), min_size=1, max_size=200), st.sampled_from(sorted(EXACT)))
def test_quantile_is_the_smallest_sample_with_enough_below(samples: list[float], q: float) -> None:
    enough = EXACT[q] * len(samples)
    assert quantile(samples, q) == min(x for x in samples if sum(y <= x for y in samples) >= enough)


def test_ranks_are_exact_where_floats_would_slip() -> None:
    for n in (10, 100, 1000, 3000, 100_000):
        assert [rank(q, n) for q in (0.07, 0.29, 0.95, 0.99, 0.999)] == [
            -(-thousandths * n // 1000) for thousandths in (70, 290, 950, 990, 999)
        ]


def test_a_quantile_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no sample"):
        quantile([], 0.5)
    with pytest.raises(UsageError, match="The quantile is 95"):
        quantile([1.0], 95)


@pytest.mark.slow
def test_replications_cover_the_quantile() -> None:
    """1000 analyses of 20 runs: a standard error of 0.7 %. A true 94 % leaves the range in 0.4 % of draws."""
    runs = analyses(31, 1000, 20, 3200)
    found = [quantile_interval(list(waits[:, 200:]), 0.95) for waits in runs]
    assert 0.92 <= np.mean([interval.covers(wait_quantile(0.95)) for interval in found]) <= 0.97


@pytest.mark.parametrize(
    ("q", "one_sided", "two_sided"), [(0.95, 59, 72), (0.99, 299, 368), (0.999, 2995, 3688), (0.5, 5, 6)]
)
def test_smallest_n(q: float, one_sided: int, two_sided: int) -> None:
    assert (smallest_n(q), smallest_n(q, side="both")) == (one_sided, two_sided)
    # One sample fewer, and the greatest is below the quantile too often.
    assert q**one_sided <= 0.05 < q ** (one_sided - 1)
    assert q**two_sided <= 0.025 < q ** (two_sided - 1)


def test_smallest_n_of_a_low_quantile_and_another_level() -> None:
    assert smallest_n(0.05, side="lower") == smallest_n(0.95, side="upper") == 59
    assert smallest_n(0.05, side="both") == 72
    assert smallest_n(0.99, level=0.99) == 459
    assert smallest_n(0.5, level=0.1, side="both") == 2


@pytest.mark.parametrize("side", ["both", "upper", "lower"])
@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_the_smallest_n_will_do_and_one_fewer_is_refused(q: float, side: Side) -> None:
    n = smallest_n(q, side=side)
    samples = np.random.default_rng(1).random(n)
    found = order_statistic_interval(samples, q, side=side)
    assert found.low <= found.quantile <= found.high
    assert (found.low == -inf, found.high == inf) == (side == "upper", side == "lower")
    with pytest.raises(UsageError, match=f"{n - 1} samples are too few .*: {n} would do"):
        order_statistic_interval(samples[1:], q, side=side)


@pytest.mark.slow
def test_order_statistics_cover_independent_samples() -> None:
    """3000 analyses of 200 samples: the exact coverage is 0.967, 5 standard errors above.

    0.1 to 0.3 % of them are refused as dependent, and count on neither side.
    """
    covered: list[bool] = []
    for samples in np.random.default_rng(2).pareto(1.5, (3000, 200)):
        try:
            found = order_statistic_interval(samples, 0.9)
        except UsageError:
            continue
        covered.append(found.low <= 10 ** (1 / 1.5) - 1 <= found.high)
    assert len(covered) >= 2985
    assert np.mean(covered) >= 0.95


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95])
def test_the_places_of_order_statistics_cover_exactly(q: float) -> None:
    """By the binomial law: at least the level for every n and side, and no narrower places would do."""
    for n in range(smallest_n(q, side="both"), 200, 7):
        places = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
        both = order_statistic_interval(places, q)
        assert stats.binom.cdf(both.high - 1, n, q) >= 0.975 > stats.binom.cdf(both.high - 2, n, q)
        assert stats.binom.cdf(both.low - 1, n, q) <= 0.025 < stats.binom.cdf(both.low, n, q)
        upper, lower = (order_statistic_interval(places, q, side=side) for side in ONE_SIDED)
        assert stats.binom.cdf(upper.high - 1, n, q) >= 0.95 > stats.binom.cdf(upper.high - 2, n, q)
        assert stats.binom.cdf(lower.low - 1, n, q) <= 0.05 < stats.binom.cdf(lower.low, n, q)


def test_order_statistics_of_one_queueing_run_are_refused_for_they_would_not_cover() -> None:
    """Measured 0.3 where 0.95 is asked, from the ranks that independent samples have."""
    runs = paths(np.random.default_rng(3), 1000, 2200).waits[:, 200:]
    found = order_statistic_interval(np.random.default_rng(4).permutation(2000).astype(float), 0.95)
    ordered = np.sort(runs, axis=1)
    low, high = ordered[:, int(found.low)], ordered[:, int(found.high)]
    assert np.mean((low <= wait_quantile(0.95)) & (wait_quantile(0.95) <= high)) < 0.5
    for waits in runs:
        with pytest.raises(UsageError, match=r"not independent in the order given.*: use quantile_interval"):
            order_statistic_interval(waits, 0.95)


def test_where_the_smallest_n_is_met_exactly_the_ends_are_the_first_and_the_last() -> None:
    found = order_statistic_interval([2.0, 3.0, 1.0], 0.5, level=0.75)
    assert (found.low, found.quantile, found.high) == (1.0, 2.0, 3.0)
    assert order_statistic_interval([2.0, 1.0], 0.5, level=0.75, side="lower").low == 1.0


def test_sorted_samples_are_refused_too() -> None:
    with pytest.raises(UsageError, match="give them as they came"):
        order_statistic_interval(np.arange(100.0), 0.5)


def test_infinite_samples_count_and_are_shown() -> None:
    samples = np.random.default_rng(5).random(400)
    samples[::20] = inf
    found = order_statistic_interval(samples, 0.95)
    assert (found.high, found.infinite, found.n) == (inf, 20, 400)
    assert found.low < 1.0
    over_runs = quantile_interval([samples, samples + 1.0], 0.99)
    assert (over_runs.mean, over_runs.infinite) == (inf, 2)


def test_a_replication_too_short_for_its_quantile_is_refused() -> None:
    runs = [np.arange(299.0), np.arange(298.0)]
    assert replication_quantiles(runs[:1], 0.99).tolist() == [296.0]
    with pytest.raises(UsageError, match=r"Replication 1 has 298 samples, too few for the quantile 0.99: 299 would do"):
        replication_quantiles(runs, 0.99)
    with pytest.raises(UsageError, match="2 would do"):
        quantile_interval(runs[:1], 0.99)
