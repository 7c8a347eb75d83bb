"""The commands that run scenarios: `run`, `check` and `demo`.

Decides what is run and what is shown. Rule: the table or the one JSON document goes to stdout when all is done,
progress and what failed to stderr. Running and judging is the runner's; the exit code is `execute`'s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from chatsim.cli import options, remote
from chatsim.cli.doors import Doors, Runner, Scenario, Wire
from chatsim.cli.doors import Progress as Told
from chatsim.cli.execute import PASSED, Outcome, document, execute, loaded, worst
from chatsim.cli.findings import Csv, Html, JsonFile, Junit, Reports
from chatsim.cli.output import STYLES, emit, emit_document, emit_table
from chatsim.cli.repeating import repeated
from chatsim.errors import HarnessError, TargetError, UsageError
from chatsim.scenario.paths import exists, is_folder
from chatsim.store.folder import RUNS, make_place
from chatsim.verdict.result import Result
from chatsim.verdict.wires import played_as

if TYPE_CHECKING:
    from chatsim.live.target import Target

On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="sim|virtual|live|URL",
        help="Simulated, the real server on a virtual clock, real sockets, or somebody else's server: wss://host/ws.",
    ),
]
Attempts = Annotated[
    int,
    typer.Option(
        "--attempts",
        metavar="N",
        min=1,
        help="How often to play a live run for which the machine was too busy to judge.",
    ),
]
Replications = Annotated[
    str | None,
    typer.Option(
        "--replications", metavar="N|auto", help="Judge by so many runs with other luck; auto: until all is decided."
    ),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where results go, instead of results/runs.")]

VIRTUAL: Final = ("sim", "virtual")

LIVE_DEMO: Final = "tls-everywhere"
"""The shipped scenario that the demonstration plays on real sockets too."""


def add(app: typer.Typer, doors: Doors) -> None:
    """Hang the commands into the application."""

    @app.command()
    def run(
        file: options.File,
        changes: options.Set = None,
        on: On = "sim",
        fidelity: options.Fidelity = "full",
        seed: options.Seed = None,
        json: options.Json = False,
        attempts: Attempts = 1,
        replications: Replications = None,
        jobs: options.Jobs = -1,
        out: Out = None,
        junit: Junit = None,
        json_file: JsonFile = None,
        csv: Csv = None,
        html: Html = None,
        secret_file: remote.SecretFile = None,
        key_file: remote.KeyFile = None,
        audience: remote.Audience = None,
        issuer: remote.Issuer = None,
        admin_key_file: remote.AdminKeyFile = None,
        ca_file: remote.CaFile = None,
        insecure: remote.Insecure = False,
    ) -> None:
        """Run one scenario and judge it."""
        with Reports([file], junit=junit, json_file=json_file, csv=csv, html=html) as reports:
            server = remote.Server(secret_file, key_file, audience, issuer, admin_key_file, ca_file, insecure)
            wire, target = _wire(on, fidelity, server)
            many = _many(replications, wire, jobs)
            if is_folder(file):
                raise UsageError(f"{file} is a folder: run takes one file, check takes folders")
            found, problems = doors.load([file], reports.noticed)
            changed = [_changed(scenario, changes or ()) for scenario in found]
            scenarios = reports.loaded((changed, problems), wire, seed, many, server.words())
            outcomes = (
                _repeat(scenarios, wire, many, seed, out, jobs, reports)
                if many is not None
                else play(doors, [(scenario, wire) for scenario in scenarios], seed, out, attempts, reports, target)
            )
            if not outcomes[0].is_judged:
                # What nobody could play has no document; a run that failed on the way has one, which says so.
                if json and outcomes[0].code != UsageError.exit_code:
                    emit_document(outcomes[0].document())
                _raise(outcomes[0])
        if json:
            emit_document(outcomes[0].document())
        else:
            _show(outcomes, out)
        raise typer.Exit(worst(outcomes))

    @app.command()
    def check(
        paths: options.Paths = None,
        on: On = "sim",
        fidelity: options.Fidelity = "full",
        seed: options.Seed = None,
        json: options.Json = False,
        attempts: Attempts = 1,
        replications: Replications = None,
        jobs: options.Jobs = -1,
        out: Out = None,
        junit: Junit = None,
        json_file: JsonFile = None,
        csv: Csv = None,
        html: Html = None,
        secret_file: remote.SecretFile = None,
        key_file: remote.KeyFile = None,
        audience: remote.Audience = None,
        issuer: remote.Issuer = None,
        admin_key_file: remote.AdminKeyFile = None,
        ca_file: remote.CaFile = None,
        insecure: remote.Insecure = False,
    ) -> None:
        """Run many scenarios and judge them all."""
        with Reports(paths or (), junit=junit, json_file=json_file, csv=csv, html=html) as reports:
            server = remote.Server(secret_file, key_file, audience, issuer, admin_key_file, ca_file, insecure)
            wire, target = _wire(on, fidelity, server)
            many = _many(replications, wire, jobs)
            if json:
                _refuse_as_file(paths or ())
            given = doors.load(options.paths(paths, "check"), reports.noticed)
            scenarios = reports.loaded(given, wire, seed, many, server.words())
            outcomes = (
                _repeat(scenarios, wire, many, seed, out, jobs, reports)
                if many is not None
                else play(doors, [(scenario, wire) for scenario in scenarios], seed, out, attempts, reports, target)
            )
        if json:
            emit_document(document(outcomes))
        else:
            _show(outcomes, out)
        raise typer.Exit(worst(outcomes))

    @app.command()
    def demo(seed: options.Seed = None, out: Out = None) -> None:
        """Run every shipped scenario in simulation, then one on real sockets over TLS."""
        scenarios = loaded(doors.load([]))
        plays: list[tuple[Scenario, Wire]] = [(scenario, "sim") for scenario in scenarios]
        plays += [(scenario, "live") for scenario in scenarios if scenario.name == LIVE_DEMO]
        outcomes = play(doors, plays, seed, out)
        _show(outcomes, out)
        raise typer.Exit(worst(outcomes))


def _refuse_as_file(paths: Sequence[Path]) -> None:
    """Refuse what was meant as the file of `--json`, as the other reports have theirs. Raises UsageError."""
    for path in paths:
        if path.suffix == ".json" and not exists(path):
            raise UsageError(f"there is no scenario {path}: --json prints the document, --json-file {path} writes it")


def _changed(scenario: Scenario, changes: Sequence[str]) -> Scenario:
    """The scenario with other words. Raises UsageError where they cannot be."""
    if not changes:
        return scenario
    known: Any = scenario
    changed: Scenario = known.with_(options.changes(changes))
    return changed


def _wire(on: str, fidelity: str, server: remote.Server) -> tuple[Wire, Target | None]:
    """The wire of that name at that fidelity, or what the server at that address is called. Raises UsageError."""
    target = server.target(on)
    if target is not None:
        return played_as(target.shown, fidelity), target
    return played_as(options.wire(on), fidelity), None


def _many(replications: str | None, wire: Wire, jobs: int) -> int | Literal["auto"] | None:
    """How many runs of each scenario, None for one that is judged by itself. Raises UsageError."""
    if replications is None:
        return None
    options.check_jobs(jobs)
    if wire not in VIRTUAL:
        raise UsageError("--replications plays in virtual time: say --on sim or --on virtual")
    return options.number(replications)


def _repeat(
    scenarios: Sequence[Scenario],
    wire: Wire,
    replications: int | Literal["auto"],
    seed: int | None,
    out: Path | None,
    jobs: int,
    reports: Reports,
) -> list[Outcome]:
    """Run each many times, with the display of `play`. Raises UsageError where the results could not be written."""
    make_place(out)
    outcomes: list[Outcome] = []
    with _display(len(scenarios)) as display:
        for scenario in scenarios:
            started_at = time.monotonic()
            told = display.begins(scenario, wire)
            outcome = repeated(scenario, wire, replications, seed=seed, out=out, jobs=jobs, progress=told)
            took_s = time.monotonic() - started_at
            display.ends(outcome, took_s, again=False)
            outcomes.append(outcome)
            reports.ended(outcome, took_s)
    return outcomes


def play(
    doors: Doors,
    plays: Sequence[tuple[Scenario, Wire]],
    seed: int | None,
    out: Path | None,
    attempts: int = 1,
    reports: Reports | None = None,
    target: Target | None = None,
) -> list[Outcome]:
    """Run them in turn, with a progress display on stderr and a line for each that is done; what could not be judged
    for the machine's sake is run again, up to so many `attempts`, and the last one counts.

    Raises UsageError where the results could not be written anyway, KeyboardInterrupt when a signal ends them.
    """
    make_place(out)
    outcomes: list[Outcome] = []
    runner: Runner = doors.run if target is None else _on(doors, target)
    with _display(len(plays)) as display:
        for scenario, wire in plays:
            for left in reversed(range(attempts)):
                started_at = time.monotonic()
                try:
                    [outcome] = execute([scenario], on=wire, seed=seed, out=out, runner=runner, watch=display.begins)
                except TargetError as error:
                    if not outcomes:
                        raise
                    # It was there before: what was found until then is not lost, and the rest need not be tried.
                    for late, _ in plays[len(outcomes) :]:
                        outcomes.append(Outcome(late.name, wire, seed, None, error.exit_code, f"{error}"))
                        if reports is not None:
                            reports.ended(outcomes[-1], 0.0)
                    return outcomes
                again = left > 0 and outcome.result is not None and outcome.result.busy
                took_s = time.monotonic() - started_at
                display.ends(outcome, took_s, again=again)
                if not again:
                    outcomes.append(outcome)
                    if reports is not None:
                        reports.ended(outcome, took_s)
                    break
    return outcomes


def _on(doors: Doors, target: Target) -> Runner:
    """The runner that plays there; `on` is what the server is called."""

    def play(scenario: Any, *, on: Wire, seed: int | None, out: Path | None, progress: Told | None) -> Result:
        return doors.run_on(scenario, target=target, seed=seed, out=out, progress=progress)

    return play


def _show(outcomes: Sequence[Outcome], out: Path | None) -> None:
    """The table, where everything was written, and which of many did not pass: a long build's last lines are read."""
    emit_table(row for outcome in outcomes for row in outcome.rows())
    told = [line for outcome in outcomes if (line := outcome.events())]
    if told:
        emit("\n" + "\n".join(told))
    remarks = [line for outcome in outcomes for line in outcome.remarks()]
    if remarks:
        emit("\n" + "\n".join(remarks))
    paths = [outcome.path for outcome in outcomes if outcome.path is not None]
    if len(paths) == 1:
        emit(f"\nwritten to {paths[0]}")
    elif paths:
        emit(f"\n{len(paths)} runs written below {RUNS if out is None else out}")
    short = [outcome.shortfall() for outcome in outcomes if outcome.code != PASSED]
    if short and len(outcomes) > 1:
        emit("\n" + "\n".join(short))


