"""A sweep as a picture: over two of its parameters as a map, over one as a curve, with the points where a limit holds.

Decides what counts as holding. Rule: it holds where the whole interval does, is undecided where the interval lies on
both sides, and a point is never drawn as sure on its mean alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, isnan, nan
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle

from chatsim.analysis.numbers import named, unit_of
from chatsim.analysis.pictures import canvas
from chatsim.errors import UsageError
from chatsim.scenario.units import quantity

Op = Literal["<=", ">="]
NUMBERS: Final = ("metric", "mean", "low", "high", "n")
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "holds": {"edgecolor": canvas.VERMILLION, "linewidth": 2.2},
    "undecided": {"edgecolor": canvas.VERMILLION, "linewidth": 0.0, "hatch": "///"},
}


def heatmap(
    sweep: pd.DataFrame,
    metric: str,
    *,
    x: str | None = None,
    y: str | None = None,
    at: Mapping[str, Any] | None = None,
    limit: float | None = None,
    op: Op = "<=",
    ax: Axes | None = None,
) -> Axes:
    """The mean of a metric at each point of two parameters. Points where the limit (in the metric's unit) holds are
    outlined, those where the interval lies on both sides of it, or where there is none, are hatched.

    `sweep` has a column for each parameter, then `metric`, `mean`, `low`, `high` and `n`. `x` and `y` are the
    parameters, the first two that vary where they are left out; `at` fixes the others. Raises UsageError with the
    nearest name.
    """
    if (empty := _of_nothing(sweep, ax)) is not None:
        return empty
    metric = _named(sweep, metric)
    varied, points = _points(sweep, metric, at or {}, [name for name in (x, y) if name is not None])
    canvas.number(limit, "limit", unit_of(metric))
    canvas.one_of(op, get_args(Op), "operator")
    x = x or next((name for name in varied if name != y), None)
    y = y or next((name for name in varied if name != x), None)
    if x is None or y is None or x == y:
        raise UsageError("a map wants two parameters that vary: draw one parameter with `along`")
    _check_fixed(points, varied, (x, y))
    with canvas.drawn_on(ax) as ax:
        across, up = list(dict.fromkeys(points[x])), list(dict.fromkeys(points[y]))
        found = {(row[x], row[y]): row for row in points.to_dict("records")}
        means = np.array([[found.get((a, b), {}).get("mean", nan) for a in across] for b in up], dtype=np.float64)
        unit = canvas.Unit(means.ravel(), limit) if unit_of(metric) == "s" else None
        per = 1.0 if unit is None else unit.per_s
        shown = np.ma.masked_invalid(means * per)
        image = ax.imshow(shown, origin="lower", aspect="auto", cmap="cividis_r", interpolation="nearest")
        if shown.count():
            # Before anything is coloured by it: a bar takes no range without a width, and would choose one itself.
            image.set_clim(*_range(float(shown.min()), float(shown.max())))
        ax.grid(visible=False)
        ax.set_facecolor(canvas.PALE)
        _cells(ax, means * per, image)
        handles = [] if limit is None else _outline(ax, found, across, up, limit, op, metric)
        ax.set_xticks(range(len(across)), [canvas.plain_text(value, 12) for value in across])
        ax.set_yticks(range(len(up)), [canvas.plain_text(value, 12) for value in up])
        ax.set(xlabel=_said(x, 60), ylabel=_said(y, 40))
        label = canvas.plain_text(_axis(metric, unit), 60)
        if shown.count():
            bar = ax.figure.colorbar(image, ax=ax, label=label)
            if (shown == np.round(shown)).all():
                canvas.whole(bar.ax)
        canvas.below(ax, extra=handles)
        return ax


def along(
    sweep: pd.DataFrame,
    metric: str,
    *,
    x: str | None = None,
    at: Mapping[str, Any] | None = None,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The mean of a metric with its interval, over one parameter; a mean without one is hollow, and infinite means are
    marked at the top."""
    if (empty := _of_nothing(sweep, ax)) is not None:
        return empty
    metric = _named(sweep, metric)
    varied, points = _points(sweep, metric, at or {}, [] if x is None else [x])
    canvas.number(limit, "limit", unit_of(metric))
    x = x or (varied[0] if varied else None)
    if x is None:
        raise UsageError("no parameter of this sweep varies: name one with x=")
    _check_fixed(points, varied, (x,))
    numeric = pd.api.types.is_numeric_dtype(points[x])
    if numeric:
        points = points.sort_values(x, kind="stable")
    with canvas.drawn_on(ax) as ax:
        low, mean, high = (points[name].to_numpy(dtype=np.float64) for name in ("low", "mean", "high"))
        unit = canvas.Unit(np.concatenate([low, mean, high]), limit) if unit_of(metric) == "s" else None
        per = 1.0 if unit is None else unit.per_s
        places = points[x].to_numpy(dtype=np.float64) if numeric else np.arange(len(points), dtype=np.float64)
        fine = np.isfinite(mean)
        bare = fine & np.isnan(low)
        sure = fine & ~bare
        above = np.where(np.isfinite(high), high, mean)[sure] - mean[sure]
        spans = np.array([mean[sure] - low[sure], above]) * per
        ax.errorbar(
            places[sure],
            mean[sure] * per,
            yerr=np.maximum(spans, 0.0),
            color=canvas.BLUE,
            marker="o",
            capsize=3,
            label="mean with its 95 % interval",
        )
        if bare.any():
            ax.plot(
                places[bare],
                mean[bare] * per,
                marker="o",
                linestyle="",
                color=canvas.BLUE,
                markerfacecolor="white",
                label="mean of too few samples for an interval",
            )
        if (~fine).any():
            ax.plot(
                places[~fine],
                np.full((~fine).sum(), 0.97),
                marker="x",
                linestyle="",
                color=canvas.VERMILLION,
                transform=ax.get_xaxis_transform(),
                clip_on=False,
                label="infinite, or no sample",
            )
        if limit is not None:
            ax.axhline(limit * per, color=canvas.INK, linestyle=":", label=f"limit {_value(limit, metric)}")
        if not numeric:
            ax.set_xticks(places, [canvas.plain_text(value, 12) for value in points[x]])
        ax.set_ylim(min(0.0, ax.get_ylim()[0]), None)
        ax.set(xlabel=_said(x, 60), ylabel=canvas.plain_text(_axis(metric, unit), 60))
        canvas.below(ax)
        return ax


def parameters(sweep: pd.DataFrame) -> list[str]:
    """The parameters of a sweep: its columns before `metric`."""
    canvas.needs(sweep, NUMBERS, "the sweep")
    return [str(name) for name in sweep.columns[: list(sweep.columns).index("metric")]]


def verdict(low: float, high: float, limit: float, op: Op) -> str:
    """`holds` where the whole interval does, `broken` where none of it does, `undecided` otherwise or without one."""
    if isnan(low) or isnan(high):
        return "undecided"
    if op == "<=":
        return "holds" if high <= limit else "broken" if low > limit else "undecided"
    return "holds" if low >= limit else "broken" if high < limit else "undecided"


def _of_nothing(sweep: pd.DataFrame, ax: Axes | None) -> Axes | None:
    """The picture of a sweep without a point, which knows no metric; None for any other."""
    canvas.needs(sweep, NUMBERS, "the sweep")
    if not sweep.empty:
        return None
    with canvas.drawn_on(ax) as ax:
        canvas.nothing(ax, "no point was played")
        return ax


def _named(sweep: pd.DataFrame, metric: str) -> str:
    """The metric's name in the sweep, where it is named as an expectation writes it too."""
    canvas.needs(sweep, NUMBERS, "the sweep")
    return named(metric, list(dict.fromkeys(sweep["metric"])))


def _points(
    sweep: pd.DataFrame, metric: str, at: Mapping[str, Any], named: list[str]
) -> tuple[list[str], pd.DataFrame]:
    """The parameters that vary, and the rows of the metric where the others are fixed."""
    known = parameters(sweep)
    for name in (*named, *at):
        canvas.one_of(name, known, "parameter")
    points = sweep[sweep["metric"] == metric]
    for name, value in at.items():
        if value not in set(points[name]):
            there = ", ".join(map(str, dict.fromkeys(points[name])))
            raise UsageError(f"{name} was never {value}: it was {there}")
        points = points[points[name] == value]
    return [name for name in known if points[name].nunique() > 1], points


def _check_fixed(points: pd.DataFrame, varied: list[str], drawn: tuple[str, ...]) -> None:
    for name in varied:
        if name not in drawn:
            raise UsageError(f"{name} varies too: fix it with at={{{name!r}: {points[name].iloc[0]!r}}}")


def _cells(ax: Axes, means: npt.NDArray[np.float64], image: AxesImage) -> None:
    """The number of each cell in it, where there is room: in the ink that is read best there, and with a margin of the
    cell's own colour, so that no hatching runs through it."""
    if means.size > 150:
        return
    for (row, column), value in np.ndenumerate(means):
        text = "no\nsample" if isnan(value) else "∞" if not isfinite(value) else f"{value:.3g}"
        ground = to_rgb(image.to_rgba(np.array([value]))[0][:3] if isfinite(value) else canvas.PALE)
        ink = max(("white", "black"), key=lambda colour: contrast(to_rgb(colour), ground))
        margin = {"boxstyle": "round,pad=0.25", "facecolor": ground, "edgecolor": "none"}
        ax.text(column, row, text, ha="center", va="center", fontsize=7.5, color=ink, bbox=margin)


def _range(least: float, most: float) -> tuple[float, float]:
    """The ends of the colours; where all means are equal, from 0 to what they are, or to 1 where that is 0."""
    if most - least > 1e-9 * max(abs(least), abs(most)):
        return least, most
    return min(0.0, least), max(0.0, most) if least or most else 1.0


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """How well one colour is read on another, from 1 to 21 (WCAG 2.1, 1.4.3)."""
    dark, light = sorted(_luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: tuple[float, float, float]) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _outline(
    ax: Axes, found: Mapping[Any, Any], across: list[Any], up: list[Any], limit: float, op: Op, metric: str
) -> list[Patch]:
    """Outline the cells in which the limit holds, hatch those that are undecided; what the legend says of both."""
    for row, b in enumerate(up):
        for column, a in enumerate(across):
            point = found.get((a, b))
            what = "" if point is None else verdict(point["low"], point["high"], limit, op)
            if what in LOOKS:
                ax.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, **LOOKS[what]))
    sign = "≤" if op == "<=" else "≥"
    return [
        Patch(fill=False, label=f"{sign} {_value(limit, metric)} holds", **LOOKS["holds"]),
        Patch(fill=False, label="undecided: its interval has both, or there is none", **LOOKS["undecided"]),
    ]


def _value(value: float, metric: str) -> str:
    unit = unit_of(metric)
    return quantity(value, "count" if unit == "share" else unit)


def _said(path: str, longest: int) -> str:
    """A parameter on an axis."""
    return canvas.plain_text(canvas.path_words(path), longest)


def _axis(metric: str, unit: canvas.Unit | None) -> str:
    return f"{canvas.words_of(metric)} ({unit_of(metric) if unit is None else unit.name})"
