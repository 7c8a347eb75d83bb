"""What everything that an analyst holds has in common: a line that plays it again, lines of a shell, and names.

Decides how lines are cut and what a misspelt name is answered. Rule: text is cut at 80 columns; a command is broken
where a shell allows it and never cut, and one that does not fit so is said shorter; an attribute that is not there is
told with the nearest one that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from chatsim.scenario.faults import did_you_mean
from chatsim.verdict.again import WIDTH, folded


class Held:
    """A base for it, which knows what there is."""

    _what = "it"
    """What it is called in a sentence, with its article."""

    if not TYPE_CHECKING:
        # Hidden, because every attribute would be there for who checks types.

        def __getattr__(self, name: str) -> object:
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            known = [known for known in dir(self) if not known.startswith("_")]
            raise AttributeError(f"{self._what} has no {name}{did_you_mean(name, known)}")


def cut(line: str) -> str:
    """A line of at most 80 columns."""
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def shell(lines: Iterable[str], again: Sequence[str], short: Sequence[str]) -> str:
    """What a shell shows: each line cut, and the command in parts (`verdict.again.command`) whole; where a part is too
    long for a line, the `short` one, of a scenario that is saved first."""
    whole = _told(again)
    return "\n".join([*map(cut, lines), *(whole if max(map(len, whole)) <= WIDTH else _told(short))])


def _told(again: Sequence[str]) -> list[str]:
    return folded([f"again: {again[0]}", *again[1:]])


def again_html(again: Sequence[str]) -> str:
    """The command as a paragraph of a card."""
    return f"<p>again: <code>{escape(' '.join(again))}</code></p>"
