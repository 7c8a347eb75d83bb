"""What `chatsim --help` shows: the commands by what one wants to do.

Decides the order of the groups and which command stands where, and how arguments are named. Rule: a command says in its
own first sentence what it does; here it is only placed, and one that nobody has placed is shown at the end. What people
read has no types of Python's in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from chatsim.scenario.units import SEED_MAX

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "Write a scenario": ("lint", "schema"),
    "Run it and judge it": ("demo", "run", "check", "baseline", "requirements"),
    "Look back at a run": ("report", "timeline", "replay"),
    "Know how sure that is": ("replicate", "compare", "sweep", "capacity"),
    "Search for what breaks": ("explore",),
    "Hold it to this machine": ("calibrate", "validate"),
    "Serve, and talk": ("serve", "token", "chat", "openapi", "asyncapi"),
    "Your shell": ("completion",),
}
"""Each group's commands, in the order in which they are shown; a name without a command is passed over."""


_TYPE: Final = re.compile(r" <[^>]*>$")
"""What typer writes behind the name of an argument: ` <path>`, ` <list[Path]>`."""


_RANGE: Final = re.compile(r"(?<=[\[ ])(?:(?P<least>[\d.]+)<=)?x(?:>=(?P<above>[\d.]+)|<=(?P<most>[\d.]+))(?=[;\]])")
"""How typer writes what a number may be: `0<=x<=100`, `x>=1`."""


def _said(told: str) -> str:
    """What is told of an option, with ranges as people say them."""

    def words(found: re.Match[str]) -> str:
        least, most = found["least"] or found["above"], found["most"]
        if most is None or most == f"{SEED_MAX}":
            return f"from {float(least):g}"
        return f"{least} to {most}" if least else f"up to {most}"

    return _RANGE.sub(words, told)


class Plain(TyperCommand):
    """A command whose help calls each argument and option by its name alone, and says ranges in words."""

    def format_options(self, ctx, formatter) -> None:  # type: ignore[no-untyped-def]
        """Write the arguments and the options, without their types."""
        write = formatter.write_dl
        formatter.write_dl = lambda rows, *words: write(
            [(_TYPE.sub("", name), _said(told)) for name, told in rows], *words
        )
        try:
            super().format_options(ctx, formatter)
        finally:
            formatter.write_dl = write


class App(typer.Typer):
    """An application, or a part of one, whose commands are `Plain`."""

    def command(self, name: str | None = None, **words: Any) -> Callable[[Any], Any]:
        """The decorator of typer's own."""
        return super().command(name, cls=Plain, **words)


class ByPurpose(TyperGroup):
    """The application's commands under the headings of `GROUPS`."""

    # The first parameter's and the formatter's types are typer's own, which differ between its versions.
    def format_commands(self, ctx, formatter) -> None:  # type: ignore[no-untyped-def]
        """Write a section for each group, its commands with the first sentence of each."""
        there = {name: self.commands[name] for name in self.list_commands(ctx) if not self.commands[name].hidden}
        placed = {name for names in GROUPS.values() for name in names}
        groups = {**GROUPS, "Others": tuple(name for name in there if name not in placed)}
        width = max(map(len, there), default=0)
        for title, names in groups.items():
            rows = [(name.ljust(width), there[name].get_short_help_str(limit=200)) for name in names if name in there]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def make_app() -> App:
    """An application without commands, whose help shows them by purpose."""
    return App(
        cls=ByPurpose,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        invoke_without_command=True,
    )
