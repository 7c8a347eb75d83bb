"""Each event takes its own arguments, and no others."""

from __future__ import annotations

import re
from math import inf
from typing import Any

import pytest
from pydantic import ValidationError

from chatsim.scenario import events as e

FOR = {"for": "10s"}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "drop": {},
    "vanish": {},
    "freeze": FOR,
    "slow_reader": {"bandwidth": "64kbit/s", **FOR},
    "latency": {"factor": 2, **FOR},
    "loss": {"rate": "10%", **FOR},
    "partition": FOR,
    "flood": {"rate": "5/s", **FOR},
    "withhold_acks": FOR,
    "expire_tokens": {},
    "refresh_token": {"token": "forged"},
    "revoke": {},
    "bad_frames": {"rate": "5/s", **FOR},
    "leave": {},
    "remove_participant": {},
    "end_session": {},
    "post": {},
    "trespass": {},
    "restart_node": {"down": "2s"},
    "drain_node": {},
    "crash_node": {"down": "2s"},
    "log_outage": FOR,
    "clock_jump": {"by": "-1h"},
    "arrive": {"users": 3},
}


def test_every_event_has_a_case() -> None:
    assert set(ARGUMENTS) == set(e.EVENTS)


@pytest.mark.parametrize("word", ARGUMENTS)
def test_each_event_takes_exactly_its_arguments(word: str) -> None:
    kind, given = e.EVENTS[word], {"at": "1min", "do": word, **ARGUMENTS[word]}
    assert kind.model_validate(given).at_s == 60.0
    for argument in given:
        with pytest.raises(ValidationError, match=re.escape(argument)):
            kind.model_validate({key: value for key, value in given.items() if key != argument})
    with pytest.raises(ValidationError, match="other"):
        kind.model_validate({**given, "other": 1})


@pytest.mark.parametrize("word", ARGUMENTS)
def test_only_events_with_victims_choose_them(word: str) -> None:
    kind, given = e.EVENTS[word], {"at": 0, "do": word, **ARGUMENTS[word], "group": "a", "share": "50%"}
    if issubclass(kind, e.VictimEvent):
        made = kind.model_validate(given)
        assert (made.group, made.share, made.count) == ("a", 0.5, None)
    else:
        with pytest.raises(ValidationError, match="share"):
            kind.model_validate(given)


def test_units_of_arguments() -> None:
    assert e.ClockJump.model_validate({"at": 0, "do": "clock_jump", "by": "-1h"}).by_s == -3600.0
    assert e.Loss.model_validate({"at": 0, "do": "loss", "rate": "10%", "for": "1s"}).rate == 0.1
    assert e.Flood.model_validate({"at": 0, "do": "flood", "rate": "60/min", "for": "1s"}).rate_per_s == 1.0
    assert e.Vanish.model_validate({"at": 0, "do": "vanish"}).for_s is None
    assert e.BadFrames.model_validate({"at": 0, "do": "bad_frames", "rate": "1/s", "for": "1s"}).kind == "bad_json"


def test_a_session_that_is_opened_for_a_time_is_as_before_when_all_are_back_from_that() -> None:
    for words, lasts_s in (({}, inf), (FOR, 10.0), ({**FOR, "ttl": "30s"}, 50.0)):
        assert e.EndSession.model_validate({"at": 0, "do": "end_session", **words}).lasts_s == lasts_s


@pytest.mark.parametrize(
    ("word", "argument", "value", "hint"),
    [
        ("loss", "rate", "5/s", "share"),
        ("flood", "rate", "10%", "rate"),
        ("freeze", "for", "0s", "more than 0"),
        ("latency", "factor", 0, "more than 0"),
        ("clock_jump", "by", "0s", "moves nothing"),
        ("drop", "share", "0%", "more than 0"),
        ("drop", "count", 0, "at least 1"),
        ("bad_frames", "kind", "good", "bad_json"),
    ],
)
def test_refusals(word: str, argument: str, value: object, hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        e.EVENTS[word].model_validate({"at": 0, "do": word, **ARGUMENTS[word], argument: value})
