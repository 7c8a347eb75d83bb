"""The command `explore`: many seeds, and what is left of the first that fails.

Decides what is shown and which code it ends with. Rule: a failure is told with everything that it takes to see it
again, before anything else is done with it, and whatever happens then; where nothing was played, nothing is a success.
Drawing, playing and shrinking are `explore`'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from chatsim.cli.execute import FAILED, INTERRUPTED, PASSED
from chatsim.cli.finds import tell
from chatsim.cli.output import emit, say
from chatsim.cli.places import check_file, check_folder
from chatsim.errors import HarnessError, UsageError
from chatsim.scenario import units

if TYPE_CHECKING:
    from chatsim.explore.campaign import Totals
    from chatsim.explore.play import Wire

FOUND: Final = Path("results") / "found"
"""Where the shrunk scenarios of failures go."""

ON: Final = "The wire; agreement plays each seed on both and compares them; both does all of it, and mostly sim."

WIRES: Final = ("sim", "virtual", "agreement", "both")

TOLD_EVERY_S: Final = 10.0
"""Where there is no terminal to draw a bar on, a line comes so often (s)."""


def add(app: typer.Typer) -> None:
    """Hang the command into the application."""

    @app.command()
    def explore(
        seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="How many seeds to play.")] = 200,
        first: Annotated[
            int, typer.Option("--from", min=0, max=units.SEED_MAX, metavar="S", help="The first of them.")
        ] = 0,
        jobs: Annotated[int, typer.Option(min=1, metavar="J", help="How many processes play.")] = os.cpu_count() or 1,
        for_: Annotated[str | None, typer.Option("--for", metavar="TIME", help="Stop after so long: 10min.")] = None,
        on: Annotated[str, typer.Option("--on", metavar="sim|virtual|agreement|both", help=ON)] = "both",
        shrink: Annotated[bool, typer.Option(help="Make a failing scenario smaller.")] = True,
        out: Annotated[Path, typer.Option(metavar="DIR", help="Where the scenarios of failures go.")] = FOUND,
        report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write what was found as a page.")] = None,
        scenario: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Play this one on the wire, and draw nothing.")
        ] = None,
    ) -> None:
        """Draw scenarios from seeds, play them, and check every invariant in each."""
        if on not in WIRES:
            raise UsageError(f"--on {on}: there is no such wire to explore on; say sim, virtual, agreement or both")
        if scenario is not None:
            raise typer.Exit(_play_one(scenario, on))
        for_s = _seconds(for_)
        check_folder(out, "--out")
        if report is not None:
            check_file(report, "--report")
        from chatsim.explore.campaign import campaign
        from chatsim.explore.reach import judged
        from chatsim.explore.report import page

        with _display(seeds) as told:
            totals = campaign(
                first, seeds, on=on, jobs=min(jobs, seeds), for_s=for_s, clock=time.monotonic, progress=told
            )
        emit(_summary(totals))
        if early := _early(totals, seeds, judged=bool(judged(totals))):
            emit(early)
        interrupted = totals.interrupted
        if totals.failures:
            interrupted |= tell(totals.failures[0], out, shrink=shrink and not interrupted)
        if report is not None:
            _write(page(totals), report)
        if interrupted:
            raise typer.Exit(INTERRUPTED)
        if totals.lost:
            raise HarnessError(_lost(totals, on))
        if totals.failures:
            raise typer.Exit(FAILED)
        raise typer.Exit(_unreached(totals))


def _unreached(totals: Totals) -> int:
    """Say what was never reached, and on which wire where it has had runs enough; the exit code."""
    from chatsim.explore.reach import failed, missed

    never = failed(totals)
    for wire, names in never.items():
        emit(f"never reached on {wire}: {', '.join(names)}")
    if not never and (names := missed(totals)):
        emit(f"never reached: {', '.join(names)}")
    return FAILED if never else PASSED


def _play_one(path: Path, on: str) -> int:
    """Play one scenario and say which invariants do not hold; the exit code."""
    from chatsim.explore.agreement import LEFT_OUT
    from chatsim.explore.play import fitted, play
    from chatsim.scenario.load import load
    from chatsim.scenario.model import Scenario

    broken = False
    wires: tuple[Wire, ...] = ("sim", "virtual", "agreement") if on == "both" else (cast("Wire", on),)
    for wire in wires:
        played = play(Scenario.of(fitted(load(path).words, wire)), wire)
        for violation in played.violations:
            emit(f"{path} on {wire}: {violation}")
        if not played.violations:
            emit(f"{path} on {wire}: every invariant holds, {played.lasted_s:g} simulated seconds")
        if played.left_out:
            why = f"{played.left_out}: {LEFT_OUT[played.left_out]}"
            emit(f"{path} on {wire}: not compared from {played.compared_s:g} s on, for {why}")
        broken |= bool(played.violations)
    return FAILED if broken else PASSED


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
    from chatsim.explore.reach import missed, reachable

    within = len(reachable(totals))
    reached = within - len(missed(totals))
    return (
        f"{totals.seeds} seeds, {totals.simulated_s / 3600:.1f} simulated hours, {totals.messages} messages, "
        f"{sum(totals.fired.values())} faults, {totals.twice} played twice, {reached} of {within} properties "
        f"reached, {totals.wall_s:.1f} s: {totals.rate:.0f} simulated seconds a second"
    )


def _early(totals: Totals, seeds: int, *, judged: bool) -> str:
    """Why fewer were played than were asked for; nothing where a failure ended it, or nothing did."""
    if totals.interrupted:
        under_way = f", in the midst of {_named(totals.unfinished)}" if totals.unfinished else ""
        return f"interrupted after {totals.seeds} of {seeds} seeds{under_way}"
    if totals.failures or totals.lost or totals.seeds == seeds:
        return ""
    only = "" if judged else ": too few to call it a failure that something was never reached"
    return f"time was up after {totals.seeds} of {seeds} seeds{only}"


def _lost(totals: Totals, on: str) -> str:
    """Which seeds have no answer, why, and what to do."""
    [first, *others] = totals.lost
    more = f" (and so with {_named(others)})" if others else ""
    return (
        f"seed {first} has no answer, {totals.lost[first]}{more}: see it by itself with `chatsim explore --seeds 1 "
        f"--from {first} --jobs 1 --on {on}`, or try all of them with fewer --jobs"
    )


def _named(seeds: list[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _write(text: str, report: Path) -> None:
    """Write the page; where that is no longer possible, print it, since it may have taken hours."""
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(text, encoding="utf-8")
    except OSError as problem:
        say(f"chatsim: {report} cannot be written ({problem.strerror}): here it is instead")
        emit(text)


@contextmanager
def _display(total: int) -> Iterator[Told]:
    """A bar with the rate on a terminal's stderr; elsewhere a line now and then."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield Told(total, bars if console.is_terminal else None, time.monotonic)


class Told:
    """Shows how far a campaign is, on a bar, or without one in lines on stderr."""

    def __init__(self, total: int, bars: Progress | None, clock: Callable[[], float]) -> None:
        self._total = total
        self._bars = bars
        self._clock = clock
        self._told_at = clock()
        self._task = None if bars is None else bars.add_task("seeds", total=total)

    def __call__(self, totals: Totals) -> None:
        """So much has been played."""
        per_s = totals.seeds / totals.wall_s if totals.wall_s else 0.0
        rates = f"{per_s:.1f}/s, {totals.rate:.0f} simulated s/s"
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=totals.seeds, description=f"{totals.seeds} seeds, {rates}")
        elif self._clock() - self._told_at >= TOLD_EVERY_S:
            self._told_at = self._clock()
            say(f"{totals.seeds} of {self._total} seeds, {rates}")
