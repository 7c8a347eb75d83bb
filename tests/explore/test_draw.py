"""What a seed draws is legal, is the same again, ends in calm, and among many seeds leaves nothing out."""

from __future__ import annotations

import pytest

from chatsim.explore.draw import UNDRAWN, draw, words
from chatsim.explore.faults import FAULTS_UNTIL
from chatsim.scenario.costs import COMMIT_BUSY, FINER, OF_COMMITS, PACE, SPANS, WORDS, default
from chatsim.scenario.model import Scenario
from tests.explore.drawn import drawn, same, values


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


def test_every_word_of_a_scenario_varies_or_it_is_named_why_not() -> None:
    assert same(Scenario, drawn()) == UNDRAWN["scenario"].keys()
    assert all(why for reasons in UNDRAWN.values() for why in reasons.values())


def test_every_cost_varies() -> None:
    costs = [made.costs for made in drawn()]
    assert {
        word for word in (*WORDS, *FINER, *OF_COMMITS, *PACE, *SPANS, COMMIT_BUSY) if values(costs, word) < 3
    } == set()
    assert any(made.is_free for made in costs)
    assert any(made == default() for made in costs)
