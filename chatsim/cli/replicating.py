"""The commands `replicate` and `compare`: one scenario many times, and two beside each other.

Decides what is printed and which code it ends with. Rule: the tables or the one JSON document go to stdout when all is
done, progress to stderr on the way. Playing and judging are the runner's and the analysis' affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from chatsim.cli.execute import FAILED, INCONCLUSIVE, PASSED
from chatsim.cli.output import emit, emit_columns, emit_document
from chatsim.errors import UsageError
from chatsim.scenario import units

if TYPE_CHECKING:
    from chatsim.analysis.replicated import Replicated

_VERDICTS: Final = ("expectation", "mean", "low", "high", "limit", "verdict")
_NUMBERS: Final = ("number", "mean", "low", "high", "n")
_DIFFERENCES: Final = ("metric", "a", "b", "difference", "low", "high", "n")

_CODES: Final = {"pass": PASSED, "fail": FAILED, "inconclusive": INCONCLUSIVE}

File = Annotated[Path, typer.Argument(metavar="FILE", help="A scenario file.")]
On = Annotated[str, typer.Option("--on", metavar="sim|virtual", help="Which wire, both in virtual time.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Replaces the scenario's seed.")]
Jobs = Annotated[int, typer.Option("--jobs", metavar="J", help="How many processes play; -1 is one a processor.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write every number of every replication.")]


def add(app: typer.Typer) -> None:
    """Hang the commands into the application."""

    @app.command()
    def replicate(
        file: File,
        replications: Annotated[
            str, typer.Option("--replications", "-n", metavar="N|auto", help="How many; auto: until all is decided.")
        ] = "10",
        until: Annotated[
            str | None, typer.Option(metavar="SHARE", help="Instead: until intervals are this narrow, such as 5%.")
        ] = None,
        metrics: Annotated[
            list[str] | None, typer.Option("--metric", metavar="NAME", help="What is to be so narrow.")
        ] = None,
        on: On = "sim",
        seed: Seed = None,
        jobs: Jobs = -1,
        json: Json = False,
        csv: Csv = None,
    ) -> None:
        """Run a scenario many times, each with other luck: intervals, and a verdict on each expectation."""
        n = None if until is not None and replications == "10" else _number(replications)
        _check_jobs(jobs)
        width = None if until is None else _share(until)
        from chatsim.analysis.sequential import Precision
        from chatsim.runner.desk import load
        from chatsim.runner.replicate import replicate as play

        scenario = load(file)
        scenario = scenario if seed is None else scenario.with_seed(seed)
        precision = None if width is None else Precision(relative=width)
        with _display() as told:
            found = play(scenario, n, until=precision, metrics=metrics or (), on=on, jobs=jobs, progress=told)
        _write(csv, found)
        if json:
            emit_document(_document(found))
        else:
            emit_columns(_VERDICTS, _verdict_rows(found), right=_VERDICTS[1:5])
            emit("")
            emit_columns(_NUMBERS, _summary_rows(found), right=_NUMBERS[1:])
        raise typer.Exit(_CODES[found.verdict])

    @app.command()
    def compare(
        a: Annotated[Path, typer.Argument(metavar="A", help="A scenario file.")],
        b: Annotated[Path, typer.Argument(metavar="B", help="Another, or the same one.")],
        replications: Annotated[
            int, typer.Option("--replications", "-n", min=2, metavar="N", help="How many pairs.")
        ] = 10,
        changes: Annotated[
            list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change B: handler.rate_limit=30/min.")
        ] = None,
        on: On = "sim",
        seed: Seed = None,
        jobs: Jobs = -1,
        json: Json = False,
    ) -> None:
        """Run two scenarios in pairs that share their luck: what differs, and by how much."""
        _check_jobs(jobs)
        from chatsim.runner.desk import load
        from chatsim.runner.replicate import compare as play

        first, second = load(a), load(b).with_(_changes(changes or []))
        first = first if seed is None else first.with_seed(seed)
        with _display() as told:
            found = play(first, second, replications, on=on, jobs=jobs, progress=told)
        if json:
            emit_document({"pairs": replications, "numbers": found.summary().to_dict("records")})
            return
        rows = [[_text(row[name]) for name in _DIFFERENCES] for row in found.changed().to_dict("records")]
        emit_columns(_DIFFERENCES, rows, right=_DIFFERENCES[1:])
        emit(f"\n{len(rows)} of {len(found.summary())} numbers differ; one in twenty does by luck alone")


def _number(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 2:
        raise UsageError(f"--replications {text}: give a whole number of at least 2, or auto")
    return int(text)


def _share(text: str) -> float:
    try:
        share = units.share(text)
    except ValueError as problem:
        raise UsageError(f"--until {text}: {problem}") from None
    if not 0 < share < 1:
        raise UsageError(f"--until {text}: give a share between 0% and 100%, such as 5%")
    return share


def _check_jobs(jobs: int) -> None:
    if jobs == 0:
        raise UsageError("--jobs 0: give the number of processes, or -1 for one a processor")


def _changes(texts: Sequence[str]) -> dict[str, Any]:
    """Paths of a scenario and their new values, which are what a file would say."""
    from chatsim.scenario.yaml import YamlError, parse_yaml

    made = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f"--set {text}: write a path, an equals sign and a value, such as handler.rate_limit=30/min"
            )
        try:
            made[path] = parse_yaml(value, f"--set {path}", may_be_empty=True).value
        except YamlError as problem:
            raise UsageError(f"{problem}") from None
    return made


def _verdict_rows(found: Replicated) -> Iterable[Sequence[str]]:
    for expectation, ruling in zip(found.expect, found.rulings, strict=True):
        values = (ruling.mean, ruling.low, ruling.high, expectation.limit)
        shown = [units.quantity(value, expectation.unit) for value in values]
        more = f" ({ruling.would_do:g} would probably do)" if ruling.verdict == "inconclusive" else ""
        yield (expectation.text, *shown, f"{ruling.verdict}{more}")


def _summary_rows(found: Replicated) -> Iterable[Sequence[str]]:
    for row in found.summary().to_dict("records"):
        if row["low"] != row["high"] or row["mean"] != 0:
            yield [_text(row[name]) for name in ("metric", "mean", "low", "high", "n")]


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _document(found: Replicated) -> dict[str, Any]:
    return {
        "scenario": found.scenario,
        "wire": found.wire,
        "replications": len(found),
        "seeds": [replication.seed for replication in found.replications],
        "verdict": found.verdict,
        "expectations": found.verdicts().to_dict("records"),
        "numbers": found.summary().to_dict("records"),
    }


def _write(csv: Path | None, found: Replicated) -> None:
    if csv is None:
        return
    try:
        csv.parent.mkdir(parents=True, exist_ok=True)
        found.frame.to_csv(csv, index=False)
    except OSError as problem:
        raise UsageError(f"cannot write {csv} ({problem.strerror}): name another file with --csv") from problem


@contextmanager
def _display() -> Iterator[Callable[[int], None]]:
    """How many are done, on a terminal's stderr."""
    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.completed} replications"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("replications", total=None)
        yield lambda done: bars.update(task, completed=done)
