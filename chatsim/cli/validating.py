"""The command `validate`: whether the simulation predicts this machine's real backend.

Decides what is refused before anything is played, where the reports go, and which code it ends with. Rule: what was
played is written whatever came of it; a machine that was too busy to judge is inconclusive, and never a success, and
hides no failure.
Playing is the runner's affair, judging the analysis'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chatsim.cli.execute import FAILED, INCONCLUSIVE, INTERRUPTED, PASSED
from chatsim.cli.output import emit, emit_columns, say
from chatsim.cli.places import check_folder
from chatsim.errors import UsageError

if TYPE_CHECKING:
    from chatsim.analysis.report.validated import Shown
    from chatsim.store.calibration import Calibration

OUT: Final = Path("results")
COSTS: Final = OUT / "calibration.json"
CODES: Final = {"pass": PASSED, "fail": FAILED, "inconclusive": INCONCLUSIVE}
_COLUMNS: Final = ("pair", "metric", "live", "simulated", "ratio", "low", "high", "noise", "verdict")

Play = Callable[..., "Shown"]
"""`play(calibration, names, quick, told=...)`: everything that came of it."""


def _play(calibration: Calibration, names: Sequence[str], quick: bool, **options: Any) -> Shown:
    """Play for real."""
    from chatsim.runner.validate import FULL, QUICK, validate

    return validate(calibration, names, QUICK if quick else FULL, **options)


def add(app: typer.Typer, play: Play = _play) -> None:
    """Hang the command into the application; `play` is what it calls."""

    @app.command()
    def validate(
        out: Annotated[
            Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where the reports go: results, if of all.")
        ] = None,
        costs: Annotated[
            Path, typer.Option(metavar="FILE", help="What `calibrate --journal` wrote on this machine.")
        ] = COSTS,
        pairs: Annotated[
            list[str] | None, typer.Option("--pairs", metavar="NAME", help="Only these; may be said again.")
        ] = None,
        quick: Annotated[bool, typer.Option("--quick", help="Fewer runs of each, and less sure.")] = False,
    ) -> None:
        """Play scenarios live and in simulation with the same arrivals, and judge whether they agree."""
        from chatsim.store.calibration import read

        names = [name for given in pairs or [] for name in given.split(",") if name]
        if pairs and not names:
            raise UsageError("--pairs names nobody: say a pair, or leave it out to play all")
        if out is None and names:
            raise UsageError(f"{OUT} is for a validation of all pairs: say with -o where one of {names[0]} goes")
        out = out or OUT
        check_folder(out, "-o")
        calibration = read(costs)
        if not calibration.journal:
            raise UsageError(
                f"{costs} was measured on servers that write no journal, as those of live runs do: calibrate --journal"
            )
        shown = play(calibration, names, quick, told=_told)
        _write(out, shown)
        _show(shown)
        emit(f"written to {out / 'validation.html'} and {out / 'validation.csv'}")
        raise typer.Exit(code_of(shown))


def code_of(shown: Shown) -> int:
    """130 where it was interrupted, 0 where the reach is met, 2 where that is up to a pair that could not be judged,
    else 1."""
    return INTERRUPTED if shown.interrupted else CODES[shown.verdict]


def _told(line: str) -> None:
    say(f"chatsim: {line}")


def _write(out: Path, shown: Shown) -> None:
    from chatsim.analysis.report.validated import page, table
    from chatsim.analysis.tables import write_table

    write_table(table(shown.pairs), out / "validation.csv")
    try:
        (out / "validation.html").write_text(page(shown), encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"cannot write {out / 'validation.html'} ({problem.strerror}): name another -o") from problem


def _show(shown: Shown) -> None:
    """The numbers, and the sentence."""
    from chatsim.analysis.report.validated import sentence

    rows = []
    for pair in shown.pairs:
        for test in pair.tests:
            factor = 100.0 if test.metric == "utilisation" else 1000.0
            values = (f"{value * factor:.3g}" for value in (test.live, test.simulated))
            ratios = (f"{value:.3f}" for value in (test.ratio, test.low, test.high, test.noise))
            rows.append((pair.name, test.metric, *values, *ratios, "pass" if test.equivalent else "fail"))
        for name, (was, now) in pair.counts.items():
            rows.append((pair.name, name, f"{was}", f"{now}", "", "", "", "", "fail"))
    emit_columns(_COLUMNS, rows, right=_COLUMNS[2:8])
    for name, turned in shown.controls.items():
        emit(f"control: {name}: {'caught' if turned else 'missed'}")
    for name, why in shown.unjudged.items():
        emit(f"not judged: {name}: {why}")
    for name, why in shown.broken.items():
        emit(f"broken: {name}: {why}")
    emit(sentence(shown))
