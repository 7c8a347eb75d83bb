"""Intervals cover as often as they say, on a queue whose mean is known.

Coverages are of 1000 analyses and more, with fixed seeds; their standard error is 0.7 % at most. A true coverage of
94 % or more would leave [0.92, 0.97] in less than one of 200 draws.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.intervals import BATCHES, Interval, batch_means, one_sided_bounds, t_interval
from chatsim.errors import UsageError
from tests.analysis.mm1 import MEAN_WAIT, analyses, paths

WARMUP = 200


def coverage(found: list[Interval]) -> float:
    return float(np.mean([interval.covers(MEAN_WAIT) for interval in found]))


@pytest.mark.slow
@pytest.mark.parametrize(("replications", "customers"), [(10, 4000), (30, 2000)])
def test_replications_cover(replications: int, customers: int) -> None:
    runs = analyses(21, 1000, replications, customers + WARMUP)
    assert 0.92 <= coverage([t_interval(waits[:, WARMUP:].mean(axis=1)) for waits in runs]) <= 0.97


@pytest.mark.slow
def test_without_a_warmup_they_cover_worse() -> None:
    """As many customers in both, of the same paths, so that only the empty start differs: measured 0.896 to 0.939."""
    runs = list(analyses(2, 1000, 30, 500 + WARMUP))
    cut = coverage([t_interval(waits[:, WARMUP:].mean(axis=1)) for waits in runs])
    whole = coverage([t_interval(waits[:, :500].mean(axis=1)) for waits in runs])
    assert 0.92 <= cut <= 0.97
    assert whole < cut - 0.02


def test_one_run_is_no_sample_and_is_refused() -> None:
    """What an interval over the messages of one run would cover, and why it is not offered."""
    runs = paths(np.random.default_rng(3), 1000, 2000 + WARMUP).waits[:, WARMUP:]
    reach = stats.norm.isf(0.025) * runs.std(axis=1, ddof=1) / sqrt(2000)
    assert np.mean(np.abs(runs.mean(axis=1) - MEAN_WAIT) <= reach) < 0.5
    for waits in runs:
        with pytest.raises(UsageError, match=r"not independent of each other.*: give one number per replication"):
            t_interval(waits)


def test_independent_replications_are_not_refused() -> None:
    """3000 analyses, each refused with a probability of one in a million, so all pass but in 0.3 % of draws."""
    for n in (5, 30, 200):
        for row in np.random.default_rng(4).exponential(1.0, (1000, n)):
            t_interval(row)


def test_t_interval_is_the_textbooks() -> None:
    values = [1.20, 1.50, 1.68, 1.89, 0.95, 1.49, 1.58, 1.55, 0.50, 1.09]
    found = t_interval(values, 0.90)
    # Law, Simulation Modeling and Analysis (2015), example 4.27: 1.34 +- 0.24.
    assert (found.mean, found.half_width) == pytest.approx((1.34, 0.24), abs=5e-3)
    assert (found.n, found.level, found.infinite) == (10, 0.90, 0)


# Rounded, since scipy's spread of values that differ by less than floats can square is 0.
@given(st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 9)), min_size=2, max_size=9), st.floats(0.5, 0.999))
def test_t_interval_is_scipys(values: list[float], level: float) -> None:
    found = t_interval(values, level)
    if len(set(values)) == 1:
        assert (found.low, found.mean, found.high) == (values[0],) * 3
    else:
        low, high = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-6)


def test_infinity_is_counted_and_shown() -> None:
    found = t_interval([1.0, inf, 2.0, inf])
    assert found == Interval(inf, inf, inf, 4, 0.95, 2)
    assert found.half_width == inf
    assert not found.covers(1.5)
    assert one_sided_bounds([1.0, inf], 0.05) == (inf, inf)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_replication_is_refused_with_the_number_that_would_do(values: list[float]) -> None:
    with pytest.raises(UsageError, match=f"there (is|are) {len(values)}: 2 would do"):
        t_interval(values)
    with pytest.raises(UsageError, match="2 would do"):
        one_sided_bounds(values, 0.05)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_levels_that_are_none(level: float) -> None:
    with pytest.raises(UsageError, match="The level is"):
        t_interval([1.0, 2.0], level)
    with pytest.raises(UsageError, match="The level is"):
        batch_means(np.arange(100.0), level)
    with pytest.raises(UsageError, match="The error probability"):
        one_sided_bounds([1.0, 2.0], level)


def test_bounds_without_skewness_are_students() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    both = t_interval(values, 0.90)
    assert one_sided_bounds(values, 0.05) == pytest.approx((both.low, both.high))
    assert one_sided_bounds([1.0, 2.0], 0.05) == pytest.approx(
        (t_interval([1.0, 2.0], 0.90).low, 1.5 + 3.157), abs=1e-3
    )
    assert one_sided_bounds([4.0, 4.0, 4.0], 0.05) == (4.0, 4.0)


VALUES = st.lists(st.integers(0, 1000).map(float), min_size=3, max_size=12, unique=True)
ALPHAS = st.sampled_from([0.05, 0.01, 0.05 / 12])


@given(VALUES, ALPHAS)
def test_a_bound_solves_halls_equation_where_values_are_skewed_to_its_side(values: list[float], alpha: float) -> None:
    """What it stands for: the transformed studentised mean is Student's t. It is Student's on the other side, and
    nearer nowhere; as much skewness as the equation cannot bear it does not count."""
    n, t = len(values), float(stats.t.isf(alpha, len(values) - 1))
    skew = stats.skew(values, bias=False) / sqrt(n)
    error = np.std(values, ddof=1) / sqrt(n)
    low, high = one_sided_bounds(values, alpha)
    for reach, own in (((np.mean(values) - low) / error, -skew), ((high - np.mean(values)) / error, skew)):
        y = min(own, 0.9 / t)
        transformed = reach - y * reach**2 / 3 + y**2 * reach**3 / 27 - y / 6
        assert reach >= t * (1 - 1e-9)
        if y > 1e-6:
            assert transformed == pytest.approx(t, rel=1e-4)
        else:
            assert reach == pytest.approx(t)


@given(VALUES, ALPHAS, st.floats(1.0, 1000.0))
def test_a_slower_replication_never_lowers_the_upper_bound(values: list[float], alpha: float, by: float) -> None:
    slower = [*sorted(values)[:-1], max(values) + by]
    assert one_sided_bounds(slower, alpha)[1] >= one_sided_bounds(values, alpha)[1]


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 30])
def test_a_bound_alone_errs_less_where_skewness_is_corrected(n: int) -> None:
    """5000 analyses of exponential values, of skewness 2: 5 % is asked, Student's errs in 14 and 10 % of cases.

    Corrected, it errs in 9 and 6 %. On the same values the standard error of the difference is 0.3 %.
    """
    rows = np.random.default_rng(5).exponential(1.0, (5000, n))
    corrected = np.mean([one_sided_bounds(row, 0.05)[1] < 1.0 for row in rows])
    student = np.mean(rows.mean(axis=1) + stats.t.isf(0.05, n - 1) * rows.std(axis=1, ddof=1) / sqrt(n) < 1.0)
    assert corrected < 0.09
    assert student > corrected + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("expectations", [1, 5, 12])
@pytest.mark.parametrize("n", [3, 5, 8, 20])
def test_the_bounds_of_many_expectations_err_together_in_5_of_100_where_values_are_normal(
    n: int, expectations: int
) -> None:
    """However few the replications are. Of 20,000 analyses at 0.05 / 12 one side errs in 83 and some, give or take 9:
    that it errs in a third more, which is 3 of these, happens to one in 700 such tests."""
    rows = np.random.default_rng(7).standard_normal((20_000, n))
    bounds = np.array([one_sided_bounds(row, 0.05 / expectations) for row in rows])
    for wrong in (bounds[:, 0] > 0.0, bounds[:, 1] < 0.0):
        assert expectations * np.mean(wrong) < 0.05 * 4 / 3


@pytest.mark.slow
@pytest.mark.parametrize(("n", "most"), [(8, 0.12), (20, 0.11), (80, 0.08)])
def test_where_values_are_skewed_the_bounds_of_twelve_err_in_a_few_more(n: int, most: float) -> None:
    """Log-normal of sigma 0.3 (a skewness of 1): 20,000 analyses err in 9, 8 and 6 % where Student's bounds err in 15,
    14 and 10 %; the standard error is 1 %."""
    rows = np.exp(0.3 * np.random.default_rng(8).standard_normal((20_000, n)))
    wrong = [one_sided_bounds(row, 0.05 / 12)[1] < float(np.exp(0.045)) for row in rows]
    assert 12 * np.mean(wrong) < most


@pytest.mark.slow
def test_batch_means_cover() -> None:
    """Of those that are not refused, which are few: measured 0.93 and 4 %."""
    found: list[Interval] = []
    refused = 0
    generator = np.random.default_rng(3)
    for _ in range(20):
        for waits in paths(generator, 50, 20_000 + WARMUP).waits[:, WARMUP:]:
            try:
                found.append(batch_means(waits).interval)
            except UsageError:
                refused += 1
    assert 0.90 <= coverage(found) <= 0.97
    assert refused <= 80


def test_batches_that_are_alike_are_refused() -> None:
    """Runs of 300 customers are far too short for this queue: 47 % are seen, where 5 % would be by chance.

    The check sees the worst and no more: what passes it here covers in 58 % of cases.
    """
    refused = 0
    for waits in paths(np.random.default_rng(6), 400, WARMUP + 300).waits[:, WARMUP:]:
        try:
            batch_means(waits)
        except UsageError as error:
            refused += "batches are alike" in str(error) and "at least 1200 samples" in str(error)
    assert refused > 160


def test_batch_means_by_hand() -> None:
    series: FloatArray = np.concatenate(([1e9, 1e9, 1e9], np.tile([1.0, 3.0, 2.0, 4.0], 10)))
    found = batch_means(series)
    # The three samples too many are left out at the beginning.
    assert found.size == 2
    assert found.interval == t_interval(np.tile([2.0, 3.0], 10))
    assert found.alike < 0
    assert found.interval.n == BATCHES


def test_too_short_a_run_is_refused_with_the_number_that_would_do() -> None:
    with pytest.raises(UsageError, match="39 samples are too few for 20 batches: 40 would do"):
        batch_means(np.arange(39.0))
    with pytest.raises(UsageError, match="7 batches are too few"):
        batch_means(np.arange(100.0), batches=7)
    with pytest.raises(UsageError, match="1 of the 50 samples of the run are infinite"):
        batch_means([*range(49), inf])
