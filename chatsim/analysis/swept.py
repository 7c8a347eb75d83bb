"""What came of a sweep: a table with a row for each point of the grid and each metric.

Decides how a value of the grid stands in its column. Rule: it stands there as it was given (`60/min`, `30s`), numbers
as numbers; every point has the same metrics, so that the table is a full rectangle, with nan where there was no sample;
and no column holds what a clock on the wall would change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chatsim.analysis.intervals import LEVEL
from chatsim.analysis.replicated import ESTIMATES, Replicated
from chatsim.analysis.tables import write_table

Point = Mapping[str, Any]
"""A value for each path of the grid."""


class Sweep(pd.DataFrame):
    """A DataFrame: a column for each path of the grid, then those of `replicated.ESTIMATES`: metric, mean, low, high,
    n, needed.

    What is selected out of it is a plain DataFrame.
    """

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame

    def to_parquet(self, *args: Any, **kwargs: Any) -> Any:
        """As pandas does. Raises UsageError where `chatsim[parquet]` is not installed, or it cannot be written."""
        if len(args) == 1 and not kwargs and isinstance(args[0], str | Path):
            write_table(self, Path(args[0]))
            return None
        return super().to_parquet(*args, **kwargs)


def swept(
    points: Sequence[Point], found: Sequence[Replicated], metrics: Sequence[str] = (), level: float = LEVEL
) -> Sweep:
    """The table of all points, in their order, each with the replications that were `found` for it; of all metrics, or
    of those that are named.

    A number that fewer than two replications have is nan, with its n; a quantile of too few samples in a run has a mean
    and no interval.
    """
    rows: list[tuple[Any, ...]] = []
    known = list(metrics) or list(dict.fromkeys(name for each in found for name in each.replications[0].numbers))
    kinds = {path: _kind([point[path] for point in points]) for path in points[0]}
    for point, each in zip(points, found, strict=True):
        head = [shown(value) if kinds[path] == "string" else value for path, value in point.items()]
        summary = {row[0]: row for row in each.estimates(level).itertuples(index=False, name=None)}
        for name in known:
            there = 0 if name in summary or name not in each.numbers else int(np.sum(~np.isnan(each.numbers[name])))
            rows.append((*head, *summary.get(name, (name, nan, nan, nan, there, 0))))
    return Sweep(pd.DataFrame(rows, columns=[*kinds, *ESTIMATES]).astype(kinds | ESTIMATES))


def shown(value: Any) -> str:
    """A value of a grid as a file would say it: `60/min`, `true`, `{exponential: {mean: 5ms}}`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(shown(inner) for inner in value) + "]"
    return str(value)


def _kind(values: Sequence[Any]) -> str:
    """The dtype of a column of the grid."""
    if all(isinstance(value, bool) for value in values):
        return "bool"
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return "string"
    return "int64" if all(isinstance(value, int) for value in values) else "float64"
