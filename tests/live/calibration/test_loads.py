"""The loads differ in one thing each, and no setting of theirs contradicts another."""

from __future__ import annotations

import pytest

from chatsim.live.calibration.loads import BY_NAME, CONFIGS, LISTENERS, LOADS, Load
from chatsim.live.node import config_words
from chatsim.scenario.handler import handler_config


def test_every_load_has_a_name_of_its_own_and_a_server() -> None:
    assert len(BY_NAME) == len(LOADS)
    assert {load.server for load in LOADS} < set(CONFIGS)


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_every_load_is_bounded(load: Load) -> None:
    assert 0 < load.ops_max <= 4000
    assert 0.0001 <= load.gap_s <= 0.05
    assert 0 <= load.heard_least <= load.heard


@pytest.mark.parametrize("server", CONFIGS)
def test_the_command_takes_the_settings_as_they_are_meant(server: str) -> None:
    config = next(config for name, config in CONFIGS.items() if name == server)
    assert handler_config(config_words(config)) == config


def test_presence_is_told_to_more_and_more() -> None:
    assert [BY_NAME[f"presence 1x{count} plain"].heard for count in LISTENERS] == list(LISTENERS)
