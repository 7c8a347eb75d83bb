"""MSER-5 takes away what a full start adds, says when it cannot, and is a choice."""

from __future__ import annotations

import warnings
from math import inf

import numpy as np
import pytest

from chatsim.analysis.warmup import BATCH, Warmup, WarmupWarning, mean_series, mser5
from chatsim.errors import UsageError
from tests.analysis.mm1 import MEAN_WAIT, paths


def biases(backlog: float, count: int) -> tuple[float, float]:
    """Mean bias of the mean wait before and after the cut, over analyses of 10 runs of 3000 customers."""
    generator = np.random.default_rng(8)
    before, after = [], []
    for _ in range(count):
        waits = paths(generator, 10, 3000, backlog=backlog).waits
        found = mser5(waits)
        before.append(waits.mean() - MEAN_WAIT)
        after.append(waits[:, found.cut :].mean() - MEAN_WAIT)
    return float(np.mean(before)), float(np.mean(after))


def test_a_backlog_is_cut_away() -> None:
    """Bias must fall by 70 %: from 0.65 to 0.01 as measured, with a standard error of 0.006."""
    before, after = biases(40.0, 300)
    assert before > 0.5
    assert abs(after) < 0.3 * before


def test_from_an_empty_start_it_may_do_slight_harm() -> None:
    """The reason why it is a choice: measured -0.012 before and -0.017 after, on the same paths."""
    before, after = biases(0.0, 300)
    assert before < 0.0
    assert after < before


def test_the_cut_is_where_the_rule_says() -> None:
    """Against the formula, each sum by itself."""
    for seed in range(20):
        series = paths(np.random.default_rng(seed), 4, 503, backlog=20.0).waits
        z = series.mean(axis=0)[:500].reshape(100, BATCH).mean(axis=1)
        spread = [np.sum((z[d:] - z[d:].mean()) ** 2) / (100 - d) ** 2 for d in range(95)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WarmupWarning)
            assert mser5(series).proposed == BATCH * int(np.argmin(spread))


def test_a_step_is_found_and_a_level_is_left_alone() -> None:
    steps = np.where(np.arange(200) < 50, 9.0, 1.0)
    assert mser5([steps, steps]) == Warmup(50, 50, 200)
    assert mser5(np.full((2, 200), 1e9)) == Warmup(0, 0, 200)


def test_a_cut_past_the_middle_is_refused_with_a_warning() -> None:
    late = np.where(np.arange(200) < 150, 9.0, 1.0)
    with pytest.warns(WarmupWarning, match=r"MSER-5 would cut 150 of its 200 samples.*at least 600 samples long"):
        found = mser5([late, late])
    assert found == Warmup(0, 150, 200)
    assert found.is_refused
    assert not Warmup(50, 50, 200).is_refused


def test_the_middle_itself_is_not_past_it() -> None:
    series = np.where(np.arange(200) < 100, 9.0, 1.0)
    assert mser5([series, series]).cut == 100


def test_what_is_no_mean_series_is_refused() -> None:
    assert mean_series([[1.0, 2.0], [3.0, 6.0]]).tolist() == [2.0, 4.0]
    for wrong in (np.ones(100), np.ones((1, 100))):
        with pytest.raises(UsageError, match="at least 2 replications"):
            mser5(wrong)
    with pytest.raises(UsageError, match=r"49 samples are too few .*: 50 would do"):
        mser5(np.ones((2, 49)))
    with pytest.raises(UsageError, match="infinite"):
        mser5(np.full((2, 50), inf))
