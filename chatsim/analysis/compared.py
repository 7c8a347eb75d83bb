"""Two scenarios beside each other, replication by replication with the same luck: how far apart each number is.

Decides which differences are told. Rule: an interval of the difference is over pairs, one for each replication; where
infinities meet there is no difference, and none is made up; and what the last digits of floats differ in is none.
"""

from __future__ import annotations

from functools import cached_property
from html import escape
from math import isfinite, nan
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from chatsim.analysis.held import Held, again_html, shell
from chatsim.analysis.intervals import LEVEL
from chatsim.analysis.paired import compare_paired
from chatsim.analysis.replicated import Replicated
from chatsim.analysis.tables import with_form, write_table
from chatsim.scenario.units import MEAN_DIGITS, quantity
from chatsim.verdict.again import Source, command
from chatsim.verdict.wires import again_words

SUMMARY: Final = {
    "metric": "string",
    "a": "float64",
    "b": "float64",
    "difference": "float64",
    "low": "float64",
    "high": "float64",
    "n": "int64",
    "variance_ratio": "float64",
    "needed": "int64",
}
"""One row for each number that both have: the means of a and of b, that of b - a with its 95 % interval, how many pairs
had samples, and how much wider than that the interval would be, in variance, with luck of their own. The difference is
nan where both are infinite in the same replication, and where each is infinite somewhere. A quantile of too few samples
in a run has no interval, and `needed` says how many would do (`replicated.ESTIMATES`)."""

ROUNDING: Final = 1e-9
"""Two numbers of a pair that differ by no more are equal: a nanosecond, or so small a share. A latency is the
difference of two moments, whose floats are exact to 1e-12 s in a run of hours; no count differs by so little."""


class Compared(Held):
    """The difference b - a of two replicated scenarios of the same master seed."""

    _what = "a comparison"

    def __init__(self, a: Replicated, b: Replicated) -> None:
        assert [r.number for r in a.replications] == [r.number for r in b.replications]
        self.a = a
        self.b = b

    @cached_property
    def _all(self) -> pd.DataFrame:
        return self.summary()

    def summary(self, level: float = LEVEL) -> pd.DataFrame:
        """Every number of both: the columns of `SUMMARY`."""
        rows = []
        for metric in self.a.frame.columns.drop(["replication", "seed"]):
            if metric not in self.b.frame:
                continue
            a, b = self.a.values(metric), self.b.values(metric)
            there = ~(np.isnan(a) | np.isnan(b))
            if there.sum() < 2:
                continue
            needed = max(self.a.needed(metric), self.b.needed(metric))
            a, b = a[there], b[there]
            ends, ends_too = np.isinf(a), np.isinf(b)
            if np.any(ends & ends_too) or (ends.any() and ends_too.any()):
                rows.append((metric, a.mean(), b.mean(), nan, nan, nan, a.size, nan, needed))
                continue
            b = np.where(np.isclose(a, b, rtol=0.0, atol=ROUNDING), a, b)
            # Each pair is from a seed of its own.
            found = compare_paired(a, b, level, independent=True)
            between = found.difference
            # What never came is infinite, however few there are.
            bare = needed and isfinite(between.mean)
            sure = (nan, nan, a.size, nan) if bare else (between.low, between.high, a.size, found.variance_ratio)
            rows.append((metric, a.mean(), b.mean(), between.mean, *sure, needed))
        return pd.DataFrame(rows, columns=list(SUMMARY)).astype(SUMMARY)

    def to_csv(self, path: str | Path) -> Path:
        """Write `summary()` as CSV, to a name that ends in .csv; returns the path. Raises UsageError."""
        return write_table(self._all, with_form(path, ".csv"))

    def to_parquet(self, path: str | Path) -> Path:
        """Write `summary()` as Parquet, to a name that ends in .parquet; returns the path.

        Raises UsageError where `chatsim[parquet]` is not installed.
        """
        return write_table(self._all, with_form(path, ".parquet"))

    def changed(self) -> pd.DataFrame:
        """The numbers whose interval does not hold 0: those that differ, but for one in twenty by luck."""
        return self._all[(self._all.low > 0) | (self._all.high < 0)].reset_index(drop=True)

    def changed_once(self) -> pd.DataFrame:
        """Those of `changed` that say something of their own: where all users of both are of one group, its numbers are
        those of all."""
        changed = self.changed()
        return changed[changed.metric.isin(self._told.metric)].reset_index(drop=True)

    @cached_property
    def _told(self) -> pd.DataFrame:
        if len(_groups(self.a)) != 1 or _groups(self.a) != _groups(self.b):
            return self._all
        heads = self._all.metric.str.partition("{")
        return self._all[(heads[1] == "") | ~heads[0].isin(set(self._all.metric))]

    @property
    def again(self) -> str:
        """The command that plays both again, as `Run.again`; the changes of b are said in it, those of a are not."""
        return " ".join(self._again)

    @property
    def _again(self) -> list[str]:
        return self._command(self.a.source.saved(), self.b.source)

    def _command(self, *sources: Source) -> list[str]:
        wire = " ".join(again_words(self.a.wire))
        words = [f"-n {len(self.a)}", *([wire] if wire else [])]
        return command("compare", sources, *words, seed=self.a.seed, called=("a", "b"))

    def __repr__(self) -> str:
        """A few lines of at most 80 columns, and the command that plays them again."""
        lines = [f"{self._head(self.b.scenario, self.a.scenario)}:", f"  {self.told()}"]
        lines += [f"  {metric:32} {difference} ({span})" for metric, _, _, difference, span in self._rows()]
        return shell(lines, self._again, self._command(Source("a"), Source("b")))

    def _head(self, b: str, a: str) -> str:
        return f"{b} - {a} on {self.a.wire}, {len(self.a)} pairs from seed {self.a.seed}"

    def told(self) -> str:
        """How many of the numbers that have a difference differ, and how many would by luck alone: one in twenty of
        those that luck can move. Those of an only group are not counted again."""
        total = int(self._told.low.notna().sum())
        by_luck = (1 - LEVEL) * int((self._told.low < self._told.high).sum())
        return f"{len(self.changed_once())} of {total} numbers differ, {by_luck:.0f} would by luck"

    def _repr_html_(self) -> str:
        """A card: a plain table and no script."""
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self._rows())
        head = self._head(*(f"<b>{escape(each.scenario)}</b>" for each in (self.b, self.a)))
        return (
            f"<div><p>{head}: {self.told()}</p>"
            "<table><thead><tr><th>differs</th><th>a</th><th>b</th><th>b - a</th><th>95 %</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>{again_html(self._again)}</div>"
        )

    def _rows(self) -> list[tuple[str, str, str, str, str]]:
        return [
            (
                row["metric"],
                *(quantity(row[name], "", MEAN_DIGITS) for name in ("a", "b")),
                _signed(row["difference"]),
                f"{_signed(row['low'])} .. {_signed(row['high'])}",
            )
            for row in self.changed_once().to_dict("records")
        ]


def _groups(one: Replicated) -> set[str]:
    """The groups that have numbers of their own."""
    return {group for _, brace, group in (name.partition("{") for name in map(str, one.frame.columns)) if brace}


def _signed(value: float) -> str:
    return f"{'' if value < 0 else '+'}{quantity(value, '', MEAN_DIGITS)}"
