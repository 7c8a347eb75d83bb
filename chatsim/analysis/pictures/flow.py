"""How full it was: connections and queues over time, and the herd that comes back after a loss.

Decides what is counted together. Rule: counts stand for whole intervals, whose length is on the axis.
"""

from __future__ import annotations

from math import floor, log10
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.pictures import canvas
from chatsim.core.codes import REPLACED
from chatsim.errors import UsageError
from chatsim.scenario.units import quantity

APART_S: Final = 10.0
"""Two herds are two where nobody comes back for so long."""

SHORTEST_S: Final = 1e-9
"""No clock of a run tells less, and no count of less fits its whole number."""

BINS_MAX: Final = 10_000
"""So many intervals are drawn: a picture has fewer columns than that."""

TAKEN_OVER: Final = f"close {REPLACED}"
"""How a connection ends whose device has come back on a newer one."""


def load_over_time(series: pd.DataFrame, events: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Open connections (left axis) and what waits, for a receiver's ack or for the log (right axis), with the faults
    shaded.

    `series` is `run.series`; `events` is `run.events`, whose moments are on the same clock but for live runs. The right
    axis is another Axes of the figure. Raises UsageError with the nearest name of a column.
    """
    canvas.needs(series, ["at_s", "connections", "waiting", "in_log"], "the table of the series")
    if events is not None:
        canvas.needs(events, canvas.EVENTS, "the table of events")
    with canvas.drawn_on(ax) as ax:
        if series.empty:
            canvas.nothing(ax, "nothing happened")
            return ax
        at = series["at_s"].to_numpy(dtype=np.float64)
        right = ax.twinx()
        right.spines["right"].set_visible(True)
        right.grid(visible=False)
        ax.plot(at, series["connections"], drawstyle="steps-pre", color=canvas.BLUE, label="open connections")
        right.plot(
            at,
            series["waiting"],
            drawstyle="steps-pre",
            color=canvas.VERMILLION,
            linewidth=1.0,
            linestyle="-",
            label="deliveries not acked yet (right axis)",
        )
        right.plot(
            at,
            series["in_log"],
            drawstyle="steps-pre",
            color=canvas.GREEN,
            linewidth=1.0,
            linestyle="--",
            label="messages in the hands of the log (right axis)",
        )
        ax.set_xlim(0.0, at[-1])
        ax.set_ylim(0.0, max(1.0, 1.08 * float(series["connections"].max())))
        right.set_ylim(0.0, max(1.0, 1.08 * float(series[["waiting", "in_log"]].to_numpy().max())))
        ax.set(xlabel=canvas.TIME, ylabel="open connections (count)")
        right.set_ylabel("waiting (count)")
        canvas.whole(ax)
        canvas.whole(right)
        canvas.shade(ax, events)
        canvas.below(ax, right)
        return ax


def herd(
    connections: pd.DataFrame,
    *,
    bin_s: float = 0.1,
    from_s: float | None = None,
    to_s: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How many came back in each interval of `bin_s`: connections whose user had lost one before.

    `connections` is `run.connections`; intervals lie on multiples of `bin_s`; `from_s` and `to_s` choose the time (s).
    Without them it is that of the greatest herd, where several lie more than ten seconds apart. The busiest interval
    is named. Raises UsageError with the nearest name of a column, or for an interval that is none or makes too many.
    """
    canvas.needs(connections, ["user", "opened_at_s", "closed_at_s", "end"], "the table of connections")
    for name, value in (("bin_s", bin_s), ("from_s", from_s), ("to_s", to_s)):
        canvas.number(value, name)
    if not SHORTEST_S <= bin_s < np.inf:
        raise UsageError(
            f"bin_s={bin_s:g}: an interval is longer than 0 s, a nanosecond at least, and has an end, such as 0.1"
        )
    back = returns(connections)
    everybody = back.size
    if from_s is None and to_s is None and everybody:
        back = max(np.split(back, np.flatnonzero(np.diff(back) > APART_S) + 1), key=len)
    back = back[(back >= (-np.inf if from_s is None else from_s)) & (back < (np.inf if to_s is None else to_s))]
    _check_few(back, bin_s)
    with canvas.drawn_on(ax) as ax:
        if not back.size:
            canvas.nothing(ax, "nobody came back")
            return ax
        # A moment on an edge belongs to the interval that it begins, whatever floats make of it.
        places = np.floor(back / bin_s + 1e-9).astype(np.int64)
        first, last = int(places.min()) - 3, int(places.max()) + 3
        counts = np.bincount(places - first, minlength=last - first + 1)
        edges = (first + np.arange(counts.size + 1)) * bin_s
        busiest = int(counts.argmax())
        every = quantity(bin_s, "s")
        ax.stairs(counts, edges, fill=True, color=canvas.BLUE, label=f"came back ({back.size:,} of {everybody:,})")
        ax.plot(
            edges[busiest] + bin_s / 2,
            counts[busiest],
            marker="v",
            color=canvas.VERMILLION,
            linestyle="",
            label=f"busiest {every}: {counts[busiest]:,}, {100 * counts[busiest] / back.size:.1f} % of them, "
            f"from {quantity(round(edges[busiest], 6), 's')} on",
        )
        ax.set_xlim(edges[0], edges[-1])
        ax.set_ylim(0.0, 1.1 * counts.max())
        canvas.whole(ax)
        ax.set(xlabel=canvas.TIME, ylabel=f"reconnections (count per {every})")
        canvas.below(ax)
        return ax


def _check_few(back: FloatArray, bin_s: float) -> None:
    """Refuse more intervals than a picture can show. Raises UsageError with the shortest that are few enough."""
    if not back.size or back[-1] - back[0] <= bin_s * BINS_MAX:
        return
    span_s = float(back[-1] - back[0])
    power = 10.0 ** floor(log10(span_s / BINS_MAX))
    enough = next(step * power for step in (1, 2, 5, 10) if span_s <= step * power * BINS_MAX)
    raise UsageError(
        f"bin_s={bin_s:g} makes more than {BINS_MAX:,} intervals in {span_s:.4g} s: give {enough:g} or more, or choose "
        "less of the time with from_s and to_s"
    )


def returns(connections: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The moments (s), ascending, at which a user opened a connection after losing one, float64 of shape (n,).

    One that was lost without the server's knowing is closed when the newer one has taken its place; it was lost before.
    """
    found: list[float] = []
    for _, mine in connections.groupby("user", sort=False):
        opened = mine["opened_at_s"].to_numpy(dtype=np.float64)
        lost_at = np.inf
        for closed_at, end in zip(mine["closed_at_s"], mine["end"].fillna(""), strict=True):
            taken_over = end.startswith(TAKEN_OVER)
            lost_at = min(lost_at, opened[opened < closed_at].max() if taken_over else closed_at)
        found += opened[opened >= lost_at].tolist()
    return np.sort(np.array(found, dtype=np.float64))
