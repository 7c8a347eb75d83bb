"""Sketches: within half a percent whatever is counted, and exact where they say so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.flow.sketch import ERROR, GREATEST_S, LEAST_S, Sketch
from chatsim.verdict.metrics import aggregate

SAMPLES = st.lists(st.floats(LEAST_S, GREATEST_S), min_size=1, max_size=60)


def sketch(*parts: list[float]) -> Sketch:
    made = Sketch()
    for part in parts:
        made.add(np.array(part))
    return made


@given(SAMPLES)
def test_quantiles_are_within_the_error(samples: list[float]) -> None:
    made, exact = sketch(samples), np.sort(np.array(samples))
    for name in ("p50", "p90", "p95", "p99", "p99.9"):
        assert made.aggregate(name) == pytest.approx(aggregate(name, exact), rel=ERROR * 1.001)


@given(SAMPLES)
def test_the_others_are_exact(samples: list[float]) -> None:
    made, exact = sketch(samples), np.sort(np.array(samples))
    for name in ("count", "min", "max"):
        assert made.aggregate(name) == aggregate(name, exact)
    assert made.aggregate("mean") == pytest.approx(aggregate("mean", exact), rel=1e-12)


@given(SAMPLES, SAMPLES)
def test_merged_is_as_if_counted_together(a: list[float], b: list[float]) -> None:
    apart = sketch(a)
    apart.merge(sketch(b))
    for name in ("count", "min", "max", "p50", "p99"):
        assert apart.aggregate(name) == sketch(a, b).aggregate(name)


def test_nothing_counted_and_nothing_long() -> None:
    assert Sketch().aggregate("count") == 0
    assert math.isnan(Sketch().aggregate("p99"))
    assert sketch([], [0.0, 0.0]).aggregate("p99") == 0.0
