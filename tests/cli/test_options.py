"""A text of the command line is read as a file would be, and refused in one sentence that names its option."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatsim.cli.options import changes, check_jobs, grid, number, paths, share
from chatsim.errors import UsageError
from chatsim.scenario.load import shipped


def test_values_of_a_grid_stay_as_a_file_says_them() -> None:
    assert grid(["groups.mobile.users=100,200, 400", "handler.rate_limit=30/min,60/min"]) == {
        "groups.mobile.users": [100, 200, 400],
        "handler.rate_limit": ["30/min", "60/min"],
    }


def test_a_comma_within_brackets_divides_nothing() -> None:
    latencies = "network.latency={lognormal: {median: 15ms, p99: 45ms}},{constant: 5ms}"
    found = grid([latencies, "expect=[lost == 0, sent > 1]"])
    assert found["network.latency"] == [{"lognormal": {"median": "15ms", "p99": "45ms"}}, {"constant": "5ms"}]
    assert found["expect"] == [["lost == 0", "sent > 1"]]


def test_a_change_has_one_value() -> None:
    assert changes(["typing=true", "handler.rate_limit=30/min"]) == {"typing": True, "handler.rate_limit": "30/min"}


def test_a_change_is_a_mapping_or_a_list_in_yaml_or_in_json() -> None:
    network = {"latency": {"lognormal": {"median": "15ms", "p99": "45ms"}}, "loss": "1%"}
    events = [{"at": "1s", "do": "drop"}]
    said = ["network={latency: {lognormal: {median: 15ms, p99: 45ms}}, loss: 1%}", "events=[{at: 1s, do: drop}]"]
    assert changes(said) == {"network": network, "events": events}
    assert changes([f"network={json.dumps(network)}", f"events={json.dumps(events, indent=1)}"]) == changes(said)


def test_of_two_changes_of_one_path_the_last_counts_where_it_was_said() -> None:
    assert list(changes(["users=1", "groups=[]", "users=2"]).items()) == [("groups", []), ("users", 2)]


@pytest.mark.parametrize(
    ("read", "given", "text"),
    [
        (grid, ["users"], "--set users: write a path"),
        (grid, ["users=1", "users=2"], "users has values already"),
        (grid, ["users=[1"], "--set users"),
        (changes, ["users=[1"], "--set users"),
        (changes, ["network={loss: 1%, latency: 0}}"], "--set network:1:.*is not YAML"),
        (changes, ["network={loss: 1%, loss: 2%}"], "--set network:1:12: the key 'loss' is given twice"),
        (grid, ["network={loss: 1%},{loss: 1%, loss: 2%}"], "the key 'loss' is given twice"),
        (changes, ["costs=!x 5"], "the tag .* is not used here"),
        (number, "1", "at least 2, or auto"),
        (number, "-3", "at least 2, or auto"),
        pytest.param(number, "7" * 5000, "7{40}\\.\\.\\.: .* at least 2, or auto", id="more digits than Python reads"),
        (number, "\N{ARABIC-INDIC DIGIT SEVEN}", "at least 2, or auto"),
        (share, "0%", "--until 0%"),
        (share, "x", "--until x"),
        (check_jobs, 0, "--jobs 0"),
    ],
)
def test_what_cannot_be_is_refused(read: Any, given: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        read(given)


def test_numbers_and_shares() -> None:
    assert (number("auto"), number("12"), share("5%")) == ("auto", 12, 0.05)


def test_without_a_path_it_is_said_whose_scenarios_are_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths([], "check") == paths(None, "check") == ()
    told = f"chatsim: no path was given, so these are the shipped scenarios, of {shipped()}"
    assert capsys.readouterr().err.splitlines() == [told, told]
    # A folder of one's own is not taken for them unasked.
    (tmp_path / "scenarios").mkdir()
    assert paths(None, "check") == ()
    assert capsys.readouterr().err.splitlines() == [f"{told}; your own: chatsim check scenarios"]
    assert paths([Path("scenarios")], "check") == [Path("scenarios")]
    assert capsys.readouterr().err == ""
    monkeypatch.chdir(shipped().parent)
    assert paths(None, "check") == ()
    assert capsys.readouterr().err.splitlines() == [told]
