"""Every notebook runs from top to bottom within a minute, and shows what is kept in it."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from tests.notebooks.executing import FOLDER, execute, is_live, notebooks, numbers, read, shown

NOTEBOOKS = notebooks()
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


@pytest.mark.slow
@by_name
def test_it_shows_what_is_kept_in_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Leaves out of the live cells, which are not compared, what takes long.
    monkeypatch.setenv("CHATSIM_FAST", "1")
    kept = shown(read(path))
    for number, (now, then) in enumerate(zip(shown(execute(path)), kept, strict=True)):
        assert numbers(now) == pytest.approx(numbers(then), rel=1e-6), f"cell {number}: make notebooks renews it"


@by_name
def test_it_is_kept_as_it_ran_from_top_to_bottom(path: Path) -> None:
    cells = code(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)


@by_name
def test_its_parameters_stand_in_one_cell_at_the_top(path: Path) -> None:
    tagged = [place for place, cell in enumerate(code(path)) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [0]


@by_name
def test_its_figures_are_made_by_the_package(path: Path) -> None:
    """Nobody has to read plotting code in order to trust a figure."""
    for cell in code(path):
        assert not re.search(r"\bax\w*\.(plot|bar|hist|scatter|step|imshow|errorbar)\(|plt\.show", cell.source)


@by_name
def test_every_picture_is_there(path: Path) -> None:
    for cell in code(path):
        drawn = len(re.findall(r"cs\.pictures\.\w+\(", cell.source))
        assert sum("image/png" in output.get("data", {}) for output in cell.outputs) == drawn, cell.source


@by_name
def test_it_tells_nothing_of_the_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert str(FOLDER.parent) not in text
    assert gettempdir() not in text
    assert str(Path.home()) not in text
    assert not re.search(r"Traceback|Warning", text)


def test_all_are_there() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("live", [True, False])
def test_what_a_real_clock_did_is_not_compared(live: bool) -> None:
    cell: Any = read(NOTEBOOKS[0]).cells[0]
    cell.metadata["tags"] = ["live"] if live else []
    assert is_live(cell) == live
