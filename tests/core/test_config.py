"""The settings: the protocol's defaults, contradictions said in a sentence, and the same rules played faster."""

from __future__ import annotations

import msgspec
import pytest

from chatsim.core.config import HandlerConfig


def test_the_defaults_are_those_of_the_protocol() -> None:
    config = HandlerConfig()
    assert config.reliability == "hardened"
    assert (config.ping_interval_s, config.pong_timeout_s) == (30, 10)
    assert (config.stale_after_s, config.sweep_interval_s) == (300, 30)
    assert (config.retry_interval_s, config.retries) == (30, 3)
    assert (config.rate_limit, config.rate_window_s, config.rate_algorithm) == (60, 60, "sliding")
    assert (config.frame_limit, config.frame_window_s) == (600, 60)
    assert (config.violation_limit, config.violation_window_s) == (10, 60)
    assert config.message_bytes_max == 65536
    assert (config.typing_interval_s, config.typing_lapse_s, config.presence_grace_s) == (3, 10, 15)
    assert (config.dedupe_for_s, config.retention_s) == (300, 300)
    assert (config.retention_messages, config.retention_bytes) == (256, 2**20)
    assert (config.outbound_frames, config.outbound_bytes) == (256, 2**20)
    assert (config.connections_per_user, config.connections_max) == (20, 50_000)
    assert (config.accept_rate_per_s, config.resume_rate_per_s) == (500, 1000)
    assert (config.sessions_per_connection, config.participants_max) == (128, 10_000)
    assert config.history_for_s == 30 * 86400
    assert (config.token_warning_s, config.token_grace_s, config.drain_window_s) == (60, 25, 25)
    assert config.algorithms == ("HS256",)
    assert not config.compression


def test_the_defaults_contradict_nothing() -> None:
    assert HandlerConfig().problems() == []


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (HandlerConfig(retention_s=69.0), "retention_s"),
        (HandlerConfig(ping_interval_s=111.0), "ping_interval_s"),
    ],
)
def test_a_contradiction_names_its_field_and_the_cure(config: HandlerConfig, field: str) -> None:
    [(found, sentence)] = config.problems()
    assert found == field
    assert "lower" in sentence
    assert msgspec.structs.replace(config, reliability="baseline").problems() == []


def test_what_is_not_known_contradicts_nothing() -> None:
    config = HandlerConfig(retention_s=1.0, retries=0)
    assert [field for field, _ in config.problems()] == ["retention_s", "ping_interval_s"]
    assert [field for field, _ in config.problems(unknown={"retries"})] == ["retention_s"]
    assert [field for field, _ in config.problems(unknown={"retention_s"})] == ["ping_interval_s"]
    assert config.problems(unknown={"ping_interval_s"}) == config.problems(unknown={"reliability"}) == []


def test_settings_on_the_edge_are_accepted() -> None:
    assert HandlerConfig(retention_s=70.0).problems() == []
    assert HandlerConfig(ping_interval_s=110.0).problems() == []


def test_scaled_multiplies_durations_and_divides_rates() -> None:
    config = HandlerConfig().scaled(0.1)
    assert config.ping_interval_s == pytest.approx(3)
    assert config.rate_window_s == pytest.approx(6)
    assert config.accept_rate_per_s == pytest.approx(5000)
    assert (config.rate_limit, config.retries, config.message_bytes_max) == (60, 3, 65536)
    assert config.scaled(10.0).retention_s == pytest.approx(300)


def test_a_misspelt_word_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="pingg"):
        msgspec.convert({"pingg": 1}, HandlerConfig)
