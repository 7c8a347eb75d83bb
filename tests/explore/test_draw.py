"""What a seed draws is legal, is the same again, ends in calm, and among many seeds leaves nothing out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import exp
from typing import Any, get_args

import pytest

from chatsim.explore.draw import FAULTS_UNTIL, P99_S_MAX, STAY_S, draw, words
from chatsim.scenario.costs import WORDS, Costs
from chatsim.scenario.distributions import Z99, Constant, Lognormal
from chatsim.scenario.events import EVENTS, BadFrames, Broken
from chatsim.scenario.model import MESSAGES, Credentials, Group, Log, Network, Scenario

SEEDS = 400

OF_THE_FILE = "says nothing of what is played"
UNDRAWN: Mapping[type, Mapping[str, str]] = {
    Scenario: {
        "name": OF_THE_FILE,
        "description": OF_THE_FILE,
        "requirements": OF_THE_FILE,
        "tags": OF_THE_FILE,
        "expect": OF_THE_FILE,
        "live": "neither wire of explore is live",
        "nodes": "there is one so far",
    },
    Log: {"store": "it groups commits, which are long where a latency is drawn"},
}
"""Words that need not vary, each with its reason."""

MESSAGES_UNDRAWN = {"trace": "its moments stand in a file, and the others have moments of every kind"}


@lru_cache(maxsize=1)
def drawn() -> tuple[Scenario, ...]:
    return tuple(draw(seed) for seed in range(SEEDS))


def values(things: Iterable[Any], field: str) -> int:
    return len({repr(getattr(thing, field)) for thing in things})


def same(model: type, things: Iterable[Any]) -> set[str]:
    """The fields that are the same in all of these, less those that may be."""
    made = list(things)
    fields = model.model_fields  # type: ignore[attr-defined]
    assert UNDRAWN.get(model, {}).keys() <= fields.keys()
    return {field for field in fields if values(made, field) < 2} - UNDRAWN.get(model, {}).keys()


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
    kinds = [{event.do for event in made.events} for made in drawn()]
    assert set().union(*kinds) == set(EVENTS)
    assert all(sum(do in found for found in kinds) < 0.6 * SEEDS for do in EVENTS)


@pytest.mark.parametrize("do", EVENTS)
def test_every_word_of_every_fault_varies(do: str) -> None:
    found = [event for made in drawn() for event in made.events if event.do == do]
    assert same(EVENTS[do], found) - {"do"} == set()


def test_every_word_of_a_scenario_varies() -> None:
    assert same(Scenario, drawn()) == set()


def test_every_word_of_a_group_and_its_network_and_of_the_log_varies() -> None:
    groups = [group for made in drawn() for group in made.groups]
    assert same(Group, groups) == set()
    assert same(Network, [group.network for group in groups]) == set()
    assert same(Log, [made.log for made in drawn()]) == set()
    assert {group.credentials for group in groups} == set(get_args(Credentials))


def test_every_kind_of_messages_is_drawn_and_each_of_its_words_varies() -> None:
    found = [group.messages for made in drawn() for group in made.groups if group.messages is not None]
    assert {messages.arrivals for messages in found} == MESSAGES.keys() - MESSAGES_UNDRAWN.keys()
    for kind in MESSAGES.keys() - MESSAGES_UNDRAWN.keys():
        assert same(MESSAGES[kind], [m for m in found if m.arrivals == kind]) - {"arrivals"} == set()


def test_every_cost_varies() -> None:
    costs = [made.costs for made in drawn()]
    assert {word for word in WORDS if values(costs, word) < 3} == set()
    assert any(made.is_free for made in costs)
    assert any(made == Costs() for made in costs)


def test_frames_are_broken_in_every_way() -> None:
    kinds = {event.kind for made in drawn() for event in made.events if isinstance(event, BadFrames)}
    assert kinds == set(get_args(Broken))


def test_some_bodies_are_larger_than_a_message_may_be() -> None:
    over = [
        made
        for made in drawn()
        for group in made.groups
        if not isinstance(group.body_bytes, Constant) and made.handler.message_bytes_max < 4096
    ]
    assert len(over) > SEEDS // 20


def test_the_first_group_may_come_in() -> None:
    assert all(made.groups[0].credentials == "good" for made in drawn())


def test_who_is_let_in_by_a_clock_that_is_ahead_may_stay_for_longer_than_others_wait() -> None:
    # Found by exploring (seed 2358: no scenario, what was drawn was at fault): with ten seconds left to each token
    # there was never a moment with everybody there.
    found = 0
    for seed in (*range(SEEDS), 2358):
        made = draw(seed)
        ahead_s = sum(event.by_s for event in made.events if event.do == "clock_jump")
        for group in made.groups:
            if ahead_s > 0 and group.token_ttl_s is not None:
                left_s = group.token_ttl_s - ahead_s
                found += left_s > 0
                assert not 0 < left_s < STAY_S - 1e-6
    assert found


def test_whose_token_cannot_be_renewed_may_stay_for_longer_than_others_wait() -> None:
    # Found by exploring (seed 20156: no scenario, what was drawn was at fault): nobody was warned, and each token's
    # last moment was its connection's.
    found = 0
    for seed in (*range(SEEDS), 20156):
        made = draw(seed)
        if made.handler.token_warning_s == made.handler.token_grace_s == 0:
            lives_s = [group.token_ttl_s for group in made.groups]
            found += sum(life_s < 3600 for life_s in lives_s)
            assert all(life_s >= STAY_S for life_s in lives_s)
    assert found


def test_no_latency_takes_minutes_by_luck() -> None:
    # Found by exploring (seed 20888: no scenario, what was drawn was at fault): one append of 24 million medians, and
    # the run was over before it.
    found = 0
    for seed in (*range(SEEDS), 20888):
        made = draw(seed)
        for latency in (made.log.latency, *(group.network.latency for group in made.groups)):
            if isinstance(latency, Lognormal):
                found += 1
                assert latency.median * exp(Z99 * latency.sigma) <= P99_S_MAX + 1e-9
    assert found
