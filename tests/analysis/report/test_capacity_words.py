"""What a capacity report says: numbers that are known, and that what is not known is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.analysis.capacity import Node
from chatsim.analysis.report.capacity_words import (
    NOT_VALIDATED,
    asked,
    assumptions,
    failures,
    headline,
    quantity,
    rows_of_loads,
    rows_of_swings,
    sizes,
    tables,
    use_table,
    validation,
)
from tests.analysis.capacity_made import finding


def test_a_load_is_a_row_with_three_digits() -> None:
    rows = rows_of_loads(finding())
    assert rows[0] == ("250", "2", "30 ms", "50.3 ms", "60.6 ms", "23.8 %", "0.0311 ms", "0.0311 ms", "")
    assert rows[-1][5:] == ("100.0 %", "100 ms", "saturated", "")
    assert quantity(0.0123456, "s") == "12.3 ms"


def test_a_swing_says_how_much_or_why_not() -> None:
    rows = rows_of_swings(finding())
    assert rows[0] == ("room size", "5", "2,000", "+100 %")
    assert rows[1] == ("room size", "20", "-", "no load is carried")
    assert rows[-1] == ("retry interval", "15 s", "-", "too short")
    assert [table.file for table in tables(finding())] == ["knee.csv", "tornado.csv"]
    assert [table.file for table in tables(finding(swings=()))] == ["knee.csv"]


def test_what_is_used_of_a_node_names_what_has_no_limit() -> None:
    table = use_table(finding())
    assert table is not None
    assert table.rows == [
        ("the event loop", "95.0 %"),
        ("memory", "4.7 %"),
        ("the log", "0.0 %"),
        ("egress", "no limit was given"),
    ]
    assert use_table(finding(low=0)) is None


def test_memory_is_known_or_said_not_to_be() -> None:
    assert any("48.8 KiB each" in text for text in sizes(finding()))
    assert any("is not known" in text for text in sizes(finding(node=Node())))


def test_theory_stands_beside_what_was_simulated() -> None:
    assert any("says 1,010 (+1 %)" in text for text in sizes(finding()))


def test_failures_are_those_of_a_lost_node_and_a_storm() -> None:
    lost, reckoned, seen = failures(finding())
    assert "the others carry 701 each, within the capacity of 1,000" in lost
    assert "at most 500 a second, 165 beside its chat (its door lets in 1,000); that is 5.2 s" in reckoned
    assert "half are back within 2 s, the last after 6 s" in seen
    assert "no messages are lost" in seen
    assert list(failures(finding(plan=None, storm=None))) == []


def test_costs_are_named_without_their_folder() -> None:
    said = " ".join(assumptions(finding()))
    assert "`costs.json`" in said
    assert "somebody" not in said
    assert "`default`" in " ".join(assumptions(finding(words={})))
    assert "the scenario's own" in " ".join(assumptions(finding(words={"costs": {"frame": "1ms"}})))


def test_without_a_validation_it_is_said_not_to_be_validated(tmp_path: Path) -> None:
    assert validation(tmp_path) == [NOT_VALIDATED]
    (tmp_path / "validation.csv").write_bytes(b"\xff\xfe\x00")
    assert validation(tmp_path) == [NOT_VALIDATED]


@pytest.mark.parametrize("columns", ["pair,verdict", "Scenario,metric,Verdict"])
def test_a_validation_is_counted_however_its_columns_are_called(tmp_path: Path, columns: str) -> None:
    wide = columns.count(",") == 2
    rows = [("steady", "pass"), ("bursts", "fail"), ("bursts", "inconclusive"), ("rooms", "Pass")]
    lines = [f"{name},p99,{verdict}" if wide else f"{name},{verdict}" for name, verdict in rows]
    (tmp_path / "validation.csv").write_text("\n".join([columns, *lines]), encoding="utf-8")
    assert validation(tmp_path)[:2] == [
        "results/validation.csv: 2 of 4 comparisons with the real backend pass, and 2 of 3 pairs in all of theirs (90% "
        "are wanted).",
        "Those that do not are of bursts: loads like them are not to be believed.",
    ]


def test_counts_that_differ_are_said_beside_what_was_compared(tmp_path: Path) -> None:
    lines = ["pair,equivalent,counts_differ", "steady,True,", "steady,True,", "rooms,True,sent:1/2"]
    (tmp_path / "validation.csv").write_text("\n".join(lines), encoding="utf-8")
    assert validation(tmp_path)[:2] == [
        "results/validation.csv: 3 of 3 comparisons with the real backend pass, and 2 of 2 pairs in all of theirs (90% "
        "are wanted).",
        "What is counted is equal in 1 of 2.",
    ]


def test_a_validation_that_cannot_be_read_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "validation.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert validation(tmp_path)[0].startswith("results/validation.csv has 1 rows, and no verdict")


def test_the_question_and_the_numbers_on_top() -> None:
    assert asked(finding()).endswith("p99(delivery_latency) <= 100ms, and how many nodes do 1,000,000 need?")
    assert dict(headline(finding()))["cost an hour"] == "285.80"
    assert headline(finding(outcome="none")) == ()
