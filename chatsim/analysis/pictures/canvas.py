"""What every picture stands on: the style, an Axes, units, the faults behind a curve, and the words for having nothing.

Decides how pictures look and how they refuse. Rule: nothing outside of the Axes is changed, no window is opened, and
what is wrong with a table is said before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Final

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from chatsim.analysis.arrays import FloatArray
from chatsim.errors import UsageError
from chatsim.scenario.faults import did_you_mean
from chatsim.scenario.units import duration, quantity

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
"""Colours that colour-blind people tell apart (Okabe and Ito, 2008)."""
INK, GREY, PALE = "#1f2328", "#59636e", "#d0d7de"

COLOURS: Final = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK)
DASHES: Final = ("-", "--", "-.", ":")
"""Curves differ in both, so that they are told apart in grey too."""

STYLE: Final = Path(__file__).with_name("chatsim.mplstyle")
TIME: Final = "time since the start of the run (s)"
FAULTS_MAX: Final = 6
"""So many faults are named; the others are counted."""
NAME_MAX: Final = 28
"""Letters of a name that a legend shows."""


@contextmanager
def style() -> Iterator[None]:
    """The style of the pictures, for as long as the block lasts."""
    ours = matplotlib.rc_params_from_file(STYLE, use_default_template=False)
    before = {name: matplotlib.rcParams[name] for name in ours}
    matplotlib.rcParams.update(ours)
    try:
        yield
    finally:
        # These alone, and not `rc_context`, which takes everything back: also what a notebook sets when the first
        # figure is made, without which it shows no second one.
        matplotlib.rcParams.update(before)


@contextmanager
def drawn_on(ax: Axes | None, height_in: float | None = None) -> Iterator[Axes]:
    """The Axes to draw on, in the style: the given one, or that of a new figure of pyplot's, which notebooks show, as
    high as the style says or so many inches."""
    if ax is not None and not isinstance(ax, Axes):
        raise UsageError(f"ax={ax!r}: give the Axes to draw on, such as pyplot.subplots()[1]")
    with style():
        if ax is None:
            from matplotlib import pyplot

            width_in, usual_in = matplotlib.rcParams["figure.figsize"]
            ax = pyplot.subplots(figsize=(width_in, height_in or usual_in))[1]
        yield ax


TABLES: Final = {
    "the table of messages": "run.messages",
    "the table of events": "run.events",
    "the table of connections": "run.connections",
    "the table of attempts": "run.attempts",
    "the table of the series": "run.series",
    "the sweep": "what cs.sweep gave",
    "the comparison": "what cs.compare gave",
    "the curve": "the curve of what cs.capacity gave",
    "the table of factors": "the tornado of what cs.capacity gave",
    "the table of pairs": "the validation.csv of chatsim validate",
}
"""Where each table is to be had."""


def needs(frame: object, columns: Iterable[str], what: str) -> None:
    """Refuse what is no table, and a table without these columns. Raises UsageError with the nearest name."""
    if not isinstance(frame, pd.DataFrame):
        raise UsageError(f"{type(frame).__name__} is no table: give {what}, {TABLES[what]}")
    for column in columns:
        if column not in frame:
            raise UsageError(f"{what} has no column {column}{did_you_mean(column, map(str, frame.columns))}")


def one_of(word: str, known: Iterable[str], what: str) -> None:
    """Refuse a word that nobody knows. Raises UsageError with the nearest one."""
    names = [str(name) for name in known]
    if word not in names:
        raise UsageError(f"there is no {what} {word}{did_you_mean(word, names)}")


def number(value: object, name: str, unit: str = "s") -> None:
    """Refuse an argument that is no number; None is none that was given. Raises UsageError with what a text means."""
    if value is None or (isinstance(value, int | float | np.number) and not isinstance(value, bool) and value == value):
        return
    seconds = ""
    if unit == "s":
        seconds = " of seconds"
        if isinstance(value, str):
            with suppress(ValueError):
                seconds += f", {duration(value):g}"
    raise UsageError(f"{name}={value!r} is no number: give one{seconds}")


def nothing(ax: Axes, text: str) -> None:
    """Say in the middle of an empty picture why it is empty."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize=11)
    ax.grid(visible=False)
    ax.set(xticks=[], yticks=[])
    ax.spines[["left", "bottom"]].set_visible(False)


def plain_text(text: object, longest: int = NAME_MAX) -> str:
    """A name as a picture can hold it: one line, cut to its place, and no mathematics of matplotlib's in it."""
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in str(text))
    shown = shown if len(shown) <= longest else shown[: longest - 1] + "…"
    return shown.replace("$", r"\$")


def words_of(column: str) -> str:
    """A column or a number as people say it: `delivery_latency_s` is "delivery latency", `lost{group=web}` "lost of
    web"."""
    name, _, group = column.partition("{group=")
    words = name.removesuffix("_s").replace("_", " ")
    return f"{words} of {group.removesuffix('}')}" if group else words


