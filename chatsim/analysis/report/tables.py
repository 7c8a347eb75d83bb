"""The tables of a report, each with the CSV behind it.

Decides what stands in them and how a cell becomes CSV. Rule: the CSV has every digit of what the table shows rounded,
and no text of it is a formula for a spreadsheet.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from chatsim.analysis.kept import KeptResult
from chatsim.analysis.report.sentences import COUNTERS, METRICS, sentence
from chatsim.scenario import units
from chatsim.scenario.expectations import METRICS as UNITS
from chatsim.scenario.units import MEAN_DIGITS, apart, limited, quantity
from chatsim.store.document import cell

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""

SHOWN: Final = ("p50", "p90", "p99", "max")


class Table(msgspec.Struct, frozen=True):
    """A table: `rows` as people read them, and `csv` as a link that holds the data; `right` are the places of the
    columns of numbers, `wide` is that of the column of names."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    csv: str
    file: str
    right: tuple[int, ...] = ()
    wide: int = 0


def table(
    title: str,
    file: str,
    columns: Sequence[str],
    rows: list[tuple[str, ...]],
    data_columns: Sequence[str],
    data: Sequence[Sequence[Any]],
    right: Sequence[int] = (),
) -> Table:
    """A table and its data; `right` are the places of the columns with numbers."""
    wide = next((place for place, name in enumerate(columns) if place not in right and name != "verdict"), 0)
    return Table(title, tuple(columns), rows, link(data_columns, data), file, tuple(right), wide)


def link(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The rows as CSV, in a link."""
    return f"data:text/csv;charset=utf-8,{quote(as_csv(columns, rows))}"


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The rows as CSV: numbers with every digit, texts so that no spreadsheet computes them."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([guarded(value) for value in row] for row in rows)
    return out.getvalue()


def guarded(value: Any) -> str:
    """One cell; a text that begins like a formula gets an apostrophe before it."""
    shown = cell(value)
    return f"'{shown}" if isinstance(value, str) and shown.lstrip().startswith(FORMULA) else shown


def promises(run: KeptResult) -> Table:
    """What was promised, in words, what was observed, and the verdict."""
    return table(
        "Promises",
        "promises.csv",
        ("verdict", "promise", "in words", "observed", "limit", "n"),
        [
            (
                j.verdict,
                j.text,
                sentence(j.text),
                units.beside(j.observed, j.limit, j.unit),
                limited(j.limit, j.unit, j.observed),
                f"{j.n:,}",
            )
            for j in run.expectations
        ],
        ("verdict", "promise", "observed", "limit", "unit", "n"),
        [(j.verdict, j.text, j.observed, j.limit, j.unit or "count", j.n) for j in run.expectations],
        right=(3, 4, 5),
    )


def _number(value: float, unit: str) -> str:
    """A number that stands beside no limit: all of its digits are in the CSV."""
    return quantity(value, unit, MEAN_DIGITS)


def metrics(run: KeptResult) -> Table:
    """Every metric that has a sample."""
    there = {name: row for name, row in run.metrics.items() if row.get("count", 0) > 0}
    return table(
        "Metrics",
        "metrics.csv",
        ("metric", "what it is", "n", *SHOWN),
        [
            (
                name,
                METRICS.get(name, ""),
                f"{row['count']:,.0f}",
                *(_number(row[aggregate], UNITS.get(name, "s")) if aggregate in row else "" for aggregate in SHOWN),
            )
            for name, row in there.items()
        ],
        ("metric", "aggregate", "value", "unit"),
        [
            (name, aggregate, value, "count" if aggregate == "count" else UNITS.get(name, "s"))
            for name, row in there.items()
            for aggregate, value in row.items()
        ],
        right=range(2, 3 + len(SHOWN)),
    )


def counters(run: KeptResult) -> Table:
    """Every counter that counted something, and those of which nothing is the news."""
    kept = {"lost", "undelivered", "duplicates", "out_of_order", "retries"}
    shown = {name: value for name, value in run.counters.items() if value or name in kept}
    return table(
        "Counters",
        "counters.csv",
        ("counter", "what it counts", "value"),
        [(name, COUNTERS.get(name, ""), f"{value:,}") for name, value in shown.items()],
        ("counter", "value"),
        list(run.counters.items()),
        right=(2,),
    )


def faults(run: KeptResult) -> Table:
    """What the scenario did to whom, and when."""
    fired = run.record.fired
    return table(
        "Faults that were played",
        "faults.csv",
        ("at", "fault", "lasted", "touched"),
        [
            (
                quantity(f.at, "s"),
                f.do.replace("_", " "),
                "" if f.lasts_s == 0 else "for good" if f.lasts_s == float("inf") else quantity(f.lasts_s, "s"),
                "nobody" if f.vain else f"{len(f.users):,} people" if f.users else "the node's own parts",
            )
            for f in fired
        ],
        ("at_s", "fault", "lasts_s", "users", "whom"),
        [(f.at, f.do, f.lasts_s, len(f.users), " ".join(f.users)) for f in fired],
        right=(0, 2),
    )


def beside(runs: Sequence[tuple[str, KeptResult]]) -> Table:
    """The numbers of several runs of one scenario beside each other: metrics, and the counters that differ."""
    names = [name for name, _ in runs]
    rows: list[tuple[str, ...]] = []
    data: list[tuple[Any, ...]] = []
    for metric, unit in UNITS.items():
        for aggregate in ("p50", "p99", "max"):
            values = [run.metrics.get(metric, {}).get(aggregate, float("nan")) for _, run in runs]
            if any(value == value for value in values):
                rows.append((f"{aggregate}({metric})", *apart(values, unit, MEAN_DIGITS)))
                data.append((f"{aggregate}({metric})", *values))
    for counter in runs[0][1].counters:
        counts = [run.counters.get(counter, 0) for _, run in runs]
        if len(set(counts)) > 1:
            rows.append((counter, *(f"{count:,}" for count in counts)))
        data.append((counter, *counts))
    return table(
        "Numbers beside each other (counters that are equal are in the CSV only)",
        "beside.csv",
        ("number", *names),
        rows,
        ("number", *names),
        data,
        right=range(1, 1 + len(names)),
    )
