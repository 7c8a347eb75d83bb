"""The command `calibrate`: what the backend costs on this machine, as a file that scenarios take by `costs:`.

Decides what is refused before anything is measured, what is shown, and which code it ends with. Rule: where a file can
be written it is, with what is to be known of it; numbers that say nothing are inconclusive, and never a success.
Measuring is the live wire's affair, reckoning the analysis'.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from chatsim.cli.execute import INCONCLUSIVE, PASSED
from chatsim.cli.output import emit, emit_columns, emit_document, say
from chatsim.cli.version import __version__
from chatsim.errors import UsageError

if TYPE_CHECKING:
    from chatsim.live.calibration.seen import Measured
    from chatsim.store.calibration import Calibration, Estimate

FILE: Final = Path("calibration.json")
_SHOWN: Final = {"s": (1e6, " us"), "share": (100.0, " %"), "bytes": (1 / 1024, " KiB"), "power": (1.0, "")}
_COLUMNS: Final = ("what", "value", "low", "high", "n", "fit", "distance")

Measure = Callable[..., "Measured"]
"""`measure(quick, data, journal=..., progress=...)`: everything that was seen."""


def _measure(quick: bool, data: Path, **options: Any) -> Measured:
    """Measure for real."""
    from chatsim.live.calibration.measure import FULL, QUICK, measure

    return measure(QUICK if quick else FULL, data, **options)


def add(app: typer.Typer, measure: Measure = _measure) -> None:
    """Hang the command into the application; `measure` is what it calls."""

    @app.command()
    def calibrate(
        out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write.")] = FILE,
        quick: Annotated[bool, typer.Option("--quick", help="Under half a minute, and less sure.")] = False,
        journal: Annotated[
            bool, typer.Option("--journal", help="Have the servers write a journal, as those of `run --on live` do.")
        ] = False,
        data: Annotated[
            Path | None, typer.Option(metavar="DIR", help="On which disk the log that lasts is; that of FILE.")
        ] = None,
        json: Annotated[bool, typer.Option("--json", help="The file's document on stdout.")] = False,
        schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the file and leave.")] = False,
    ) -> None:
        """Measure what the backend costs on this machine, and write it for `costs:`."""
        from chatsim.store.calibration import schema as schema_of
        from chatsim.store.calibration import write

        if schema:
            emit_document(schema_of())
            return
        folder = _folder("--data", data) if data is not None else _folder("-o", out.parent)
        if out.is_dir() or not os.access(out.parent, os.W_OK):
            raise UsageError(f"-o {out}: cannot be written: name a file in a folder that can be")
        from chatsim.runner.calibrate import calibration, uncertain

        with _display() as told:
            measured = measure(quick, folder, journal=journal, progress=told)
        made_at = time.strftime("%Y-%m-%d", time.gmtime())
        made = calibration(measured, chatsim=__version__, made_at=made_at, quick=quick, journal=journal)
        write(out, made)
        if json:
            from msgspec import to_builtins

            emit_document(to_builtins(made))
        else:
            _show(made, out)
        unsure = uncertain(made)
        if unsure:
            say(f"chatsim: nothing can be said of {', '.join(unsure)}: calibrate on a quieter machine, without --quick")
        raise typer.Exit(INCONCLUSIVE if unsure else PASSED)


def _folder(flag: str, path: Path) -> Path:
    if not path.is_dir() or not os.access(path, os.W_OK):
        raise UsageError(f"{flag} {path}: there is no such folder that can be written to; make it first")
    return path


def _show(made: Calibration, out: Path) -> None:
    """The table, and what is to be known of it."""
    emit_columns(_COLUMNS, [_row(name, one) for name, one in made.measured.items()], right=_COLUMNS[1:5])
    for name, line in made.fits.items():
        emit(
            f"{name}: {line.intercept_s * 1e6:.4g} us + {line.slope_s * 1e6:.4g} us each, R2 {line.r2:.3f}, "
            f"the worst point {line.worst:.0%} off"
        )
    emit(f"reference: the machine drifted by {made.reference.drift - 1:.0%} in {made.rounds} rounds")
    emit(f"sums: what the costs add up to is {made.unexplained:.0%} off the loads (root mean square)")
    for warning in made.warnings:
        emit(f"note: {warning}")
    emit(f"written to {out}: costs: {out.name}")


def _row(name: str, one: Estimate) -> tuple[str, ...]:
    factor, unit = _SHOWN[one.unit]
    numbers = (f"{value * factor:.4g}{unit}" for value in (one.value, one.low, one.high))
    fit = ("", "") if one.fit is None else (f"{one.fit.family}, cv {one.fit.cv:.2f}", f"{one.fit.distance:.3f}")
    return (name, *numbers, str(one.n), *fit)


@contextmanager
def _display() -> Iterator[Callable[[float], None]]:
    """A bar on a terminal's stderr; elsewhere nothing."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("calibrating"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=1.0)
        yield lambda share: bars.update(task, completed=share)
