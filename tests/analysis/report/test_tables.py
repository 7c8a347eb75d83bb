"""What a table rounds its CSV has whole, and no cell of it is a formula."""

from __future__ import annotations

import csv
import io
from math import inf, nan
from urllib.parse import unquote

import msgspec
import pytest

from chatsim.analysis.report import tables
from chatsim.journal.record import Fired
from tests.analysis.report import kept


def data(table: tables.Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(unquote(table.csv).partition(",")[2])))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_no_text_is_a_formula(text: str) -> None:
    assert tables.guarded(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "text"), [(-1.5, "-1.5"), (inf, "inf"), (nan, ""), (None, ""), (3, "3"), ("a=b", "a=b")]
)
def test_numbers_and_plain_texts_stay_what_they_are(value: object, text: str) -> None:
    assert tables.guarded(value) == text


def test_quotes_and_line_ends_are_cells() -> None:
    text = tables.as_csv(["a"], [['x"y\nz,']])
    assert list(csv.reader(io.StringIO(text))) == [["a"], ['x"y\nz,']]


def test_promises_have_their_words_and_every_digit() -> None:
    result = kept.result()
    table = tables.promises(result)
    assert [row[0] for row in table.rows] == ["pass", "fail", "fail"]
    assert table.rows[2][3] == "no sample"
    assert float(data(table)[1]["observed"]) == result.expectations[1].observed


def test_metrics_without_a_sample_are_left_out_and_all_counters_are_in_the_data() -> None:
    result = kept.result()
    assert "drain_time" not in {row[0] for row in tables.metrics(result).rows}
    found = {(row["metric"], row["aggregate"]): row["value"] for row in data(tables.metrics(result))}
    assert float(found["delivery_latency", "p99.9"]) == result.metrics["delivery_latency"]["p99.9"]
    shown = tables.counters(result)
    assert {"lost", "rate_limited"} <= {row[0] for row in shown.rows}
    assert {row["counter"]: int(row["value"]) for row in data(shown)} == result.counters


def test_faults_say_whom_and_for_how_long() -> None:
    record = kept.result().record
    fired = [*record.fired, Fired("log_outage", 30.0, (), lasts_s=2.0), Fired("vanish", 35.0, (), True, inf)]
    rows = tables.faults(
        msgspec.structs.replace(kept.result(), record=msgspec.structs.replace(record, fired=fired))
    ).rows
    assert rows == [
        ("10 s", "drop", "", "4 people"),
        ("20 s", "vanish", "5 s", "1 people"),
        ("30 s", "log outage", "2 s", "the node's own parts"),
        ("35 s", "vanish", "for good", "nobody"),
    ]


def test_numbers_beside_each_other() -> None:
    one = kept.result()
    other = msgspec.structs.replace(one, counters=one.counters | {"pings": one.counters["pings"] + 1})
    table = tables.beside([("a", one), ("b", other)])
    assert table.columns == ("number", "a", "b")
    assert [row[0] for row in table.rows if "(" not in row[0]] == ["pings"]
    assert {"sent", "pings", "p99(delivery_latency)"} <= {row["number"] for row in data(table)}


def test_what_stands_beside_no_limit_has_the_digits_that_tell_it_apart() -> None:
    """Four, and more where two numbers that stand beside each other want them; all of them are in the CSV."""
    one, other, metric = kept.result(), kept.result(), "delivery_latency"
    near = [
        {**one.metrics, metric: one.metrics[metric] | {"p50": p50, "p99": 0.0123456}} for p50 in (0.02137149, 0.0213712)
    ]
    one, other = (msgspec.structs.replace(one, metrics=metrics) for metrics in near)
    [row] = [row for row in tables.metrics(one).rows if row[0] == metric]
    assert {"21.37 ms", "12.35 ms"} < set(row)
    shown = {row[0]: row[1:] for row in tables.beside([("a", one), ("b", other)]).rows}
    assert shown["p50(delivery_latency)"] == ("21.3715 ms", "21.3712 ms")
    assert shown["p99(delivery_latency)"] == ("12.35 ms", "12.35 ms")
