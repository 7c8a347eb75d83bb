"""Runs every notebook from top to bottom and keeps what it showed: `make notebooks`."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat

from tests.notebooks.executing import execute, notebooks

KEPT = ("kernelspec", "language_info")


def renew(path: Path) -> None:
    """Write it with its new outputs, and nothing about when and where it ran."""
    notebook = execute(path)
    notebook.metadata = {key: value for key, value in notebook.metadata.items() if key in KEPT}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for path in notebooks():
        if not wanted or any(path.name.startswith(word) for word in wanted):
            sys.stderr.write(f"{path.name}\n")
            renew(path)
