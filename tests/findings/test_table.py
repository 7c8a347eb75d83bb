"""Findings as CSV: a row for each, and every digit."""

from __future__ import annotations

import csv
import io
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from chatsim.findings.finding import FIELDS, Findings
from chatsim.findings.table import table
from tests.findings.examples import finding


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_finding_is_a_row_with_every_digit() -> None:
    text = table(Findings([finding(observed=0.1 + 0.2), finding(observed=inf, expectation='a "b", c\nd')]))
    first, second = rows(text)
    assert tuple(first) == FIELDS
    assert float(first["observed"]) == 0.1 + 0.2
    assert (second["observed"], second["expectation"], second["low"]) == ("inf", 'a "b", c\nd', "")


def test_without_a_finding_there_is_the_header() -> None:
    assert table(Findings()) == f"{','.join(FIELDS)}\n"


@given(st.floats(allow_nan=False), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00")))
def test_what_is_written_is_read_again(observed: float, why: str) -> None:
    (row,) = rows(table(Findings([finding(observed=observed, why=why)])))
    assert float(row["observed"]) == observed
    assert row["why"] == why
