"""Invariant: the scenario that is kept of a bug shows it as soon as it is back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.explore.mutants import CONTROL, PACKAGE, Mutant, plant
from tests.explore.put_back import PUT_BACK

KEPT = PACKAGE.parent / "scenarios" / "regressions"
SHOWING = Path(__file__).with_name("showing.py")
NAMES = sorted({name for name, _ in PUT_BACK})
WIRES = ("sim", "virtual", "agreement")
EACH = [pytest.param(name, mutant, id=mutant.name.replace(" ", "-")) for name, mutant in PUT_BACK]


def shown(names: Sequence[str], mutant: Mutant, wires: Sequence[str], folder: Path) -> dict[str, dict[str, list[str]]]:
    """What each scenario shows of a bug on each wire, in a copy of the package that has it."""
    plant(mutant, folder)
    done = subprocess.run(
        [sys.executable, SHOWING, ",".join(wires), *(KEPT / f"{name}.yaml" for name in names)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    found: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return {Path(path).stem: of for path, of in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mutant"), EACH)
def test_a_bug_that_is_back_is_shown_by_its_scenario(name: str, mutant: Mutant, tmp_path: Path) -> None:
    found = shown([name], mutant, [mutant.wire], tmp_path)[name][mutant.wire]
    assert found, f"{name} on {mutant.wire} shows nothing of it"
    # What raises may do so because of how it was put back.
    assert not any("calm" in each for each in found), found


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """What each shows where nothing is back: of one copy, which is the same for all of them."""
    return shown(NAMES, CONTROL, WIRES, tmp_path_factory.mktemp("control"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_and_shows_nothing_where_none_is_back(name: str, without: dict[str, dict[str, list[str]]]) -> None:
    assert without[name] == {wire: [] for wire in WIRES}


def test_each_is_another_program_and_has_a_scenario() -> None:
    assert len({mutant.name for _, mutant in PUT_BACK}) == len(PUT_BACK)
    for name, mutant in PUT_BACK:
        assert (KEPT / f"{name}.yaml").is_file(), name
        for edit in mutant.edits:
            assert (PACKAGE / edit.file).read_text(encoding="utf-8").count(edit.old) == 1, mutant.name
            assert edit.new != edit.old
