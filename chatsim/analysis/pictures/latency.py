"""How long messages took: the share that arrived within a time, over time, and of several runs beside each other.

Decides which samples a curve has. Rule: they are those that are judged; what was never delivered counts as infinity, so
that a curve does not reach 1, and the legend says how many there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.pictures import canvas
from chatsim.analysis.quantiles import quantile, rank
from chatsim.errors import UsageError
from chatsim.scenario.units import limited, quantity

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
POINTS_MAX: Final = 20_000
"""So many points are drawn over time; of more, the slowest ones and an even choice."""
BINS: Final = 60


def samples(messages: pd.DataFrame, column: str = "delivery_latency_s") -> FloatArray:
    """The samples of a latency that are judged, ascending, float64 of shape (n,), inf for what never came.

    Those of the warm-up and those that cannot be said (NaN) are left out; an ack counts once, however many receivers
    its message had. Raises UsageError for a column that is none.
    """
    found = _measured(messages, column)
    return np.sort(found[column].dropna().to_numpy(dtype=np.float64))


def ecdf(
    messages: pd.DataFrame,
    column: str = "delivery_latency_s",
    *,
    limit_s: float | None = None,
    limits_s: Mapping[str, float] | None = None,
    by: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The share of messages that took at most so long, with the limit (s) as a line.

    `messages` is `run.messages`; `column` is a latency of it, in seconds; `by` is a column, such as `group`, with a
    curve for each of its values, and `limits_s` are the limits (s) of single curves by their names, in their colours.
    Exact at every quantile. Raises UsageError with the nearest name of a column or a curve.
    """
    canvas.number(limit_s, "limit_s")
    for name, limit in (limits_s or {}).items():
        canvas.number(limit, f"limits_s of {name}")
    samples(messages, column)
    if by is None:
        return _curves({"all": messages}, column, limit_s, ax, limits_s)
    canvas.needs(messages, [by], "the table of messages")
    parts = {str(name): part for name, part in messages.groupby(by, sort=True)}
    return _curves(parts, column, limit_s, ax, limits_s)


