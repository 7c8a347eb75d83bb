"""Both wires do the same with what they can agree on, and what they cannot is left out for a reason."""

from __future__ import annotations

import pytest

from chatsim.explore.agreement import LEFT_OUT, alike
from chatsim.explore.draw import _KINDS, words
from chatsim.explore.play import play
from chatsim.scenario.costs import free
from chatsim.scenario.model import Scenario

SEEDS = range(0, 400, 40)


def test_what_is_left_out_can_be_drawn() -> None:
    assert LEFT_OUT.keys() < _KINDS.keys()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_left_is_a_scenario_and_is_left_as_it_is_the_second_time(seed: int) -> None:
    made = alike(words(seed))
    assert alike(made) == made
    scenario = Scenario.of(made)
    assert scenario.costs == free()
    assert {event.do for event in scenario.events}.isdisjoint(LEFT_OUT)
    moments = [event.at_s for event in scenario.events]
    assert len(set(moments)) == len(moments)


@pytest.mark.parametrize("seed", [10, 30, 50])
def test_the_wires_agree(seed: int) -> None:
    played = play(Scenario.of(alike(words(seed))), "agreement")
    assert (played.violations, played.wire) == ([], "agreement")
    assert played.messages > 0


def test_where_they_do_not_the_first_difference_is_named() -> None:
    """What the simulation's work costs, that of the virtual wire does not."""
    costly = alike(words(10)) | {"costs": {"append": "3ms"}}
    played = play(Scenario.of(costly), "agreement")
    assert [violation.name for violation in played.violations] == ["one_run"]
    assert "against" in played.violations[0].detail
    assert played.violations[0].at > 0.0
