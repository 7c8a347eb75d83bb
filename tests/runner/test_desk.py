"""What an analyst plays is what the commands play, in a script and where a loop runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chatsim.analysis.kept import read_result
from chatsim.errors import UsageError
from chatsim.runner.desk import arun_live, load, run_live, scenarios, simulate
from chatsim.runner.replicate import replicate
from chatsim.runner.run import play, run
from chatsim.runner.sweep import sweep
from chatsim.scenario.load import discover
from tests.sim.worlds import scenario

SMALL = scenario(duration="20s", live={"time_scale": 0.1})


def test_the_shipped_scenarios_go_by_their_names() -> None:
    found = scenarios()
    assert list(found) == [path.stem for path in discover([])]
    assert found["steady"] == load("steady")
    lines = repr(found).splitlines()
    assert len(lines) == len(found)
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("steady ") for line in lines)


def test_a_scenario_is_one_whatever_it_is_given_as() -> None:
    path = next(path for path in discover([]) if path.stem == "steady")
    assert load(path) == load(str(path)) == load("steady") == load(load("steady"))
    words = {"name": "w", "duration": "5s", "groups": [{"name": "g", "users": 1}], "expect": ["lost == 0"]}
    assert load(words).name == "w"


@pytest.mark.parametrize(
    ("given", "text"),
    [("stedy", r"did you mean steady\?"), ("nowhere.yaml", "nowhere.yaml"), ({"name": "x"}, "duration")],
)
def test_what_is_no_scenario_is_refused_with_the_nearest(given: object, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        load(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("wire", ["sim", "virtual"])
def test_it_plays_what_the_commands_play(wire: str, tmp_path: Path) -> None:
    shown = simulate(SMALL, on=wire, seed=4)
    assert shown.result.trace_hash == run(SMALL, on=wire, seed=4, out=tmp_path).trace_hash
    assert shown.ok
    assert shown.path is None
    assert len(shown.connections) == 4


def test_a_folder_is_kept_where_it_was_asked_for(tmp_path: Path) -> None:
    shown = simulate(SMALL, out=tmp_path)
    assert shown.path is not None
    assert shown.path.parent == tmp_path / "s"
    assert (shown.path / "run.json").is_file()


def test_nothing_is_left_of_a_run_that_nobody_holds() -> None:
    shown = simulate(SMALL)
    folder = shown.result.path
    assert folder is not None
    assert folder.is_dir()
    del shown
    assert not folder.exists()


def test_another_wire_is_refused() -> None:
    with pytest.raises(UsageError, match="run_live"):
        simulate(SMALL, on="live")


def test_live_is_played_with_a_loop_and_without() -> None:
    async def scene() -> list[str]:
        return [run_live(SMALL).result.wire, (await arun_live(SMALL, progress=heard.append)).result.wire]

    heard: list[float] = []
    assert run_live(SMALL, progress=heard.append).verdict in ("pass", "invalid")
    assert heard[-1] == 1.0
    heard.clear()
    assert asyncio.run(scene()) == ["live", "live"]
    assert heard[-1] == 1.0


FLOWING = scenario(
    duration="20s",
    log={"latency": {"constant": "0s"}},
    groups=[{"name": "people", "users": 10, "session_size": 2, "messages": {"arrivals": "poisson", "rate": "20/min"}}],
    expect=["p99(delivery_latency) <= 100ms", "max(delivery_latency, group=people) >= 1h"],
)


def test_a_flow_is_judged_and_has_numbers_alone(tmp_path: Path) -> None:
    made = simulate(FLOWING, fidelity="flow", out=tmp_path)
    assert made.result.wire == "flow"
    assert made.verdict == "fail"
    assert [judged.verdict for judged in made.result.expectations] == ["pass", "fail"]
    assert made.summary().delivery_latency_count[0] > 0
    assert made.again.endswith("--fidelity flow --seed 1")
    assert [path.name for path in made.to_csv(tmp_path / "tables")] == ["summary.csv"]
    assert made.path is not None
    assert sorted(path.name for path in made.path.iterdir()) == ["run.json", "scenario.json"]
    for table in ("messages", "connections", "attempts", "series"):
        with pytest.raises(UsageError, match=f"no {table}"):
            getattr(made, table)
    with pytest.raises(UsageError, match="keeps no rows"):
        read_result(made.path)


def test_a_flow_is_refused_what_it_leaves_out_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot judge lost == 0"):
        simulate(FLOWING.with_(expect=["lost == 0"]), fidelity="flow", out=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    with pytest.raises(UsageError, match="flow is a fidelity of sim"):
        simulate(FLOWING, on="virtual", fidelity="flow")


def test_a_flow_is_replicated_and_swept() -> None:
    found = replicate(FLOWING, 3, fidelity="flow", jobs=1)
    assert found.wire == "flow"
    assert len(set(found.values("sent"))) > 1
    assert list(found.values("delivery_latency_count{group=people}")) == list(found.values("delivery_latency_count"))
    table = sweep(FLOWING, {"groups.people.users": [4, 8]}, replications=2, fidelity="flow", jobs=1, progress=False)
    assert set(table.n) >= {2}


def test_a_node_that_is_behind_gives_no_verdict() -> None:
    slow = FLOWING.with_({"costs": {"frame": "1s"}})
    result = play(slow, on="flow")
    assert not result.valid
    assert result.verdict == "invalid"
    assert "behind" in result.why_invalid
