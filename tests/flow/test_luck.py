"""What is drawn: by the laws of each group, and as the costs say. Means over 20,000 samples within five standard
errors: a false alarm in two million."""

from __future__ import annotations

import numpy as np
import pytest

from chatsim.flow.luck import HOLDS, Luck, Pace, Prices
from chatsim.people.streams import Streams
from chatsim.scenario.costs import Costs
from chatsim.scenario.distributions import Constant, Exponential, Uniform

N = 20_000


def test_each_group_draws_by_its_own_law() -> None:
    luck = Luck(Streams(1), "x", [Constant(value=2.0), Exponential(scale=1.0)])
    group = np.arange(N, dtype=np.int32) % 2
    drawn = luck.draw(group)
    assert not luck.constant
    assert set(drawn[group == 0]) == {2.0}
    assert drawn[group == 1].mean() == pytest.approx(1.0, abs=5 / (N / 2) ** 0.5)


def test_the_same_seed_draws_the_same() -> None:
    law, group = [Exponential(scale=1.0)], np.zeros(9, dtype=np.int32)
    assert Luck(Streams(3), "x", law).draw(group).tolist() == Luck(Streams(3), "x", law).draw(group).tolist()
    assert Luck(Streams(3), "x", law).draw(group).tolist() != Luck(Streams(4), "x", law).draw(group).tolist()


def test_means_of_many_pieces_spread_less() -> None:
    luck = Luck(Streams(1), "x", [Exponential(scale=1.0)])
    found = luck.means(np.array([0, 4] * (N // 2) + [0]))
    assert set(found[::2]) == {0.0}
    assert found[1::2].mean() == pytest.approx(1.0, abs=5 * 0.5 / (N / 2) ** 0.5)
    assert found[1::2].std() == pytest.approx(0.5, rel=0.05)


def test_a_word_left_out_costs_what_it_refines_or_nothing() -> None:
    prices = Prices(Costs(frame=Constant(value=3e-5), wake=Constant(value=1e-5)), Streams(1))
    assert prices.each("frame_ack", 2).tolist() == [3e-5, 3e-5]
    assert prices.each("handshake", 1).tolist() == [0.0]
    assert prices.wakes
    assert not prices.flushes


def test_a_pace_is_held_and_drawn_anew() -> None:
    pace = Pace(Costs(pace=Uniform(low=0.5, high=1.5), pace_hold=Constant(value=0.1)), Streams(1))
    moments = (np.arange(N) + 0.5) / N * 2 * HOLDS * 0.1
    found = pace.at(moments)
    assert isinstance(found, np.ndarray)
    held = found.reshape(-1)[np.argsort(moments)]
    place = (moments / 0.1).astype(int)
    assert all(np.ptp(held[place == one]) == 0.0 for one in range(0, 2 * HOLDS, 97))
    assert np.unique(found).size == 2 * HOLDS
    assert found.mean() == pytest.approx(1.0, abs=5 * 0.29 / (2 * HOLDS) ** 0.5)
    # Whoever asks again for an earlier moment hears the same.
    assert pace.at(moments[:9]).tolist() == found[:9].tolist()  # type: ignore[union-attr]


def test_where_nothing_is_said_of_it_the_pace_is_steady() -> None:
    assert Pace(Costs(), Streams(1)).at(np.arange(3.0)) == 1.0
    assert Prices(Costs(), Streams(1)).pace.at(np.arange(3.0)) == 1.0
