"""The command as a whole: one sentence and one of six exit codes, whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.cli.doors import Wire
from chatsim.cli.main import build, main
from chatsim.cli.version import __version__
from tests.cli.fakes import FakeResult, Fakes, FakeScenario
from tests.thorough import examples

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]


def test_version(capsys: Capture) -> None:
    assert main(["--version"], Fakes().doors()) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["--nonsense"],
        ["no-such-command"],
        ["run"],
        ["run", "a.yaml", "--seed", "x"],
        ["run", "a.yaml", "--seed", "-1"],
        ["run", "a.yaml", "--seed", f"{2**63}"],
        ["check", "--seed", "7" * 5000],
        ["check", "--replications", "7" * 5000],
        ["explore", "--from", f"{2**63}"],
    ],
)
def test_wrong_usage_is_three_and_one_sentence(argv: list[str], capsys: Capture) -> None:
    assert main(argv, Fakes().doors()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("chatsim: ")
    assert len(err.splitlines()) == 1


def test_nothing_said_shows_the_help_and_is_three(capsys: Capture) -> None:
    assert main([], Fakes().doors()) == 3
    assert "check" in capsys.readouterr().err


def test_help_is_zero(capsys: Capture) -> None:
    assert main(["--help"], Fakes().doors()) == 0
    out = capsys.readouterr().out
    for command in (
        "run",
        "check",
        "replay",
        "timeline",
        "report",
        "baseline",
        "requirements",
        "lint",
        "schema",
        "serve",
        "token",
        "chat",
        "demo",
    ):
        assert command in out


def test_the_unexpected_is_four_without_a_traceback(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        raise ZeroDivisionError("by nothing")

    monkeypatch.delenv("CHATSIM_DEBUG", raising=False)
    assert main(["run", "x.yaml"], Fakes(answer=answer).doors()) == 4
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "ZeroDivisionError: by nothing" in err
    monkeypatch.setenv("CHATSIM_DEBUG", "1")
    assert main(["run", "x.yaml"], Fakes(answer=answer).doors()) == 4
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_130(capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        raise KeyboardInterrupt

    assert main(["run", "x.yaml"], Fakes(answer=answer).doors()) == 130
    assert "interrupted" in capsys.readouterr().err


@examples(50)
@given(st.lists(st.sampled_from(["run", "check", "lint", "--on", "live", "--json", "x", "--seed", "3", "--", "-h"])))
def test_any_command_line_ends_in_a_known_code(argv: list[str]) -> None:
    assert main(argv, Fakes().doors()) in {0, 1, 2, 3, 4, 130}


def test_a_reader_that_went_away_is_no_failure() -> None:
    read, write = os.pipe()
    os.close(read)
    code = "import sys; from chatsim.cli.main import main; from tests.cli.fakes import Fakes; "
    code += "sys.exit(main(['run', 'x.yaml'], Fakes().doors()))"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False
    )
    os.close(write)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize(("argv", "code"), [(["run", "x.yaml"], 0), (["run", "x.yaml", "--seed", "soon"], 3)])
def test_a_stream_that_is_closed_is_no_failure(argv: list[str], code: int, closed: tuple[int, ...]) -> None:
    said = f"import sys; from chatsim.cli.main import entry; sys.argv = ['chatsim', *{argv}]; "
    said += "import chatsim.cli.main as it; from tests.cli.fakes import Fakes; whole = it.main; "
    said += "it.main = lambda argv: whole(argv, Fakes().doors()); entry()"
    ends = " ".join(f"{number}>&-" for number in closed)
    line = ["sh", "-c", f'exec "$@" {ends}', "sh", sys.executable, "-c", said]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == code
    assert "broke" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_module_runs_like_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chatsim", "--version"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == f"{__version__}\n"


def test_the_application_is_built_anew_for_each_set_of_doors() -> None:
    assert build(Fakes().doors()) is not build(Fakes().doors())
