"""Shared luck and known luck are taken out, and the mean stays what it was."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from chatsim.analysis.intervals import Interval, t_interval
from chatsim.analysis.paired import compare_paired, control_variates
from chatsim.errors import UsageError
from tests.analysis.mm1 import LOAD, paths, waits

GAP = 1 / LOAD


def test_common_random_numbers_see_small_differences() -> None:
    """Loads of 0.70 and 0.75 with the same draws: the variance falls by more than 3, measured 11.1 over 2000 pairs."""
    generator = np.random.default_rng(6)
    services = generator.standard_exponential((2000, 2200))
    gaps = generator.standard_exponential((2000, 2200))
    low, high = (waits(services, gaps / load)[:, 200:].mean(axis=1) for load in (0.70, 0.75))
    found = compare_paired(low, high)
    assert found.variance_ratio > 3
    assert found.difference.covers(0.75 / 0.25 - 0.70 / 0.30)
    # With luck of its own for each, 2000 pairs are as good as these 200.
    assert (
        compare_paired(low[:200], high[:200]).difference.half_width
        < compare_paired(low, np.roll(high, 1)).difference.half_width
    )


@pytest.mark.slow
def test_paired_differences_cover() -> None:
    """2000 analyses of 10 pairs: a standard error of 0.5 %. What is covered is the difference b - a."""
    generator = np.random.default_rng(7)
    shared = generator.standard_normal((2000, 10))
    first = shared + 0.1 * generator.standard_normal((2000, 10))
    second = shared + 0.1 * generator.standard_normal((2000, 10)) + 0.5
    found = [compare_paired(a, b).difference for a, b in zip(first, second, strict=True)]
    assert 0.93 <= np.mean([interval.covers(0.5) for interval in found]) <= 0.97


def test_variance_ratios_by_hand() -> None:
    assert compare_paired([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]).variance_ratio == inf
    assert compare_paired([1.0, 1.0], [2.0, 2.0]).variance_ratio == 1.0
    assert compare_paired([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]).variance_ratio == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("a", "b", "end", "ends"),
    [
        ([1.0, 2.0, 3.0], [1.0, inf, 3.0], inf, (-inf, inf)),
        ([inf, 2.0], [1.0, 2.0], -inf, (-inf, inf)),
        # Of 6 pairs all differ one way by luck in 1 of 32, of 5 in 1 of 16.
        ([1.0] * 6, [inf] + [2.0] * 5, inf, (inf, inf)),
        ([inf] + [2.0] * 5, [1.0] * 6, -inf, (-inf, -inf)),
        ([1.0] * 5, [inf] + [2.0] * 4, inf, (-inf, inf)),
        # The others are sure of the other way.
        ([2.0] * 20, [inf] + [1.0] * 19, inf, (-inf, inf)),
    ],
)
def test_one_infinite_side_is_an_infinite_difference_that_is_sure_where_the_pairs_are(
    a: list[float], b: list[float], end: float, ends: tuple[float, float]
) -> None:
    found = compare_paired(a, b, independent=True)
    assert found.difference == Interval(end, *ends, len(a), 0.95, 1)
    assert found.difference.half_width == inf


def test_what_is_infinite_now_and_then_on_both_sides_does_not_differ() -> None:
    """400 analyses of 10 pairs, of which a tenth is infinite on each side alone: at most 5 % may be sure, and with more
    than 36 of 400 (9 %, four standard errors above) this fails by luck once in 10,000."""
    generator = np.random.default_rng(8)
    sure = analyses = 0
    while analyses < 400:
        a, b = (np.where(generator.random(10) < 0.1, inf, generator.standard_normal(10)) for _ in range(2))
        try:
            found = compare_paired(a, b, independent=True).difference
        except UsageError:
            continue
        analyses += 1
        sure += not found.covers(0.0)
    assert sure <= 36


@pytest.mark.parametrize(("a", "b"), [([inf, 1.0], [inf, 1.0]), ([inf, 1.0], [1.0, inf])])
def test_infinities_on_both_sides_have_no_difference(a: list[float], b: list[float]) -> None:
    with pytest.raises(UsageError, match="have no difference: compare how much was undelivered"):
        compare_paired(a, b)


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(UsageError, match="3 replications of a and 2 of b"):
        compare_paired([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(UsageError, match="2 would do"):
        compare_paired([1.0], [2.0])


def test_control_variates_narrow_the_mean_and_leave_it() -> None:
    """Service and gaps of a run as controls of its mean wait, in 1000 analyses of 20 runs.

    The variance of the estimates falls by more than 1.5 (measured 1.8), and their mean stays within 4 standard errors
    of the difference, a false-alarm rate of 0.006 %; their intervals cover that mean.
    """
    generator = np.random.default_rng(7)
    plain, controlled = [], []
    for _ in range(1000):
        runs = paths(generator, 20, 2000)
        means = runs.waits.mean(axis=1)
        controls = np.column_stack((runs.services.mean(axis=1), runs.gaps.mean(axis=1)))
        plain.append(float(means.mean()))
        controlled.append(control_variates(means, controls, (1.0, GAP)))
    estimates = np.array([found.interval.mean for found in controlled])
    assert np.var(plain) / np.var(estimates) > 1.5
    apart = estimates - np.array(plain)
    assert abs(apart.mean()) < 4 * apart.std() / len(plain) ** 0.5
    true_mean = float(np.mean(plain))
    assert 0.92 <= np.mean([found.interval.covers(true_mean) for found in controlled]) <= 0.97
    assert np.median([found.variance_ratio for found in controlled]) > 1.5


def test_the_estimate_is_the_intercept() -> None:
    """One control by hand: mean of y less b times (mean of x - its true mean), b = cov / var."""
    x, y = np.array([1.0, 2.0, 3.0, 6.0]), np.array([2.0, 5.0, 4.0, 9.0])
    weight = np.cov(x, y)[0, 1] / np.var(x, ddof=1)
    found = control_variates(y, x, 2.5)
    assert found.weights == pytest.approx((weight,))
    assert found.interval.mean == pytest.approx(y.mean() - weight * (x.mean() - 2.5))
    # The textbook's standard error of a prediction at x0 = 2.5.
    residual = y - y.mean() - weight * (x - x.mean())
    error = np.sqrt(residual @ residual / 2 * (1 / 4 + (x.mean() - 2.5) ** 2 / np.sum((x - x.mean()) ** 2)))
    assert found.interval.half_width == pytest.approx(4.302653 * error)


def test_scale_of_a_control_changes_nothing() -> None:
    generator = np.random.default_rng(8)
    x, y = generator.random((30, 2)), generator.random(30)
    one = control_variates(y, x, (0.5, 0.5))
    other = control_variates(y, x * (1e-9, 1e9), (0.5e-9, 0.5e9))
    assert other.interval.mean == pytest.approx(one.interval.mean)
    assert other.interval.half_width == pytest.approx(one.interval.half_width)
    assert other.weights == pytest.approx((one.weights[0] * 1e9, one.weights[1] / 1e9))


def test_a_useless_control_costs_little_and_a_perfect_one_gives_all() -> None:
    generator = np.random.default_rng(9)
    y = generator.random(100)
    useless = control_variates(y, generator.random(100), 0.5)
    assert useless.interval.half_width == pytest.approx(t_interval(y).half_width, rel=0.05)
    assert control_variates(2 * y, y, 0.5).interval.mean == pytest.approx(1.0)


def test_what_controls_nothing_is_refused() -> None:
    y = np.random.default_rng(10).random(10)
    for controls, means in (
        (np.full(10, 3.0), 3.0),
        (np.full(10, 3.0), 2.0),
        (np.column_stack((y, 2 * y)), (0.5, 1.0)),
    ):
        with pytest.raises(UsageError, match="never varies, or is a sum of others"):
            control_variates(y, controls, means)
    with pytest.raises(UsageError, match="3 replications are too few for 1 controls: 4 would do"):
        control_variates(y[:3], y[:3], 0.5)
    with pytest.raises(UsageError, match="one row for each of the 10 replications"):
        control_variates(y, y[:9], 0.5)
    with pytest.raises(UsageError, match="one mean for each column"):
        control_variates(y, y, (0.5, 0.5))
    with pytest.raises(UsageError, match="A control or its mean is not a finite number"):
        control_variates(y, y, inf)
    with pytest.raises(UsageError, match="1 of the 10 replications are infinite"):
        control_variates([inf, *y[1:]], y, 0.5)
