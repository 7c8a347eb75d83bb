"""Findings as a page: one file, whatever stands in it, the bad ones first."""

from __future__ import annotations

from html.parser import HTMLParser

import msgspec

from chatsim.findings.finding import Findings
from chatsim.findings.page import page
from tests.findings.examples import finding


class Reader(HTMLParser):
    """The tags of a page, and the texts of its table's rows."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def test_the_bad_ones_stand_first_and_exact_values_in_titles() -> None:
    found = read(page(Findings([finding(verdict="pass", observed=0.0123456789), finding()])))
    assert [row[7] for row in found.rows[1:]] == ["fail", "pass"]
    assert found.rows[1][3:6] == ["104 ms", "100 ms", "4384"]
    assert ("title", "0.0123456789") in found.attributes


def test_two_numbers_that_differ_do_not_look_alike_and_a_limit_is_quoted() -> None:
    (row,) = read(page(Findings([finding(observed=0.057929683, limit=0.057929682)]))).rows[1:]
    assert row[3:5] == ["57.929683 ms", "57.929682 ms"]


def test_replications_have_their_bounds_their_count_and_the_reason() -> None:
    doubt = finding(verdict="inconclusive", low=0.0584883, high=0.1202241, observed=0.0639577, n=10, replications=10)
    (row,) = read(page(Findings([msgspec.structs.replace(doubt, why="40 replications would probably decide")]))).rows[
        1:
    ]
    assert row[3:6] == ["63.96 ms (58.49 ms .. 120.2 ms)", "100 ms", "10 replications"]
    assert row[7] == "inconclusive (40 replications would probably decide)"


def test_what_was_not_judged_shows_its_reason_and_no_number() -> None:
    (row,) = read(page(Findings([finding(verdict="error", why="the machine stood still")]))).rows[1:]
    assert "the machine stood still" in row[2]
    assert row[3:6] == ["", "", ""]


def test_nothing_in_a_name_becomes_a_tag_and_nothing_is_loaded() -> None:
    text = page(Findings([finding(scenario="<script>alert(1)</script>", file='"><img src=x>')]))
    tags = set(read(text).tags)
    assert tags <= {"html", "head", "meta", "title", "style", "body", "h1", "p", "table", "thead", "tbody"} | {
        "tr",
        "th",
        "td",
        "code",
    }
    assert "http" not in text


def test_nothing_run_says_so() -> None:
    assert "nothing was run" in page(Findings())
