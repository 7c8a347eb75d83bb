"""What a seed draws is legal, is the same again, and ends in calm."""

from __future__ import annotations

import pytest

from chatsim.explore.draw import FAULTS_UNTIL, draw, words
from chatsim.scenario.events import EVENTS


@pytest.mark.parametrize("seed", range(100))
def test_each_is_a_legal_scenario_whose_faults_end_in_time(seed: int) -> None:
    made = draw(seed)
    assert made.handler.problems() == []
    for event in made.events:
        lasts_s = getattr(event, "for_s", None) or getattr(event, "down_s", 0.0) or 0.0
        assert event.at_s <= made.duration_s * FAULTS_UNTIL + 1
        assert event.at_s + lasts_s <= made.duration_s


def test_a_seed_draws_the_same_again() -> None:
    assert words(5) == words(5)
    assert words(5) != words(6)


def test_every_kind_of_fault_is_drawn_and_left_out() -> None:
    kinds = [{event.do for event in draw(seed).events} for seed in range(200)]
    assert set().union(*kinds) == set(EVENTS)
    assert all(sum(do in found for found in kinds) < 120 for do in EVENTS)
