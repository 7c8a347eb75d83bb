"""A run that was kept is the run that was played: the same verdicts, the same tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from math import inf, isnan
from pathlib import Path

import pandas as pd
import pytest

from chatsim.analysis.kept import Violated, label, read, read_result
from chatsim.analysis.results import Run
from chatsim.errors import ChatsimError
from chatsim.runner.run import RunResult, run
from tests.sim.worlds import scenario

FAULTS = ({"at": "20s", "do": "drop", "count": 2}, {"at": "30s", "do": "vanish", "count": 1})
EXPECT = ["lost == 0", "p99(delivery_latency) <= 1ms", "max(drain_time) <= 1s"]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run with people who vanish, drop and are refused, in a folder of its own."""
    group = {"messages": {"arrivals": "poisson", "rate": "40/min"}}
    limit = {"rate_limit": "30/min"}
    world = scenario(*FAULTS, group=group, duration="1min", expect=EXPECT, handler=limit, warmup="10s")
    return run(world, out=tmp_path_factory.mktemp("kept"))


def folder_of(played: RunResult) -> Path:
    assert played.path is not None
    return played.path


@pytest.mark.parametrize("name", ["messages", "connections", "events", "attempts", "series"])
def test_its_tables_are_those_of_the_run(played: RunResult, name: str) -> None:
    pd.testing.assert_frame_equal(getattr(read(folder_of(played)), name), getattr(Run(played, None), name))


def test_its_label_says_which_run_it_is(played: RunResult) -> None:
    found = label(folder_of(played))
    assert (found.scenario, found.wire, found.seed) == (played.scenario, played.wire, played.seed)
    assert found.replications == 0
    assert found.words == read_result(folder_of(played)).words != {}


def test_its_verdicts_are_those_of_the_run(played: RunResult) -> None:
    again, before = read(folder_of(played)), Run(played, None)
    pd.testing.assert_frame_equal(again.summary(), before.summary())
    assert repr(again).partition("again: ")[0] == repr(before).partition("again: ")[0]
    assert isnan(again.result.expectations[2].observed)
    assert again.result.metrics["delivery_latency"]["max"] == inf
    found = read_result(folder_of(played))
    assert (found.words["name"], found.words["seed"], found.record.warmup_s) == ("s", 1, 10.0)


def test_it_is_played_again_from_the_scenario_in_its_folder(
    played: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy(played, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert read(folder).again == "chatsim run run/scenario.json --seed 1"
    kept = read(Path("run"))
    assert kept.again == "chatsim run run/scenario.json --seed 1"
    monkeypatch.chdir(folder)
    assert kept.again == "chatsim run scenario.json --seed 1"
    (folder / "scenario.json").unlink()
    assert read(folder).again.startswith("chatsim run s.yaml --seed 1  # after")


def copy(played: RunResult, to: Path) -> Path:
    to.mkdir()
    for path in folder_of(played).iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_nothing_of_a_run_of_old_that_proves_nothing_passes(played: RunResult, tmp_path: Path) -> None:
    folder = copy(played, tmp_path / "run")
    document = json.loads((folder / "run.json").read_text())
    document |= {"verdict": "invalid", "valid": False, "why_invalid": "the machine slept"}
    (folder / "run.json").write_text(json.dumps(document))
    assert {judged.verdict for judged in read_result(folder).expectations} == {"invalid"}


def test_a_run_of_old_is_read_without_its_scenario(played: RunResult, tmp_path: Path) -> None:
    folder = copy(played, tmp_path / "run")
    (folder / "scenario.json").unlink()
    document = json.loads((folder / "run.json").read_text())
    for event in document["events"]:
        del event["lasts_s"], event["whom"]
    del document["duration_s"], document["warmup_s"]
    (folder / "run.json").write_text(json.dumps(document))
    found = read_result(folder)
    assert found.words == {}
    assert [fired.do for fired in found.record.fired] == ["drop", "vanish"]


def test_what_must_hold_and_did_not_is_kept_in_the_words_of_its_day(played: RunResult, tmp_path: Path) -> None:
    assert played.path is not None
    shutil.copytree(played.path, tmp_path / "run")
    document = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    document["violations"] = [{"invariant": "of old", "sentence": "It holds.", "at_s": 3.0, "detail": "It does not."}]
    (tmp_path / "run" / "run.json").write_text(json.dumps(document), encoding="utf-8")
    assert read_result(tmp_path / "run").violations == [Violated("of old", "It holds.", 3.0, "It does not.")]


@pytest.mark.parametrize(
    ("spoil", "code", "sentence"),
    [
        (lambda at: (at / "journal.jsonl").unlink(), 3, "holds no journal.jsonl"),
        (lambda at: (at / "run.json").unlink(), 3, "holds no run.json"),
        (lambda at: (at / "run.json").write_text("{"), 4, "copy the whole run again"),
        (lambda at: (at / "run.json").write_text('{"scenario": 3}'), 4, "copy the whole run again"),
        (lambda at: (at / "run.json").write_text("[" * 100_000), 4, "copy the whole run again"),
        (lambda at: (at / "scenario.json").write_bytes(b"\xff"), 4, "copy the whole run again"),
        (lambda at: (at / "messages.csv").unlink(), 4, "copy the whole run again"),
        (lambda at: (at / "messages.csv").write_text("user,group\n"), 4, "it has no column"),
        (lambda at: (at / "outages.csv").write_text("user,group,lost_at_s,joined_at_s\na,b,x,y\n"), 4, "could not"),
        (lambda at: (at / "receipts.csv").write_bytes(b"\xff\xfe"), 4, "copy the whole run again"),
    ],
)
def test_what_is_no_run_is_refused_with_a_sentence(
    played: RunResult, tmp_path: Path, spoil: Callable[[Path], object], code: int, sentence: str
) -> None:
    folder = copy(played, tmp_path / "run")
    spoil(folder)
    with pytest.raises(ChatsimError, match=sentence) as caught:
        read(folder)
    assert caught.value.exit_code == code
    assert "\n" not in f"{caught.value}"


def test_a_file_and_nothing_are_no_runs(played: RunResult, tmp_path: Path) -> None:
    for path in (folder_of(played) / "run.json", tmp_path / "nothing"):
        with pytest.raises(ChatsimError, match="name the folder of a run") as caught:
            read(path)
        assert caught.value.exit_code == 3
