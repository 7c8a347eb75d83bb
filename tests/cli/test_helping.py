"""`--help` shows every command once, under what one wants to do with it."""

from __future__ import annotations

from collections import Counter

import pytest
import typer

from chatsim.cli.helping import GROUPS, make_app
from chatsim.cli.main import build, main
from tests.cli.fakes import Fakes

Capture = pytest.CaptureFixture[str]


def visible() -> set[str]:
    """The commands that the installed application shows."""
    command = typer.main.get_command(build(Fakes().doors()))
    assert isinstance(command, typer.core.TyperGroup)
    return {name for name, inner in command.commands.items() if not inner.hidden}


def test_every_command_has_its_one_place() -> None:
    placed = Counter(name for names in GROUPS.values() for name in names)
    assert visible() <= set(placed), "place it in chatsim.cli.helping.GROUPS"
    assert set(placed.values()) == {1}


def test_each_is_shown_below_its_heading(capsys: Capture) -> None:
    assert main(["--help"], Fakes().doors()) == 0
    shown: dict[str, list[str]] = {}
    heading = ""
    for line in capsys.readouterr().out.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            heading = line.removesuffix(":")
        elif line.startswith("  ") and line[2] not in " -":
            shown.setdefault(heading, []).append(line.split()[0])
    there = visible()
    for title, names in GROUPS.items():
        assert shown.get(title, []) == [name for name in names if name in there]
    assert "Others" not in shown


def test_no_sentence_is_cut_short_and_no_line_is_too_long(capsys: Capture) -> None:
    assert main(["--help"], Fakes().doors()) == 0
    out = capsys.readouterr().out
    assert "..." not in out.partition("Write a scenario")[2]
    assert max(map(len, out.splitlines())) <= 80


def test_what_nobody_has_placed_is_shown_at_the_end() -> None:
    app = make_app()
    app.command("run")(lambda: None)
    app.command("yodel", help="Sing.")(lambda: None)
    app.command("secret", hidden=True)(lambda: None)
    text = typer.main.get_command(app).get_help(typer.Context(typer.main.get_command(app)))
    assert text.index("Run it and judge it:") < text.index("Others:") < text.index("yodel")
    assert "secret" not in text
