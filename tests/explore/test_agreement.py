"""Both wires do the same with what they can agree on, and what they cannot is left out for a reason."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from chatsim.explore.agreement import (
    LEFT_OUT,
    LONG_DRAIN,
    NEVER_FULL,
    NOTICES,
    UNREAD,
    WITHIN_S,
    Compared,
    alike,
    compared,
)
from chatsim.explore.draw import words
from chatsim.explore.lots import Words
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


# Seed 115 has acks with a pong between them in one read, 2369 a full node that closes a frame that is too large.
@pytest.mark.parametrize("seed", [10, 30, 50, 115, 2369])
def test_the_wires_agree(seed: int) -> None:
    scenario = Scenario.of(alike(words(seed)))
    played = play(scenario, "agreement")
    assert (played.violations, played.wire) == ([], "agreement")
    assert (played.compared_s, played.left_out) == (scenario.duration_s, "")
    assert played.messages > 0
    assert played.reached_on.keys() == {"sim", "virtual"}
    assert set(played.reached) == set().union(*played.reached_on.values())


def test_where_they_do_not_the_first_difference_is_named() -> None:
    """What the simulation's work costs, that of the virtual wire does not."""
    costly = alike(words(10)) | {"costs": {"append": "3ms"}}
    played = play(Scenario.of(costly), "agreement")
    assert [violation.name for violation in played.violations] == ["one_run"]
    assert "against" in played.violations[0].detail
    assert played.violations[0].at > 0.0


UNTIL: dict[str, tuple[Words, list[Words], float, float]] = {
    # What waits at the server sets out when she reads again, and in the simulation it has been under way before.
    UNREAD: (
        {
            "users": 4,
            "session_size": 4,
            "arrive_over": "2s",
            "messages": {"arrivals": "poisson", "rate": "30/min"},
            "body_bytes": 2000,
            "network": {"latency": {"exponential": {"mean": "300ms"}}},
        },
        [{"at": "10s", "do": "freeze", "count": 1, "for": "12s"}],
        10.0,
        22.0,
    ),
    # Everybody acks what she is told first at once.
    NOTICES: (
        {
            "users": 160,
            "session_size": 160,
            "arrive_over": "8s",
            "messages": {"arrivals": "periodic", "rate": "0.4/min"},
            "network": {"latency": {"exponential": {"mean": "5ms"}}},
        },
        [],
        2.0,
        30.0,
    ),
    # A close that nobody answers holds a drain up for five seconds.
    LONG_DRAIN: (
        {
            "users": 6,
            "session_size": 3,
            "arrive_over": "2s",
            "messages": {"arrivals": "poisson", "rate": "30/min"},
            "network": {"latency": {"exponential": {"mean": "20ms"}}},
        },
        [{"at": "18s", "do": "vanish", "count": 1}, {"at": "20s", "do": "restart_node", "down": "1s"}],
        23.0,
        23.1,
    ),
}
"""Who is there, what happens, and between which moments (s) the runs become two, by what it is for that they do."""


EASY: Words = {
    "name": "left-out",
    "duration": "15s",
    "costs": 0,
    "handler": NEVER_FULL,
    "groups": [
        {
            "name": "g",
            "users": 8,
            "session_size": 4,
            "arrive_over": "3s",
            "typing": True,
            "presence": True,
            "messages": {"arrivals": "poisson", "rate": "40/min"},
            "network": {"latency": {"exponential": {"mean": "20ms"}}},
        }
    ],
    "expect": ["lost == 0"],
}
"""What both wires play alike as it stands."""

AT_ONCE: Words = {
    "users": 3,
    "session_size": 3,
    "arrive_over": "0s",
    "typing": False,
    "presence": False,
    "messages": None,
    "network": {"latency": {"constant": "250ms"}},
}
"""People to whom everything happens at the same instants."""


def but(group: Words | None = None, **words: Any) -> Words:
    """The same with these words, of its group or of its own."""
    made = deepcopy(EASY) | words
    made["groups"][0] |= group or {}
    return made


