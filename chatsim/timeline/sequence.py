"""A message-sequence chart of a run as SVG: time runs down, each person is a lifeline, each frame an arrow.

Decides where everything stands. Rule: all words stand in one column of their own, right of the server, through which
every arrow to or from a person passes; so no text ever meets another, however many people there are.
What is shown is left to `choice`, what a frame says to `words`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from chatsim.errors import UsageError
from chatsim.journal.steps import Step
from chatsim.timeline.choice import Range, Shown, column_of, fit
from chatsim.timeline.story import Line, Mark, Row, Story
from chatsim.timeline.svg import CELL_PX, INK, Drawing
from chatsim.timeline.words import Tone

ROWS: Final = 80
COLUMNS: Final = 10
"""How many rows and lifelines there are at most, unless somebody says otherwise: what a screen and a half holds."""

COLOURS: Final[dict[Tone, str]] = {
    "plain": "#0969da",
    "quiet": "#8c959f",
    "good": "#1a7f37",
    "retry": "#bc4c00",
    "close": "#8250df",
    "error": "#cf222e",
}
_BANDS: Final[dict[Tone, str]] = {"retry": "#fff1e5", "close": "#f5efff", "error": "#ffebe9"}
_LEGEND: Final[tuple[tuple[Tone, str], ...]] = (
    ("plain", "frames"),
    ("good", "acks, delivered"),
    ("retry", "retries, what the scenario does"),
    ("close", "closes"),
    ("error", "errors"),
    ("quiet", "pings, typing, presence"),
)
_FAINT: Final = "#59636e"
_MARGIN: Final = 16.0
_MOMENT: Final = 84.0
"""Where moments end."""

_LOG: Final = 120.0
_SERVER: Final = 200.0
_WORDS: Final = 50 * CELL_PX
"""Room for words: 50 letters."""

_COLUMN: Final = 112.0
_ROW: Final = 23.0
_RAISED: Final = 5.0
"""How far words stand above their arrow, so that no letter touches it."""

_GAP_S: Final = 1.0
"""A pause longer than this gets a line of its own (s)."""


def chart(
    steps: Iterable[Step],
    *,
    start: float | None = None,
    end: float | None = None,
    users: Iterable[str] = (),
    session: str = "",
    title: str = "",
    marks: Iterable[Mark] = (),
    rows_max: int = ROWS,
    columns_max: int = COLUMNS,
) -> str:
    """The chart of some steps of a journal, from the first one on, as one SVG document.

    `start` and `end` are moments in seconds of the steps' own clock; without them the last rows are drawn, with a start
    alone the first ones from there. `marks` are shown between the steps. At most `rows_max` rows and `columns_max`
    lifelines are drawn, and what was left out is said above them. Raises UsageError where nobody is there to be drawn.
    """
    asked = Range(start, end, tuple(users), session)
    return draw(Story(steps, marks), asked, title, rows_max=rows_max, columns_max=columns_max)


def draw(story: Story, asked: Range, title: str, *, rows_max: int = ROWS, columns_max: int = COLUMNS) -> str:
    """The chart of what was asked for. Raises UsageError where that is wrong, or nothing."""
    shown = fit(story, asked, rows_max=rows_max, columns_max=columns_max)
    if not story.rows:
        raise UsageError("there is nothing to draw: the journal holds no step")
    if not shown.rows:
        raise UsageError("nothing happened to them in that range: choose an earlier --from, or a later --to")
    return _Chart(story, shown, title).drawn()


class _Chart:
    """One chart while it is drawn."""

    def __init__(self, story: Story, shown: Shown, title: str) -> None:
        self.shown = shown
        rows = shown.rows
        with_log = any(row.way in ("append", "stored", "kept") for row in rows)
        self.log = _LOG if with_log else 0.0
        self.server = _SERVER if with_log else _LOG
        self.words = self.server + 10
        first = self.words + _WORDS + _COLUMN / 2
        self.places = {column: first + _COLUMN * place for place, column in enumerate(shown.columns)}
        self.right = first + _COLUMN * (len(shown.columns) - 0.5) + _MARGIN
        self.width = max(self.right, 900.0)
        self.sentences = [_range(rows), *shown.left_out]
        self.top = _MARGIN + 24 + 16 * len(self.sentences) + 12
        self.body = self.top + 30
        self.ys: list[float] = []
        y = self.body
        before = rows[0].at
        self.pauses: list[tuple[float, float]] = []
        for row in rows:
            if row.at - before > _GAP_S:
                self.pauses.append((y + _ROW / 2, row.at - before))
                y += _ROW
            y += _ROW
            self.ys.append(y - 5)
            before = row.at
        self.bottom = y + 10
        self.ats = [row.at for row in rows]
        self.drawing = Drawing(self.width, self.bottom + 30 + 2 * _MARGIN + 16, title or "timeline")
        self.title = title
        self.lines = [line for line in story.lines if column_of(line) in self.places]

    def drawn(self) -> str:
        """The whole of it, from the back to the front."""
        self._bands()
        self._lifelines()
        self._head()
        for y, pause_s in self.pauses:
            self.drawing.text(self.words, y + 4, f"· · · {pause_s:.3f} s later", _WORDS, colour=_FAINT)
        said = ""
        for row, y in zip(self.shown.rows, self.ys, strict=True):
            moment = f"{row.at:.3f}"
            if moment != said:
                self.drawing.text(_MOMENT, y - _RAISED, moment, _MOMENT - 8, colour=_FAINT, anchor="end")
                said = moment
            self._row(row, y)
        self._names(self.bottom)
        self._legend()
        return self.drawing.to_text()

    def _bands(self) -> None:
        for row, y in zip(self.shown.rows, self.ys, strict=True):
            band = _BANDS.get(row.tone)
            if band is not None:
                self.drawing.box(0, y - _ROW + 5, self.width, _ROW, fill=band)

    def _head(self) -> None:
        drawing, y = self.drawing, _MARGIN + 12
        drawing.text(_MARGIN, y, self.title, self.width - 2 * _MARGIN, bold=True)
        for sentence in self.sentences:
            y += 16
            drawing.text(_MARGIN, y, sentence, self.width - 2 * _MARGIN, colour=_FAINT)
        drawing.text(_MOMENT, self.top + 15, "seconds", _MOMENT - 8, colour=_FAINT, anchor="end")
        self._names(self.top)

    def _names(self, top: float) -> None:
        places = [(self.server, "server", 60.0, "#ddf4ff")]
        if self.log:
            places.append((self.log, "log", 44.0, "#f6f8fa"))
        for (user, lane), x in self.places.items():
            places.append((x, user if not lane else f"{user} +{lane}", _COLUMN - 8, "#f6f8fa"))
        for x, name, width, fill in places:
            self.drawing.box(x - width / 2, top, width, 20, fill=fill, stroke="#d1d9e0")
            self.drawing.text(x, top + 14, name, width - 6, anchor="middle", bold=True)

    def _lifelines(self) -> None:
        drawing, top, bottom = self.drawing, self.top + 20, self.bottom
        drawing.line(self.server, top, self.server, bottom, INK, width=2)
        if self.log:
            drawing.line(self.log, top, self.log, bottom, _FAINT, width=1)
        for x in self.places.values():
            drawing.line(x, top, x, bottom, "#d1d9e0", dash="2 5")
        for line in self.lines:
            begins, ends = self._y_of(line, opening=True), self._y_of(line, opening=False)
            if ends > begins:
                x = self.places[column_of(line)]
                drawing.line(x, begins, x, ends, INK, width=2)

    def _y_of(self, line: Line, *, opening: bool) -> float:
        """Where a connection begins, or ends, between the top of the chart and its bottom."""
        at = line.opened_at if opening else line.closed_at
        if at < self.ats[0]:
            return self.top + 20
        place = bisect_left(self.ats, at)
        while place < len(self.ats) and self.ats[place] == at:
            row = self.shown.rows[place]
            if any(one is line for one in row.lines) and (opening or row.ends):
                return self.ys[place]
            place += 1
        return self.ys[place] - _ROW / 2 if place < len(self.ats) else self.bottom

    def _row(self, row: Row, y: float) -> None:
        drawing, colour = self.drawing, COLOURS[row.tone]
        xs = sorted(self.places[column] for line in row.lines if (column := column_of(line)) in self.places)
        text = row.text
        if row.way == "mark":
            drawing.line(_MOMENT + 6, y, self.width - _MARGIN, y, colour, dash="6 3")
        elif row.way in ("append", "stored", "kept"):
            drawing.line(self.log, y, self.server, y, colour, width=1.4)
            if row.way != "stored":
                drawing.head(self.log, y, -1, colour)
            if row.way != "append":
                drawing.head(self.server, y, 1, colour)
        elif row.way == "server" or not xs:
            drawing.dot(self.server, y, colour)
        else:
            dash = "3 3" if row.tone == "quiet" else ""
            drawing.line(self.server, y, xs[-1], y, colour, width=1.4, dash=dash)
            if row.way != "out":
                drawing.head(self.server, y, -1, colour)
            if row.way == "in":
                drawing.dot(xs[0], y, colour, 2.5)
            else:
                for x in xs:
                    drawing.head(x, y, 1, colour)
            others = len(row.lines) - len(xs)
            if others:
                text = f"(+{others}) {text}"
        if row.ends:
            for x in xs:
                drawing.cross(x, y, colour)
        drawing.text(self.words, y - _RAISED, text, _WORDS, colour=INK if row.tone == "plain" else colour)

    def _legend(self) -> None:
        x, y = _MARGIN, self.bottom + 44
        for tone, words in _LEGEND:
            self.drawing.line(x, y - 4, x + 18, y - 4, COLOURS[tone], width=2)
            self.drawing.text(x + 24, y, words, (len(words) + 1) * CELL_PX, colour=_FAINT)
            x += 24 + (len(words) + 3) * CELL_PX


def _range(rows: list[Row]) -> str:
    return (
        f"{len(rows)} rows from {rows[0].at:.3f} s to {rows[-1].at:.3f} s. Moments are the server's: when it read a "
        "frame, or wrote it."
    )
