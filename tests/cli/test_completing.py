"""`completion`: the script is what its shell takes, and whoever presses Tab gets what there is."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from chatsim.cli.completing import SHELLS, VARIABLE
from chatsim.cli.main import main
from tests.cli.fakes import Fakes

Capture = pytest.CaptureFixture[str]
PATIENCE_S = 60.0

REGISTERS = {"bash": "complete -o default", "zsh": "#compdef chatsim", "fish": "complete --command chatsim"}
"""By what each shell learns that it may ask."""


def script(shell: str, capsys: Capture) -> str:
    assert main(["completion", shell], Fakes().doors()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def asked(monkeypatch: pytest.MonkeyPatch, capsys: Capture, **words: str) -> str:
    """What the command answers a shell that asks."""
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as left:
        main([], Fakes().doors())
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_has_the_shell_ask_the_command(shell: str, capsys: Capture) -> None:
    text = script(shell, capsys)
    assert f"{VARIABLE}=complete_{shell}" in text
    assert REGISTERS[shell] in text


def test_bash_completes_with_it(capsys: Capture) -> None:
    command = shlex.quote(str(Path(sys.executable).with_name("chatsim")))
    lines = [
        script("bash", capsys),
        'tried() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _chatsim_completion "$1"',
        'echo "${COMPREPLY[*]}" | tr "\\n" " "; echo; }',
        f"tried {command} re",
        f"tried {command} run --rep",
        f"tried {command} yodel",
        "complete -p chatsim",
    ]
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    commands, options, nothing, registered = done.stdout.splitlines()
    assert {"report", "replay", "replicate"} <= set(commands.split())
    assert all(name.startswith("re") for name in commands.split())
    assert options.split() == ["--replications"]
    assert nothing.split() == []
    assert registered == "complete -o default -F _chatsim_completion chatsim"
    assert done.stderr == ""


def test_zsh_and_fish_get_what_they_ask_for(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert '"lint"' in asked(monkeypatch, capsys, _TYPER_COMPLETE_ARGS="chatsim li", **{VARIABLE: "complete_zsh"})
    words = {"_TYPER_COMPLETE_ARGS": "chatsim check --at", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert asked(monkeypatch, capsys, **words, **{VARIABLE: "complete_fish"}).startswith("--attempts\t")


def test_nobody_is_asked_without_the_variable(capsys: Capture) -> None:
    assert VARIABLE not in os.environ
    assert main(["--version"], Fakes().doors()) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("shell", ["powershell", "", "Bash"])
def test_another_shell_is_three_and_a_sentence(shell: str, capsys: Capture) -> None:
    assert main(["completion", shell], Fakes().doors()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "say bash, zsh or fish" in err
    assert len(err.splitlines()) == 1
