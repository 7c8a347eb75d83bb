"""Pictures of runs, sweeps and comparisons: functions that take a table and draw on a matplotlib Axes.

Rule: each takes `ax=` (a new figure without it) and returns the Axes; none shows a window or changes settings of
matplotlib's. `style()` is their look, for whoever makes a figure of several.
"""

from __future__ import annotations

from chatsim.analysis.pictures.canvas import style
from chatsim.analysis.pictures.capacity import knee, tornado, waits
from chatsim.analysis.pictures.flow import herd, load_over_time
from chatsim.analysis.pictures.intervals import differences
from chatsim.analysis.pictures.latency import ecdf, latency_over_time, overlaid, quantiles
from chatsim.analysis.pictures.rules import limiter, retries
from chatsim.analysis.pictures.sweeps import along, heatmap
from chatsim.analysis.pictures.validation import equivalence

__all__ = [
    "ecdf",
    "latency_over_time",
    "load_over_time",
    "herd",
    "heatmap",
    "along",
    "differences",
    "overlaid",
    "quantiles",
    "limiter",
    "retries",
    "knee",
    "waits",
    "tornado",
    "equivalence",
    "style",
]
