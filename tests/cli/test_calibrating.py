"""The command `calibrate`: what it refuses before it measures, what it writes, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from chatsim.cli import calibrating
from chatsim.cli.main import main
from chatsim.live.calibration.seen import Measured
from chatsim.scenario.costs import read_costs
from chatsim.store.calibration import read
from tests.analysis.planted import COSTS_S, measured


class Machine:
    """Stands for the measuring: notes what it is asked, and answers with what was planted."""

    def __init__(self, seen: Measured) -> None:
        self.seen = seen
        self.asked: list[tuple[bool, Path, bool]] = []

    def __call__(self, quick: bool, data: Path, *, journal: bool, progress: Callable[[float], None]) -> Measured:
        self.asked.append((quick, data, journal))
        progress(1.0)
        return self.seen


def call(machine: Machine, *args: str) -> int:
    app = typer.Typer(pretty_exceptions_enable=False)
    calibrating.add(app, machine)
    code: Any = typer.main.get_command(app).main(args=list(args), standalone_mode=False)
    return int(code or 0)


def test_it_writes_a_file_that_scenarios_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine, out = Machine(measured(cv=0.0)), tmp_path / "here.json"
    assert call(machine, "-o", str(out)) == 0
    assert machine.asked == [(False, tmp_path, False)]
    assert read_costs("here.json", tmp_path).frame.mean == pytest.approx(COSTS_S["frame"], rel=1e-3)
    shown = capsys.readouterr().out
    assert "tls_handshake" in shown
    assert "costs: here.json" in shown


def test_its_flags_reach_the_measuring_and_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine, out, data = Machine(measured(cv=0.0)), tmp_path / "here.json", tmp_path / "disk"
    data.mkdir()
    assert call(machine, "--quick", "--journal", "--data", str(data), "--json", "-o", str(out)) == 0
    assert machine.asked == [(True, data, True)]
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text(encoding="utf-8"))
    assert (read(out).quick, read(out).journal) == (True, True)


def test_numbers_that_say_nothing_are_inconclusive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(measured(cv=0.0, costs={"frame": -1e-6}))
    assert call(machine, "-o", str(tmp_path / "here.json")) == 2
    assert (tmp_path / "here.json").exists()
    assert "nothing can be said of frame: calibrate on a quieter machine" in capsys.readouterr().err


def test_its_schema(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    machine = Machine(Measured())
    assert call(machine, "--schema") == 0
    assert machine.asked == []
    assert "Calibration" in json.loads(capsys.readouterr().out)["$defs"]


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["-o", "no such folder/x.json"], "make it first"),
        (["-o", "."], "name a file"),
        (["--data", "no such folder"], "make it first"),
        (["--quikc"], "No such option"),
    ],
)
def test_what_is_refused_before_anything_is_measured(
    args: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["calibrate", *args]) == 3
    assert hint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
