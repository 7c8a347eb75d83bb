"""Many independent runs of one scenario as one finding: intervals of every metric, and a verdict on each promise.

Decides what a replication contributes. Rule: one number per replication and metric, never a message; what was never
delivered is infinite in it, and a verdict is on the mean over replications. How replications are run is left to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from html import escape
from math import isnan, nan
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from chatsim.analysis.intervals import LEVEL, t_interval
from chatsim.analysis.numbers import Replication, named, promised
from chatsim.analysis.slo import Looks, Ruling, Verdict, rule, together
from chatsim.analysis.tables import with_form, write_table
from chatsim.scenario.expectations import Expectation
from chatsim.scenario.units import quantity

SUMMARY: Final = {"metric": "string", "mean": "float64", "low": "float64", "high": "float64", "n": "int64"}
"""One row for each metric: its mean over replications and a 95 % interval, in the unit that the name ends in (`_s`)
or in a count or share; `n` replications had a sample."""

VERDICTS: Final = {
    "expectation": "string",
    "mean": "float64",
    "low": "float64",
    "high": "float64",
    "limit": "float64",
    "n": "int64",
    "infinite": "int64",
    "verdict": "string",
    "would_do": "float64",
}
"""One row for each expectation. `low` and `high` are one-sided bounds, each wrong with a probability of 5 % over all
expectations together; in `infinite` of the n it was infinite: something never came; `would_do` is how many
replications would probably decide, 0 where it is decided."""


class Replicated:
    """Replications of one scenario. `expect` are its promises, `looks` at how many replications each was judged."""

    def __init__(
        self, scenario: str, wire: str, found: Sequence[Replication], expect: Sequence[Expectation], looks: Looks
    ) -> None:
        self.scenario = scenario
        self.wire = wire
        self.replications = tuple(found)
        self.expect = tuple(expect)
        self.looks = looks

    def __len__(self) -> int:
        return len(self.replications)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row for each replication: `replication`, `seed`, and a column for each number, the same
        columns whatever was played."""
        rows = [{"replication": r.number, "seed": r.seed, **r.numbers} for r in self.replications]
        return pd.DataFrame(rows)

    @cached_property
    def numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        """The numbers of all replications by their names, each float64 of shape (n,), nan where one had no sample."""
        names = dict.fromkeys(name for r in self.replications for name in r.numbers)
        return {name: np.array([r.numbers.get(name, nan) for r in self.replications]) for name in names}

    def promised(self) -> list[str]:
        """The names of the numbers that the expectations are about."""
        return promised(self.expect)

    def name(self, metric: str) -> str:
        """The name of a number that is given by it, or as an expectation writes it. Raises UsageError with the nearest
        name."""
        return named(metric, self.numbers)

    def values(self, metric: str) -> npt.NDArray[np.float64]:
        """The number of each replication, float64 of shape (n,), nan where one had no sample; `metric` is its name, or
        what an expectation would write.

        Raises UsageError with the nearest name.
        """
        return self.numbers[self.name(metric)].copy()

    def summary(self, level: float = LEVEL) -> pd.DataFrame:
        """The mean of every metric with its interval: the columns of `SUMMARY`. Raises UsageError for fewer than two
        replications."""
        rows = []
        for metric, values in self.numbers.items():
            there = values[~np.isnan(values)]
            if there.size >= 2:
                interval = t_interval(there, level, independent=True)
                rows.append((metric, interval.mean, interval.low, interval.high, there.size))
            elif len(self) < 2:
                t_interval(values, level)
        return pd.DataFrame(rows, columns=list(SUMMARY)).astype(SUMMARY)

    def to_csv(self, path: str | Path) -> Path:
        """Write `frame` as CSV, to a name that ends in .csv; returns the path. Raises UsageError."""
        return write_table(self.frame, with_form(path, ".csv"))

    def to_parquet(self, path: str | Path) -> Path:
        """Write `frame` as Parquet, to a name that ends in .parquet; returns the path.

        Raises UsageError where `chatsim[parquet]` is not installed.
        """
        return write_table(self.frame, with_form(path, ".parquet"))

    @cached_property
    def rulings(self) -> list[Ruling]:
        """The verdict on each expectation."""
        return [
            rule([r.observed[place] for r in self.replications], expectation.limit, expectation.op, self.looks)
            for place, expectation in enumerate(self.expect)
        ]

    @property
    def verdict(self) -> Verdict:
        """`pass`, `fail` or `inconclusive`, over all expectations."""
        return together(ruling.verdict for ruling in self.rulings)

    def verdicts(self) -> pd.DataFrame:
        """What became of each expectation: the columns of `VERDICTS`."""
        rows = [
            (e.text, r.mean, r.low, r.high, e.limit, r.n, r.infinite, r.verdict, r.would_do)
            for e, r in zip(self.expect, self.rulings, strict=True)
        ]
        return pd.DataFrame(rows, columns=list(VERDICTS)).astype(VERDICTS)

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [
            (e.text, quantity(r.mean, e.unit), _span(r, e.unit), r.verdict)
            for e, r in zip(self.expect, self.rulings, strict=True)
        ]

    def __repr__(self) -> str:
        """A few lines of at most 80 columns."""
        lines = [f"{self.verdict.upper()}  {self.scenario} on {self.wire}, {len(self)} replications"]
        lines += [f"  {verdict:12} {mean:>12} {span:>24}  {text}" for text, mean, span, verdict in self._rows()]
        return "\n".join(line if len(line) <= 80 else line[:79] + "…" for line in lines)

    def _repr_html_(self) -> str:
        """A card: plain tables and no script."""
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self._rows())
        return (
            f"<div><p><b>{self.verdict.upper()}</b> {escape(self.scenario)} on {escape(self.wire)}, "
            f"{len(self)} replications from seed {self.replications[0].seed}</p><table><thead><tr><th>expectation</th>"
            f"<th>mean</th><th>bounds</th><th>verdict</th></tr></thead><tbody>{rows}</tbody></table></div>"
        )


def _span(ruling: Ruling, unit: str) -> str:
    """The bounds as people read them."""
    if isnan(ruling.low):
        return "no sample"
    if ruling.infinite:
        return f"infinite in {ruling.infinite} of {ruling.n}"
    return f"{quantity(ruling.low, unit)} .. {quantity(ruling.high, unit)}"
