"""Every planted bug of the core and the simulation is found within its seeds, by a rule that it breaks; and nothing is
found where nothing is planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.explore.play import Wire
from chatsim.verdict.invariants.catalogue import INVARIANTS
from tests.explore.mutants import (
    CONTROL,
    MUTANTS,
    PACKAGE,
    Edit,
    Found,
    Mutant,
    check,
    check_control,
    explored,
    found_in,
    one,
    plant,
)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_each_is_found_by_what_it_breaks(mutant: Mutant, tmp_path: Path) -> None:
    check(mutant, tmp_path)


@pytest.mark.slow
def test_where_nothing_is_planted_nothing_is_found(tmp_path: Path) -> None:
    check_control(CONTROL, tmp_path)


def test_there_are_enough_of_them_and_each_has_a_name() -> None:
    assert len(MUTANTS) >= 15
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert {name for mutant in MUTANTS for name in mutant.by} <= INVARIANTS.keys()
    assert {mutant.wire for mutant in MUTANTS} == {"sim"}


CALM = (
    "seed 3 on sim: calm at 0 s: Nothing raises. KeyError: 'x' (random.py:3 choice, {place}:12 wake, watch.py:1 step)"
)


@pytest.mark.parametrize(
    ("status", "out", "killed"),
    [
        (1, "seed 7 on virtual: seq at 3.5 s: The messages ... x has 3 after 1.\nagain: ...", True),
        (1, CALM.format(place="core/handler.py"), True),
        (1, CALM.format(place="live/driver.py"), True),
        (1, CALM.format(place="sim/node.py"), True),
        # What else raises may be the planting's own fault, or that of a rule.
        (1, CALM.format(place="verdict/tally.py"), False),
        (1, CALM.format(place="planted.py"), False),
        (1, "never reached: retried", False),
        (2, "seed 7 on virtual: seq at 3.5 s: The messages ...", False),
        (0, "200 seeds", False),
    ],
)
def test_only_a_rule_or_what_raises_in_what_is_tested_is_a_kill(status: int, out: str, killed: bool) -> None:
    assert found_in(status, out, "").kills is killed


def test_who_killed_it_is_said() -> None:
    found = found_in(1, "200 seeds\nseed 7 on virtual: seq at 3.5 s: The messages ...\n  also gone at 4 s: ...", "")
    assert (found.invariant, found.seed) == ("seq", 7)
    assert found_in(1, CALM.format(place="core/pulse.py"), "").raised_in == "core/pulse.py"


def test_a_place_that_is_gone_is_told(tmp_path: Path) -> None:
    lost = Mutant("lost", (Edit("core/handler.py", "no such line", ""),))
    with pytest.raises(ValueError, match=r"lost: core/handler\.py has this 0 times"):
        plant(lost, tmp_path)


def test_what_was_made_of_a_module_comes_along_but_where_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "chatsim"
    monkeypatch.setattr("tests.explore.mutants.PACKAGE", package)
    (package / "__pycache__").mkdir(parents=True)
    (package / "calm.py").write_text("CALM = True\n", encoding="utf-8")
    (package / "calmer.py").write_text("CALMER = True\n", encoding="utf-8")
    for name in ("calm.cpython-311.pyc", "calmer.cpython-311.pyc", "calmer.cpython-311.pyc.139"):
        (package / "__pycache__" / name).write_bytes(b"")
    plant(one("a storm", "calm.py", "True", "False"), tmp_path / "copy")
    copied = {path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*.*")}
    assert copied == {"chatsim/calm.py", "chatsim/calmer.py", "chatsim/__pycache__/calmer.cpython-311.pyc"}
    assert (tmp_path / "copy" / "chatsim" / "calm.py").read_text(encoding="utf-8") == "CALM = False\n"


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (Found("", -1, "", 0, "10 seeds"), [(40, 50), (0, 40)]),
        (Found("", -1, "", 1, "never reached: retried"), [(40, 50), (0, 40)]),
        (Found("seq", 41, "", 1, "seed 41 on sim: ..."), [(40, 50)]),
        (Found("", -1, "", 4, "the harness failed"), [(40, 50)]),
    ],
)
def test_the_seeds_before_the_first_come_last(
    found: Found, asked: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = []

    def there(wire: Wire, folder: Path, first: int, end: int) -> Found:
        spans.append((first, end))
        return found

    monkeypatch.setattr("tests.explore.mutants.explored_there", there)
    assert explored(Mutant("nothing", (), first=40), tmp_path, seeds=50) == found
    assert spans == asked


def test_each_is_another_program() -> None:
    for mutant in MUTANTS:
        for edit in mutant.edits:
            text = (PACKAGE / edit.file).read_text(encoding="utf-8")
            assert text.count(edit.old) == 1, mutant.name
            assert edit.new != edit.old
