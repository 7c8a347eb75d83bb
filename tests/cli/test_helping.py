"""`--help` shows every command once, under what one wants to do with it."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import typer

from chatsim.cli.helping import GROUPS, _said, make_app
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


COMMANDS = [*((name,) for names in GROUPS.values() for name in names), ("baseline", "save"), ("baseline", "compare")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_arguments_and_options_have_names_and_no_types(words: tuple[str, ...], capsys: Capture) -> None:
    assert main([*words, "--help"], Fakes().doors()) == 0
    usage, *lines = capsys.readouterr().out.splitlines()
    assert not re.search(r"\[\[|\.\.\.[\]}]", usage)
    assert not any(re.search(r"\bx[<>]|[<>]=?x\b|\d{19}", line) for line in lines), "ranges are said in words"
    named = [line[2:].partition("  ")[0] for line in lines if re.match(r"  [\w-]", line)]
    assert named
    assert [name for name in named if "<" in name] == []


def test_no_sentence_about_a_command_of_baselines_is_cut_short(capsys: Capture) -> None:
    assert main(["baseline", "--help"], Fakes().doors()) == 0
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_what_nobody_has_placed_is_shown_at_the_end() -> None:
    app = make_app()
    app.command("run")(lambda: None)
    app.command("yodel", help="Sing.")(lambda: None)
    app.command("secret", hidden=True)(lambda: None)
    text = typer.main.get_command(app).get_help(typer.Context(typer.main.get_command(app)))
    assert text.index("Run it and judge it:") < text.index("Others:") < text.index("yodel")
    assert "secret" not in text


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("The seed. [0<=x<=9223372036854775807]", "The seed. [from 0]"),
        ("How many. [default: 1; x>=1]", "How many. [default: 1; from 1]"),
        ("A share. [default: 3; 1<=x<=10]", "A share. [default: 3; 1 to 10]"),
        ("At most. [x<=5]", "At most. [up to 5]"),
        ("What x<=5 is. [required]", "What x<=5 is. [required]"),
    ],
)
def test_ranges_are_said_in_words(told: str, said: str) -> None:
    assert _said(told) == said
