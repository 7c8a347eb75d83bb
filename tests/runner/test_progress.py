"""Who looks sees how far it is; a file sees nothing, and a notebook without widgets is not told to install them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import pytest
from rich.console import Console

from chatsim.runner.progress import _Line, bar
from tests.notebooks.executing import execute


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


class Display:
    """What a notebook shows: the line, and all that it has been."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, data: dict[str, str], **words: Any) -> Display:
        assert words == {"raw": True, "display_id": True}
        assert self.lines == []
        self.update(data, raw=True)
        return self

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.lines.append(data["text/plain"])


def test_a_line_is_written_over_where_there_is_something_new_in_it() -> None:
    display = Display()
    line = _Line("replications", display)
    assert display.lines == []
    for done in range(401):
        line.told(done, 400)
    assert display.lines == [f"replications: {share} % of 400" for share in range(101)]
    unknown = Display()
    line = _Line("replications", unknown)
    for done in (1, 1, 2):
        line.told(done, 0)
    assert unknown.lines == ["replications: 1", "replications: 2"]


CELL = """
import sys

sys.modules["ipywidgets"] = None  # as where it is not installed

import chatsim as cs

few = {
    "name": "few",
    "duration": "10s",
    "groups": [{"name": "g", "users": 2, "messages": {"arrivals": "periodic", "rate": "12/min"}}],
    "expect": ["lost == 0"],
}
cs.sweep(few, {"groups.g.users": [2, 4]}, replications=2, jobs=1, metrics=["lost"]).n.tolist()
"""


@pytest.mark.slow
def test_a_notebook_without_widgets_shows_a_line_and_warns_of_nothing(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])  # type: ignore[no-untyped-call]
    path = tmp_path / "sweep.ipynb"
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    (cell,) = execute(path).cells
    told = [(output.output_type, output.get("data", {}).get("text/plain")) for output in cell.outputs]
    assert told == [("display_data", "replications: 100 % of 4"), ("execute_result", "[2, 2]")]
