"""Dependence is seen where it is, and seldom where it is not."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from scipy import stats

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.dependence import dependence_p, mean_ranks, neighbours_alike, neighbours_alike_max
from tests.analysis.mm1 import paths


def laws(generator: np.random.Generator, shape: tuple[int, int]) -> list[FloatArray]:
    """Independent samples: light, heavy, and with many ties."""
    return [generator.random(shape), generator.pareto(1.0, shape), generator.integers(0, 3, shape).astype(float)]


@pytest.mark.parametrize(("n", "at_most"), [(59, 0.005), (1000, 0.0025)])
def test_independent_samples_are_seldom_called_dependent(n: int, at_most: float) -> None:
    """3000 samples of three laws at 0.1 %: measured 0.17 % and 0.13 %.

    Of 40,000 and 10,000 uniform ones it is 0.27 % and 0.12 %, for the law of chi-square is that of many samples.
    """
    false = [dependence_p(row) < 1e-3 for rows in laws(np.random.default_rng(2), (1000, n)) for row in rows]
    assert np.mean(false) <= at_most


def test_a_queue_is_dependent_whatever_few_huge_values_say() -> None:
    for waits in paths(np.random.default_rng(3), 100, 500).waits:
        assert dependence_p(waits) < 1e-6
        waits[[7, 300]] = 1e9, inf
        assert dependence_p(waits) < 1e-6


def test_copies_are_dependent() -> None:
    """A message to a room of five arrives five times at about one moment."""
    assert dependence_p(np.repeat(np.random.default_rng(4).random(30), 5)) < 1e-6


def test_few_or_equal_values_tell_nothing() -> None:
    assert dependence_p(np.arange(19.0)) == 1.0
    assert dependence_p(np.full(100, 3.0)) == 1.0
    assert neighbours_alike(np.full(100, 3.0)) == 0.0


def test_neighbours_alike_is_the_autocorrelation_but_for_the_ends() -> None:
    values = np.random.default_rng(5).random(50)
    centred = values - values.mean()
    squares = centred @ centred
    plain = centred[1:] @ centred[:-1] / squares
    ends = (centred[0] ** 2 + centred[-1] ** 2) / (2 * squares)
    assert neighbours_alike(values) == pytest.approx(plain + ends)


@pytest.mark.parametrize("n", [8, 20, 50])
def test_neighbours_alike_passes_its_limit_as_rarely_as_it_says(n: int) -> None:
    """20,000 rows of normal numbers at 5 %: 4 standard errors of 0.15 %, and 0.4 % for the approximation."""
    rows = np.random.default_rng(6).standard_normal((20_000, n))
    limit = neighbours_alike_max(n, 0.05)
    assert np.mean([neighbours_alike(row) > limit for row in rows]) == pytest.approx(0.05, abs=0.01)


def test_ranks_are_scipys() -> None:
    values = np.array([3.0, inf, 1.0, 3.0, inf, 2.0, 3.0])
    assert mean_ranks(values).tolist() == stats.rankdata(values).tolist() == [4.0, 6.5, 1.0, 4.0, 6.5, 2.0, 4.0]
