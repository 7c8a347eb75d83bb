"""Every bug planted in the asyncio shell and in the driver of its clients is found on the virtual wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.verdict.invariants.catalogue import INVARIANTS
from tests.explore.mutants import MUTANTS, PACKAGE, Mutant, check, check_control
from tests.explore.shell_mutants import CONTROL_ON_VIRTUAL, SHELL_MUTANTS


@pytest.mark.slow
@pytest.mark.parametrize("mutant", SHELL_MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_each_is_found_by_what_it_breaks(mutant: Mutant, tmp_path: Path) -> None:
    check(mutant, tmp_path)


@pytest.mark.slow
def test_where_nothing_is_planted_nothing_is_found(tmp_path: Path) -> None:
    check_control(CONTROL_ON_VIRTUAL, tmp_path)


def test_there_are_enough_of_them_and_each_is_another_program() -> None:
    names = {mutant.name for mutant in (*MUTANTS, *SHELL_MUTANTS)}
    assert len(names) == len(MUTANTS) + len(SHELL_MUTANTS)
    assert len(SHELL_MUTANTS) >= 6
    for mutant in SHELL_MUTANTS:
        assert mutant.wire in ("virtual", "agreement")
        assert set(mutant.by) <= INVARIANTS.keys()
        for edit in mutant.edits:
            assert edit.file.startswith(("live/", "core/tokens.py"))
            assert (PACKAGE / edit.file).read_text(encoding="utf-8").count(edit.old) == 1, mutant.name
            assert edit.new != edit.old
