"""The doors: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chatsim.cli.main import main

HEAVY = ("simpy", "pandas", "matplotlib", "uvicorn", "asyncio", "websockets", "pydantic", "jwt", "cryptography")


@pytest.mark.parametrize("module", ["chatsim.cli.main", "chatsim.cli.doors"])
def test_the_command_starts_without_the_heavy_parts(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


GOOD = "{name: good, duration: 5s, groups: [{name: people, users: 2}], expect: [lost == 0]}"
NEARLY = "name: x\nduration: 5s\ngroups: []\n"


def test_what_a_folder_has_that_is_nearly_a_scenario_is_named_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/good.yaml").write_text(GOOD, encoding="utf-8")
    Path("mine/course.yaml").write_text(NEARLY, encoding="utf-8")
    for command in ("lint", "check"):
        assert main([command, "mine"]) == 0
        said = "chatsim: passed over: mine/course.yaml has name and groups, but no expect"
        assert capsys.readouterr().err.splitlines().count(said) == 1
    # Named outright it is read, and says what is wrong with it.
    assert main(["lint", "mine/good.yaml", "mine/course.yaml"]) == 3
    out, err = capsys.readouterr()
    assert "mine/course.yaml:1:1: expect: is required and missing" in out
    assert "passed over" not in err


@pytest.mark.parametrize("command", ["lint", "check"])
def test_what_is_noticed_is_a_warning_in_a_step_of_github(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", f"{tmp_path}")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    Path("mine").mkdir()
    Path("mine/good.yaml").write_text(GOOD, encoding="utf-8")
    for place in range(11):
        Path(f"mine/typo{place}.yaml").write_text(GOOD.replace("expect", "expects"), encoding="utf-8")
    assert main([command, "mine"]) == 0
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith("::")]
    said = "passed over: mine/typo0.yaml has name and groups, but expects where a scenario has expect"
    assert told[0] == f"::warning file=mine/typo0.yaml,line=1,title=chatsim::{said}"
    assert f"chatsim: {said}" in lines
    assert (len(told), told[-1]) == (10, "::warning title=chatsim::and 2 more: all of them are in the log")


@pytest.mark.parametrize("command", ["lint", "check"])
@pytest.mark.parametrize(("more", "lines"), [("", 1), (", errors >= 0", 1), (", sent >= 0, connections_peak >= 1", 0)])
def test_a_scenario_that_would_pass_if_nobody_had_come_is_noticed_and_passes(
    command: str,
    more: str,
    lines: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD.replace("lost == 0", f"lost == 0{more}"), encoding="utf-8")
    assert main([command, "good.yaml"]) == 0
    said = "chatsim: good.yaml:1: all that good promises would hold if nobody had come: promise that something happens"
    assert [line.partition(", such as")[0] for line in capsys.readouterr().err.splitlines()].count(said) == lines


def test_what_a_folder_has_that_cannot_be_read_is_never_green(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/good.yaml").write_text(GOOD, encoding="utf-8")
    Path("mine/link.yaml").symlink_to("gone.yaml")
    said = "mine/link.yaml:1:1: is a link to nothing: mend the link, or remove it"
    assert main(["lint", "mine"]) == 3
    assert capsys.readouterr().out == f"{said}\n"
    assert main(["check", "mine"]) == 3
    assert said in capsys.readouterr().err
