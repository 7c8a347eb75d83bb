"""The command `sweep`: a scenario at every point of a grid, here or on a cluster.

Decides what is printed, what is written and where runs are kept. Rule: what was played is kept, and the same command
goes on from there; the table goes to stdout and into a file when all is done, progress and what was damaged to stderr.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from chatsim.cli import options
from chatsim.cli.output import emit, emit_columns, emit_document, say
from chatsim.cli.replicating import text, too_few
from chatsim.errors import UsageError

if TYPE_CHECKING:
    from chatsim.analysis.swept import Sweep

KEPT: Final = Path("results") / "sweeps"
"""Where the runs of sweeps are kept unless `--keep` says otherwise, seen from the working directory."""


def add(app: typer.Typer) -> None:
    """Hang the command into the application."""

    @app.command()
    def sweep(
        file: options.File,
        values: options.Grid = None,
        replications: Annotated[
            int, typer.Option("--replications", "-n", min=2, metavar="N", help="How many at each point.")
        ] = 10,
        metrics: options.Metrics = None,
        everything: Annotated[bool, typer.Option("--all", help="Print every number, not only the expected.")] = False,
        on: options.Virtual = "sim",
        fidelity: options.Fidelity = "full",
        seed: options.Seed = None,
        jobs: options.Jobs = -1,
        json: options.Json = False,
        out: Annotated[
            Path | None, typer.Option("--out", metavar="FILE", help="Write the table: FILE.csv or FILE.parquet.")
        ] = None,
        keep: Annotated[
            Path | None,
            typer.Option("--keep", metavar="DIR", help="Where runs are kept, instead of results/sweeps/<scenario>."),
        ] = None,
        dask: Annotated[
            str | None, typer.Option("--dask", metavar="URL", help="Play on the Dask cluster of tcp://HOST:PORT.")
        ] = None,
    ) -> None:
        """Run a scenario at every point of a grid, many times each: intervals of every number."""
        options.check_jobs(jobs)
        grid = options.grid(values or [])
        if not grid:
            raise UsageError("a sweep wants a path and its values: --set handler.rate_limit=30/min,60/min")
        from chatsim.analysis.numbers import promised
        from chatsim.analysis.tables import check_form, write_table
        from chatsim.runner.cluster import cluster
        from chatsim.runner.desk import load
        from chatsim.runner.progress import bar
        from chatsim.runner.sweep import DamagedFileWarning
        from chatsim.runner.sweep import sweep as play
        from chatsim.store.folder import safe_name
        from chatsim.verdict.wires import played_as

        if out is not None:
            check_form(out)
        scenario = load(file)
        scenario = scenario if seed is None else scenario.with_seed(seed)
        place = KEPT / safe_name(scenario.name) if keep is None else keep
        done = [0, 0]
        with ExitStack() as stack:
            caught = stack.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("always", DamagedFileWarning)
            if dask is not None:
                stack.enter_context(cluster(dask))
            shown_at = stack.enter_context(bar("replications"))

            def told(at: int, total: int) -> None:
                done[:] = at, total
                shown_at(at, total)

            try:
                table = play(
                    scenario,
                    grid,
                    replications=replications,
                    metrics=metrics or (),
                    on=on,
                    fidelity=fidelity,
                    jobs=jobs,
                    keep=place,
                    progress=told,
                )
            except KeyboardInterrupt:
                say(f"chatsim: {done[0]} of {done[1]} replications are kept in {place}; the same command goes on there")
                raise
        for told_of in (each.message for each in caught if issubclass(each.category, DamagedFileWarning)):
            say(f"chatsim: {told_of}")
        if out is not None:
            write_table(table, out)
        if json:
            emit_document(
                {"scenario": scenario.name, "wire": played_as(on, fidelity), "rows": table.to_dict("records")}
            )
            return
        _show(table, None if everything or metrics else promised(scenario.expect))
        if out is not None:
            emit(f"\nwritten to {out}")


def _show(table: Sweep, metrics: Sequence[str] | None) -> None:
    """The rows of these metrics, or all, and how many more there are."""
    shown = table if metrics is None else table[table.metric.isin(metrics)]
    columns = [str(name) for name in table.columns if name != "needed"]
    rows = [[text(value) for value in row] for row in shown[columns].itertuples(index=False, name=None)]
    emit_columns(columns, rows, right=columns[-4:])
    if short := too_few(shown[["metric", "low", "needed"]].to_dict("records")):
        emit(f"\n{short}")
    if len(rows) < len(table):
        emit(f"\n{len(table) - len(rows)} more rows: --all prints them, --out FILE.csv writes them")
