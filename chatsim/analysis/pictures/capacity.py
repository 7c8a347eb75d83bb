"""The capacity of a node as pictures: the knee, the wait beside its theory, and what each factor does.

Decides where an axis ends: beyond saturation a latency is as long as the run, and would hide the knee. Rule: what lies
above the edge is marked there and never left out.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.pictures import canvas

TOP: Final = 2.5
"""The axis of latencies ends at so many times the limit."""

CURVES: Final = (
    ("p99_s", "p99", canvas.VERMILLION, "-", "o"),
    ("p95_s", "p95", canvas.ORANGE, "--", "s"),
    ("p50_s", "p50", canvas.BLUE, ":", "^"),
)


def knee(
    curve: pd.DataFrame,
    *,
    limit_s: float | None = None,
    low: int | None = None,
    high: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Delivery latency (left) and the share of time that the event loop was busy (right) over users; the capacity lies
    between `low` and `high`. `curve` has a row for each load, ascending, and the columns of `Finding.curve`."""
    canvas.needs(curve, ("users", "p50_s", "p95_s", "p99_s", "p99_low_s", "p99_high_s", "busy"), "the curve")
    canvas.number(limit_s, "limit_s")
    with canvas.drawn_on(ax) as ax:
        if curve.empty:
            canvas.nothing(ax, "no load was played")
            return ax
        users = curve["users"].to_numpy(dtype=np.float64)
        finite = curve["p99_s"].to_numpy(dtype=np.float64)
        finite = finite[np.isfinite(finite)]
        top_s = TOP * limit_s if limit_s else float(finite.max(initial=0.1)) * 1.1
        for column, label, colour, dashes, marker in CURVES:
            seen = curve[column].to_numpy(dtype=np.float64)
            there = np.minimum(seen, 2 * top_s) * 1000
            ax.plot(users, there, color=colour, linestyle=dashes, marker=marker, markersize=4, label=label)
        ax.fill_between(
            users,
            np.minimum(curve["p99_low_s"], 2 * top_s) * 1000,
            np.minimum(curve["p99_high_s"], 2 * top_s) * 1000,
            color=canvas.VERMILLION,
            alpha=0.18,
            linewidth=0,
            label="p99, all runs",
        )
        if limit_s:
            ax.axhline(limit_s * 1000, color=canvas.INK, linestyle=":", label=f"limit {limit_s * 1000:g} ms")
        if low and high:
            ax.axvspan(low, high, color=canvas.GREEN, alpha=0.18, linewidth=0, label="capacity, 95 %", zorder=0.5)
        _marked(ax, users, curve["p99_s"].to_numpy(dtype=np.float64), top_s, canvas.VERMILLION)
        ax.set_ylim(0.0, top_s * 1000)
        ax.set_xlim(0.0, users.max() * 1.03)
        ax.set(xlabel="users on one node", ylabel="delivery latency (ms)")
        beside = ax.twinx()
        beside.plot(users, curve["busy"] * 100, color=canvas.GREY, marker="x", linewidth=1.2, label="event loop busy")
        beside.set_ylim(0, 104)
        beside.set_ylabel("event loop busy (%)")
        beside.grid(visible=False)
        canvas.below(ax, beside, columns=3)
        return ax


def _marked(ax: Axes, users: FloatArray, seen: FloatArray, top: float, colour: str) -> None:
    """Where a curve has left the picture, a mark at the edge says that it goes on."""
    above = ~(seen <= top)
    if above.any():
        ax.plot(
            users[above],
            np.full(int(above.sum()), 0.985),
            linestyle="",
            marker=6,
            color=colour,
            transform=ax.get_xaxis_transform(),
            label="p99 above the edge",
        )


def waits(curve: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The mean wait for the event loop over how busy it is: simulated, and by Pollaczek and Khinchine's formula out of
    the same works. `curve` has the columns of `Finding.curve`."""
    canvas.needs(curve, ("busy", "wait_s", "theory_wait_s"), "the curve")
    with canvas.drawn_on(ax) as ax:
        rows = curve[(curve["wait_s"] > 0) & (curve["busy"] < 1)].sort_values("busy")
        if rows.empty:
            canvas.nothing(ax, "nothing ever waited")
            return ax
        busy = rows["busy"] * 100
        ax.plot(busy, rows["wait_s"] * 1000, color=canvas.BLUE, marker="o", label="simulated")
        theory = rows["theory_wait_s"].replace(np.inf, np.nan)
        ax.plot(busy, theory * 1000, color=canvas.VERMILLION, linestyle="--", marker="s", label="M/G/1 (theory)")
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set(xlabel="event loop busy (%)", ylabel="mean wait for the event loop (ms)")
        canvas.below(ax)
        return ax


def tornado(swings: pd.DataFrame, base: int, *, ax: Axes | None = None) -> Axes:
    """The capacity where one factor is turned down or up, as bars from the `base`; the widest on top. `swings` has the
    columns of `Finding.tornado`."""
    canvas.needs(swings, ("factor", "says", "users"), "the table of factors")
    with canvas.drawn_on(ax) as ax:
        tried = swings[swings["users"] > 0]
        if tried.empty:
            canvas.nothing(ax, "no factor could be turned")
            return ax
        names = list(dict.fromkeys(tried["factor"]))
        seen = [base, *tried["users"]]
        room = max(max(seen) - min(seen), 0.05 * base)
        # Nobody is fewer than none, so that words which would stand there stand on their bar.
        left, right = max(0.0, min(seen) - 0.32 * room), max(seen) + 0.32 * room
        for place, name in enumerate(reversed(names)):
            for _, row in tried[tried["factor"] == name].iterrows():
                users = int(row["users"])
                colour = canvas.GREEN if users >= base else canvas.VERMILLION
                ax.barh(place, users - base, left=base, height=0.55, color=colour, alpha=0.75)
            _says(ax, tried[tried["factor"] == name], base, place, (left, right))
        ax.axvline(base, color=canvas.INK, linewidth=1.0)
        ax.set_yticks(range(len(names)), [canvas.plain_text(name) for name in reversed(names)])
        ax.set_xlim(left, right)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda users, _: f"{users:,.0f}"))
        ax.set(xlabel=f"users on one node (as the scenario is: {base:,})")
        ax.grid(visible=False, axis="y")
        return ax


LETTER: Final = 0.0105
"""How wide a letter of `_says` is, as a share of the axis of a picture of the usual size."""


def _says(ax: Axes, sides: pd.DataFrame, base: int, place: int, ends: tuple[float, float]) -> None:
    """What each side says, at the end of its bar; sides that do nothing share one place."""
    wide = ends[1] - ends[0]
    gap = 0.01 * wide
    left: list[str] = []
    right: list[str] = []
    for _, row in sides.iterrows():
        (left if row["users"] < base else right).append(canvas.plain_text(row["says"], 34))
    if left:
        text = " and ".join(left)
        x = sides["users"].min() - gap
        if x - LETTER * wide * len(text) >= ends[0]:
            ax.text(x, place, text, ha="right", va="center", fontsize=7.5, color=canvas.GREY)
        else:
            # It would begin beyond the edge: its bar is long, or there is nothing else to its left.
            x = max(ends[0], sides["users"].min()) + gap
            ax.text(x, place, text, ha="left", va="center", fontsize=7.5, color=canvas.INK)
    if right:
        x = max(int(sides["users"].max()), base) + gap
        ax.text(x, place, " and ".join(right), ha="left", va="center", fontsize=7.5, color=canvas.GREY)
