"""The report of a validation: a table with one row for each number of each pair, and a page that stands alone.

Decides what is on it: the reach first, then what failed, then the pictures. Rule: what could not be judged and what the
model gets wrong is said as plainly as what it gets right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from chatsim.analysis.pictures.canvas import BLUE, VERMILLION
from chatsim.analysis.pictures.validation import equivalence, height_in
from chatsim.analysis.report import figures
from chatsim.analysis.report.build import environment
from chatsim.analysis.report.figures import Picture
from chatsim.analysis.slo import Verdict
from chatsim.analysis.validation import BAND, SAMPLES_MIN, SHARE_MIN, SMALL_S, Judged, Sight, reached

TEMPLATE: Final = Path(__file__).with_name("validated.html")

COLUMNS: Final = (
    "pair", "load", "metric", "live", "simulated", "ratio", "low", "high", "noise", "inside", "equivalent",
    "wasserstein_s", "counts_differ",
)  # fmt: skip
"""One row for each number: seconds or shares, `ratio` live over simulated with its interval of 90 %, `noise` how far
apart two live runs were, `inside` the share of live runs within the simulation's prediction interval."""


class Shown(msgspec.Struct, kw_only=True):
    """A validation as it is shown. `unjudged` says of a pair why it could not be judged, `broken` which invariants did
    not hold in one, `controls` whether each turned its verdict, `machine` what it was played on, `notes` what else is
    to be known, `interrupted` that somebody ended it before all was played; `there_are` so many pairs (0: as many as
    were played)."""

    pairs: list[Judged]
    sights: dict[str, tuple[list[Sight], list[Sight]]]
    unjudged: dict[str, str]
    controls: dict[str, bool]
    machine: Mapping[str, str | int]
    notes: list[str]
    interrupted: bool = False
    broken: dict[str, str] = {}
    there_are: int = 0

    @property
    def played(self) -> int:
        """How many pairs were played."""
        return len(self.pairs) + len(self.unjudged) + len(self.broken)

    @property
    def verdict(self) -> Verdict:
        """Whether the reach is met; what could not be judged hides nothing that was missed without it."""
        if self.broken or not reached(self.pairs, self.controls, len(self.unjudged)):
            return "fail"
        return "inconclusive" if self.unjudged or self.interrupted else "pass"


