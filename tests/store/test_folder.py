"""Results folders: whole or absent, never overwritten, and never outside the folder that was asked for."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.errors import HarnessError, UsageError
from chatsim.store.folder import NAME_MAX, RUNS, RunFolder, make_place, moment, safe_name

AT = 1_795_433_160.0


@given(st.text())
def test_a_name_is_one_harmless_file_name(name: str) -> None:
    found = safe_name(name)
    assert found
    assert len(found) <= NAME_MAX
    assert found not in {".", ".."}
    assert not found.startswith((".", "-"))
    assert Path(found).name == found
    assert found.isascii()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("steady", "steady"),
        ("../../etc/passwd", "etc-passwd"),
        ("a b/c", "a-b-c"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("v1.2", "v1.2"),
        ("--out", "out"),
    ],
)
def test_hostile_names(name: str, kept: str) -> None:
    assert safe_name(name) == kept


def test_moments_are_utc() -> None:
    assert moment(0.0) == "19700101T000000Z"
    assert moment(AT) == "20261123T112600Z"


def test_a_run_is_in_its_place_and_whole(tmp_path: Path) -> None:
    with RunFolder("steady", "sim", 7, at=AT, out=tmp_path) as folder:
        folder.journal.write_text("{}\n", encoding="utf-8")
        folder.write_document({"verdict": "pass", "p99": math.inf})
        folder.write_table("metrics", ["metric", "p99"], [["delivery_latency", 0.1], ["ack, latency", math.inf]])
    assert folder.path == tmp_path / "steady" / "20261123T112600Z-sim-7"
    assert json.loads((folder.path / "run.json").read_text(encoding="utf-8")) == {"verdict": "pass", "p99": "inf"}
    assert folder.journal.read_text(encoding="utf-8") == "{}\n"
    with (folder.path / "metrics.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["metric", "p99"], ["delivery_latency", "0.1"], ["ack, latency", "inf"]]
    assert [entry.name for entry in (tmp_path / "steady").iterdir()] == [folder.path.name]


def test_nothing_is_in_place_before_the_end(tmp_path: Path) -> None:
    with RunFolder("steady", "sim", 7, at=AT, out=tmp_path) as folder:
        folder.write_document({})
        assert all(entry.name.startswith(".") for entry in (tmp_path / "steady").iterdir())


def test_a_failed_run_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), RunFolder("steady", "sim", 7, at=AT, out=tmp_path) as folder:
        folder.write_document({})
        raise RuntimeError("the run broke")
    assert list((tmp_path / "steady").iterdir()) == []


def test_runs_of_one_second_stand_side_by_side(tmp_path: Path) -> None:
    paths = []
    for count in range(3):
        with RunFolder("steady", "sim", 7, at=AT, out=tmp_path) as folder:
            folder.write_document({"count": count})
        paths.append(folder.path)
    assert [path.name.removeprefix("20261123T112600Z-sim-7") for path in paths] == ["", "-2", "-3"]
    assert [json.loads((path / "run.json").read_text(encoding="utf-8"))["count"] for path in paths] == [0, 1, 2]


def test_a_file_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "steady").mkdir()
    in_the_way = tmp_path / "steady" / "20261123T112600Z-sim-7"
    in_the_way.write_text("mine", encoding="utf-8")
    with RunFolder("steady", "sim", 7, at=AT, out=tmp_path) as folder:
        folder.write_document({})
    assert folder.path.name.endswith("-2")
    assert in_the_way.read_text(encoding="utf-8") == "mine"


def test_a_second_commit_changes_nothing(tmp_path: Path) -> None:
    folder = RunFolder("steady", "sim", 7, at=AT, out=tmp_path)
    first = folder.commit()
    assert folder.commit() == first
    folder.discard()
    assert first.is_dir()


def test_the_folder_can_be_read_by_others(tmp_path: Path) -> None:
    with RunFolder("steady", "sim", 7, at=AT, out=tmp_path) as folder:
        pass
    assert folder.path.stat().st_mode & 0o777 == 0o755


def test_a_hostile_scenario_stays_inside(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with RunFolder("../../escape", "sim", 1, at=AT, out=out) as folder:
        pass
    assert out.resolve() in folder.path.resolve().parents


def test_a_place_that_cannot_be_written_is_the_users_fault(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="--out"):
        RunFolder("steady", "sim", 7, at=AT, out=file)


def test_a_place_is_tried_out_before_anything_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_place(tmp_path / "new" / "place")
    make_place(tmp_path / "new" / "place")
    assert (tmp_path / "new" / "place").is_dir()
    Path("results").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="name another folder with --out"):
        make_place(None)


def test_a_lost_folder_is_the_harness_fault(tmp_path: Path) -> None:
    folder = RunFolder("steady", "sim", 7, at=AT, out=tmp_path)
    folder.discard()
    with pytest.raises(HarnessError, match="writing the results"):
        folder.write_document({})
    with pytest.raises(HarnessError, match="writing the results"):
        folder.commit()


def test_without_out_results_go_to_results_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with RunFolder("steady", "sim", 7, at=AT) as folder:
        pass
    assert folder.path.parent.parent == RUNS
    assert (tmp_path / "results" / "runs" / "steady").is_dir()


def test_a_scenario_is_written_as_a_file_would_say_it(tmp_path: Path) -> None:
    folder = RunFolder("steady", "sim", 1, at=AT, out=tmp_path)
    folder.write_scenario({"name": "steady", "seed": 1})
    assert (folder.path / "scenario.json").read_text(encoding="utf-8") == '{\n  "name": "steady",\n  "seed": 1\n}\n'


def test_both_pictures_have_the_names_that_timeline_gives_them(tmp_path: Path) -> None:
    with RunFolder("steady", "sim", 1, at=0.0, out=tmp_path) as folder:
        folder.write_pictures("<svg/>", b"{}")
    assert (folder.path / "timeline.svg").read_text(encoding="utf-8") == "<svg/>"
    assert (folder.path / "timeline.json").read_bytes() == b"{}"