DIFFERENT: dict[str, Words] = {
    "costs": but(costs={"append": "3ms"}),
    "ties": but(
        {"messages": {"arrivals": "periodic", "rate": "30/min"}, "network": {"latency": {"constant": "20ms"}}}, ties=3
    ),
    "network.latency that recurs": but(AT_ONCE, events=[{"at": "4s", "do": "flood", "rate": "5/s", "for": "5s"}]),
    "network.bandwidth": but({"network": {"latency": {"exponential": {"mean": "20ms"}}, "bandwidth": "64kbit/s"}}),
    "handler.outbound_frames, outbound_bytes": but(
        handler={"outbound_frames": 20, "outbound_bytes": "3000B"}, events=[{"at": "4s", "do": "vanish", "count": 2}]
    ),
    "log.store of sqlite": but(log={"store": "sqlite", "latency": {"exponential": {"mean": "100ms"}}}),
    "handler.message_bytes_max under 1 KiB": but(
        {"token_ttl": "12s"}, handler={"message_bytes_max": "200B", "token_warning": "10s"}
    ),
}
"""For each setting that is left out a scenario that the wires play differently."""


def test_everything_that_is_left_out_is_known_here() -> None:
    # Who all come at one instant do not always differ, and nobody looks beyond the duration.
    also = {"arrive_over of 0s", "after the duration"}
    assert LEFT_OUT.keys() == DIFFERENT.keys() | UNTIL.keys() | also
    assert play(Scenario.of(EASY), "agreement").violations == []


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_the_wires_play_differently_is_left_out_for_real(what: str) -> None:
    broken, left = (
        play(Scenario.of(words), "agreement").violations for words in (DIFFERENT[what], alike(DIFFERENT[what]))
    )
    assert [violation.name for violation in broken] == ["one_run"]
    assert left == []


def test_whoever_arrives_at_once_does_so_within_a_run_however_short() -> None:
    for duration, over_s in (("15s", 3.0), ("2s", 1.0)):
        (group,) = Scenario.of(alike(but({"arrive_over": "0s"}, duration=duration))).groups
        assert group.arrive_over_s == over_s


@pytest.mark.parametrize("why", UNTIL)
def test_the_two_runs_are_compared_until_they_are_two_for_a_reason_that_is_named(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Over 10,000 people would have to go for a drain to take as long as it may.
    monkeypatch.setattr("chatsim.virtual.node.DRAIN_S_MAX", 3.0)
    group, events, after_s, before_s = UNTIL[why]
    made = alike(words(10)) | {
        "duration": "40s",
        "log": {"latency": {"constant": "0s"}},
        "handler": {},
        "groups": [{"name": "g0", **group}],
        "events": events,
    }
    scenario = Scenario.of(alike(made))
    one, other = Trace(), Trace()
    simulate(scenario, observers=(one,))
    extent = compared(scenario, run_virtual(scenario, observers=(other,)))
    assert extent.left_out == why
    assert after_s < extent.until_s < before_s
    difference = parted(one, other, within_s=WITHIN_S)
    assert difference is not None
    assert difference[0] >= extent.until_s
    played = play(scenario, "agreement")
    assert played.violations == []
    assert (played.compared_s, played.left_out) == extent


def test_whatever_ends_a_comparison_first_is_the_reason_and_each_has_a_sentence() -> None:
    scenario = Scenario.of(alike(words(10)))
    outcome = run_virtual(scenario)
    assert compared(scenario, outcome) == Compared(scenario.duration_s)
    outcome.held_at, outcome.lingered_at, outcome.impatient_at = 3.0, 2.0, 1.0
    assert compared(scenario, outcome) == (1.0, LONG_DRAIN)
    outcome.impatient_at = scenario.duration_s + 1.0
    assert compared(scenario, outcome) == (2.0, NOTICES)
    outcome.lingered_at = outcome.impatient_at
    assert compared(scenario, outcome) == (3.0, UNREAD)
