"""What is printed: tables that nothing in a name can break."""

from __future__ import annotations

import math

import pytest

from chatsim.cli.output import emit, emit_document, emit_groups, emit_table, say


def test_streams(capsys: pytest.CaptureFixture[str]) -> None:
    emit("result")
    say("log")
    emit_document({"a": math.inf})
    out, err = capsys.readouterr()
    assert out == 'result\n{\n  "a": "inf"\n}\n'
    assert err == "log\n"


def test_markup_in_a_name_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    emit_table([("[bold]x[/bold]", "sim", "max(delivery_latency[group=a]) <= 1s", "1 s", "1 s", "pass")])
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert "[group=a]" in out


def test_tables_under_titles_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    emit_groups([("one", [("a", "1", "pass")]), ("two", []), ("three", [("longer", "1000", "fail")])], right=(1,))
    assert capsys.readouterr().out == "one\n  a          1  pass\ntwo\nthree\n  longer  1000  fail\n"
    emit_groups([])
    assert capsys.readouterr().out == ""


def test_tables_under_titles_are_no_wider_than_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatsim.cli.output._PIPE_WIDTH", 40)
    emit_groups([("one", [("scenario", "p99(delivery_latency) <= 100ms", "1", "pass")])], right=(2,))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 40
    assert lines[1].endswith("pass")
