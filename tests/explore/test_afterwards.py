"""What rarely comes about by itself comes often enough, and lets everybody come to rest."""

from __future__ import annotations

from typing import get_args

from chatsim.explore.afterwards import STAY_S
from chatsim.explore.agreement import ARRIVE_OVER_S
from chatsim.explore.draw import draw
from chatsim.scenario.events import (
    BadFrames,
    Broken,
    ClockJump,
    Drop,
    Leave,
    LogOutage,
    RemoveParticipant,
    WithholdAcks,
)
from chatsim.scenario.model import Credentials, Trace
from tests.explore.drawn import SEEDS, drawn


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


def test_tokens_that_have_ended_are_good_again_when_the_clock_is_set_back_before_their_grace_is_over() -> None:
    found = 0
    for made in drawn():
        jumps = [event for event in made.events if isinstance(event, ClockJump)]
        if len(jumps) == 2 and jumps[0].by_s == -jumps[1].by_s > 0.0:
            again = jumps[1].at_s - jumps[0].at_s < made.handler.token_grace_s and made.handler.token_warning_s > 0
            found += again and any(group.token_ttl_s == jumps[0].by_s for group in made.groups)
    assert found > SEEDS // 50


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