def overlaid(
    runs: Mapping[str, pd.DataFrame],
    column: str = "delivery_latency_s",
    *,
    limit_s: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The same curve of several runs: `overlaid({"sim": run.messages, "live": live.messages})`.

    Raises UsageError with the nearest name of a column, and for no run.
    """
    _check_runs(runs, limit_s)
    for messages in runs.values():
        samples(messages, column)
    return _curves(runs, column, limit_s, ax)


def quantiles(
    runs: Mapping[str, pd.DataFrame],
    column: str = "delivery_latency_s",
    *,
    limit_s: float | None = None,
    band: tuple[float, float] | None = (0.8, 1.25),
    ax: Axes | None = None,
) -> Axes:
    """p50 to p99.9 of several runs beside each other; `band` shades these ratios around the first one, as simulation
    and live are compared by. A quantile that was never delivered is marked at the top.

    Raises UsageError with the nearest name of a column, and for no run.
    """
    _check_runs(runs, limit_s)
    found = {name: samples(messages, column) for name, messages in runs.items()}
    with canvas.drawn_on(ax) as ax:
        there = {name: values for name, values in found.items() if values.size}
        if not there:
            canvas.nothing(ax, "no messages")
            return ax
        unit = canvas.Unit(np.concatenate(list(there.values())), limit_s)
        places = np.arange(len(QUANTILES), dtype=np.float64)
        drawn: list[float] = []
        for number, (name, values) in enumerate(there.items()):
            heights = np.array([quantile(values, q) for q in QUANTILES.values()]) * unit.per_s
            finite = np.isfinite(heights)
            colour = canvas.COLOURS[number % len(canvas.COLOURS)]
            if number == 0 and band is not None and finite.any() and len(there) > 1:
                ax.fill_between(
                    places,
                    np.where(finite, heights, np.nan) * band[0],
                    np.where(finite, heights, np.nan) * band[1],
                    color=colour,
                    alpha=0.15,
                    linewidth=0,
                    label=f"{band[0]:g} to {band[1]:g} times {canvas.plain_text(name)}",
                )
            label = _label(name, values)
            shift = 0.06 * (number - (len(there) - 1) / 2)
            ax.plot(
                places[finite] + shift,
                heights[finite],
                marker="osD^v"[number % 5],
                linestyle="",
                color=colour,
                markersize=6,
                label=label,
            )
            if not finite.all():
                ax.plot(
                    places[~finite] + shift,
                    np.full((~finite).sum(), 0.97),
                    marker=6,
                    linestyle="",
                    color=colour,
                    markersize=7,
                    transform=ax.get_xaxis_transform(),
                    clip_on=False,
                )
            drawn += heights[finite].tolist()
        if limit_s is not None:
            drawn.append(limit_s * unit.per_s)
            ax.axhline(limit_s * unit.per_s, color=canvas.INK, linestyle=":", label=f"limit {limited(limit_s, 's')}")
        canvas.spread(ax, "y", np.array(drawn))
        ax.set_xlim(-0.5, len(places) - 0.5)
        ax.set_xticks(places, list(QUANTILES))
        ax.set(xlabel="quantile (share of messages)", ylabel=f"{canvas.words_of(column)} ({unit.name})")
        canvas.below(ax)
        return ax


def latency_over_time(
    messages: pd.DataFrame,
    events: pd.DataFrame | None = None,
    column: str = "delivery_latency_s",
    *,
    limit_s: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Each message at the moment at which it was meant to be sent, with the median of each sixtieth of the time in its
    middle and the slowest at its own moment, and the faults (`run.events`) shaded; what was never delivered is marked
    at the top.

    Those of the warm-up are shown, too. Raises UsageError with the nearest name of a column.
    """
    canvas.needs(messages, ["intended_at_s", column], "the table of messages")
    canvas.number(limit_s, "limit_s")
    if events is not None:
        canvas.needs(events, canvas.EVENTS, "the table of events")
    found = _once(messages, column).dropna(subset=[column])
    with canvas.drawn_on(ax) as ax:
        if found.empty:
            canvas.nothing(ax, "no messages")
            return ax
        at = found["intended_at_s"].to_numpy(dtype=np.float64)
        took = found[column].to_numpy(dtype=np.float64)
        never = np.isinf(took)
        unit = canvas.Unit(took, limit_s)
        shown = _shown(took)
        points: dict[str, Any] = {"marker": ".", "linestyle": "", "color": canvas.SKY, "markeredgewidth": 0}
        ax.plot(at[shown], took[shown] * unit.per_s, markersize=3, alpha=0.6, rasterized=len(shown) > 2000, **points)
        # The points are too small for a legend.
        ax.plot([], [], markersize=8, label=_of(len(shown), int((~never).sum())), **points)
        _middles(ax, at[~never], took[~never] * unit.per_s)
        if never.any():
            ax.plot(
                at[never],
                np.full(never.sum(), 0.98),
                marker="x",
                linestyle="",
                color=canvas.VERMILLION,
                markersize=5,
                transform=ax.get_xaxis_transform(),
                clip_on=False,
                label=f"never delivered ({never.sum():,})",
            )
        heights = took[~never] * unit.per_s
        if limit_s is not None:
            heights = np.append(heights, limit_s * unit.per_s)
            ax.axhline(limit_s * unit.per_s, color=canvas.INK, linestyle=":", label=f"limit {limited(limit_s, 's')}")
        canvas.spread(ax, "y", heights)
        if never.any() and heights.size:
            # Above all that came, and above the limit: the crosses stand for what is longer than any of it.
            low, high = ax.get_ylim()
            ax.set_ylim(low, _raised(low, max(high, float(heights.max())), log=ax.get_yscale() == "log"))
        _from_zero(ax, at, events)
        canvas.shade(ax, events)
        ax.set(xlabel=canvas.TIME, ylabel=f"{canvas.words_of(column)} ({unit.name})")
        canvas.below(ax)
        return ax


def _raised(low: float, high: float, *, log: bool) -> float:
    """The upper end of an axis that has a tenth of its height above `high`."""
    if log and low > 0.0:
        return float(high * (high / low) ** (1 / 9))
    return high + (high - low) / 9


def _check_runs(runs: object, limit_s: object) -> None:
    """Refuse what is no table of messages by name. Raises UsageError."""
    if not isinstance(runs, Mapping) or not runs:
        raise UsageError('there is no run to draw: give each with its name, as {"sim": run.messages}')
    canvas.number(limit_s, "limit_s")


def _curves(
    parts: Mapping[str, pd.DataFrame],
    column: str,
    limit_s: float | None,
    ax: Axes | None,
    limits_s: Mapping[str, float] | None = None,
) -> Axes:
    limits = limits_s or {}
    # Where there is no curve at all, that is what there is to be said.
    for name in limits if parts else ():
        canvas.one_of(name, parts, "curve")
    found = {name: samples(part, column) for name, part in parts.items()}
    found = {name: values for name, values in found.items() if values.size}
    with canvas.drawn_on(ax) as ax:
        if not found:
            canvas.nothing(ax, "no messages")
            return ax
        everything = np.concatenate(list(found.values()))
        there = [] if limit_s is None else [limit_s]
        there += [limits[name] for name in found if name in limits]
        unit = canvas.Unit(everything, *there)
        shown = np.append(everything, there)
        canvas.spread(ax, "x", shown * unit.per_s)
        finite = shown[np.isfinite(shown)]
        right = 1.05 * float(finite.max(initial=0.0)) * unit.per_s or 1.0
        for number, (name, values) in enumerate(found.items()):
            x, y = _steps(values)
            style = canvas.DASHES[number % len(canvas.DASHES)]
            colour = canvas.COLOURS[number % len(canvas.COLOURS)]
            ax.step(
                np.append(x * unit.per_s, right),
                np.append(y, y[-1] if y.size else 0.0),
                where="post",
                color=colour,
                linestyle=style,
                label=_label(name, values),
            )
            if name in limits:
                limit, within = limits[name], _percent((values <= limits[name]).mean())
                told = f"limit {limited(limit, 's')} of {canvas.plain_text(name)}: {within} within"
                ax.axvline(limit * unit.per_s, color=colour, linestyle=":", label=told)
        if limit_s is not None:
            within = f": {_percent((everything <= limit_s).mean())} within" if len(found) == 1 else ""
            within = " of all" if limits else within
            ax.axvline(
                limit_s * unit.per_s, color=canvas.INK, linestyle=":", label=f"limit {limited(limit_s, 's')}{within}"
            )
        ax.set_ylim(0.0, 1.02)
        ax.set_xlim(ax.get_xlim()[0], right)
        ax.set(xlabel=f"{canvas.words_of(column)} ({unit.name})", ylabel="share of messages (1 = all)")
        canvas.below(ax)
        return ax


def _steps(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The corners of an ECDF of ascending samples, as far as they are finite: from 0 on, where the first one is."""
    finite = values[np.isfinite(values)]
    exact = [place for q in QUANTILES.values() if (place := rank(q, values.size) - 1) < finite.size]
    kept = canvas.kept_places(finite.size, exact)
    x, y = finite[kept], (kept + 1.0) / values.size
    return np.append(x[:1], x), np.append(np.zeros(min(x.size, 1)), y)


def _label(name: str, values: FloatArray) -> str:
    never = int(np.isinf(values).sum())
    lost = f", {never:,} never delivered ({_percent(never / values.size)})" if never else ""
    return f"{canvas.plain_text(name)} (n = {values.size:,}{lost})"


def _percent(share: float) -> str:
    """A share that is never rounded up to all or down to none."""
    text = f"{100 * share:.1f}"
    return {"100.0": "100" if share == 1 else "over 99.9", "0.0": "0" if share == 0 else "under 0.1"}.get(
        text, text
    ) + " %"


def _once(messages: pd.DataFrame, column: str) -> pd.DataFrame:
    return messages.drop_duplicates(["sender", "message_id"]) if column.startswith("ack") else messages


def _measured(messages: pd.DataFrame, column: str) -> pd.DataFrame:
    canvas.needs(messages, ["sender", "message_id", "measured", column], "the table of messages")
    if not column.endswith("_s") or messages[column].dtype.kind != "f":
        raise UsageError(f"{column} is no duration: name delivery_latency_s or ack_latency_s")
    return _once(messages[messages["measured"]], column)


def _shown(took: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The places of the finite points to draw: all, or an even choice with the thousand slowest."""
    finite = np.flatnonzero(np.isfinite(took))
    if finite.size <= POINTS_MAX:
        return finite
    slowest = finite[np.argsort(took[finite], kind="stable")[-1000:]]
    return np.union1d(finite[:: -(-finite.size // (POINTS_MAX - 1000))], slowest)


def _of(shown: int, whole: int) -> str:
    return f"messages ({whole:,})" if shown == whole else f"messages ({shown:,} of {whole:,} drawn, the slowest all)"


def _middles(ax: Axes, at: FloatArray, heights: FloatArray) -> None:
    """Median and maximum of each sixtieth of the time: the one for all of it, the other when it was, so that what a
    fault did does not seem to come before it."""
    if at.size < 2 or at.max() == at.min():
        return
    edges = np.linspace(at.min(), at.max(), BINS + 1)
    places = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, BINS - 1)
    table = pd.DataFrame({"bin": places, "height": heights}).groupby("bin")["height"]
    slowest = table.idxmax().reindex(range(BINS))
    there = slowest.notna().to_numpy()
    moments = np.full(BINS, np.nan)
    moments[there] = at[slowest[there].to_numpy(dtype=np.int64)]
    middle = (edges[:-1] + edges[1:]) / 2
    every = quantity(float(f"{edges[1] - edges[0]:.3g}"), "s")
    for name, x, values, colour, width in (
        ("median", middle, table.median(), canvas.BLUE, 1.3),
        ("slowest", moments, table.max(), canvas.GREY, 0.8),
    ):
        # An interval without a message is a gap, and not bridged.
        heights_of = values.reindex(range(BINS)).to_numpy()
        ax.plot(x, heights_of, color=colour, linewidth=width, label=f"{name} of each {every}")


def _from_zero(ax: Axes, at: FloatArray, events: pd.DataFrame | None) -> None:
    last = float(at.max())
    if events is not None and len(events):
        last = max(last, float(events["at_s"].max()))
    ax.set_xlim(0.0, 1.02 * last or 1.0)
