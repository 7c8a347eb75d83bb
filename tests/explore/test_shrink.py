"""A failing scenario becomes a small one that fails in the same way."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chatsim.explore import shrink as module
from chatsim.explore.afterwards import TRACE
from chatsim.explore.agreement import alike
from chatsim.explore.draw import words as drawn
from chatsim.explore.lots import Words
from chatsim.explore.play import Played, Wire
from chatsim.explore.shrink import Shrinker, named, shrunk, text
from chatsim.scenario import units
from chatsim.scenario.load import load
from chatsim.scenario.model import Scenario
from chatsim.verdict.invariants.catalogue import Violation

BIG: Words = {
    "name": "big",
    "seed": 3,
    "duration": "100s",
    "handler": {"retries": 2, "ping_interval": "9s"},
    "groups": [
        {
            "name": "g0",
            "users": 7,
            "session_size": 3,
            "network": {"latency": {"exponential": {"mean": "0.137s"}}, "loss": "2.5%"},
            "messages": {"arrivals": "poisson", "rate": "16.25/min"},
        },
        {"name": "g1", "users": 5},
    ],
    "events": [{"at": f"{at}s", "do": do} for at, do in enumerate(("drop", "vanish", "drop", "drain_node", "drop"))]
    + [{"at": "43.217s", "do": "freeze", "for": "12.344s", "group": "g1", "count": 1}],
    "expect": ["lost == 0"],
    "ties": 3,
}


def small(fails: Any, words: Words = BIG, **limits: Any) -> Words:
    return Shrinker(words, fails, **limits).shrink().words


def test_what_does_not_matter_goes() -> None:
    def fails(words: Words) -> bool:
        Scenario.of(words)
        kinds = {event["do"] for event in words.get("events", ())}
        return {"vanish", "drain_node"} <= kinds and words["groups"][0]["users"] >= 2

    found = small(fails)
    assert [event["do"] for event in found["events"]] == ["vanish", "drain_node"]
    assert [event["at"] for event in found["events"]] == ["0s", "0s"]
    assert found["groups"] in ([{"name": "g0", "users": 2}], [{"name": "g1", "users": 2}])
    assert found.keys() == {"name", "seed", "duration", "groups", "events", "expect"}
    # The shortest of one digit: none at all would be refused.
    assert (found["duration"], found["seed"]) == ("0.1s", 1)


def test_times_durations_latencies_and_rates_are_made_simpler_as_far_as_they_may() -> None:
    def fails(words: Words) -> bool:
        Scenario.of(words)
        freezes = [event for event in words.get("events", ()) if event["do"] == "freeze"]
        first = words["groups"][0]
        latency = first.get("network", {}).get("latency", {})
        return (
            any(units.duration(event["for"]) >= 7 and units.duration(event["at"]) >= 21 for event in freezes)
            and units.rate(first.get("messages", {}).get("rate", 0)) * 60 >= 4
            and units.duration(latency.get("constant", latency.get("exponential", {}).get("mean", 0))) >= 0.03
            and units.duration(words.get("handler", {}).get("ping_interval", 0)) > 2
        )

    found = small(fails)
    [group] = found["groups"]
    assert group.keys() == {"name", "users", "network", "messages"}
    assert (group["users"], group["messages"]) == (1, {"arrivals": "periodic", "rate": "4/min"})
    assert group["network"] in [{"latency": {"constant": f"{text}s"}} for text in ("0.1", "0.03", "0.04")]
    assert found["handler"] == {"ping_interval": "3s"}
    [event] = found["events"]
    assert (event["do"], event["for"], {"group", "count"} & event.keys()) == ("freeze", "7s", set())
    assert 21 <= units.duration(event["at"]) <= 30
    assert units.duration(found["duration"]) >= units.duration(event["at"])


def test_a_profile_becomes_shorter_and_an_event_about_a_lost_group_is_about_all() -> None:
    profile = [["0s", "3/min"], ["20s", "40/min"], ["50s", "7/min"]]
    words = {
        **BIG,
        "groups": [BIG["groups"][1], {**BIG["groups"][0], "messages": {"arrivals": "profile", "profile": profile}}],
    }

    def fails(words: Words) -> bool:
        Scenario.of(words)
        group = words["groups"][-1]
        steps = group.get("messages", {}).get("profile", [])
        return ["20s", "40/min"] in steps and any(event["do"] == "freeze" for event in words.get("events", ()))

    found = small(fails, words)
    assert found["groups"] == [
        {"name": "g0", "users": 1, "messages": {"arrivals": "profile", "profile": [["20s", "40/min"]]}}
    ]
    assert [event.keys() for event in found["events"]] == [{"at", "do", "for"}]


def test_what_matters_stays() -> None:
    assert small(lambda words: False) == BIG


def test_it_does_not_try_for_ever() -> None:
    found = Shrinker(BIG, lambda words: True, tries_max=3).shrink()
    assert (found.tries, found.ended) == (3, "runs")
    ticks = count()
    found = Shrinker(BIG, lambda words: True, clock=lambda: float(next(ticks)), for_s=5.0).shrink()
    assert (found.tries, found.ended) == (4, "time")


def test_what_is_no_scenario_costs_no_run_and_nothing_is_tried_twice() -> None:
    tried: list[Words] = []

    def fails(words: Words) -> bool:
        Scenario.of(words)
        tried.append(words)
        return False

    found = Shrinker(BIG, fails).shrink()
    assert found.tries == len(tried)
    assert all(words not in tried[place + 1 :] for place, words in enumerate(tried))


def test_an_interrupt_leaves_what_was_reached() -> None:
    tries = count()

    def fails(words: Words) -> bool:
        if next(tries) == 2:
            raise KeyboardInterrupt
        return True

    found = Shrinker(BIG, fails).shrink()
    assert found.ended == "interrupted"
    assert len(str(found.words)) < len(str(BIG))


def test_only_the_same_failure_counts_and_two_runs_that_differ_are_played_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def played(scenario: Scenario, wire: Wire, *, twice: bool = False) -> Played:
        """What has a drop raises one thing and what has none another; with a freeze, two runs differ."""
        kinds = {event.do for event in scenario.events}
        found = [Violation("calm", 0.0, "IndexError: here" if "drop" in kinds else "KeyError: there")]
        if twice and "freeze" in kinds:
            found.append(Violation("same_again", 3.0, "."))
        return Played(scenario.seed, wire, "", 1.0, 1, {}, [], found)

    monkeypatch.setattr(module, "play", played)
    for broken, left in (
        (Violation("calm", 0.0, "IndexError: another place"), ["drop"]),
        (Violation("same_again", 9.0, "step 4"), ["freeze"]),
        (Violation("seq", 1.0, "."), [event["do"] for event in BIG["events"]]),
    ):
        found = shrunk(BIG, "sim", broken, clock=lambda: 0.0).words
        assert [event["do"] for event in found["events"]] == left


def test_what_two_wires_are_to_agree_on_stays_what_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    def played(scenario: Scenario, wire: Wire, *, twice: bool = False) -> Played:
        assert all(event.at_s != round(event.at_s, 1) for event in scenario.events)
        return Played(scenario.seed, wire, "", 1.0, 1, {}, [], [Violation("one_run", 0.0, ".")])

    monkeypatch.setattr(module, "play", played)
    found = shrunk(alike(drawn(10)), "agreement", Violation("one_run", 1.0, "."), clock=lambda: 0.0).words
    assert found == alike(found)


def test_a_scenario_that_does_not_fail_again_stays_as_it_is() -> None:
    broken = Violation("seq", 1.0, "s has 4 after 2.")
    assert shrunk(drawn(3), "sim", broken, clock=lambda: 0.0, tries_max=5).words == drawn(3)


def test_it_is_written_as_a_scenario_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "seq-3.yaml"
    path.write_text(text(BIG, path.stem, Violation("seq", 2.0, "s has 4 after 2.")), encoding="utf-8")
    made = load(path)
    assert (made.name, made.description[:5]) == ("seq-3", "seq: ")
    assert made.ties == 3


def test_recorded_moments_stand_beside_the_scenario_that_is_written(tmp_path: Path) -> None:
    recorded = {"name": "m", "users": 2, "messages": {"arrivals": "trace", "file": str(TRACE)}}
    words = BIG | {"groups": [*BIG["groups"], recorded]}
    assert named(words) == [TRACE]
    assert named(BIG) == []
    written = text(words, "small", Violation("seq", 2.0, "s has 4 after 2."))
    assert str(TRACE.parent) not in written
    (tmp_path / "small.yaml").write_text(written, encoding="utf-8")
    (tmp_path / TRACE.name).write_bytes(TRACE.read_bytes())
    messages = load(tmp_path / "small.yaml").group("m").messages
    assert messages is not None
    assert messages.arrivals == "trace"
    assert words["groups"][-1]["messages"]["file"] == str(TRACE), "what was played stays as it is"
