"""What of a story is shown: a range of moments, some users, one session, and as much of it as fits.

Decides which rows and which people are left out, and says so in sentences. Rule: what went wrong is shown before what
went well, and what is left out is always counted.
How it looks is left to `sequence` and `trace`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from math import inf
from typing import Final, TypeAlias

import msgspec

from chatsim.errors import UsageError
from chatsim.timeline.story import Line, Row, Story
from chatsim.timeline.words import Tone

Column: TypeAlias = tuple[str, int]
"""A lifeline: a user, and which of her connections at the same time."""

_WEIGHTS: Final[dict[Tone, int]] = {"error": 100, "close": 60, "retry": 30, "plain": 3, "good": 2, "quiet": 0}
"""How much a row speaks for showing the people in it."""

_FAILURES: Final[dict[Tone, tuple[str, str]]] = {
    "error": ("error", "errors"),
    "close": ("close", "closes"),
    "retry": ("retry", "retries"),
}

_FAN: Final = 4
"""A row with more connections than this says little about any one of them."""


class Range(msgspec.Struct, frozen=True):
    """What was asked for: moments in seconds on the run's clock, None where there is no bound; empty `users` are all
    of them, an empty `session` every one."""

    start: float | None = None
    end: float | None = None
    users: tuple[str, ...] = ()
    session: str = ""

    def check_order(self) -> None:
        """Raises UsageError where the end comes before the start."""
        start, end = self.start or 0.0, self.end
        if end is not None and start > end:
            raise UsageError(f"from {start:g} s to {end:g} s is no range: give the earlier moment first")

    def check(self, story: Story) -> None:
        """Raises UsageError where the range holds nothing, or names somebody who is not there."""
        self.check_order()
        start = self.start or 0.0
        if start > story.ends_at:
            raise UsageError(f"nothing happens from {start:g} s on: the last step is at {story.ends_at:.3f} s")
        for user in self.users:
            if user not in story.users:
                raise UsageError(f"nobody is called {user} here: {_instead(user, story.users)}")
        sessions = set().union(*story.sessions.values())
        if self.session and self.session not in sessions:
            raise UsageError(f"there is no session {self.session} here: {_instead(self.session, sessions)}")

    def holds(self, at: float) -> bool:
        """Whether the moment lies in it."""
        return (self.start or 0.0) <= at <= (inf if self.end is None else self.end)

    def wants(self, story: Story) -> set[str]:
        """The users whose connections are shown."""
        users = set(self.users) or story.users
        return {user for user in users if not self.session or self.session in story.sessions[user]}

    def rows(self, story: Story) -> list[Row]:
        """The rows of the range, with those of their connections that are shown."""
        wanted = self.wants(story)
        kept = []
        for row in story.rows:
            if not self.holds(row.at) or (self.session and row.session not in ("", self.session)):
                continue
            lines = tuple(line for line in row.lines if line.user in wanted)
            if lines or (not row.lines and not row.about) or not wanted.isdisjoint(row.about):
                kept.append(row if len(lines) == len(row.lines) else msgspec.structs.replace(row, lines=lines))
        return kept


class Shown(msgspec.Struct):
    """What is drawn: rows, the lifelines from left to right, and sentences about what is not."""

    rows: list[Row]
    columns: list[Column]
    left_out: list[str]


def fit(story: Story, asked: Range, *, rows_max: int, columns_max: int) -> Shown:
    """So many rows at most, and so many lifelines: the last rows, or the first where only a start was asked for.

    Raises UsageError where the range is wrong.
    """
    asked.check(story)
    rows = asked.rows(story)
    forward = asked.start is not None and asked.end is None
    # People are chosen by what happens where the rows are taken from, and not by a failure that is far away.
    near = rows[: 4 * rows_max] if forward else rows[-4 * rows_max :]
    everyone = _columns(rows)
    columns = _best(near, columns_max, story)
    drawn = set(columns)
    visible = _folded(row for row in rows if _visible(row, drawn))
    taken = visible[:rows_max] if forward else visible[-rows_max:]
    used = _columns(taken) & drawn
    left_out = []
    if len(taken) < len(visible):
        missing = visible[rows_max:] if forward else visible[:-rows_max]
        left_out.append(
            f"{len(missing):,} {'later' if forward else 'earlier'} rows are left out: choose with --from, --to, --user "
            "and --session, or allow more with --rows."
        )
    # Also what happened to people who are not drawn: a failure that nobody sees would be looked for elsewhere.
    bounds = (taken[0].at, taken[-1].at) if taken else (inf, -inf)
    left_out += _failures(row for row in rows if not bounds[0] <= row.at <= bounds[1] or not _visible(row, drawn))
    others = len({user for user, _ in everyone} - {user for user, _ in used})
    if others:
        left_out.append(
            f"{others:,} people who appear in this range are not drawn, nor is what only they did: name them with "
            "--user."
        )
    order = sorted(used, key=lambda column: (min(_shared(story, column[0]), default=""), column))
    return Shown(taken, order, left_out)


def column_of(line: Line) -> Column:
    """The lifeline on which a connection is drawn."""
    return line.user, line.lane


def _failures(rows: Iterable[Row]) -> list[str]:
    """A sentence about what went wrong in these rows, or none."""
    bad: dict[Tone, list[Row]] = {tone: [] for tone in _FAILURES}
    for row in rows:
        if row.tone in bad and row.way != "mark":
            bad[row.tone].append(row)
    worst = next((found[0] for found in bad.values() if found), None)
    if worst is None:
        return []
    counted = ", ".join(f"{len(found):,} {_FAILURES[tone][len(found) > 1]}" for tone, found in bad.items() if found)
    return [f"Not drawn: {counted}; the first at {worst.at:.3f} s: {worst.text}."]


def _folded(rows: Iterable[Row]) -> list[Row]:
    """The rows, with those that say the same of one person after another as one."""
    kept: list[Row] = []
    count, before = 0, Row(-inf, "mark", "", "quiet")
    for row in rows:
        if row.fold and row.fold == before.fold and row.lines == before.lines:
            count += 1
            text = f"{before.text}, and {count} more"
            kept[-1] = msgspec.structs.replace(before, text=text, about=(*kept[-1].about, *row.about))
        else:
            kept.append(row)
            count, before = 0, row
    return kept


def _visible(row: Row, drawn: set[Column]) -> bool:
    if row.lines:
        return row.way == "mark" or any(column_of(line) in drawn for line in row.lines)
    return not row.about or any(user in row.about for user, _ in drawn)


def _columns(rows: Iterable[Row]) -> set[Column]:
    return {column_of(line) for row in rows if row.way != "mark" for line in row.lines}


def _best(rows: list[Row], columns_max: int, story: Story) -> list[Column]:
    """The lifelines with most to say: what went wrong first, then the sessions of those to whom it happened."""
    weights: dict[Column, int] = dict.fromkeys(_columns(rows), 0)
    of_user: dict[str, list[Column]] = {}
    for column in weights:
        of_user.setdefault(column[0], []).append(column)
    for row in rows:
        if row.way == "mark":
            continue
        weight = _WEIGHTS[row.tone] if len(row.lines) <= _FAN else 1
        for line in row.lines:
            weights[column_of(line)] += weight
        if not row.lines:
            for column in (column for user in row.about for column in of_user.get(user, ())):
                weights[column] += weight
    chosen: list[Column] = []
    left = sorted(weights, key=lambda column: (-weights[column], column))
    while left and len(chosen) < columns_max:
        worst = left[0]
        near = _shared(story, worst[0])
        mates = [column for column in left if not near.isdisjoint(_shared(story, column[0]))] or [worst]
        # A large session must not crowd out the others that have a failure of their own.
        taken = mates[: max(4, columns_max - len(chosen) - 4)][: columns_max - len(chosen)]
        chosen += taken
        left = [column for column in left if column not in taken]
    return chosen


def _shared(story: Story, user: str) -> set[str]:
    """The sessions that she shares with others."""
    return {session for session in story.sessions[user] if not session.startswith("@")}


def _instead(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:3]
    return f"say {' or '.join(near)}" if near else "there is nobody in this run"
