"""A failing scenario becomes a small one that fails in the same way."""

from __future__ import annotations

from pathlib import Path

from chatsim.explore.lots import Words
from chatsim.explore.shrink import Shrinker, write
from chatsim.scenario.load import load

BIG: Words = {
    "name": "big",
    "seed": 3,
    "duration": "100s",
    "handler": {"retries": 2, "ping_interval": "9s"},
    "groups": [
        {"name": "g0", "users": 7, "session_size": 3, "messages": {"arrivals": "poisson", "rate": "16/min"}},
        {"name": "g1", "users": 5},
    ],
    "events": [{"at": f"{at}s", "do": do} for at, do in enumerate(("drop", "vanish", "drop", "drain_node", "drop"))],
    "expect": ["lost == 0"],
    "ties": 3,
}


def test_what_does_not_matter_goes() -> None:
    def fails(words: Words) -> bool:
        kinds = {event["do"] for event in words.get("events", ())}
        return {"vanish", "drain_node"} <= kinds and words["groups"][0]["users"] >= 2

    found = Shrinker(BIG, fails).shrink()
    assert [event["do"] for event in found["events"]] == ["vanish", "drain_node"]
    assert found["groups"] == [{"name": "g0", "users": 2}] or found["groups"] == [{"name": "g1", "users": 2}]
    assert not {"handler", "ties"} & found.keys()
    assert found["duration"] == "4s"


def test_what_matters_stays() -> None:
    assert Shrinker(BIG, lambda words: False).shrink() == BIG


def test_it_does_not_try_for_ever() -> None:
    shrinker = Shrinker(BIG, lambda words: True, tries_max=3)
    shrinker.shrink()
    assert shrinker.tries == 3


def test_it_is_written_as_a_scenario_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "found" / "seq-3.yaml"
    write(BIG, path, "seq", "Numbers have no gaps.")
    made = load(path)
    assert (made.name, made.description) == ("seq-3", "seq: Numbers have no gaps.")
    assert made.ties == 3
