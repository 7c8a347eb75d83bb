"""Executing a notebook as `jupyter lab` would, and reading what it showed.

Decides what counts as shown: the text of results and prints of the cells that play in virtual time. Cells tagged
`live` show what real sockets and clocks did, which differs from run to run. What a notebook costs is CPU time: how long
it takes on the wall says what else the machine does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import psutil  # type: ignore[import-untyped]  # which ipykernel has brought
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
TIMEOUT_S = 300
"""For each cell."""

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def notebooks() -> list[Path]:
    """In the order in which they are to be read."""
    return sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Any:
    """The notebook as it stands in its file."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def execute(path: Path) -> Any:
    """A copy of it, run from top to bottom by a kernel of its own. Raises nbclient's CellExecutionError."""
    return measured(path)[0]


def measured(path: Path) -> tuple[Any, float]:
    """The same, and the CPU time (s) of the kernel and of all processes that it started."""
    spent_s = [0.0]

    def ended(**about: Any) -> None:
        # After each cell, because the kernel is gone when all are done.
        manager: Any = client.km
        kernel = psutil.Process(manager.provisioner.pid)
        spent_s[0] = sum(map(_cpu_s, [kernel, *kernel.children(recursive=True)]))

    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(FOLDER)}},
        on_cell_executed=ended,
    )
    client.execute()
    return notebook, spent_s[0]


def _cpu_s(process: psutil.Process) -> float:
    """The CPU time (s) of a process and of its children that have ended; none of one that ends just now."""
    try:
        spent = process.cpu_times()
        return float(spent.user + spent.system + spent.children_user + spent.children_system)
    except psutil.NoSuchProcess:
        return 0.0


def is_live(cell: Any) -> bool:
    """Whether it shows what a real clock did."""
    return "live" in cell.metadata.get("tags", [])


def shown(notebook: Any) -> list[str]:
    """The text that each cell of virtual time left, one string a cell."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "code" or is_live(cell):
            continue
        texts = []
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stdout":
                texts.append(output.text)
            elif output.output_type in ("execute_result", "display_data"):
                texts.append(output.data.get("text/plain", ""))
        found.append("".join(texts))
    return found


def numbers(text: str) -> list[float]:
    """Every number in a text, in its order: what a table says, however a version of pandas lays it out."""
    return [float(number) for number in NUMBER.findall(text)]
