"""Every bug planted in what a node does to its connections is found within its seeds, by a rule that it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.verdict.invariants.catalogue import INVARIANTS
from tests.explore.mutants import MUTANTS, PACKAGE, Mutant, check
from tests.explore.peer_mutants import PEER_MUTANTS


@pytest.mark.slow
@pytest.mark.parametrize("mutant", PEER_MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_each_is_found_by_what_it_breaks(mutant: Mutant, tmp_path: Path) -> None:
    check(mutant, tmp_path)


def test_each_has_a_name_and_a_rule_and_is_another_program() -> None:
    names = {mutant.name for mutant in (*MUTANTS, *PEER_MUTANTS)}
    assert len(names) == len(MUTANTS) + len(PEER_MUTANTS)
    for mutant in PEER_MUTANTS:
        assert set() < set(mutant.by) <= INVARIANTS.keys()
        for edit in mutant.edits:
            assert edit.file.startswith("core/")
            assert (PACKAGE / edit.file).read_text(encoding="utf-8").count(edit.old) == 1, mutant.name
            assert edit.new != edit.old
