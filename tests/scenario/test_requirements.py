"""One closed vocabulary of requirements, each carried by shipped scenarios that promise something about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.errors import UsageError
from chatsim.scenario.expectations import COUNTERS, METRICS, Expectation, parse_expectation
from chatsim.scenario.load import ScenarioErrors, discover, load, shipped
from chatsim.scenario.requirements import REQUIREMENTS, strangers, telling, unfit

TALK = """
name: talk
duration: 1min
requirements: [TAGS]
TLSgroups: [{name: people, users: 2}]
expect: [retries == 0, lost == 0]
"""


def words(tags: str, tls: str = "") -> str:
    return TALK.replace("TAGS", tags).replace("TLS", tls)


@pytest.fixture
def beside_the_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is taken for that of the shipped scenarios."""
    monkeypatch.setattr("chatsim.scenario.load.shipped", lambda: tmp_path)
    return tmp_path


def test_every_requirement_is_shown_by_what_can_be_expected() -> None:
    for known in REQUIREMENTS.values():
        assert known.title
        assert known.shown_by
        assert set(known.shown_by) <= {*METRICS, *COUNTERS}


def test_a_stranger_is_named_with_what_may_be_meant() -> None:
    assert list(strangers(("acks", "ack", "5.1"))) == [(1, "unknown requirement 'ack' (did you mean acks?)")]


def test_an_unknown_tag_of_a_shipped_scenario_is_refused_where_it_stands(beside_the_shipped: Path) -> None:
    path = beside_the_shipped / "talk.yaml"
    path.write_text(words("acks, user mappings"), encoding="utf-8")
    with pytest.raises(ScenarioErrors, match="did you mean user mapping") as caught:
        load(path)
    [problem] = caught.value.problems
    assert (problem.line, problem.column, problem.path) == (4, 22, "requirements[1]")


def test_people_tag_their_own_scenarios_as_they_like(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    path.write_text(words("JIRA-12, user mappings"), encoding="utf-8")
    assert load(path).requirements == ("JIRA-12", "user mappings")


def test_where_nothing_is_shipped_every_scenario_is_somebodys_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Path:
        raise UsageError("no scenarios were shipped")

    monkeypatch.setattr("chatsim.scenario.load.shipped", none)
    path = tmp_path / "talk.yaml"
    path.write_text(words("mine"), encoding="utf-8")
    assert load(path).requirements == ("mine",)


def expectations(*texts: str) -> tuple[Expectation, ...]:
    return tuple(parse_expectation(text) for text in texts)


def test_what_speaks_of_a_requirement_is_picked_out() -> None:
    expect = expectations("lost == 0", "retries == 3", "p99(delivery_latency) <= 100ms")
    assert [each.text for each in telling("retry", expect)] == ["retries == 3"]
    assert [each.text for each in telling("5.1", expect)] == ["p99(delivery_latency) <= 100ms"]
    assert telling("mine", expect) == list(expect)


def test_who_promises_nothing_about_a_requirement_cannot_show_it(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    path.write_text(words("retry"), encoding="utf-8")
    scenario = load(path)
    assert unfit("retry", scenario, expectations("retries == 3")) == ""
    assert unfit("mine", scenario, scenario.expect) == ""
    why = unfit("typing", scenario, scenario.expect)
    assert why == "talk promises nothing about typing: expect something of typing_events"


@pytest.mark.parametrize(
    ("promises", "fits"),
    [
        (("retries == 0", "gave_up == 0"), False),
        (("retries >= 0",), False),
        (("retries == 0", "gave_up >= 1"), True),
        # That something happens is promised of another thing.
        (("retries == 0", "pings >= 1"), False),
    ],
)
def test_who_promises_what_would_hold_of_nothing_cannot_show_it(
    promises: tuple[str, ...], fits: bool, tmp_path: Path
) -> None:
    path = tmp_path / "talk.yaml"
    path.write_text(words("retry"), encoding="utf-8")
    why = unfit("retry", load(path), expectations(*promises))
    assert (why == "") == fits
    assert fits or "that would not hold if nobody had come" in why


def test_tls_is_shown_where_it_is_spoken() -> None:
    assert {wire for wire in ("sim", "virtual", "live") if REQUIREMENTS["8.1"].shown_on(wire)} == {"live"}
    assert all(known.shown_on("sim") for tag, known in REQUIREMENTS.items() if tag != "8.1")


@pytest.mark.parametrize(("tls", "fits"), [("", False), ("tls: true\n", True)])
def test_tls_is_shown_over_tls_alone(tls: str, fits: bool, tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    path.write_text(words("", tls), encoding="utf-8")
    scenario = load(path)
    assert (unfit("8.1", scenario, expectations("connections_peak == 2")) == "") == fits


@pytest.mark.parametrize("tag", REQUIREMENTS)
def test_each_has_a_shipped_scenario(tag: str) -> None:
    assert any(tag in load(path).requirements for path in discover([shipped()]))


@pytest.mark.parametrize("path", discover([shipped()]), ids=lambda path: path.stem)
def test_each_shipped_scenario_promises_something_about_what_it_carries(path: Path) -> None:
    scenario = load(path)
    for expect in (scenario.expect, scenario.with_live_overrides().expect):
        assert [why for tag in scenario.requirements if (why := unfit(tag, scenario, expect))] == []
