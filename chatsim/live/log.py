"""The port of the log, as the driver sees it.

Decides how a log answers: at once, or later in the loop's thread through `Driver.logged`. Rule: the handler hears of a
record only when the log has it, whichever way the log answers.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Raw

from chatsim.core.effects import Record
from chatsim.core.facts import Fact

LATER: Final = Record("", "", "", "", Raw(b"null"), 0.0)
"""What `append` returns when it will answer later; compared by identity, and never stored."""


class Log(Protocol):
    """Where accepted messages go, and the facts beside them."""

    def append(self, record: Record) -> Record | None:
        """The record with its place, `LATER` where that comes later, or None where the log cannot take it now."""

    def note(self, fact: Fact) -> None:
        """Store a fact, behind what was appended before it; nobody waits for it."""
