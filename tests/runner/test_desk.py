"""What an analyst plays is what the commands play, in a script and where a loop runs."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chatsim as cs
from chatsim.analysis.kept import read_result
from chatsim.analysis.sequential import Precision
from chatsim.cli.main import main
from chatsim.errors import UsageError
from chatsim.runner.desk import arun_live, load, run_live, scenarios, simulate
from chatsim.runner.replicate import compare, replicate
from chatsim.runner.run import play, run
from chatsim.runner.sweep import sweep
from chatsim.scenario.load import discover
from tests.sim.worlds import scenario

SMALL = scenario(duration="20s", live={"time_scale": 0.05})


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
    [
        ("stedy", r"did you mean steady\?"),
        ("nowhere.yaml", "nowhere.yaml"),
        ({"name": "x"}, "duration"),
        (5, "5 is no scenario"),
    ],
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


GRID: dict[str, list[Any]] = {"groups.g.users": [2, 4]}


def desk() -> dict[str, Any]:
    """What is played on the virtual wire by each of those who play in virtual time."""
    shown = simulate(SMALL, on="virtual", seed=4)
    both = compare(SMALL, SMALL.with_(users=2), 2, on="virtual", jobs=1)
    return {
        "simulate": (shown.result.trace_hash, len(shown.connections)),
        "replicate": replicate(SMALL, 2, on="virtual", jobs=1).frame.to_csv(),
        "compare": both.summary().to_csv(),
        "sweep": sweep(SMALL, GRID, replications=2, on="virtual", jobs=1, progress=False).to_csv(),
    }


def test_the_virtual_wire_is_played_where_a_loop_runs_too() -> None:
    async def scene() -> dict[str, Any]:
        return desk()

    assert asyncio.run(scene()) == desk()


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
    assert "--fidelity flow --seed 1" in made.again
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
    assert {result.verdict, *(judged.verdict for judged in result.expectations)} == {"invalid"}
    assert "behind" in result.why_invalid


CHANGES: dict[str, object] = {
    "groups.g.messages": {"arrivals": "poisson", "rate": "40/min"},
    "handler.rate_limit": "20/min",
    "groups.g.users": 6,
    "duration": "15s",
}


def executed(again: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What a shell in this folder gets to see from that line."""
    verb, *words = shlex.split(again, comments=True)[1:]
    where = ["--out", f"{folder / 'out'}"] if verb == "run" else ["--jobs", "1"]
    assert main([verb, *words, *where, "--json"]) in (0, 1, 2)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.mark.parametrize("words", [{}, {"fidelity": "flow"}, {"on": "virtual"}], ids=["sim", "flow", "virtual"])
def test_the_line_that_plays_a_changed_scenario_again_plays_the_same(
    words: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = FLOWING if words.get("fidelity") else SMALL
    group = plain.groups[0].name
    changes = {path.replace("groups.g.", f"groups.{group}."): value for path, value in CHANGES.items()}
    made = load(plain.save("small.yaml")).with_(changes).with_(duration="16s", seed=5)
    shown = simulate(made, **words)  # type: ignore[arg-type]
    assert shown.again.endswith("--set duration=16s --seed 5")
    assert made.words != {**plain.words, "seed": 5}
    document = executed(shown.again, tmp_path, capsys)
    assert document["trace_hash"] == shown.result.trace_hash
    assert document["counters"] == shown.result.counters
    assert document["seed"] == 5


@pytest.mark.parametrize("when", ["loaded", "changed", "played"])
def test_the_line_is_true_wherever_one_has_gone_since(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    steps: dict[str, Callable[[Any], Any]] = {
        "loaded": lambda _: load(SMALL.save("t.yaml").name),
        "changed": lambda made: made.with_(duration="16s"),
        "played": simulate,
    }
    shown: Any = None
    for name, step in steps.items():
        shown = step(shown)
        if name == when:
            monkeypatch.chdir("sub")
    assert shown.again == "chatsim run ../t.yaml --set duration=16s --seed 1"
    assert executed(shown.again, tmp_path, capsys)["trace_hash"] == shown.result.trace_hash


def test_the_line_of_a_scenario_that_stands_in_no_file_is_true_when_it_has_been_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = SMALL.with_(CHANGES).words
    shown = simulate(made, seed=8)
    _, _, before = shown.again.partition("# after ")
    assert before == 'cs.load(scenario).save("s.yaml")'
    cs.load(made).save("s.yaml")
    assert executed(shown.again, tmp_path, capsys)["trace_hash"] == shown.result.trace_hash


def test_the_lines_of_replications_and_comparisons_are_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = load(SMALL.save("small.yaml"))
    changed = plain.with_(CHANGES).with_seed(4)
    found = replicate(changed, 3, jobs=1)
    document = executed(found.again, tmp_path, capsys)
    assert document["seeds"] == [each.seed for each in found.replications]
    told = {row["metric"]: row["mean"] for row in document["numbers"]}
    assert told["delivery_latency_mean_s"] == found.values("delivery_latency_mean_s").mean()
    until = replicate(changed, until=Precision(relative=0.5), metrics=["sent"], jobs=1)
    assert executed(until.again, tmp_path, capsys)["seeds"] == [each.seed for each in until.replications]
    both = compare(plain.with_seed(4), changed, 3, jobs=1)
    rows = executed(both.again, tmp_path, capsys)["numbers"]
    means = dict(zip(both.summary().metric, both.summary().b, strict=True))
    assert {row["metric"]: row["b"] for row in rows} == pytest.approx(means, nan_ok=True)


def test_an_unknown_name_of_a_shipped_scenario_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^there is no shipped scenario stedy \(did you mean steady\?\)$"):
        _ = scenarios()["stedy"]
    assert "stedy" not in scenarios()
    assert scenarios().get("stedy") is None
