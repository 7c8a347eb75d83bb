"""What is printed: tables that nothing in a name can break."""

from __future__ import annotations

import math

import pytest

from chatsim.cli.output import emit, emit_document, emit_table, say


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
