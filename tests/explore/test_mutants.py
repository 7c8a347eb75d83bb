"""Every planted bug is found within its seeds, and is still planted where it is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.explore.mutants import MUTANTS, PACKAGE, Edit, Mutant, explored, plant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_each_is_found(mutant: Mutant, tmp_path: Path) -> None:
    found, said = explored(mutant, tmp_path)
    assert found, f"{mutant.name} survived: {said}"


def test_there_are_enough_of_them_and_each_has_a_name() -> None:
    assert len(MUTANTS) >= 15
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_a_place_that_is_gone_is_told(tmp_path: Path) -> None:
    lost = Mutant("lost", (Edit("core/handler.py", "no such line", ""),))
    with pytest.raises(ValueError, match=r"lost: core/handler\.py has this 0 times"):
        plant(lost, tmp_path)


def test_each_is_another_program() -> None:
    for mutant in MUTANTS:
        for edit in mutant.edits:
            text = (PACKAGE / edit.file).read_text(encoding="utf-8")
            assert text.count(edit.old) == 1, mutant.name
            assert edit.new != edit.old
