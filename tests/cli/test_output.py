"""What is printed: quantities with all the digits that matter, tables that nothing in a name can break."""

from __future__ import annotations

import math

import pytest

from chatsim.cli.output import emit, emit_document, emit_table, quantity, say


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1, "s", "100 ms"),
        (0.1004, "s", "100.4 ms"),
        (39.9996, "s", "39.9996 s"),
        (0.0, "s", "0 s"),
        (0.25, "share", "25 %"),
        (3.0, "", "3"),
        (12.0, "count", "12"),
        (math.inf, "s", "inf"),
        (-math.inf, "", "-inf"),
        (math.nan, "s", "no sample"),
        (0.5, "", "0.5"),
    ],
)
def test_quantities(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_a_value_just_over_its_limit_does_not_look_like_it() -> None:
    assert quantity(0.1001, "s") != quantity(0.1, "s")


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
