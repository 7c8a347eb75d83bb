"""The command `validate`: what it refuses, what it writes, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
import typer

from chatsim.analysis.report.validated import Shown
from chatsim.cli import validating
from chatsim.cli.main import main
from chatsim.runner.calibrate import calibration
from chatsim.store.calibration import Calibration, write
from tests.analysis.planted import measured
from tests.analysis.report.test_validated import pair, shown

GOOD = Shown(
    pairs=[pair("fives", 1.0)], sights={}, unjudged={}, controls={"costs": True}, machine={"cores": 2}, notes=[]
)


class Player:
    """Stands for the playing: notes what it is asked, and answers with what was planted."""

    def __init__(self, answer: Shown) -> None:
        self.answer = answer
        self.asked: list[tuple[list[str], bool]] = []

    def __call__(
        self, calibration: Calibration, names: Sequence[str], quick: bool, *, told: Callable[[str], None]
    ) -> Shown:
        self.asked.append((list(names), quick))
        told("1 of 1: fives")
        return self.answer


@pytest.fixture
def costs(tmp_path: Path) -> Path:
    path = tmp_path / "calibration.json"
    write(path, calibration(measured(rounds=2, cv=0.0), chatsim="0", made_at="2026-01-02", quick=True, journal=True))
    return path


def call(player: Player, *args: str) -> int:
    app = typer.Typer(pretty_exceptions_enable=False)
    validating.add(app, player)
    code: Any = typer.main.get_command(app).main(args=list(args), standalone_mode=False)
    return int(code or 0)


def test_it_writes_the_page_and_the_table(costs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    player = Player(GOOD)
    out = tmp_path / "out"
    assert call(player, "--costs", str(costs), "-o", str(out), "--pairs", "a,b", "--pairs", "c", "--quick") == 0
    assert player.asked == [(["a", "b", "c"], True)]
    assert len(pd.read_csv(out / "validation.csv")) == 7
    assert "1 of 1 pairs are equivalent" in (out / "validation.html").read_text(encoding="utf-8")
    told = capsys.readouterr()
    assert "utilisation" in told.out
    assert "1 of 1: fives" in told.err


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (GOOD, 0),
        (shown(), 1),
        (msgspec.structs.replace(GOOD, unjudged={"fives": "too busy"}), 2),
        (msgspec.structs.replace(shown(), unjudged={"fives": "too busy"}), 1),
        (msgspec.structs.replace(GOOD, broken={"fives": "invariants do not hold"}), 1),
        (msgspec.structs.replace(GOOD, interrupted=True), 130),
    ],
)
def test_how_it_ends(answer: Shown, code: int, costs: Path, tmp_path: Path) -> None:
    assert call(Player(answer), "--costs", str(costs), "-o", str(tmp_path)) == code
    assert (tmp_path / "validation.html").exists(), "whatever came of it"


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["--costs", "no-such.json"], "name a file that calibrate wrote"),
        (["--quikc"], "No such option"),
        (["--pairs", ","], "--pairs names nobody"),
        (["--pairs", "fives-50"], "say with -o"),
    ],
)
def test_what_is_refused_before_anything_is_played(
    args: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["validate", *args]) == 3
    assert hint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_costs_of_servers_without_a_journal_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.json"
    write(path, calibration(measured(rounds=2, cv=0.0), chatsim="0", made_at="2026-01-02", quick=True, journal=False))
    assert main(["validate", "--costs", str(path), "-o", str(tmp_path)]) == 3
    assert "calibrate --journal" in capsys.readouterr().err


def test_a_pair_that_there_is_not(costs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--costs", str(costs), "-o", str(tmp_path), "--pairs", "nobody"]) == 3
    assert "there is no pair nobody" in capsys.readouterr().err
