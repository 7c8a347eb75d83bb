"""The port of the log, as the driver sees it.

Decides how a log answers: at once, or later in the loop's thread through `Driver.logged`. Rule: the handler hears of a
record only when the log has it, whichever way the log answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Raw

from chatsim.core.effects import Record
from chatsim.core.facts import Fact

LATER: Final = Record("", "", "", "", Raw(b"null"), 0.0)
"""What `append` returns when it will answer later; compared by identity, and never stored."""


class Log(Protocol):
    """Where accepted messages go, and the facts beside them.

    A record names its session's epoch: seqs count from 1 within it, and a newer one than before begins anew.
    """

    def append(self, record: Record) -> Record | None:
        """The record with its place, `LATER` where that comes later, or None where the log cannot take it now."""

    def note(self, fact: Fact) -> None:
        """Store a fact, behind what was appended before it; who has to know that it is stored asks `settled`."""

    def settled(self, answered: Callable[[bool], None]) -> None:
        """Call `answered` once, here or later in the loop's thread: True when every fact noted before is stored, False
        where the log cannot take one now. Such a fact is kept, and written as soon as that can be."""

    def history(self, session: str, after: int, limit: int) -> list[Record]:
        """Up to `limit` messages with a seq above `after` of the newest epoch, oldest first."""