SAID: Final = {"messages": "message", "for": "duration", "at": "moment"}
"""Words of a scenario file that say nothing without what stands around them there."""
ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def path_words(path: str) -> str:
    """A place of a scenario file as people say it: `groups.people.messages.rate` is "message rate of people",
    `events.0.for` "duration of the first event", `handler.rate_limit` "rate limit"."""
    head, *rest = path.split(".")
    whom = ""
    if head == "groups" and len(rest) > 1:
        whom, rest = f" of {rest[0]}", rest[1:]
    elif head == "events" and len(rest) > 1 and rest[0].isdecimal():
        place = int(rest[0])
        nth = f"the {ORDINALS[place]} event" if place < len(ORDINALS) else f"event {place}"
        whom, rest = f" of {nth}", rest[1:]
    elif head != "handler" or not rest:
        rest = [head, *rest]
    return " ".join(SAID.get(word, word).replace("_", " ") for word in rest) + whom


class Unit:
    """The unit of an axis of durations: ms below 2 s, s above."""

    def __init__(self, values_s: FloatArray, *more_s: float | None) -> None:
        finite = [*values_s[np.isfinite(values_s)].tolist(), *(value for value in more_s if value is not None)]
        self.name, self.per_s = ("ms", 1000.0) if max(finite, default=0.0) < 2.0 else ("s", 1.0)


def spread(ax: Axes, axis: str, values: FloatArray) -> None:
    """Give an axis a logarithmic scale where its values spread over a factor of 30; otherwise it begins at 0."""
    finite = values[np.isfinite(values)]
    wide = finite.size > 0 and finite.min() > 0 and finite.max() / finite.min() > 30
    which = ax.xaxis if axis == "x" else ax.yaxis
    if wide:
        (ax.set_xscale if axis == "x" else ax.set_yscale)("log")
        which.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if finite.max() / finite.min() < 200 else (1.0,)))
        which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        which.set_minor_formatter(NullFormatter())
    elif finite.size and finite.min() >= 0:
        (ax.set_xlim if axis == "x" else ax.set_ylim)(0.0, None)


def whole(ax: Axes) -> None:
    """Let the upward axis, which counts, have whole numbers only."""
    ax.yaxis.set_major_locator(MaxNLocator("auto", integer=True))


def shade(ax: Axes, events: pd.DataFrame | None) -> None:
    """The faults behind a curve over time, numbered at the top and named in the legend. Faults that had nobody to
    strike are left out; one that nobody took back is shaded to the right edge."""
    if events is None or events.empty:
        return
    right = ax.get_xlim()[1]
    struck = events[~events["vain"]].sort_values("at_s", kind="stable")
    labels: list[tuple[float, str]] = []
    for number, (event, at, lasts, users) in enumerate(
        zip(struck["event"], struck["at_s"], struck["lasts_s"], struck["users"], strict=True), 1
    ):
        name = f"{number}: {_fault(event, at, lasts, users)}" if number <= FAULTS_MAX else None
        if lasts > 0:
            end = at + lasts if isfinite(lasts) else max(right, at)
            ax.axvspan(at, end, facecolor=ORANGE, alpha=0.2, linewidth=0, label=name, zorder=0.5)
        ax.axvline(at, color=ORANGE, linewidth=1.2, label=None if lasts > 0 else name, zorder=0.6)
        if labels and abs(at - labels[-1][0]) < 0.02 * max(right, 1e-9):
            labels[-1] = labels[-1][0], f"{labels[-1][1]}, {number}"
        else:
            labels.append((at, f"{number}"))
    if len(struck) > FAULTS_MAX:
        ax.plot([], [], linestyle="", label=f"and {len(struck) - FAULTS_MAX} faults more")
    for at, text in labels:
        ax.annotate(
            text,
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=GREY,
            fontsize=7.5,
            annotation_clip=True,
        )


def _fault(event: str, at: float, lasts: float, users: int) -> str:
    whom = f", {users} {'person' if users == 1 else 'people'}" if users else ""
    how_long = "" if lasts == 0 else " for good" if not isfinite(lasts) else f" for {quantity(lasts, 's')}"
    return f"{plain_text(event).replace('_', ' ')} at {quantity(at, 's')}{how_long}{whom}"


EVENTS: Final = ("event", "at_s", "users", "vain", "lasts_s")
"""The columns of faults that are drawn."""


def below(ax: Axes, *others: Axes, columns: int = 2, extra: Sequence[Artist] = ()) -> None:
    """A legend under the picture, where it hides nothing: of what is drawn, and of `extra` handles."""
    handles, labels = [*extra], [str(handle.get_label()) for handle in extra]
    for axes in (ax, *others):
        drawn, names = axes.get_legend_handles_labels()
        handles += drawn
        labels += names
    if handles:
        # A distance in points, since the share of the height that the axis' labels take depends on the height.
        under = ax.transAxes + ScaledTranslation(-0.1, -0.53, ax.figure.dpi_scale_trans)
        ax.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(0.0, 0.0),
            bbox_transform=under,
            ncols=columns,
            borderaxespad=0.0,
            handlelength=1.6,
            columnspacing=1.6,
        )


def kept_places(n: int, exact: Sequence[int] = (), most: int = 2000) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Which of n ordered points are drawn: all of few, and of many an even choice, the 500 last and the `exact` ones.

    A curve of steps through them is right at each, and between them by less than 1 / 1500 of the points.
    """
    if n <= most:
        return np.arange(n, dtype=np.int64)
    even = np.linspace(0, n - 1, most - 500).round().astype(np.int64)
    return np.unique(np.concatenate([even, np.arange(n - 500, n), np.asarray(exact, dtype=np.int64)]))
