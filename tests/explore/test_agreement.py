"""Both wires do the same with what they can agree on, and what they cannot is left out for a reason."""

from __future__ import annotations

import pytest

from chatsim.explore.agreement import alike
from chatsim.explore.draw import words
from chatsim.explore.play import play
from chatsim.scenario.costs import free
from chatsim.scenario.model import Scenario
from chatsim.sim.run import simulate
from chatsim.verdict.trace import Trace, parted
from chatsim.virtual.run import run_virtual

SEEDS = range(0, 400, 40)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_left_is_a_scenario_and_is_left_as_it_is_the_second_time(seed: int) -> None:
    drawn = words(seed)
    made = alike(drawn)
    assert alike(made) == made
    assert [event["do"] for event in made["events"]] == [event["do"] for event in drawn["events"]]
    scenario = Scenario.of(made)
    assert scenario.costs == free()
    assert all(group.network.bandwidth_bits_per_s is None for group in scenario.groups)
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


def test_the_two_runs_are_compared_until_somebody_leaves_too_much_unread() -> None:
    """What waits at the server sets out when she reads again, and in the simulation it has been under way before."""
    made = alike(words(10)) | {
        "duration": "40s",
        "log": {"latency": {"constant": "0s"}},
        "handler": {},
        "groups": [
            {
                "name": "g0",
                "users": 4,
                "session_size": 4,
                "arrive_over": "2s",
                "messages": {"arrivals": "poisson", "rate": "30/min"},
                "body_bytes": 2000,
                "network": {"latency": {"exponential": {"mean": "300ms"}}},
            }
        ],
        "events": [{"at": "10s", "do": "freeze", "count": 1, "for": "12s"}],
    }
    scenario = Scenario.of(alike(made))
    one, other = Trace(), Trace()
    simulate(scenario, observers=(one,))
    held_at = run_virtual(scenario, observers=(other,)).held_at
    assert 10.0 < held_at < 22.0
    difference = parted(one, other, within_s=1e-6)
    assert difference is not None
    assert difference[0] >= held_at
    assert play(scenario, "agreement").violations == []
