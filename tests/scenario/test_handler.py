"""The words of `handler:` set the fields of HandlerConfig and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.scenario.faults import FaultsError, dotted
from chatsim.scenario.handler import WINDOWED, handler_config, words

DEFAULTS: dict[str, Any] = {
    "reliability": "hardened",
    "ping_interval": "30s",
    "pong_timeout": "10s",
    "stale_after": "5min",
    "sweep_interval": "30s",
    "retry_interval": "30s",
    "retries": 3,
    "rate_limit": "60/min",
    "rate_algorithm": "sliding",
    "frame_limit": "600/min",
    "violation_limit": "10/min",
    "message_bytes_max": "64KiB",
    "typing_interval": "3s",
    "typing_lapse": "10s",
    "presence_grace": "15s",
    "dedupe_for": "5min",
    "retention": "5min",
    "retention_messages": 256,
    "retention_bytes": "1MiB",
    "outbound_frames": 256,
    "outbound_bytes": "1MiB",
    "connections_per_user": 20,
    "connections_max": 50000,
    "accept_rate": "500/s",
    "resume_rate": "1000/s",
    "sessions_per_connection": 128,
    "sessions_max": 100000,
    "sessions_per_user": 1000,
    "participants_max": 10000,
    "revocations_max": 100000,
    "history_for": "30d",
    "history_messages": 1000,
    "history_messages_max": 100000,
    "compression": "off",
    "token_warning": "60s",
    "token_grace": "25s",
    "drain_window": "25s",
    "algorithms": ["HS256"],
    "audience": None,
    "issuer": None,
    "origins": [],
}


def test_the_defaults_written_out_are_the_defaults() -> None:
    assert handler_config(DEFAULTS) == HandlerConfig() == handler_config({})


def test_there_is_a_word_for_every_field_but_the_windows() -> None:
    assert set(words()) == set(DEFAULTS)
    assert set(words().values()) | set(WINDOWED.values()) == set(HandlerConfig.__struct_fields__)


def test_a_limit_keeps_its_window() -> None:
    made = handler_config({"rate_limit": "5/s", "accept_rate": "30/min", "compression": True})
    assert (made.rate_limit, made.rate_window_s, made.accept_rate_per_s, made.compression) == (5, 1.0, 0.5, True)


@pytest.mark.parametrize(
    ("word", "value", "hint"),
    [
        ("ping_intervall", "30s", "did you mean ping_interval?"),
        ("ping_interval_s", 30, "did you mean ping_interval?"),
        ("rate_window", "30s", "unknown setting"),
        ("ping_interval", 30, "write 30s"),
        ("ping_interval", "0s", "more than 0"),
        ("rate_limit", 60, "write 60/min"),
        ("rate_limit", "1.5/min", "whole number"),
        ("rate_limit", "0/min", "at least 1"),
        ("accept_rate", "0/s", "more than 0"),
        ("message_bytes_max", "1.5B", "whole number of bytes"),
        ("retries", -1, "0 or more"),
        ("retries", "3", "whole number"),
        ("outbound_frames", 0, "more than 0"),
        ("compression", "perhaps", "neither on nor off"),
        ("reliability", "hard", "did you mean hardened?"),
        ("rate_algorithm", "fixd", "did you mean fixed?"),
        ("algorithms", ["none"], "no signature algorithm"),
        ("algorithms", ["HS512"], "no signature algorithm"),
        ("algorithms", ["ES384"], "no signature algorithm"),
        ("algorithms", [], "no algorithm"),
        ("algorithms", ["HS256", "RS256"], "public key"),
        ("algorithms", 3, "list of texts"),
        ("audience", 3, "quotes"),
        ("retention", "40s", "raise retention"),
        ("pong_timeout", "100s", "before a dead peer is found"),
    ],
)
def test_refusals(word: str, value: object, hint: str) -> None:
    with pytest.raises(FaultsError) as caught:
        handler_config({word: value})
    assert any(hint in text for _, text in caught.value.found)
    assert {at[0] for at, _ in caught.value.found} <= {word, "retention", "ping_interval"}


def test_all_wrong_words_come_at_once() -> None:
    with pytest.raises(FaultsError) as caught:
        handler_config({"retries": -1, "sede": 1, "retention": 5})
    assert [dotted(at) for at, _ in caught.value.found] == ["retries", "sede", "retention"]


@pytest.mark.parametrize(
    ("said", "paths"),
    [
        ({"sede": 1, "ping_interval": "111s"}, ["sede", "ping_interval"]),
        ({"pong_timeout": "100s", "retention": "1min", "sede": 1}, ["sede", "retention", "ping_interval"]),
        ({"ping_intervall": "30s", "retention": "5s"}, ["ping_intervall", "retention"]),
        ({"ping_interval": "20s", "ping_intervall": "9min"}, ["ping_intervall"]),
        # What cannot be read takes part in no contradiction.
        ({"ping_intervall": "soon", "retention": "5s"}, ["ping_intervall"]),
        ({"retries": "many", "retention": "5s", "ping_interval": "5min"}, ["retries", "retention"]),
        ({"retentoin": "20min", "ping_interval": "10min", "retry_interval": "10min"}, ["retentoin"]),
        ({"reliabilty": "baseline", "retention": "1s"}, ["reliabilty"]),
        ({"reliability": "bassline", "retention": "1s"}, ["reliability"]),
        ({"algorithms": ["none", "HS512"], "retention": "1s"}, ["algorithms", "retention"]),
    ],
)
def test_a_wrong_word_hides_no_contradiction_of_the_others(said: dict[str, Any], paths: list[str]) -> None:
    with pytest.raises(FaultsError) as caught:
        handler_config(said)
    assert [dotted(at) for at, _ in caught.value.found] == paths


def test_every_algorithm_that_cannot_be_is_named() -> None:
    with pytest.raises(FaultsError, match="none, HS512"):
        handler_config({"algorithms": ["none", "HS256", "HS512"]})


def test_baseline_may_contradict_itself() -> None:
    assert handler_config({"reliability": "baseline", "retention": "1s"}).retention_s == 1.0
    assert handler_config({"retries": 5, "presence_grace": 0}).presence_grace_s == 0.0
