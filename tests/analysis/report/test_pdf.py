"""The PDF is whole, the same every time, and bears no date."""

from __future__ import annotations

from pathlib import Path

import msgspec

from chatsim.analysis.pictures.canvas import GREEN, GREY, VERMILLION
from chatsim.analysis.report.build import page
from chatsim.analysis.report.pdf import document, of_run, verdicts
from chatsim.verdict.judge import Judged
from tests.analysis.report import kept


def pages(content: bytes) -> int:
    return content.count(b"/Type /Page ") + content.count(b"/Type /Page\n")


def test_it_is_a_pdf_without_a_date() -> None:
    content = document([kept.result()])
    assert content.startswith(b"%PDF")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"CreationDate" not in content
    assert content == document([kept.result()])
    # Verdicts, the run, and its five pictures on two pages.
    assert pages(content) == 4


def test_a_run_on_the_server_of_somebody_else_is_told_as_on_the_page() -> None:
    skipped = Judged("mean(loop_lag) <= 1ms", float("nan"), 0.001, "skipped", 0, "s", "its inside is not seen")
    there = msgspec.structs.replace(kept.result(), wire="wss://example.org/ws")
    there.expectations = [*there.expectations, skipped]
    lines = [*verdicts([there]), *of_run(there)]
    text = " ".join(words.strip() for _, _, words in lines)
    told = " ".join(kept.Page(page([there])).text.split())
    for same in (
        "1 of 3 promises hold, 1 not judged.",
        "Not modelled: the inside of that server: its processor, its queues and its faults.",
        "--secret-file FILE",
    ):
        assert same in text
        assert same in told
    colours = {words.split()[0]: colour for _, colour, words in lines if words.startswith(("pass", "fail", "skipped"))}
    assert colours == {"pass": GREEN, "fail": VERMILLION, "skipped": GREY}
    assert "skipped mean(loop_lag) <= 1ms " in " ".join(text.split())


def test_several_runs_have_a_page_together() -> None:
    assert pages(document([kept.result(), kept.result("virtual")])) == 8


def test_hostile_names_break_nothing(tmp_path: Path) -> None:
    assert document([kept.hostile(tmp_path / "run")]).startswith(b"%PDF")
