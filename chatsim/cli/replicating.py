"""The commands `replicate` and `compare`: one scenario many times, and two beside each other.

Decides what is printed and which code it ends with. Rule: the tables or the one JSON document go to stdout when all is
done, progress to stderr on the way. Playing and judging are the runner's and the analysis' affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chatsim.cli import options
from chatsim.cli.execute import CODES
from chatsim.cli.output import emit, emit_columns, emit_document, say
from chatsim.cli.repeating import broken_texts, judged_rows, violations
from chatsim.scenario.units import quantity

if TYPE_CHECKING:
    from chatsim.analysis.compared import Compared
    from chatsim.analysis.replicated import Replicated

_VERDICTS: Final = ("expectation", "mean", "low", "high", "limit", "verdict")
_NUMBERS: Final = ("number", "mean", "low", "high", "n")
_COLUMNS: Final = ("metric", *_NUMBERS[1:])
TOO_FEW_MAX: Final = 4
"""So many quantiles without an interval are named; the others are counted."""
_DIFFERENCES: Final = ("metric", "a", "b", "difference", "low", "high", "n")

Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write every number of every replication.")]
Differences = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write how each number differs.")]
Parquet = Annotated[Path | None, typer.Option("--parquet", metavar="FILE", help="The same as Parquet.")]


def add(app: typer.Typer) -> None:
    """Hang the commands into the application."""

    @app.command()
    def replicate(
        file: options.File,
        replications: Annotated[
            str, typer.Option("--replications", "-n", metavar="N|auto", help="How many; auto: until all is decided.")
        ] = "10",
        until: Annotated[
            str | None, typer.Option(metavar="SHARE", help="Instead: until intervals are this narrow, such as 5%.")
        ] = None,
        metrics: options.Metrics = None,
        everything: Annotated[bool, typer.Option("--all", help="Print every number, not only the expected.")] = False,
        changes: options.Set = None,
        on: options.Virtual = "sim",
        fidelity: options.Fidelity = "full",
        seed: options.Seed = None,
        jobs: options.Jobs = -1,
        json: options.Json = False,
        csv: Csv = None,
        parquet: Parquet = None,
    ) -> None:
        """Run a scenario many times, each with other luck: intervals, and a verdict on each expectation."""
        n = None if until is not None and replications == "10" else options.number(replications)
        options.check_jobs(jobs)
        width = None if until is None else options.share(until)
        from chatsim.analysis.sequential import Precision
        from chatsim.runner.desk import load
        from chatsim.runner.progress import bar
        from chatsim.runner.replicate import replicate as play

        _check_files(csv, parquet)
        scenario = load(file).with_(options.changes(changes or []))
        scenario = scenario if seed is None else scenario.with_seed(seed)
        precision = None if width is None else Precision(relative=width)
        with bar("replications") as told:
            total = n if isinstance(n, int) else 0
            found = play(
                scenario,
                n,
                until=precision,
                metrics=metrics or (),
                on=on,
                fidelity=fidelity,
                jobs=jobs,
                progress=lambda done: told(done, total),
            )
        _write(found, csv, parquet)
        if found.missed:
            imprecise = "; ".join(f"{each.metric} {each.text}" for each in found.missed)
            say(f"chatsim: the precision was not reached: {imprecise}")
        if json:
            emit_document(_document(found))
        else:
            _show(found, metrics or (), everything=everything)
        raise typer.Exit(CODES[found.verdict])

    @app.command()
    def compare(
        a: Annotated[Path, typer.Argument(metavar="A", help="A scenario file.")],
        b: Annotated[Path, typer.Argument(metavar="B", help="Another, or the same one.")],
        replications: Annotated[
            int, typer.Option("--replications", "-n", min=2, metavar="N", help="How many pairs.")
        ] = 10,
        changes: options.Changes = None,
        on: options.Virtual = "sim",
        fidelity: options.Fidelity = "full",
        seed: options.Seed = None,
        jobs: options.Jobs = -1,
        json: options.Json = False,
        csv: Differences = None,
        parquet: Parquet = None,
    ) -> None:
        """Run two scenarios in pairs that share their luck: what differs, and by how much."""
        options.check_jobs(jobs)
        from chatsim.runner.desk import load
        from chatsim.runner.progress import bar
        from chatsim.runner.replicate import compare as play

        _check_files(csv, parquet)
        first, second = load(a), load(b).with_(options.changes(changes or []))
        first = first if seed is None else first.with_seed(seed)
        with bar("replications") as told:
            found = play(
                first,
                second,
                replications,
                on=on,
                fidelity=fidelity,
                jobs=jobs,
                progress=lambda done: told(done, 2 * replications),
            )
        _write(found, csv, parquet)
        if json:
            emit_document({"pairs": replications, "numbers": found.summary().to_dict("records")})
            return
        rows = [[text(row[name]) for name in _DIFFERENCES] for row in found.changed_once().to_dict("records")]
        emit_columns(_DIFFERENCES, rows, right=_DIFFERENCES[1:])
        emit(f"\n{found.told()} alone")


def _check_files(csv: Path | None, parquet: Path | None) -> None:
    """Raise UsageError, before anything is played, where the files could not be written."""
    from chatsim.analysis.tables import check_form, with_form

    for path, form in ((csv, ".csv"), (parquet, ".parquet")):
        if path is not None:
            check_form(with_form(path, form))


def _write(found: Replicated | Compared, csv: Path | None, parquet: Path | None) -> None:
    if csv is not None:
        found.to_csv(csv)
    if parquet is not None:
        found.to_parquet(parquet)


def text(value: Any) -> str:
    """A number of a table, six digits of it and all of the whole part; a dash where there is none."""
    if isinstance(value, float):
        return "-" if isnan(value) else quantity(value, "")
    return str(value)


def too_few(rows: Iterable[Mapping[Any, Any]]) -> str:
    """The line on quantiles that have no interval, because a run has too few samples to bound them: which, and how many
    would do. Nothing where all have."""
    names = {row["metric"]: row["needed"] for row in rows if row["needed"] and isnan(row["low"])}
    if not names:
        return ""
    told = ", ".join(f"{name} ({needed} would do)" for name, needed in list(names.items())[:TOO_FEW_MAX])
    more = f" and {len(names) - TOO_FEW_MAX} more" if len(names) > TOO_FEW_MAX else ""
    return f"no interval of a quantile of too few samples in a run, so make the runs longer: {told}{more}"


def _show(found: Replicated, metrics: Sequence[str], *, everything: bool) -> None:
    """The verdicts, then the numbers that the expectations are about and those that were named, or all."""
    broken = [(text, "", "", "", "", "fail") for text in broken_texts(found)]
    emit_columns(_VERDICTS, [*judged_rows(found), *broken], right=_VERDICTS[1:5])
    emit("")
    rows = list(_summary_rows(found))
    first = [*found.promised(), *(found.name(metric) for metric in metrics)]
    shown = rows if everything else [row for row in rows if row["metric"] in first]
    shown.sort(key=lambda row: first.index(row["metric"]) if row["metric"] in first else len(first))
    emit_columns(_NUMBERS, [[text(row[name]) for name in _COLUMNS] for row in shown], right=_NUMBERS[1:])
    if short := too_few(shown):
        emit(f"\n{short}")
    if len(shown) < len(rows):
        emit(f"\n{len(rows) - len(shown)} more numbers: --all prints them, --csv FILE writes each of every replication")


def _summary_rows(found: Replicated) -> Iterable[Mapping[Any, Any]]:
    promised = found.promised()
    for row in found.estimates().to_dict("records"):
        # What never happened is only worth a line where somebody has asked for it.
        if row["low"] < row["high"] or row["mean"] != 0 or row["metric"] in promised:
            yield row


def _document(found: Replicated) -> dict[str, Any]:
    return {
        "scenario": found.scenario,
        "wire": found.wire,
        "replications": len(found),
        "seeds": [replication.seed for replication in found.replications],
        "verdict": found.verdict,
        "expectations": found.verdicts().to_dict("records"),
        "violations": violations(found.violations),
        "missed": [
            {
                "metric": each.metric,
                "n": each.interval.n,
                "relative": each.relative,
                "absolute": each.interval.half_width,
                "asked_relative": each.asked.relative,
                "asked_absolute": each.asked.absolute,
                "why": each.text,
            }
            for each in found.missed
        ],
        "numbers": found.estimates().to_dict("records"),
    }
