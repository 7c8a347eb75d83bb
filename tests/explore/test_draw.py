"""What a seed draws is legal, is the same again, ends in calm, and among many seeds leaves nothing out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import exp
from typing import Any, get_args

import pytest

from chatsim.explore.agreement import ARRIVE_OVER_S
from chatsim.explore.draw import FAULTS_UNTIL, P99_S_MAX, STAY_S, UNDRAWN, draw, words
from chatsim.scenario.costs import FINER, PACE, WORDS, Costs
from chatsim.scenario.distributions import Z99, Constant, Lognormal
from chatsim.scenario.events import (
    EVENTS,
    BadFrames,
    Broken,
    ClockJump,
    Drop,
    Leave,
    LogOutage,
    RemoveParticipant,
    WithholdAcks,
)
from chatsim.scenario.model import MESSAGES, Credentials, Group, Log, Network, Scenario, Trace

SEEDS = 400


@lru_cache(maxsize=1)
def drawn() -> tuple[Scenario, ...]:
    return tuple(draw(seed) for seed in range(SEEDS))


def values(things: Iterable[Any], field: str) -> int:
    return len({repr(getattr(thing, field)) for thing in things})


def same(model: type, things: Iterable[Any]) -> set[str]:
    """The fields that are the same in all of these."""
    made = list(things)
    return {field for field in model.model_fields if values(made, field) < 2}  # type: ignore[attr-defined]


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
    assert all(sum(do in found for found in kinds) < 0.65 * SEEDS for do in EVENTS)


@pytest.mark.parametrize("do", EVENTS)
def test_every_word_of_every_fault_varies(do: str) -> None:
    found = [event for made in drawn() for event in made.events if event.do == do]
    assert same(EVENTS[do], found) - {"do"} == set()


def test_every_word_of_a_scenario_varies_or_it_is_named_why_not() -> None:
    assert same(Scenario, drawn()) == UNDRAWN["scenario"].keys()
    assert all(why for reasons in UNDRAWN.values() for why in reasons.values())


def test_every_word_of_a_group_and_its_network_and_of_the_log_varies() -> None:
    groups = [group for made in drawn() for group in made.groups]
    assert same(Group, groups) == set()
    assert same(Network, [group.network for group in groups]) == set()
    assert same(Log, [made.log for made in drawn()]) == set()
    assert {group.credentials for group in groups} == set(get_args(Credentials))


def test_every_kind_of_messages_is_drawn_and_each_of_its_words_varies() -> None:
    found = [group.messages for made in drawn() for group in made.groups if group.messages is not None]
    assert {messages.arrivals for messages in found} == MESSAGES.keys()
    for kind in MESSAGES:
        alike = same(MESSAGES[kind], [m for m in found if m.arrivals == kind])
        assert alike - {"arrivals"} == UNDRAWN.get(kind, {}).keys()


def test_every_cost_varies() -> None:
    costs = [made.costs for made in drawn()]
    assert {word for word in (*WORDS, *FINER, *PACE) if values(costs, word) < 3} == set()
    assert any(made.is_free for made in costs)
    assert any(made == Costs() for made in costs)


def test_the_log_is_in_a_file_often_and_commits_take_a_time_that_is_drawn() -> None:
    kept = [made for made in drawn() if made.log.store == "sqlite"]
    assert len(kept) > SEEDS // 4
    assert sum(made.log.latency.mean > 0 for made in kept) > len(kept) // 2
    assert any(made.costs.commit is not None for made in kept)
    assert any(isinstance(event, LogOutage) for made in kept for event in made.events)


def test_people_with_credentials_that_are_no_good_come_often() -> None:
    spoilt = [{group.credentials for group in made.groups} - {"good"} for made in drawn()]
    assert sum(bool(found) for found in spoilt) > SEEDS // 8
    for kind in set(get_args(Credentials)) - {"good"}:
        assert sum(kind in found for found in spoilt) > SEEDS // 100


def test_the_clock_is_set_beyond_the_end_of_tokens_and_back() -> None:
    found = 0
    for made in drawn():
        jumps = [event for event in made.events if isinstance(event, ClockJump)]
        if len(jumps) == 2 and jumps[0].by_s == -jumps[1].by_s > 0.0:
            assert jumps[0].at_s < jumps[1].at_s
            found += any(group.token_ttl_s < jumps[0].by_s for group in made.groups)
    assert found > SEEDS // 100


def test_somebody_goes_while_nothing_is_acked_and_everybody_is_dropped_while_the_log_takes_long() -> None:
    going = dropped = 0
    for made in drawn():
        for held, event in zip(made.events, made.events[1:], strict=False):
            if isinstance(held, WithholdAcks) and isinstance(event, Leave | RemoveParticipant):
                going += held.at_s < event.at_s < held.at_s + held.for_s
        drops = [event for event in made.events if isinstance(event, Drop)]
        everybody = any((event.group, event.share, event.count) == (None, None, None) for event in drops)
        dropped += everybody and made.log.latency.mean >= 0.5
    assert going > SEEDS // 40
    assert dropped > SEEDS // 40


def test_a_trace_begins_when_somebody_is_there() -> None:
    traced = [group for made in drawn() for group in made.groups if isinstance(group.messages, Trace)]
    assert len(traced) > SEEDS // 100
    for group in traced:
        assert isinstance(group.messages, Trace)
        assert group.arrive_over_s < ARRIVE_OVER_S < group.messages.moments_s[0]


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
