"""Samples have the declared mean and variance.

Each case is judged by two z-tests on 40,000 samples at |z| < 5 (the variance's standard error from the sample's own
fourth moment): under 1e-4 for a right implementation to fail any of them on a fresh seed. The seed is fixed, so it
either always passes or never.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.scenario import distributions as d
from chatsim.scenario import units
from chatsim.scenario.reading import read_distribution

N = 40_000
Z_MAX = 5.0

DECLARED: list[tuple[Any, float, float | None]] = [
    ({"constant": "3s"}, 3.0, 0.0),
    ("3s", 3.0, 0.0),
    ({"uniform": {"low": "1s", "high": "3s"}}, 2.0, 4 / 12),
    ({"exponential": {"mean": "2s"}}, 2.0, 4.0),
    ({"normal": {"mean": "3ms", "sd": "1ms"}}, 3e-3, 1e-6),
    ({"normal": {"mean": "10s", "sd": "1s"}}, 10.0, 1.0),
    ({"normal": {"mean": "1s", "sd": "700ms"}}, 1.0, 0.49),
    ({"normal": {"mean": "1s", "sd": "900ms"}}, 1.0, 0.81),
    ({"lognormal": {"mean": "3ms", "cv": 0.5}}, 3e-3, (1.5e-3) ** 2),
    ({"lognormal": {"median": "15ms", "p99": "45ms"}}, 0.015 * math.exp((math.log(3) / d.Z99) ** 2 / 2), None),
    ({"gamma": {"shape": 2, "scale": "3s"}}, 6.0, 18.0),
    ({"gamma": {"mean": "6s", "shape": 2}}, 6.0, 18.0),
    ({"gamma": {"mean": "6s", "cv": 0.5}}, 6.0, 9.0),
    ({"weibull": {"shape": 1, "scale": "2s"}}, 2.0, 4.0),
    ({"weibull": {"mean": "2s", "shape": 2}}, 2.0, 4 * (4 / math.pi - 1)),
    ({"weibull": {"mean": "2s", "cv": 0.7}}, 2.0, 1.96),
    ({"pareto": {"shape": 8, "scale": "7s"}}, 8.0, 64 / 48),
    ({"pareto": {"mean": "2s", "shape": 8}}, 2.0, 4 / 48),
    ({"pareto": {"mean": "2s", "cv": 0.1}}, 2.0, 0.04),
    ({"exponential": {"mean": "2s"}, "shift": "1s"}, 3.0, 4.0),
    ({"exponential": {"mean": "2s", "shift": "1s"}}, 3.0, 4.0),
    ({"mixture": [{"weight": 3, "constant": "1s"}, {"weight": 1, "constant": "5s"}]}, 2.0, 3.0),
    ({"mixture": [{"weight": "50%", "exponential": {"mean": "1s"}}, {"weight": "50%", "constant": "0s"}]}, 0.5, 0.75),
]


@pytest.mark.parametrize(("words", "mean", "variance"), DECLARED, ids=[str(case[0]) for case in DECLARED])
def test_samples_have_the_declared_moments(words: Any, mean: float, variance: float | None) -> None:
    made = read_distribution(words, units.duration)
    assert made.mean == pytest.approx(mean, rel=1e-9)
    if variance is not None:
        assert made.variance == pytest.approx(variance, rel=1e-9)
    check_moments(made)


def check_moments(made: d.Distribution) -> None:
    samples = made.sample(np.random.default_rng(7), N)
    assert samples.dtype == np.float64
    assert samples.shape == (N,)
    assert samples.min() >= 0
    spread = samples.std()
    assert abs(samples.mean() - made.mean) <= Z_MAX * spread / math.sqrt(N) + 1e-12
    squares = (samples - made.mean) ** 2
    assert abs(squares.mean() - made.variance) <= Z_MAX * squares.std() / math.sqrt(N) + 1e-12


def test_lognormal_has_the_declared_quantiles() -> None:
    made = read_distribution({"lognormal": {"median": "15ms", "p99": "45ms"}}, units.duration)
    samples = made.sample(np.random.default_rng(1), 100_000)
    # Standard error of a share p: sqrt(p (1 - p) / n); five of them.
    assert abs((samples <= 0.015).mean() - 0.5) < 5 * 0.5 / math.sqrt(1e5)
    assert abs((samples <= 0.045).mean() - 0.99) < 5 * math.sqrt(0.99 * 0.01 / 1e5)


def test_empirical_draws_the_values_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "latencies.txt").write_text("# recorded\n0.001\n5ms\n\n9ms # slow\n")
    made = read_distribution({"empirical": {"file": "latencies.txt"}}, units.duration, tmp_path)
    assert made.mean == pytest.approx(0.005)
    assert made.variance == pytest.approx(32e-6 / 3)
    assert set(made.sample(np.random.default_rng(1), 200)) == {0.001, 0.005, 0.009}
    check_moments(made)
    assert made.scaled(2).mean == pytest.approx(0.01)


def test_a_heavy_pareto_has_no_variance() -> None:
    made = read_distribution({"pareto": {"mean": "2s", "shape": 1.5}}, units.duration)
    assert made.mean == pytest.approx(2.0)
    assert made.variance == math.inf


def test_only_a_constant_is_constant() -> None:
    constant = [read_distribution(words, units.duration).is_constant for words, _, _ in DECLARED]
    assert constant == [True, True] + [False] * (len(DECLARED) - 2)


def test_a_constant_draws_nothing() -> None:
    generator = np.random.default_rng(3)
    assert list(d.Constant(value=2.0, shift=1.0).sample(generator, 2)) == [3.0, 3.0]
    assert generator.random() == np.random.default_rng(3).random()


@given(st.sampled_from(DECLARED), st.floats(0.01, 100))
def test_scaling_scales_the_moments(case: tuple[Any, float, float | None], factor: float) -> None:
    made = read_distribution(case[0], units.duration)
    scaled = made.scaled(factor)
    assert scaled.mean == pytest.approx(made.mean * factor)
    assert scaled.variance == pytest.approx(made.variance * factor**2)


@given(st.floats(0.001, 1000), st.floats(0.01, d.NORMAL_CV_MAX))
def test_the_uncut_normal_has_the_moments_after_the_cut(mean: float, cv: float) -> None:
    bound, sigma = d.uncut_normal(mean, mean * cv)
    if bound > -8:
        above, spread = d.cut_moments(bound)
        assert sigma * above == pytest.approx(mean, rel=1e-9)
        assert sigma * spread == pytest.approx(mean * cv, rel=1e-6)
    else:
        assert -bound * sigma == pytest.approx(mean)


@given(st.floats(0.01, 20))
def test_the_weibull_shape_is_the_inverse_of_its_cv(cv: float) -> None:
    assert d.weibull_cv(d.weibull_shape(cv)) == pytest.approx(cv, rel=1e-6)
