"""Drawn settings are legal, and leave room for all who want to be there."""

from __future__ import annotations

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.explore.draw import UNDRAWN, draw
from chatsim.explore.lots import Lots, Words
from chatsim.explore.settings import limits, settings
from chatsim.scenario.events import Arrive
from chatsim.scenario.handler import handler_config

SEEDS = 400


def test_every_setting_takes_more_than_one_value_or_it_is_named_why_not() -> None:
    drawn = [draw(seed).handler for seed in range(SEEDS)]
    same = {field for field in HandlerConfig.__struct_fields__ if len({getattr(made, field) for made in drawn}) < 2}
    assert same == UNDRAWN["handler"].keys()
    for word in ("rate_limit", "frame_limit", "violation_limit"):
        window = word.removesuffix("_limit") + "_window_s"
        assert len({(getattr(made, word), getattr(made, window)) for made in drawn}) > 2


def test_choices_are_drawn_in_full() -> None:
    drawn = [draw(seed).handler for seed in range(SEEDS)]
    assert {made.rate_algorithm for made in drawn} == {"sliding", "fixed", "token_bucket"}
    assert {made.reliability for made in drawn} == {"hardened", "baseline"}
    assert {made.retries for made in drawn} >= {0, 1, 2, 3, 4}
    assert 0.0 in {made.presence_grace_s for made in drawn}


@pytest.mark.parametrize("seed", range(50))
def test_each_is_legal(seed: int) -> None:
    assert handler_config(settings(Lots(seed))).problems() == []


def test_there_is_room_for_all_who_come() -> None:
    tight = 0
    for seed in range(SEEDS):
        made = draw(seed)
        arriving = {event.group: event.users for event in made.events if isinstance(event, Arrive)}
        least = sum(
            (g.users + arriving.get(g.name, 0)) * g.connections_per_user for g in made.groups if g.credentials == "good"
        )
        assert made.handler.connections_max >= least
        tight += made.handler.connections_max <= least + 3
    assert tight > SEEDS // 10


def test_what_nobody_is_to_feel_is_drawn_in_full() -> None:
    drawn = [draw(seed).handler for seed in range(SEEDS)]
    assert sum(made.compression for made in drawn) > SEEDS // 10
    assert {made.history_messages for made in drawn} >= {0, 1}
    assert 0.0 in {made.history_for_s for made in drawn}
    assert {made.sessions_per_user for made in drawn} == {1, 2, 3, HandlerConfig().sessions_per_user}


def test_limits_know_of_those_who_arrive_later() -> None:
    groups = [{"name": "a", "users": 2, "session_size": 1, "connections_per_user": 2}]
    events: list[Words] = [{"do": "arrive", "group": "a", "users": 3}, {"do": "drop"}]
    found = set()
    for seed in range(100):
        handler: dict[str, object] = {}
        limits(Lots(seed), handler, groups, events)
        found.add(handler.get("connections_max"))
    assert found == {None, 10, 11, 13}
