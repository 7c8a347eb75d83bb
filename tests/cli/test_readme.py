"""What the README says of analysis can be said: each of its commands, and its notebook, run as they stand there.

Those for CI are `test_readme_ci`'s, and those that measure the machine `test_calibrating`'s.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import chatsim
from chatsim.cli.main import main

TOP = Path(__file__).parents[2]
README = (TOP / "chatsim" / "README.md").read_text(encoding="utf-8")
SCENARIO = (TOP / "README.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
COMMANDS = [
    line.partition("#")[0].strip()
    for line in README.partition("## In a notebook")[2].partition("## Looking back")[0].splitlines()
    if line.startswith(("chatsim run", "chatsim replicate", "chatsim compare", "chatsim sweep"))
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with the README's scenario in it, made shorter."""
    text = SCENARIO
    assert "duration: 2min" in text
    assert "at: 1min" in text
    shorter = text.replace("duration: 2min", "duration: 20s").replace("at: 1min", "at: 12s")
    (tmp_path / "after-lunch.yaml").write_text(shorter, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_analysis_is_there() -> None:
    assert {command.split()[1] for command in COMMANDS} == {"run", "replicate", "compare", "sweep"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_plays(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)[1:]
    few = [] if {"auto", "--until", "-n"} & set(words) else ["-n", "2"]
    given = [{"20": "3", "5%": "90%", "auto": "3"}.get(word, word) for word in words]
    # Of so few and so short runs little can be said; what is wrong would be 3 or 4.
    assert main([*given, *few, "--jobs", "1"]) in (0, 1, 2)
    assert capsys.readouterr().out
    for word in ("--csv", "--out"):
        if word in words:
            assert (folder / words[words.index(word) + 1]).is_file()


def test_the_notebook_names_what_there_is() -> None:
    notebook = README.partition("## In a notebook")[2].partition("```python\n")[2].partition("```")[0]
    names = {part.split("(")[0].split("[")[0] for part in notebook.split("cs.")[1:]}
    assert {"simulate", "replicate", "compare", "sweep"} <= names
    assert names <= set(chatsim.__all__)