def table(pairs: Sequence[Judged]) -> pd.DataFrame:
    """The columns of `COLUMNS`."""
    rows = [
        (
            pair.name,
            pair.load,
            test.metric,
            test.live,
            test.simulated,
            test.ratio,
            test.low,
            test.high,
            test.noise,
            float(np.mean(test.inside)) if test.inside else np.nan,
            test.equivalent,
            pair.wasserstein_s,
            " ".join(f"{name}:{was}/{now}" for name, (was, now) in pair.counts.items()),
        )
        for pair in pairs
        for test in pair.tests
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def page(shown: Shown) -> str:
    """The report as HTML."""
    template = environment().from_string(TEMPLATE.read_text(encoding="utf-8"))
    rows = table(shown.pairs)
    pictures = [
        Picture(
            "Live over simulated, with the band of what is as good as equal",
            lambda ax: equivalence(rows, ax=ax),
            height_in(len(shown.pairs)),
        ),
        *(
            Picture(f"{name}: delivery latency, live and simulated", partial(overlay, *sides))
            for name, sides in shown.sights.items()
        ),
    ]
    content: dict[str, Any] = {
        "verdict": shown.verdict,
        "sentence": sentence(shown),
        "numbers": [_told(f"{metric}", each) for metric, each in rows.groupby("metric", sort=False)],
        "pairs": [_row(pair) for pair in shown.pairs],
        "wrong": [line for pair in shown.pairs for line in wrong(pair)],
        "unjudged": shown.unjudged,
        "broken": shown.broken,
        "few": SAMPLES_MIN,
        "controls": shown.controls,
        "machine": ", ".join(f"{name} {value}" for name, value in shown.machine.items()),
        "notes": shown.notes,
        "pictures": [
            {"title": picture.title, "svg": Markup(figures.svg(picture, number))}
            for number, picture in enumerate(pictures, 1)
        ],
        "band": f"[{BAND[0]:g}, {BAND[1]:g}]",
        "small": f"{SMALL_S * 1000:g} ms",
    }
    return f"{template.render(content)}\n"


def sentence(shown: Shown) -> str:
    """What came of it."""
    good, counted = sum(pair.equivalent for pair in shown.pairs), sum(pair.counted for pair in shown.pairs)
    turned = sum(shown.controls.values())
    some = f"Of {shown.there_are} pairs {shown.played} were played. " if shown.played < shown.there_are else ""
    text = some + (
        f"{good} of {len(shown.pairs)} pairs are equivalent in every latency quantile and in utilisation "
        f"({SHARE_MIN:.0%} are wanted), {counted} of {len(shown.pairs)} have equal counts, and {turned} of "
        f"{len(shown.controls)} negative controls turned the verdict."
    )
    text += f" {len(shown.unjudged)} could not be judged." if shown.unjudged else ""
    return text + (f" Invariants did not hold in {len(shown.broken)}." if shown.broken else "")


def wrong(pair: Judged) -> list[str]:
    """What was not shown to be equivalent, one line each, and every count that differs."""
    found = [
        f"{pair.name}: {test.metric} live over simulated is {test.ratio:.2f} (90 % interval {test.low:.2f} to "
        f"{test.high:.2f}; two live runs are up to {test.noise:.2f} apart)"
        for test in pair.tests
        if not test.equivalent
    ]
    found += [f"{pair.name}: {metric} has too few samples to be judged" for metric in pair.unseen]
    return found + [f"{pair.name}: {name} was {a} live and {b} expected" for name, (a, b) in pair.counts.items()]


def overlay(live: Sequence[Sight], simulated: Sequence[Sight], ax: Axes) -> Axes:
    """The empirical distribution of the delivery latency, of each live run and of its simulation."""
    for sights, colour, dash, label in ((live, BLUE, "-", "live"), (simulated, VERMILLION, "--", "simulated")):
        for number, one in enumerate(sights):
            values = np.sort(one.latencies["delivery_latency"]) * 1000
            if not values.size:
                continue
            share = np.linspace(0, 1, min(values.size, 400))
            ax.plot(np.quantile(values, share), share, dash, color=colour, label=None if number else label, linewidth=1)
    ax.set_xscale("log")
    ax.set_xlabel("delivery latency (ms)")
    ax.set_ylabel("share of deliveries")
    ax.legend()
    return ax


def _told(metric: str, rows: pd.DataFrame) -> dict[str, str]:
    """One number of all pairs: how many were equivalent, by how much it is off in the middle one, how much two live
    runs are apart, and how many live runs the simulation would have expected."""
    return {
        "name": metric.replace("_", " "),
        "equivalent": f"{rows['equivalent'].sum()} of {len(rows)}",
        "ratio": f"{rows['ratio'].median():.2f}",
        "noise": f"{rows['noise'].median():.2f}",
        "inside": "" if rows["inside"].isna().all() else f"{rows['inside'].mean():.0%}",
    }


def _row(pair: Judged) -> dict[str, Any]:
    by = {test.metric: test for test in pair.tests}
    busy = by["utilisation"]
    cells = []
    for name in ("delivery_latency_p50", "delivery_latency_p95", "delivery_latency_p99", "ack_latency_p99"):
        test = by.get(name)
        cells.append("" if test is None else f"{test.live * 1000:.3g} / {test.simulated * 1000:.3g}")
    return {
        "name": pair.name,
        "load": f"{pair.load:.0%}",
        "busy": f"{busy.live:.0%} / {busy.simulated:.0%}",
        "cells": cells,
        "verdict": "pass" if pair.equivalent and pair.counted else "fail",
        "counts": "equal" if pair.counted else "differ",
        "apart": f"{pair.wasserstein_s * 1000:.3g}",
    }
