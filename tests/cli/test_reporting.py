"""`report`: what is written where, and with which exit code it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.cli.main import main
from tests.analysis.report import kept
from tests.cli.fakes import Fakes

Capture = pytest.CaptureFixture[str]


def call(*words: object) -> int:
    return main([str(word) for word in words], Fakes().doors())


def test_the_page_and_the_pdf_are_written_and_named(tmp_path: Path, capsys: Capture) -> None:
    _, sim, virtual = kept.runs()
    out, pdf = tmp_path / "deep" / "report.html", tmp_path / "report.pdf"
    before = {path.name: path.read_bytes() for path in sim.iterdir()}
    assert call("report", sim, virtual, "-o", out, "--pdf", pdf) == 0
    assert capsys.readouterr().out.splitlines() == [f"written to {out}", f"written to {pdf}"]
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert {path.name: path.read_bytes() for path in sim.iterdir()} == before


def test_it_goes_into_the_working_folder_where_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    _, sim, _ = kept.runs()
    monkeypatch.chdir(tmp_path)
    assert call("report", sim) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert capsys.readouterr().err == ""


def test_what_is_no_run_is_three_and_a_damaged_one_is_four(tmp_path: Path, capsys: Capture) -> None:
    kept_runs, sim, _ = kept.runs()
    out = tmp_path / "report.html"
    for folder in (tmp_path, tmp_path / "nothing", sim / "run.json", kept_runs.root):
        assert call("report", sim, folder, "-o", out) == 3
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in sim.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "journal.jsonl").write_text("")
    assert call("report", damaged, "-o", out) == 4
    (damaged / "run.json").write_text("{")
    assert call("report", damaged, "-o", out) == 4
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 6
    assert not out.exists()
    assert call("report") == 3


def test_one_file_for_both_is_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    _, sim, _ = kept.runs()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.pdf").symlink_to("a.pdf")
    for words in (
        ["-o", "a.pdf", "--pdf", tmp_path / "a.pdf"],
        ["--pdf", "report.html"],
        ["-o", "a.pdf", "--pdf", "link.pdf"],
    ):
        assert call("report", sim, *words) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("is where the page goes: name another file with --pdf") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["link.pdf"]


def test_where_nothing_can_be_written_is_three(tmp_path: Path, capsys: Capture) -> None:
    _, sim, _ = kept.runs()
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert call("report", sim, "-o", taken / "report.html") == 3
    assert call("report", sim, "-o", tmp_path) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("name another file with --out") == 2
