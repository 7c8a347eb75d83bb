"""The line that plays something again is one that a shell takes, and names what there is to be named."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from chatsim.scenario.load import load, shipped
from chatsim.scenario.model import Scenario
from chatsim.verdict.again import Source, command, folded
from tests.scenario.examples import mapping

FILE = Source("s", "s.yaml")


def line(*sources: Source, called: tuple[str, ...] = ("scenario",), verb: str = "run") -> str:
    return " ".join(command(verb, sources, seed=7, called=called))


def test_changes_are_said_as_a_shell_takes_them() -> None:
    changes = {"groups.people.users": 500, "handler.rate_limit": "30/min", "log.latency": {"constant": "1ms"}}
    told = line(Source("s", "s.yaml", changes))
    assert shlex.split(told) == [
        *("chatsim", "run", "s.yaml", "--set", "groups.people.users=500", "--set", "handler.rate_limit=30/min"),
        *("--set", 'log.latency={"constant": "1ms"}', "--seed", "7"),
    ]


def test_options_of_the_verb_stand_before_the_changes() -> None:
    told = " ".join(command("replicate", [Source("s", "s.yaml", {"users": 5})], "-n 20", "--on virtual", seed=1))
    assert told == "chatsim replicate s.yaml -n 20 --on virtual --set users=5 --seed 1"


def test_what_stands_in_no_file_is_to_be_saved_and_a_shell_takes_the_rest_for_a_comment() -> None:
    told = line(Source("s"))
    assert told == 'chatsim run s.yaml --seed 7  # after cs.load(scenario).save("s.yaml")'
    assert shlex.split(told, comments=True) == ["chatsim", "run", "s.yaml", "--seed", "7"]


def test_of_two_each_has_a_file_of_its_own() -> None:
    told = line(Source("s"), Source("s"), called=("a", "b"), verb="compare")
    saved = 'after cs.load(a).save("a.yaml") and after cs.load(b).save("b.yaml")'
    assert told == f"chatsim compare a.yaml b.yaml --seed 7  # {saved}"
    changed = Source("s", "s.yaml", {"users": 5})
    told = line(FILE, changed, called=("a", "b"), verb="compare")
    assert told == "chatsim compare s.yaml s.yaml --set users=5 --seed 7"
    assert changed.saved() == Source("s")
    assert FILE.saved() == FILE


def test_a_file_is_seen_from_here_and_no_folder_of_this_machine_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "project" / "notebooks"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    places = {
        "x.yaml": "x.yaml --seed 7",
        f"{here}/deep/x.yaml": "deep/x.yaml --seed 7",
        f"{here.parent}/scenarios/x.yaml": "../scenarios/x.yaml --seed 7",
        f"{tmp_path}/x.yaml": 'x.yaml --seed 7  # in the folder of "x.yaml"',
        f"{shipped()}/steady.yaml": "steady --seed 7",
    }
    for file, shown in places.items():
        assert line(Source("x", file)) == f"chatsim run {shown}"
    monkeypatch.chdir("/")
    assert line(Source("x", f"{here}/x.yaml")) == 'chatsim run x.yaml --seed 7  # in the folder of "x.yaml"'


def test_where_a_scenario_comes_from_is_known() -> None:
    steady = load(shipped() / "steady.yaml")
    made = steady.with_(users=5).with_seed(9)
    assert Source.of(made) == Source("steady", f"{shipped() / 'steady.yaml'}", {"users": 5})
    assert Source.of(Scenario.of(mapping())).file is None
    # A run of its file would merge the overrides only where it is live.
    assert Source.of(made.with_live_overrides()).file is None or not steady.live


def test_a_command_is_folded_where_a_shell_allows_it_and_never_cut() -> None:
    changes = {f"groups.group{n}.users": n for n in range(6)} | {"description": "x" * 100}
    parts = command("run", [Source("s", None), Source("s", "s.yaml", changes)], seed=7, called=("a", "b"))
    lines = folded(parts)
    assert len(lines) > 3
    assert [shown for shown in lines if len(shown) > 80] == [f"    --set description={'x' * 100} \\"]
    joined = "\n".join(lines).replace("\\\n", "")
    assert shlex.split(joined, comments=True) == shlex.split(" ".join(parts), comments=True)
    assert folded(["chatsim run s.yaml", "--seed 7"]) == ["chatsim run s.yaml --seed 7"]
