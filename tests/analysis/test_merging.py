"""Quantiles of several nodes: exact from samples, within 1 % from sketches, and nonsense from averages."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.merging import SMALLEST, Sketch, merged_quantile
from chatsim.analysis.quantiles import quantile
from chatsim.errors import UsageError

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
SAMPLES = st.lists(st.floats(SMALLEST, 1e9) | st.just(0.0) | st.just(inf), min_size=1, max_size=100)


def nodes() -> list[FloatArray]:
    """Three nodes, one of them slow and little used."""
    generator = np.random.default_rng(1)
    return [generator.lognormal(mean, 1.0, n) for mean, n in ((-4.0, 50_000), (-3.5, 20_000), (0.0, 300))]


def test_samples_and_sketches_agree_and_averages_do_not() -> None:
    whole = np.concatenate(nodes())
    sketch = Sketch.merged(Sketch(samples) for samples in nodes())
    for q in QUANTILES:
        assert merged_quantile(nodes(), q) == quantile(whole, q)
        assert sketch.quantile(q) == pytest.approx(quantile(whole, q), rel=0.01)
    assert np.mean([quantile(samples, 0.99) for samples in nodes()]) > 5 * quantile(whole, 0.99)


@given(SAMPLES, st.sampled_from(QUANTILES), st.sampled_from([0.001, 0.01, 0.1]))
def test_a_sketch_is_within_its_error(samples: list[float], q: float, error: float) -> None:
    # A value on the edge of two buckets has the error exactly, and rounding on top of it.
    assert Sketch(samples, error).quantile(q) == pytest.approx(quantile(samples, q), rel=error + 1e-9, abs=0.0)


@given(st.lists(SAMPLES, min_size=1, max_size=5))
def test_merging_sketches_is_sketching_all(parts: list[list[float]]) -> None:
    merged = Sketch.merged([Sketch(samples) for samples in parts])
    whole = Sketch([x for samples in parts for x in samples])
    assert (merged.n, merged.infinite, merged.zeros) == (whole.n, whole.infinite, whole.zeros)
    assert [merged.quantile(q) for q in QUANTILES] == [whole.quantile(q) for q in QUANTILES]


def test_merging_changes_no_part() -> None:
    parts = [Sketch([1.0]), Sketch([2.0])]
    Sketch.merged(parts)
    assert [part.n for part in parts] == [1, 1]
    assert parts[0].quantile(0.999) == pytest.approx(1.0, rel=0.01)


def test_a_node_without_samples_changes_nothing() -> None:
    assert merged_quantile([[], [1.0, 2.0]], 0.5) == 1.0
    assert Sketch.merged([Sketch(), Sketch([0.0, inf])]).quantile(0.5) == 0.0


def test_what_has_no_answer_is_refused() -> None:
    nobody: list[list[list[float]]] = [[], [[]]]
    for empty in nobody:
        with pytest.raises(UsageError, match="no sample"):
            merged_quantile(empty, 0.5)
    with pytest.raises(UsageError, match="no sample"):
        Sketch().quantile(0.5)
    with pytest.raises(UsageError, match=r"-1.0 is below 0"):
        Sketch([-1.0])
    with pytest.raises(UsageError, match=r"these have \[0.01, 0.02\]: make them with one error"):
        Sketch.merged([Sketch([1.0]), Sketch([1.0], 0.02)])
    with pytest.raises(UsageError, match="relative errors are the same"):
        Sketch.merged([])
    with pytest.raises(UsageError, match="The relative error is"):
        Sketch([1.0], 0.0)
