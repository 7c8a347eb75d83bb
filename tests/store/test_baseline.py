"""A baseline's file holds everything to the last digit, and nothing else is taken for one."""

from __future__ import annotations

from math import inf, isnan
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chatsim.errors import UsageError
from chatsim.store.baseline import Baseline, Entry, Repetition, file_from, read, write


def entry(scenario: str = "steady", wire: Any = "sim", **numbers: Any) -> Entry:
    repetition = Repetition(3, numbers or {"lost": 0.0}, "ab")
    return Entry(
        scenario=scenario, wire=wire, seed=3, scenario_hash="s", costs_hash="c", words={}, repetitions=[repetition]
    )


def baseline(*entries: Entry) -> Baseline:
    return Baseline(name="main", chatsim="1", versions={}, machine={}, entries=list(entries))


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    made = baseline(entry(a=0.1 + 0.2, b="inf", c=None))
    write(tmp_path / "deep" / "b.json", made)
    found = read(tmp_path / "deep" / "b.json")
    assert found == made
    values = found.entries[0].repetitions[0].values()
    assert values["a"] == 0.1 + 0.2
    assert values["b"] == inf
    assert isnan(values["c"])
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "b.json"]


def test_what_was_saved_is_found_by_scenario_and_wire() -> None:
    made = baseline(entry("a", "sim"), entry("a", "live"))
    found = made.entry("a", "live")
    assert found is not None
    assert found.wire == "live"
    assert made.entry("b", "sim") is None


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"format": "chatsim-calibration"}', "\xff"])
def test_what_is_no_baseline_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match="no baseline that can be read"):
        read(path)


def test_one_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    write(path, baseline(entry()))
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 1', '"version": 2'), encoding="utf-8")
    with pytest.raises(UsageError, match="no baseline that can be read"):
        read(path)


def test_none_at_all_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="save a baseline first"):
        read(tmp_path / "b.json")


def test_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="--out"):
        write(tmp_path / "file" / "b.json", baseline(entry()))


def test_where_a_scenario_stood_is_seen_from_the_baseline_and_is_no_path_of_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    place = Path("results", "b.json")
    assert file_from(place, Path("mine", "a.yaml")) == file_from(place, here / "mine" / "a.yaml") == "../mine/a.yaml"
    for path in (None, tmp_path / "a.yaml", Path("..", "a.yaml")):
        assert file_from(place, path) == ""
    assert file_from(tmp_path / "b.json", Path("a.yaml")) == ""
    made = replace(entry(), file="../mine/a.yaml")
    monkeypatch.chdir(tmp_path)
    assert made.stood(Path("here", "results", "b.json")) == here / "mine" / "a.yaml"
    assert entry().stood(place) is None
