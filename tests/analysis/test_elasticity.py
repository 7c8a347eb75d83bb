"""The power by which what costs follow a fixed work is found again, and not found where nothing tells of it."""

from __future__ import annotations

import numpy as np
import pytest

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.elasticity import SPREAD_MIN, WIDTH_MAX, elasticity_of

ROUNDS, LOADS = 40, 30


def planted(power: float, spread: float = 0.15, noise: float = 0.05, seed: int = 1) -> tuple[FloatArray, FloatArray]:
    """What the halves of the fixed work and an operation of each load took in each round (s), where the one follows the
    other, and all are seen with as much noise."""
    dice = np.random.default_rng(seed)
    slower = np.exp(spread * dice.standard_normal((ROUNDS, LOADS)))
    costs = np.exp(dice.uniform(-11, -7, LOADS))
    off, *halves_off = np.exp(noise * dice.standard_normal((3, ROUNDS, LOADS)))
    return 45e-6 * slower * np.array(halves_off), costs * slower**power * off


def drawn(draws: int = 200) -> list[np.ndarray]:
    """All rounds, and these drawn again."""
    dice = np.random.default_rng(2)
    return [np.arange(ROUNDS), *(dice.integers(0, ROUNDS, ROUNDS) for _ in range(draws))]


ALL = [np.arange(ROUNDS)]


@pytest.mark.parametrize("power", [0.7, 1.0, 1.5, 2.0])
def test_the_power_that_was_planted_is_found(power: float) -> None:
    """Noise that is a third of what is to be seen takes a tenth off a slope that knows nothing of it."""
    found = elasticity_of(*planted(power), ALL, drawn())
    assert found is not None
    assert found.value == pytest.approx(power, abs=0.03 + 0.03 * power)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.2
    assert found.n == ROUNDS


def test_an_interval_covers_what_was_planted() -> None:
    """Nominally 95 %: of 60 seeds fewer than 49 would cover with a probability of 0.0001 (binomial)."""
    inside = 0
    for seed in range(60):
        found = elasticity_of(*planted(1.5, noise=0.1, seed=seed), ALL, drawn(100))
        assert found is not None
        inside += found.low <= 1.5 <= found.high
    assert inside >= 49


def test_rounds_of_one_level_are_held_against_each_other_alone() -> None:
    """Kept twice as busy an operation costs less, and the machine is slower: that is none of its power."""
    fixed, spent = planted(1.5)
    kinds = [np.arange(0, ROUNDS, 2), np.arange(1, ROUNDS, 2)]
    fixed[:, kinds[1]] *= 1.5
    spent[kinds[1]] *= 0.5
    found = elasticity_of(fixed, spent, kinds, drawn())
    assert found is not None
    assert found.value == pytest.approx(1.5, abs=0.06)


def test_what_was_in_somebodys_way_and_what_was_not_played_does_not_count() -> None:
    fixed, spent = planted(1.5)
    dice = np.random.default_rng(3)
    far = dice.random(spent.shape) < 0.02
    spent[far] *= 20.0
    spent[:, 4], fixed[:, :, 5], spent[0, 6] = np.nan, np.nan, 0.0
    found = elasticity_of(fixed, spent, ALL, drawn())
    assert found is not None
    assert found.value == pytest.approx(1.5, abs=0.1)


def test_a_machine_that_does_not_waver_tells_no_power() -> None:
    assert elasticity_of(*planted(1.5, spread=SPREAD_MIN / 2, noise=0.01), ALL, drawn()) is None
    assert elasticity_of(*planted(1.5), [np.array([number]) for number in range(ROUNDS)], drawn()) is None


def test_a_power_that_noise_hides_is_none() -> None:
    fixed, spent = planted(1.5, spread=0.05)
    spent *= np.exp(np.random.default_rng(4).standard_normal(spent.shape))
    assert elasticity_of(fixed, spent, ALL, drawn()) is None
    assert WIDTH_MAX < 2 * 1.96 / 0.05 / (ROUNDS * LOADS) ** 0.5


def test_no_load_tells_nothing() -> None:
    assert elasticity_of(np.empty((2, ROUNDS, 0)), np.empty((ROUNDS, 0)), ALL, drawn()) is None
