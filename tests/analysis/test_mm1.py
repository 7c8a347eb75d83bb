"""The queue that coverage is measured with is the one that theory speaks of."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from tests.analysis.mm1 import LOAD, MEAN_WAIT, paths, replication_means, wait_quantile


@pytest.mark.parametrize("backlog", [0.0, 7.5])
def test_waits_are_those_of_the_recursion(backlog: float) -> None:
    found = paths(np.random.default_rng(1), 3, 500, backlog=backlog)
    wait = np.full(3, backlog)
    for customer in range(500):
        assert found.waits[:, customer] == pytest.approx(wait, abs=1e-9)
        wait = np.maximum(0.0, wait + found.services[:, customer] - found.gaps[:, customer])


@pytest.mark.slow
def test_mean_and_tail_are_those_of_theory() -> None:
    """The mean of 100,000 replications: 4 standard errors, a false-alarm rate of 0.006 %; the seed is fixed.

    What an empty start takes from the mean past 200 customers is far less.
    """
    means = replication_means()
    assert pytest.approx(2.3333, abs=1e-4) == MEAN_WAIT
    assert abs(means.mean() - MEAN_WAIT) < 4 * means.std() / means.size**0.5
    assert LOAD * exp(-(1 - LOAD) * wait_quantile(0.95)) == pytest.approx(0.05)
