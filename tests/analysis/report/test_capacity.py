"""The capacity report: it stands alone, says the same every time, and holds nothing of the machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chatsim.analysis.report.capacity import document, page, printed, written
from tests.analysis.capacity_made import finding

COMMAND = "chatsim capacity hall.yaml"


def test_the_page_says_question_answer_and_what_it_rests_on_in_this_order() -> None:
    text = page(finding(), COMMAND, ["not validated"])
    places = [
        text.index(f">{heading}<")
        for heading in (
            "The question",
            "The answer",
            "The knee",
            "What it uses",
            "Sensitivity",
            "Headroom and failures",
            "What it rests on",
            "Validation",
            "To see it again",
        )
    ]
    assert places == sorted(places)
    assert "One node carries 1,000 users" in text
    assert COMMAND in text
    assert text.count("<svg") == 3


def test_it_stands_alone_and_tells_nothing_of_the_machine() -> None:
    text = page(finding(), COMMAND, ["not validated"])
    assert not re.search(r"<script|<link|@import|(?:src|href)=\"(?!data:|#)", text)
    assert "somebody" not in text


def test_names_are_text_and_never_markup() -> None:
    text = page(finding(description="<b>bold</b>", scenario="<i>"), COMMAND, ["<u>"])
    assert "<b>bold" not in text
    assert "<u>" not in text


@pytest.mark.parametrize(("outcome", "low", "high"), [("none", 0, 250), ("more", 1200, 0), ("undecided", 0, 0)])
def test_an_answer_that_is_no_number_has_no_numbers_on_top(outcome: str, low: int, high: int) -> None:
    found = finding(outcome=outcome, low=low, high=high, near=low, plan=None, storm=None, swings=())
    text = page(found, COMMAND, ["not validated"])
    assert "<dl>" not in text
    assert "Headroom and failures" not in text
    assert "Sensitivity" not in text
    assert printed(found, COMMAND, ["not validated"]).startswith(b"%PDF")


def test_the_same_finding_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (written(finding(), tmp_path / name, COMMAND) for name in ("a", "b"))
    assert [path.relative_to(tmp_path / "a") for path in one] == [path.relative_to(tmp_path / "b") for path in two]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(one, two, strict=True))
    assert [path.relative_to(tmp_path / "a").as_posix() for path in one] == [
        "capacity-report.html",
        "capacity-report.pdf",
        "capacity/capacity.json",
        "capacity/knee.csv",
        "capacity/waits.csv",
        "capacity/tornado.csv",
        "capacity/knee.png",
        "capacity/waits.png",
        "capacity/tornado.png",
    ]


def test_the_document_is_json_with_the_answer_first() -> None:
    made = document(finding())
    assert next(iter(made)) == "answer"
    assert json.loads(json.dumps(made))["plan"]["nodes"] == 1429