def _raise(outcome: Outcome) -> None:
    """A run without a result ends in its sentence on stderr."""
    if outcome.code == UsageError.exit_code:
        raise UsageError(outcome.why)
    raise HarnessError(outcome.why)


class _Display:
    """A bar on a terminal; elsewhere only the lines of the runs that are done."""

    def __init__(self, bars: Progress, total: int) -> None:
        self._bars = bars
        self._all = bars.add_task("all", total=total)

    def begins(self, scenario: Scenario, wire: Wire) -> Told:
        """Name the run that begins; the answer is to be told how far it is."""
        name = f"{scenario.name} ({wire})"
        done = sum(task.completed for task in self._bars.tasks if task.id == self._all)

        def told(share: float) -> None:
            self._bars.update(self._all, completed=done + min(max(share, 0.0), 1.0), description=name)

        told(0.0)
        self._done = done
        return told

    def ends(self, outcome: Outcome, took_s: float, *, again: bool) -> None:
        """Print the run's line, and count it unless it is to be played again."""
        self._bars.update(self._all, completed=self._done + (not again))
        more = f", again: {outcome.why}" if again else ""
        told = f" {outcome.scenario} ({outcome.wire}) {took_s:.1f} s{more}"
        self._bars.console.print(Text.assemble((f"{outcome.verdict:12}", STYLES[outcome.verdict]), told))


@contextmanager
def _display(total: int) -> Iterator[_Display]:
    """The display for so many runs, on stderr."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield _Display(bars, total)
