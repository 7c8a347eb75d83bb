"""The command `explore`: many seeds, and what is left of the first that fails.

Decides what is shown and which code it ends with. Rule: a failure is told with everything that it takes to see it
again; where nothing was played, nothing is a success. Drawing, playing and shrinking are `explore`'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from chatsim.cli.execute import FAILED, PASSED
from chatsim.cli.output import emit
from chatsim.errors import UsageError
from chatsim.scenario import units

if TYPE_CHECKING:
    from chatsim.explore.campaign import Totals
    from chatsim.explore.play import Played

FOUND: Final = Path("results") / "found"
"""Where the shrunk scenarios of failures go."""

WIRES: Final = ("sim", "virtual", "both")


def add(app: typer.Typer) -> None:
    """Hang the command into the application."""

    @app.command()
    def explore(
        seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="How many seeds to play.")] = 200,
        first: Annotated[int, typer.Option("--from", min=0, metavar="S", help="The first of them.")] = 0,
        jobs: Annotated[int, typer.Option(min=1, metavar="J", help="How many processes play.")] = os.cpu_count() or 1,
        for_: Annotated[str | None, typer.Option("--for", metavar="TIME", help="Stop after so long: 10min.")] = None,
        on: Annotated[str, typer.Option("--on", metavar="sim|virtual|both", help="The wire, or both.")] = "both",
        shrink: Annotated[bool, typer.Option(help="Make a failing scenario smaller.")] = True,
        out: Annotated[Path, typer.Option(metavar="DIR", help="Where the scenarios of failures go.")] = FOUND,
        report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write what was found as a page.")] = None,
    ) -> None:
        """Draw scenarios from seeds, play them, and check every invariant in each."""
        if on not in WIRES:
            raise UsageError(f"--on {on}: there is no such wire to explore on; say sim, virtual or both")
        for_s = _seconds(for_)
        from chatsim.explore.campaign import campaign
        from chatsim.explore.report import SEEDS_EXPECTED, missed, page

        with _display(seeds) as told:
            totals = campaign(
                first, seeds, on=on, jobs=min(jobs, seeds), for_s=for_s, clock=time.monotonic, progress=told
            )
        if report is not None:
            report.parent.mkdir(parents=True, exist_ok=True)
            report.write_text(page(totals), encoding="utf-8")
        emit(_summary(totals))
        if totals.failures:
            _tell(totals.failures[0], on, out, shrink=shrink)
            raise typer.Exit(FAILED)
        never = missed(totals)
        if never:
            emit(f"never reached: {', '.join(never)}")
        raise typer.Exit(FAILED if never and totals.seeds >= SEEDS_EXPECTED and on != "virtual" else PASSED)


def _seconds(text: str | None) -> float:
    """The time that is given (s), endless where none is."""
    if text is None:
        return float("inf")
    try:
        return units.duration(text)
    except ValueError as problem:
        raise UsageError(f"--for {text}: {problem}") from None


def _summary(totals: Totals) -> str:
    """One line for all of them."""
    from chatsim.explore.report import missed
    from chatsim.verdict.sometimes import SOMETIMES

    reached = len(SOMETIMES) - len(missed(totals))
    return (
        f"{totals.seeds} seeds, {totals.simulated_s / 3600:.1f} simulated hours, {totals.messages} messages, "
        f"{sum(totals.fired.values())} faults, {totals.twice} played twice, {reached} of {len(SOMETIMES)} properties "
        f"reached, {totals.wall_s:.1f} s: {totals.rate:.0f} simulated seconds a second"
    )


def _tell(failed: Played, on: str, out: Path, *, shrink: bool) -> None:
    """Everything about the first failure."""
    violation = failed.violations[0]
    emit(f"seed {failed.seed} on {failed.wire}: {violation}")
    for other in failed.violations[1:]:
        emit(f"  also {other}")
    emit(f"again: chatsim explore --seeds 1 --from {failed.seed} --on {failed.wire}")
    if not shrink or violation.name == "same_again":
        return
    from chatsim.explore.draw import words
    from chatsim.explore.scene import drawn
    from chatsim.explore.shrink import shrunk, write

    path = out / f"{violation.name.replace('_', '-')}-{failed.seed}.yaml"
    small = shrunk(words(failed.seed), failed.wire, violation.name)
    write(small, path, violation.name, violation.sentence)
    emit(f"shrunk: chatsim run {path} --on {failed.wire}")
    pictures = drawn(small, failed.wire, violation.name, path)
    if pictures:
        emit(f"its last moments: {' and '.join(map(str, pictures))} (https://ui.perfetto.dev)")


@contextmanager
def _display(total: int) -> Iterator[_Told]:
    """A bar with the rate on a terminal's stderr; elsewhere nothing."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield _Told(bars, total)


class _Told:
    """Shows how far a campaign is."""

    def __init__(self, bars: Progress, total: int) -> None:
        self._bars = bars
        self._task = bars.add_task("seeds", total=total)

    def __call__(self, totals: Totals) -> None:
        """So much has been played."""
        per_s = totals.seeds / totals.wall_s if totals.wall_s else 0.0
        text = f"{totals.seeds} seeds, {per_s:.1f}/s, {totals.rate:.0f} simulated s/s"
        self._bars.update(self._task, completed=totals.seeds, description=text)
