"""Small tables to draw, of the shapes that a run, a sweep and a comparison have."""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chatsim.analysis import frames
from chatsim.analysis.compared import SUMMARY
from chatsim.analysis.results import Run
from chatsim.runner.desk import load, simulate

SWEEP = {"metric": "string", "mean": "float64", "low": "float64", "high": "float64", "n": "int64"}


def axes() -> Axes:
    """An empty picture, of no window's."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots()


def messages(*took_s: float, **columns: Any) -> pd.DataFrame:
    """A message a second from each of these latencies (s)."""
    n = len(took_s)
    made = {
        "message_id": [f"m{number}" for number in range(n)],
        "sender": "ann",
        "group": "g",
        "session": "s",
        "receiver": "bob",
        "outcome": ["no_ack" if took == inf else "delivered" for took in took_s],
        "measured": True,
        "intended_at_s": [float(number) for number in range(n)],
        "acked_at_s": [number + 0.01 for number in range(n)],
        "received_at_s": [number + took for number, took in enumerate(took_s)],
        "ack_latency_s": 0.01,
        "delivery_latency_s": list(took_s),
    }
    return pd.DataFrame(made | columns, columns=list(frames.MESSAGES)).astype(frames.MESSAGES)


def events(*rows: tuple[str, float, float, int], vain: bool = False) -> pd.DataFrame:
    """Faults: what, when (s), for how long (s), to how many."""
    made = [(what, at, users, "ann", vain, lasts) for what, at, lasts, users in rows]
    return pd.DataFrame(made, columns=list(frames.EVENTS)).astype(frames.EVENTS)


def connections(*rows: tuple[str, float, float, str | None]) -> pd.DataFrame:
    """Connections: whose, from when to when (s), and how each ended."""
    made = [(f"c{n}", user, "g", at, to, to - at, end) for n, (user, at, to, end) in enumerate(rows)]
    return pd.DataFrame(made, columns=list(frames.CONNECTIONS)).astype(frames.CONNECTIONS)


def series(*connected: int, waiting: int = 0) -> pd.DataFrame:
    """So many connections at the end of each second."""
    n = len(connected)
    made = {"at_s": [float(at) for at in range(1, n + 1)], "connections": connected, "waiting": waiting}
    rest: dict[str, Any] = {"in_log": 0, "stored_per_s": 0.0, "delivered_per_s": 0.0}
    return pd.DataFrame(made | rest, columns=list(frames.SERIES)).astype(frames.SERIES)


def attempts(*rows: tuple[str, list[float], float, str]) -> pd.DataFrame:
    """Deliveries to bob: the message, when it was sent (s), when it was settled (s), and how."""
    made = [
        (name, "s", "ann", "bob", "g", number, at, settled, outcome)
        for name, sent, settled, outcome in rows
        for number, at in enumerate(sent, 1)
    ]
    return pd.DataFrame(made, columns=list(frames.ATTEMPTS)).astype(frames.ATTEMPTS)


def sweep(
    values: dict[tuple[int, str], tuple[float, float, float]], metric: str = "delivery_latency_p99_s"
) -> pd.DataFrame:
    """A sweep of users and limits: mean, low and high of one metric at each point."""
    rows = [(users, limit, metric, *numbers, 10) for (users, limit), numbers in values.items()]
    names = ["groups.mobile.users", "handler.rate_limit", *SWEEP]
    return pd.DataFrame(rows, columns=names).astype(SWEEP)


def compared(*rows: tuple[str, float, float, float, float]) -> pd.DataFrame:
    """A comparison: each number's name, the mean of a, the difference, and its interval."""
    made = [(name, a, a + between, between, low, high, 10, 1.0, 0) for name, a, between, low, high in rows]
    return pd.DataFrame(made, columns=list(SUMMARY)).astype(SUMMARY)


def labels(ax: Axes) -> list[str]:
    """What the legend says."""
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def words(ax: Axes) -> list[str]:
    """What is written in the picture."""
    return [text.get_text() for text in ax.texts]


def line(ax: Axes, label: str) -> tuple[list[float], list[float]]:
    """The points of the line whose label begins so."""
    found = next(line for line in ax.lines if str(line.get_label()).startswith(label))
    return points(found)


def points(found: Line2D) -> tuple[list[float], list[float]]:
    """The points of a line."""
    x, y = (np.asarray(values, dtype=np.float64).tolist() for values in (found.get_xdata(), found.get_ydata()))
    return x, y


@lru_cache(maxsize=4)
def played(name: str, **words: Any) -> Run:
    """A shipped scenario as it was simulated, with other words perhaps, once for all who draw it."""
    return simulate(load(name).with_(words))
