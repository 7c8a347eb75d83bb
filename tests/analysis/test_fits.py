"""Lines, medians and shapes give back what numbers were made of."""

from __future__ import annotations

import numpy as np
import pytest

from chatsim.analysis.fits import FIT_MAX, LEVELS, SAMPLES_MIN, line_through, median_of, shape_of
from chatsim.errors import UsageError


@pytest.mark.slow
def test_the_interval_of_a_median_covers() -> None:
    """400 medians of 11 lognormal values: the percentile bootstrap covers 95 % within 4 standard errors (1.1 %) and the
    2 % that it is known to be off at such n."""
    generator = np.random.default_rng(3)
    samples = generator.lognormal(0.0, 0.5, (400, 11))
    found = [median_of(row) for row in samples]
    assert 0.89 <= np.mean([one.low <= 1.0 <= one.high for one in found]) <= 0.99
    assert found == [median_of(row) for row in samples], "the same numbers give the same interval"


def test_few_or_equal_repetitions() -> None:
    assert median_of([3.0, 3.0, 3.0, 3.0]).high == 3.0
    assert (median_of([1.0, 2.0]).low, median_of([1.0, 2.0]).value, median_of([1.0, 2.0]).high) == (1.0, 1.5, 2.0)
    with pytest.raises(UsageError, match="no repetition"):
        median_of([])


def test_a_line_is_found_and_what_bends_is_told() -> None:
    xs = np.array([1.0, 2.0, 4.0, 16.0, 64.0])
    straight = line_through(xs, 3.0 + 2.0 * xs)
    assert (straight.intercept, straight.slope) == pytest.approx((3.0, 2.0))
    assert straight.worst == pytest.approx(0.0, abs=1e-9)
    bent = line_through(xs, 3.0 + 2.0 * xs + 0.2 * xs**2)
    assert bent.worst > 0.2
    assert bent.r2 < 0.999


def test_a_line_never_begins_below_nothing() -> None:
    found = line_through([1.0, 2.0, 4.0], [1.0, 3.0, 7.0])
    assert found.intercept == 0.0
    assert 1.0 < found.slope < 1.75


@pytest.mark.parametrize(("x", "y"), [([1.0], [2.0]), ([1.0, 1.0], [2.0, 3.0]), ([1.0, 2.0], [1.0])])
def test_what_is_no_line(x: list[float], y: list[float]) -> None:
    with pytest.raises(UsageError, match="two points at different places"):
        line_through(x, y)


@pytest.mark.parametrize("cv", [0.05, 0.3, 1.0])
def test_a_lognormal_and_a_gamma_are_told_apart_where_they_differ(cv: float) -> None:
    """Of 4,000 samples; at small spreads the two families look alike, and either is right."""
    generator = np.random.default_rng(5)
    sigma = np.sqrt(np.log1p(cv**2))
    lognormal = shape_of(20e-6 * generator.lognormal(-(sigma**2) / 2, sigma, 4000))
    gamma = shape_of(generator.gamma(1 / cv**2, 20e-6 * cv**2, 4000))
    for found in (lognormal, gamma):
        assert found.distance < FIT_MAX
        assert found.cv == pytest.approx(cv, rel=0.1)
        assert found.mean == pytest.approx(20e-6, rel=0.1)
    if cv >= 0.3:
        assert (lognormal.family, gamma.family) == ("lognormal", "gamma")
        assert lognormal.distances["lognormal"] < lognormal.distances["gamma"]


def test_what_no_family_fits_speaks_for_itself() -> None:
    generator = np.random.default_rng(6)
    two = np.concatenate((generator.normal(10.0, 0.5, 1000), generator.normal(30.0, 0.5, 1000)))
    found = shape_of(two)
    assert found.family == "empirical"
    assert len(found.edges) == len(LEVELS)
    assert (found.edges[0], found.edges[-1]) == (two.min(), two.max())
    assert (
        found.distance
        == found.distances["empirical"]
        < 0.05
        < min(found.distances["gamma"], found.distances["lognormal"])
    )


def test_a_family_that_misses_a_long_tail_is_not_taken() -> None:
    """One sample in eighty is six times as long: hardly farther from the family by Kolmogorov and Smirnov."""
    generator = np.random.default_rng(7)
    body = generator.lognormal(0.0, 0.4, 5000)
    assert shape_of(body).family == "lognormal"
    body[::80] *= 6.0
    found = shape_of(body)
    assert found.distances["lognormal"] < FIT_MAX
    assert found.family == "empirical"
    assert found.edges[LEVELS.index(0.99)] == pytest.approx(float(np.quantile(body, 0.99)))


@pytest.mark.parametrize(
    "samples", [[], [1.0] * SAMPLES_MIN, [1.0, 1.0 + 1e-12] * SAMPLES_MIN, [0.0, *range(1, 40)], [1.0, 2.0]]
)
def test_what_has_no_shape(samples: list[float]) -> None:
    with pytest.raises(UsageError, match="have no shape"):
        shape_of(samples)
