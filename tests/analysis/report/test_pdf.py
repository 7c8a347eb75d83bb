"""The PDF is whole, the same every time, and bears no date."""

from __future__ import annotations

from pathlib import Path

from chatsim.analysis.report.pdf import document
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


def test_several_runs_have_a_page_together() -> None:
    assert pages(document([kept.result(), kept.result("virtual")])) == 8


def test_hostile_names_break_nothing(tmp_path: Path) -> None:
    assert document([kept.hostile(tmp_path / "run")]).startswith(b"%PDF")
