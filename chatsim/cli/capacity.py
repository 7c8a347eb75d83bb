"""The command `capacity`: how many users one node carries, what binds it, and how many nodes a fleet needs.

Decides what is printed and which code it ends with. Rule: an answer that is no number is said as a sentence and never
as one; nothing is written before all is found, so that an interrupt leaves nothing half done. Searching is the
runner's affair, judging and drawing the analysis'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chatsim.cli import options
from chatsim.cli.execute import FAILED, INCONCLUSIVE, PASSED
from chatsim.cli.output import emit, emit_columns, emit_document
from chatsim.cli.places import check_folder
from chatsim.errors import UsageError
from chatsim.scenario import units

if TYPE_CHECKING:
    from chatsim.analysis.capacity_found import Finding
    from chatsim.runner.capacity import Told

CODES: Final = {"found": PASSED, "none": FAILED, "more": INCONCLUSIVE, "undecided": INCONCLUSIVE}
_LOADS: Final = ("users", "runs", "p50", "p95", "p99", "busy", "wait", "M/G/1", "verdict")
_SWINGS: Final = ("factor", "turned to", "users", "change")


def add(app: typer.Typer) -> None:
    """Hang the command into the application."""

    @app.command()
    def capacity(
        file: options.File,
        target: Annotated[
            str | None,
            typer.Option(metavar="LIMIT", help="'p99(delivery_latency) <= 100ms'; else the scenario's first limit."),
        ] = None,
        users: Annotated[
            int | None, typer.Option(min=1, metavar="N", help="Whom a fleet of nodes shall carry.")
        ] = None,
        headroom: Annotated[str, typer.Option(metavar="SHARE", help="What of each node is kept free.")] = "30%",
        price: Annotated[float | None, typer.Option(min=0.0, metavar="P", help="What a node costs in an hour.")] = None,
        memory: Annotated[str | None, typer.Option(metavar="SIZE", help="What a node has: 4GiB.")] = None,
        egress: Annotated[str | None, typer.Option(metavar="RATE", help="What a node can send: 1Gbit/s.")] = None,
        changes: options.Set = None,
        most: Annotated[int | None, typer.Option(min=1, metavar="N", help="The largest load that is tried.")] = None,
        quick: Annotated[
            bool, typer.Option("--quick", help="The answer alone: no knee, no factors, no failures.")
        ] = False,
        seed: options.Seed = None,
        jobs: options.Jobs = -1,
        json: options.Json = False,
        out: Annotated[
            Path | None,
            typer.Option("--out", "-o", metavar="DIR", help="Write capacity-report.html, .pdf and capacity/ there."),
        ] = None,
    ) -> None:
        """Find how many users one node carries within a limit, what binds it, and how many nodes a fleet needs."""
        options.check_jobs(jobs)
        if out is not None:
            check_folder(out, "-o")
        from chatsim.runner.capacity import MOST
        from chatsim.runner.capacity import capacity as find
        from chatsim.runner.desk import load

        scenario = load(file).with_(options.changes(changes or []))
        scenario = scenario if seed is None else scenario.with_seed(seed)
        wanted = None if target is None else _target(target)
        given: dict[str, Any] = {
            "users": users,
            "headroom": _read("--headroom", units.share, headroom),
            "price_h": price,
            "memory_bytes": None if memory is None else _read("--memory", units.size, memory),
            "egress_bytes": None if egress is None else _read("--egress", units.bandwidth, egress) / 8,
            "most": MOST if most is None else most,
        }
        with _phases() as told:
            found = find(scenario, wanted, **given, around=not quick, jobs=jobs, progress=told)
        written = [] if out is None else _write(found, out, _command(file, changes or [], found, given, quick=quick))
        if json:
            from chatsim.analysis.report.capacity import document

            emit_document(document(found))
        else:
            _show(found)
            for path in written:
                emit(f"written to {path}")
        raise typer.Exit(CODES[found.outcome])


@contextmanager
def _phases() -> Iterator[Told]:
    """A bar for what is under way, with how many runs are done."""
    from chatsim.runner.progress import bar

    now = ""
    with ExitStack() as stack:
        inner = stack.enter_context(ExitStack())
        shown: Any = None

        def told(what: str, runs: int) -> None:
            nonlocal now, shown
            if what != now:
                inner.close()
                now, shown = what, inner.enter_context(bar(f"{what} (runs)"))
            shown(runs, 0)

        yield told


def _target(text: str) -> Any:
    from chatsim.scenario.expectations import parse_expectation

    try:
        return parse_expectation(text)
    except ValueError as problem:
        raise UsageError(f"--target: {problem}") from None


def _read(flag: str, unit: Any, text: str) -> float:
    try:
        return float(unit(text))
    except ValueError as problem:
        raise UsageError(f"{flag} {text}: {problem}") from None


def _command(file: Path, changes: Sequence[str], found: Finding, given: dict[str, Any], *, quick: bool) -> str:
    """What is to be typed to find the same again; a file is named without its folders, which are of one machine."""
    words = [f"chatsim capacity {file.name if file.is_absolute() else file.as_posix()}", f"--target '{found.target}'"]
    words += [f"--set {quote(text)}" for text in changes]
    if given["users"] is not None:
        words.append(f"--users {given['users']}")
    words.append(f"--headroom {100 * given['headroom']:g}%")
    if given["price_h"] is not None:
        words.append(f"--price {given['price_h']:g}")
    if given["memory_bytes"] is not None:
        words.append(f"--memory {given['memory_bytes']:.0f}B")
    if given["egress_bytes"] is not None:
        words.append(f"--egress {8 * given['egress_bytes']:.0f}bit/s")
    words += [f"--most {given['most']}", f"--seed {found.seed}", *(["--quick"] if quick else [])]
    return " ".join(words)


def _write(found: Finding, out: Path, command: str) -> list[Path]:
    from chatsim.analysis.report.capacity import written

    try:
        return written(found, out, command)
    except OSError as problem:
        raise UsageError(f"cannot write to {out} ({problem.strerror}): name another folder with -o") from problem


def _show(found: Finding) -> None:
    from chatsim.analysis.capacity_found import answer, fleet
    from chatsim.analysis.report.capacity import failures, rows_of_loads, rows_of_swings, sizes

    emit(answer(found))
    if fleet(found):
        emit(fleet(found))
    emit("")
    emit_columns(_LOADS, rows_of_loads(found), right=_LOADS[:-1])
    if found.swings:
        emit("")
        emit_columns(_SWINGS, rows_of_swings(found), right=_SWINGS[2:])
    emit("")
    for sentence in (*sizes(found), *failures(found)):
        emit(f"- {sentence}")
