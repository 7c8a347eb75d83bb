"""Who looks sees how far it is; a file sees nothing."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from chatsim.runner.progress import bar


def shown(console: Console, *, wanted: bool = True, total: int = 4) -> None:
    with bar("replications", shown=wanted, console=console) as told:
        told(3, total)


def test_a_terminal_sees_how_many_of_how_many() -> None:
    for total, text in ((4, "3/4"), (0, "3/?")):
        out = StringIO()
        shown(Console(file=out, force_terminal=True, width=100), total=total)
        assert text in out.getvalue()
        assert "replications" in out.getvalue()


def test_nobody_else_does() -> None:
    out = StringIO()
    shown(Console(file=out, force_terminal=False))
    shown(Console(file=out, force_terminal=True), wanted=False)
    assert out.getvalue() == ""
