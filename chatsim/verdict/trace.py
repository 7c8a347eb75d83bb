"""What a run meant, apart from the wire that it was on: who was sent which frame, in which order and when.

Decides what two runs must have in common to be called the same. Rule: connections go by their owner and their turn (the
second of ann's is `ann/2`), never by the names that a wire gave them; nothing else is left out.
What people saw, and whether a run was good, is left to others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from chatsim.core.effects import Close, Conn, Effect, Ping, Record, Send
from chatsim.core.frames import ServerFrame, Welcome, encode
from chatsim.journal.steps import read

NODE = "the node"
"""Whose line holds what the log took, and the lives of the node."""


class Entry(msgspec.Struct, frozen=True):
    """One thing that happened to a connection, or to the node: when (s since the start), and what."""

    at: float
    what: str


class Trace:
    """The lines of one run: owner and turn of each connection to its entries, in order.

    A frame is what its JSON says, except that names of connections become owner and turn.
    """

    def __init__(self) -> None:
        self.lines: dict[str, list[Entry]] = {NODE: []}
        self._called: dict[Conn, str] = {}
        self._turns: dict[str, int] = {}
        self._last: tuple[ServerFrame | None, str] = (None, "")

    def step(self, now: float, door: str, args: Sequence[Any], effects: Iterable[Effect]) -> None:
        """One input of the handler, by the name of its method and the arguments after `now`, and what it answered."""
        if door == "connect":
            self._connect(now, args[0], args[1].sub)
        elif door == "appended":
            record: Record = args[0]
            where = f"{record.session} {record.epoch}:{record.seq}"
            self._note(NODE, now, f"accepted {record.message_id} {where} {record.sender} {record.id}")
        elif door in ("append_failed", "begin", "clock_jump", "drain", "revoke"):
            self._note(NODE, now, door)
        for effect in effects:
            if isinstance(effect, Send):
                for conn in effect.to:
                    self._note(self._called[conn], now, self._text(effect.message))
            elif isinstance(effect, Ping):
                for conn in effect.to:
                    self._note(self._called[conn], now, "ping")
            elif isinstance(effect, Close):
                self._note(self._called[effect.to], now, f"close {effect.code} {effect.reason}")

    def until(self, moment: float) -> Trace:
        """As much of it as happened before the moment (s)."""
        part = Trace()
        part.lines = {whose: kept for whose, line in self.lines.items() if (kept := [e for e in line if e.at < moment])}
        return part

    def _connect(self, now: float, conn: Conn, user: str) -> None:
        turn = self._turns[user] = self._turns.get(user, 0) + 1
        self._called[conn] = f"{user}/{turn}"
        self._note(self._called[conn], now, "connected")

    def _note(self, whose: str, at: float, what: str) -> None:
        self.lines.setdefault(whose, []).append(Entry(at, what))

    def _text(self, message: ServerFrame) -> str:
        # A frame goes to many, and is written out once.
        if self._last[0] is not message:
            frame = message
            if isinstance(frame, Welcome):
                frame = msgspec.structs.replace(frame, connection=self._called[frame.connection])
            self._last = (message, encode(frame).decode())
        return self._last[1]


def trace_of(journal: Path) -> Trace:
    """The trace of a journal, of either kind of wire. Raises HarnessError where the file is none."""
    trace = Trace()
    for step in read(journal):
        trace.step(step.now, step.door, step.args, step.effects)
    return trace


def differences(one: Trace, other: Trace, *, within_s: float = 0.0) -> list[str]:
    """A sentence for each line that differs, those first that differ first; moments may be `within_s` of each other.

    An empty list says that the two runs are the same.
    """
    return [text for _, text in _differing(one, other, within_s)]


def parted(one: Trace, other: Trace, *, within_s: float = 0.0) -> tuple[float, str] | None:
    """When two runs differ first (s), and how; None where they are the same, moments `within_s` of each other."""
    found = _differing(one, other, within_s)
    return found[0] if found else None


def _differing(one: Trace, other: Trace, within_s: float) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    for whose in one.lines.keys() | other.lines.keys():
        pairs = zip_longest(one.lines.get(whose, []), other.lines.get(whose, []))
        for place, (mine, its) in enumerate(pairs):
            if mine is None or its is None or mine.what != its.what or abs(mine.at - its.at) > within_s:
                at = min(entry.at for entry in (mine, its) if entry is not None)
                found.append((at, f"{whose}, entry {place}: {_said(mine)}, against {_said(its)}"))
                break
    return sorted(found)


def _said(entry: Entry | None) -> str:
    return "nothing" if entry is None else f"{entry.what} at {entry.at:.9g} s"
