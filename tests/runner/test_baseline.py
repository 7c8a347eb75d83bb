"""What tells one scenario from another, and what is measured of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatsim.errors import HarnessError
from chatsim.runner.baseline import changes, digests, measure, versions
from chatsim.runner.replication import seed_of
from chatsim.scenario.model import Scenario

WORDS: dict[str, Any] = {
    "name": "small",
    "duration": "10s",
    "groups": [
        {"name": "people", "users": 4, "session_size": 2, "messages": {"arrivals": "periodic", "rate": "30/min"}}
    ],
    "expect": ["lost == 0"],
    "live": {"time_scale": 0.1},
}


def scenario(**words: Any) -> Scenario:
    return Scenario.of({**WORDS, **words})


def test_a_run_in_virtual_time_is_the_same_again() -> None:
    one, two = measure(scenario(), "sim"), measure(scenario(), "sim")
    assert one == two
    [run] = one.repetitions
    assert run.seed == 1
    assert len(run.trace_hash) > 8
    assert run.values()["sent"] == 20
    assert run.values()["delivery_latency_count{group=people}"] == 20


def test_live_repetitions_have_seeds_of_their_own_and_no_trace() -> None:
    heard: list[int] = []
    found = measure(scenario(), "live", 2, attempts=3, progress=heard.append)
    assert [each.seed for each in found.repetitions] == [seed_of(1, 0), seed_of(1, 1)]
    assert heard == [1, 2]
    assert [each.trace_hash for each in found.repetitions] == ["", ""]
    assert all(each.values()["sent"] == 20 for each in found.repetitions)
    assert found.costs_hash == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"duration": "10000ms"}, ""),
        ({"description": "other", "tags": ["x"], "expect": ["lost <= 1"]}, ""),
        ({"live": {"time_scale": 0.5}}, ""),
        ({"duration": "11s"}, "duration"),
        ({"seed": 2, "warmup": "1s"}, "seed, warmup"),
        ({"costs": 0}, "costs"),
        ({"handler": {"retries": 2}}, "handler"),
    ],
)
def test_what_is_played_counts_and_not_how_it_is_said(change: dict[str, Any], said: str) -> None:
    entry = measure(scenario(), "sim")
    found = changes(entry, scenario(**change))
    assert sorted(found.split(", ")) == sorted(said.split(", "))


def test_what_a_file_of_costs_holds_counts(tmp_path: Path) -> None:
    file = tmp_path / "costs.yaml"
    file.write_text("{frame: 1ms}", encoding="utf-8")
    saved = Scenario.of({**WORDS, "costs": "costs.yaml"}, folder=tmp_path)
    entry = measure(saved, "sim")
    file.write_text("{frame: 2ms}", encoding="utf-8")
    now = Scenario.of({**WORDS, "costs": "costs.yaml"}, folder=tmp_path)
    assert changes(entry, saved) == ""
    assert changes(entry, now) == "the costs, though the words are the same"


def test_on_live_its_own_words_count_and_costs_are_real() -> None:
    assert digests(scenario(), "live") == digests(scenario(costs=0), "live")
    assert digests(scenario(), "live") != digests(scenario(live={"time_scale": 0.5}), "live")
    assert digests(scenario(), "live") != digests(scenario(), "sim")


def test_a_run_that_is_not_valid_is_no_baseline() -> None:
    idle = scenario(events=[{"at": "0s", "do": "drop", "group": "people", "count": 1}])
    with pytest.raises(HarnessError, match=r"small on sim \(seed 1\) is not valid: .*touched nobody"):
        measure(idle, "sim")


def test_versions_name_no_machine() -> None:
    assert {"python", "numpy", "simpy"} <= set(versions())
