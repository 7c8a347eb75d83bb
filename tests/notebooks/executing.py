"""Executing a notebook as `jupyter lab` would, and reading what it showed.

Decides what counts as shown: the text of results and prints of the cells that play in virtual time. Cells tagged
`live` show what real sockets and clocks did, which differs from run to run. What a notebook takes is told as CPU time, as
time on the wall, and as what others had of the machine meanwhile.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
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
    return measured(path).notebook


@dataclass(frozen=True)
class Took:
    """A notebook that has run: the CPU time (s) of its kernel and of all processes that it started, the time on the wall
    (s), the start of the kernel included, and how much of that others had of each processor in the mean (s)."""

    notebook: Any
    cpu_s: float
    wall_s: float
    others_s: float


def measured(path: Path) -> Took:
    """A copy of it, run as `execute` does, and what that took."""
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
    started_at, busy_s = time.monotonic(), _busy_s()
    client.execute()
    wall_s, busy_s = time.monotonic() - started_at, _busy_s() - busy_s
    return Took(notebook, spent_s[0], wall_s, max(busy_s - spent_s[0], 0.0) / psutil.cpu_count())


def _busy_s() -> float:
    """How long the processors have worked (s), for whomever, all of them together."""
    spent = psutil.cpu_times()
    return float(sum(spent) - spent.idle - getattr(spent, "iowait", 0.0))


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
