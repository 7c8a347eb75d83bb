"""How near a simulation came to live runs, pair by pair.

Decides what a ratio looks like that was not shown to be as good as 1. Rule: ratios beyond what the axis holds stand at
its edge, and the band that they are judged by is behind them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from chatsim.analysis.pictures import canvas
from chatsim.analysis.validation import BAND

EDGES: Final = (0.25, 4.0)
PAIR_IN: Final = 0.36
"""What the numbers of one pair need to be told apart (inches of height)."""

NEEDED: Final = ("pair", "metric", "ratio", "low", "high", "equivalent")


def height_in(pairs: int) -> float:
    """How high the picture of so many pairs has to be (inches)."""
    return 1.4 + PAIR_IN * max(pairs, 4)


def equivalence(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The ratio of each number of each pair, live over simulated, with its interval of 90 %, and the band of what is as
    good as equal.

    `table` is `validation.csv` as `chatsim validate` writes it. A pair's numbers stand in the table's order, from
    above. Raises UsageError with the nearest name where a column is missing.
    """
    canvas.needs(table, NEEDED, "the table of pairs")
    with canvas.drawn_on(ax, height_in(table["pair"].nunique())) as ax:
        if table.empty:
            canvas.nothing(ax, "no pair could be judged")
            return ax
        ax.axvspan(*BAND, color=canvas.PALE, zorder=0)
        ax.axvline(1.0, color=canvas.GREY, linewidth=0.8)
        names = list(dict.fromkeys(table["pair"]))
        for place, name in enumerate(names):
            rows = table[table["pair"] == name]
            at = place + 0.8 * ((np.arange(len(rows)) + 0.5) / len(rows)) - 0.4
            ratio, low, high = (rows[word].clip(*EDGES).to_numpy() for word in ("ratio", "low", "high"))
            for good, colour, face in ((True, canvas.BLUE, canvas.BLUE), (False, canvas.VERMILLION, "white")):
                chosen = rows["equivalent"].to_numpy(dtype=bool) == good
                ax.hlines(at[chosen], low[chosen], high[chosen], color=colour, linewidth=1.0)
                ax.plot(
                    ratio[chosen],
                    at[chosen],
                    "o",
                    color=colour,
                    markerfacecolor=face,
                    markersize=2.5,
                    linestyle="",
                    label=None if place else "as good as equal" if good else "not shown to be",
                )
        ax.set_xscale("log")
        ax.set_xlim(*EDGES)
        ax.set_xticks([0.25, 0.5, *BAND, 1.0, 2.0, 4.0], ["1/4", "1/2", *(f"{edge:g}" for edge in BAND), "1", "2", "4"])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_yticks(range(len(names)), [canvas.plain_text(name) for name in names])
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlabel("live over simulated (a ratio)")
        ax.set_ylabel("pair")
        canvas.below(ax)
    return ax
