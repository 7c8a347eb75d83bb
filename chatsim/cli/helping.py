"""What `chatsim --help` shows: the commands by what one wants to do.

Decides the order of the groups and which command stands where. Rule: a command says in its own first sentence what it
does; here it is only placed, and one that nobody has placed is shown at the end.
"""

from __future__ import annotations

from typing import Final

import typer
from typer.core import TyperGroup

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


def make_app() -> typer.Typer:
    """An application without commands, whose help shows them by purpose."""
    return typer.Typer(
        cls=ByPurpose,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        invoke_without_command=True,
    )
