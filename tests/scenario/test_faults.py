"""Paths read as people write them, and hints name the nearest word."""

from __future__ import annotations

import pytest

from chatsim.errors import UsageError
from chatsim.scenario.faults import FaultsError, Path, did_you_mean, dotted


@pytest.mark.parametrize(
    ("path", "text"), [((), ""), (("a",), "a"), (("groups", 0, "messages", "rate"), "groups[0].messages.rate")]
)
def test_dotted(path: Path, text: str) -> None:
    assert dotted(path) == text


def test_several_faults_are_one_usage_error_and_one_value_error() -> None:
    error = FaultsError([(("a", 1), "wrong"), ((), "as a whole")])
    assert isinstance(error, UsageError)
    assert isinstance(error, ValueError)
    assert str(error) == "a[1]: wrong\nas a whole"
    assert error.exit_code == 3


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("rte", " (did you mean rate?)"),
        ("Ping-Interval", " (did you mean ping_interval?)"),
        ("zzz", " (known: rate, ping_interval)"),
        (3, " (known: rate, ping_interval)"),
    ],
)
def test_did_you_mean(word: object, hint: str) -> None:
    assert did_you_mean(word, ["rate", "ping_interval"]) == hint


def test_where_nothing_is_known_there_is_no_hint() -> None:
    assert did_you_mean("rate", []) == ""
