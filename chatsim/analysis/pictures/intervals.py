"""What differs between two scenarios, as intervals on one axis.

Decides what can stand on one axis. Rule: a difference is shown in per cent of the first one's mean, so that seconds and
counts stand beside each other; what has no such share is named and not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from chatsim.analysis.compared import SUMMARY, Compared
from chatsim.analysis.numbers import name_of, unit_of, wanted
from chatsim.analysis.pictures import canvas
from chatsim.scenario.expectations import METRICS
from chatsim.scenario.units import quantity

ROWS_MAX = 18
"""So many numbers are drawn; of more, those that differ most for their interval."""


def differences(
    compared: Compared | pd.DataFrame, metrics: Sequence[str] | None = None, *, ax: Axes | None = None
) -> Axes:
    """The interval of b - a for each number, in per cent of a's mean; filled where it does not hold 0.

    `compared` is what `cs.compare` gave, or its `summary()`; `metrics` are the numbers to show; where they are left
    out, the counters, and the p50 and p99 of metrics, that differ. Raises UsageError with the nearest name.
    """
    table = compared.summary() if isinstance(compared, Compared) else compared
    canvas.needs(table, SUMMARY, "the comparison")
    if metrics is None:
        # Mapped, an empty column would stay one of texts.
        told = np.array([_is_told(name) for name in table["metric"]], dtype=bool)
        rows = table[told & ((table["low"] > 0) | (table["high"] < 0))]
    else:
        rows = table.set_index("metric").loc[wanted(metrics, list(table["metric"]))].reset_index()
    of_a = rows[["difference", "low", "high"]].div(rows["a"].abs(), axis=0)
    drawable = np.isfinite(of_a.to_numpy(dtype=np.float64)).all(axis=1) & (rows["a"] != 0).to_numpy()
    left_out = rows.loc[~drawable, "metric"].tolist()
    rows, of_a = rows[drawable], 100.0 * of_a[drawable]
    if len(rows) > ROWS_MAX:
        sureness = (of_a["difference"].abs() / (of_a["high"] - of_a["low"]).clip(lower=1e-12)).to_numpy()
        kept = np.sort(np.argsort(-sureness, kind="stable")[:ROWS_MAX])
        left_out += rows["metric"].drop(rows.index[kept]).tolist()
        rows, of_a = rows.iloc[kept], of_a.iloc[kept]
    with canvas.drawn_on(ax) as ax:
        if rows.empty:
            canvas.nothing(ax, _none(left_out))
            return ax
        places = np.arange(len(rows), dtype=np.float64)[::-1]
        middle, low, high = (of_a[name].to_numpy(dtype=np.float64) for name in ("difference", "low", "high"))
        differs = (low > 0) | (high < 0)
        for sure, face, label in ((True, canvas.BLUE, "differs"), (False, "white", "luck explains it")):
            chosen = differs == sure
            if chosen.any():
                spans = np.array([middle - low, high - middle])[:, chosen]
                ax.errorbar(
                    middle[chosen],
                    places[chosen],
                    xerr=spans,
                    color=canvas.BLUE,
                    marker="o",
                    markersize=5,
                    linestyle="",
                    capsize=3,
                    markerfacecolor=face,
                    label=label,
                )
        ax.axvline(0.0, color=canvas.INK, linewidth=1.0)
        ax.set_yticks(places, [canvas.plain_text(name, 34) for name in rows["metric"]])
        ax.set_ylim(-0.6, len(rows) - 0.4)
        for place, row in zip(places, rows.to_dict("records"), strict=True):
            ax.annotate(
                _signed(row["metric"], row["difference"]),
                (1.0, place),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=canvas.GREY,
            )
        ax.annotate(
            "b - a",
            (1.0, 1.0),
            xycoords="axes fraction",
            xytext=(6, 3),
            textcoords="offset points",
            fontsize=8,
            color=canvas.GREY,
        )
        if left_out:
            ax.plot([], [], linestyle="", label=f"not drawn: {_listed(left_out)}")
        ax.set(xlabel="difference b - a, with its 95 % interval (% of a's mean)")
        canvas.below(ax, columns=2)
        return ax


def _signed(metric: str, value: float) -> str:
    """A difference with its sign and its unit, four digits of it."""
    sign = "+" if value > 0 else ""
    return sign + quantity(float(f"{value:.4g}"), unit_of(metric))


def _is_told(name: str) -> bool:
    """Whether a number is a counter, or one of the two aggregates of a metric that say most."""
    metric = next((metric for metric in METRICS if name.startswith(f"{metric}_")), None)
    return metric is None or name in (name_of(metric, "p50"), name_of(metric, "p99"))


def _none(left_out: list[str]) -> str:
    return f"no share of a, or no interval: {_listed(left_out)}" if left_out else "no number differs"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"{', '.join(canvas.plain_text(name, 34) for name in names[:2])}{more}"
