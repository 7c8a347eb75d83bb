"""The JSON Schema accepts what loads, and refuses what a schema can refuse."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from chatsim.scenario.events import EVENTS
from chatsim.scenario.load import discover
from chatsim.scenario.schema import schema
from chatsim.scenario.yaml import parse_yaml, read_yaml
from tests.scenario.examples import EXAMPLE, group, mapping
from tests.scenario.test_events import ARGUMENTS
from tests.scenario.test_handler import DEFAULTS


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def test_the_example_is_valid(validator: jsonschema.Draft202012Validator) -> None:
    assert list(validator.iter_errors(parse_yaml(EXAMPLE).value)) == []


def test_the_shipped_scenarios_are_valid(validator: jsonschema.Draft202012Validator) -> None:
    for path in discover():
        assert list(validator.iter_errors(read_yaml(path).value)) == [], path


def test_every_event_and_every_setting_is_known(validator: jsonschema.Draft202012Validator) -> None:
    events = [{"at": "1s", "do": word, **ARGUMENTS[word]} for word in EVENTS]
    assert list(validator.iter_errors(mapping(events=events, handler=DEFAULTS))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"costs": 0},
        {"costs": "default"},
        {"costs": {"frame": "1us", "write": {"exponential": {"mean": "1us"}}}},
        {"groups": [group(messages={"arrivals": {"closed": {"think": "3s"}}})]},
        {"groups": [group(messages={"arrivals": "profile", "profile": [[0, "1/s"]]})]},
        {"groups": [group(heartbeat="20s", token_ttl="15min", credentials="alg_none", acks=False)]},
        {"live": {"time_scale": 0.1, "groups": [{"name": "a", "users": 1}]}},
    ],
)
def test_valid(changes: dict[str, Any], validator: jsonschema.Draft202012Validator) -> None:
    assert list(validator.iter_errors(mapping(**changes))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"sede": 1},
        {"seed": 2**63},
        {"tags": ["_x"]},
        {"name": "a/b"},
        {"duration": 5},
        {"duration": "5 apples"},
        {"nodes": 2},
        {"costs": 3},
        {"costs": {"frme": 0}},
        {"handler": {"ping_intervall": "30s"}},
        {"handler": {"rate_limit": 60}},
        {"groups": []},
        {"groups": [group(network={"loss": 10})]},
        {"groups": [group(messages={"arrivals": "poison", "rate": "1/s"})]},
        {"events": [{"at": "1s", "do": "dorp"}]},
        {"events": [{"at": "1s", "do": "freeze"}]},
        {"expect": ["lsot == 0"]},
        {"live": {"time_scale": 0}},
    ],
)
def test_invalid(changes: dict[str, Any], validator: jsonschema.Draft202012Validator) -> None:
    assert not validator.is_valid(mapping(**changes))
