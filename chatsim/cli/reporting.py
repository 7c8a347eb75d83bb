"""The command `report`: kept runs, and many that were judged together, as one page that stands alone.

Decides where it goes. Rule: the runs are only read, and nothing is written before all of it is made. What stands in a
report is `analysis`'.
"""

from __future__ import annotations

from os.path import realpath
from pathlib import Path
from typing import Annotated

import typer

from chatsim.cli.output import emit
from chatsim.errors import UsageError


def add(app: typer.Typer) -> None:
    """Hang the command into the application."""

    @app.command()
    def report(
        runs: Annotated[
            list[Path], typer.Argument(metavar="RUN", help="Folders of runs, as `chatsim run` leaves them.")
        ],
        out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The page, one HTML file.")] = Path(
            "report.html"
        ),
        pdf: Annotated[Path | None, typer.Option("--pdf", metavar="FILE", help="The same in short, as PDF.")] = None,
    ) -> None:
        """Report on runs: verdicts, pictures, tables and what they rest on, in one file that stands alone."""
        from chatsim.analysis.kept import read_any
        from chatsim.analysis.report.build import page
        from chatsim.analysis.report.pdf import document

        if pdf is not None and realpath(pdf) == realpath(out):
            raise UsageError(f"{pdf} is where the page goes: name another file with --pdf")
        found = [read_any(run) for run in runs]
        made = [(out, "--out", page(found).encode("utf-8"))]
        if pdf is not None:
            made.append((pdf, "--pdf", document(found)))
        for path, flag, content in made:
            _write(path, flag, content)
            emit(f"written to {path}")


def _write(path: Path, flag: str, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as problem:
        raise UsageError(f"cannot write {path} ({problem.strerror}): name another file with {flag}") from problem
