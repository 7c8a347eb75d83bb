"""What an analyst plays is what the commands play, in a script and where a loop runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chatsim.errors import UsageError
from chatsim.runner.desk import arun_live, load, run_live, scenarios, simulate
from chatsim.runner.run import run
from chatsim.scenario.load import discover
from tests.sim.worlds import scenario

SMALL = scenario(duration="20s", live={"time_scale": 0.1})


def test_the_shipped_scenarios_go_by_their_names() -> None:
    found = scenarios()
    assert list(found) == [path.stem for path in discover([])]
    assert found["steady"] == load("steady")


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
