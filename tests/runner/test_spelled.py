"""Costs grow as the machine and the disk are slower, and what is no time stays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from chatsim.analysis.fits import LEVELS
from chatsim.runner.spelled import on_disk, times
from chatsim.scenario.costs import read_costs
from chatsim.scenario.distributions import Distribution


def test_costs_are_multiplied_and_shares_are_not() -> None:
    words: dict[str, Any] = {
        "frame": "10us",
        "commit": {"lognormal": {"mean": "2.5us", "cv": 0.4}},
        "collect": {
            "mixture": [{"weight": 0.9, "constant": 0}, {"weight": 0.1, "uniform": {"low": "1us", "high": "3us"}}]
        },
    }
    pauses: dict[str, Any] = {"collect": {"every": 100, "pauses": ["3us", "5us"]}}
    assert times(pauses, 2.0) == {"collect": {"every": 100, "pauses": ["6us", "10us"]}}
    assert times(words, 2.0) == {
        "frame": "20us",
        "commit": {"lognormal": {"mean": "5us", "cv": 0.4}},
        "collect": {
            "mixture": [{"weight": 0.9, "constant": 0}, {"weight": 0.1, "uniform": {"low": "2us", "high": "6us"}}]
        },
    }


WERE_S = np.random.default_rng(3).lognormal(-8.0, 0.4, 4000).tolist()


def bins(values_s: list[float]) -> dict[str, Any]:
    """A commit as a calibration spells it where no family fits: by quantiles."""
    edges = [f"{edge * 1e6:.6g}us" for edge in np.quantile(values_s, LEVELS)]
    weights = [round(high - low, 6) for low, high in pairwise(LEVELS)]
    return {
        "mixture": [
            {"weight": weight, "uniform": {"low": low, "high": high}}
            for weight, (low, high) in zip(weights, pairwise(edges), strict=True)
        ]
    }


def quantiles(cost: Distribution | None) -> list[float]:
    assert cost is not None
    dice = np.random.default_rng(5)
    return np.quantile(cost.sample(dice, 100_000), [0.1, 0.5, 0.9, 0.98]).tolist()  # type: ignore[no-any-return]


def test_a_tail_comes_by_itself() -> None:
    """A twentieth of the commits takes five times as long, and the median stays where it was."""
    are_s = [each * (5.0 if place % 20 == 0 else 1.0) for place, each in enumerate(WERE_S)]
    costs = {"commit": bins(WERE_S), "commit_cold": "100us", "commit_cold_after": "8ms", "commit_record": "3us"}
    moved = on_disk(costs, WERE_S, are_s)
    assert moved.keys() == {"commit", "commit_cold"}
    found = quantiles(read_costs(costs | moved).commit)
    assert found == pytest.approx(np.quantile(are_s, [0.1, 0.5, 0.9, 0.98]), rel=0.05)
    assert float(moved["commit_cold"].removesuffix("us")) == pytest.approx(100, rel=0.06)


def test_a_tail_that_has_gone_leaves_the_stretches_in_order() -> None:
    """Of the slowest fiftieth there is nothing: what was of it is no shorter than what lies below it."""
    edges = [100.0 + 100 * level if level < 0.98 else 5000.0 * level for level in LEVELS]
    weights = [round(high - low, 6) for low, high in pairwise(LEVELS)]
    told = [
        {"weight": weight, "uniform": {"low": f"{low:g}us", "high": f"{high:g}us"}}
        for weight, (low, high) in zip(weights, pairwise(edges), strict=True)
    ]
    were_s = [1.0 if place < 985 else 50.0 for place in range(1000)]
    moved = on_disk({"commit": {"mixture": told}}, were_s, [1.0] * 1000)
    assert [one["uniform"]["high"] for one in moved["commit"]["mixture"][-5:]] == ["4900us"] * 5
    assert quantiles(read_costs(moved).commit)[1] == pytest.approx(150e-6, rel=0.01)


def test_another_shape_is_moved_as_a_whole() -> None:
    costs = {"commit": {"lognormal": {"mean": "300us", "cv": 0.5}}}
    moved = on_disk(costs, WERE_S, [2 * each for each in WERE_S])
    assert moved == {"commit": {"lognormal": {"mean": "600us", "cv": 0.5}}}
    assert on_disk({"commit": "300us"}, [0.001], [0.0005]) == {"commit": "150us"}


@pytest.mark.parametrize(
    ("costs", "were", "are"), [({"commit": "1us"}, [], [1.0]), ({"commit": "1us"}, [1.0], []), ({}, [1.0], [1.0])]
)
def test_a_disk_that_nobody_knows_changes_nothing(costs: dict[str, Any], were: list[float], are: list[float]) -> None:
    assert on_disk(costs, were, are) == {}
