"""The command `requirements`: what was required, which scenarios carry it, and what came of them on each wire.

Decides what is played and where the page goes. Rule: nothing that was not judged counts as shown, and a gap is a
failure with a sentence. The page of all scenarios on all wires has a place of its own, and what is only a part of
that is never written there by itself. What is a gap stands in `chatsim.findings.matrix`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chatsim.cli import options
from chatsim.cli.doors import Doors
from chatsim.cli.execute import BROKEN, FAILED, PASSED, USAGE, Outcome, distinct, loaded
from chatsim.cli.output import emit, emit_columns, emit_document, emit_groups, say
from chatsim.cli.places import check_file
from chatsim.cli.running import Attempts, play
from chatsim.errors import ChatsimError, HarnessError, UsageError
from chatsim.scenario.paths import is_folder

if TYPE_CHECKING:
    from chatsim.findings.finding import Finding, Play

PLACE: Final = Path("results/requirements.md")
"""Where the page goes when every shipped scenario is played on every wire."""

ALL: Final = "sim,virtual,live"

_CODES: Final = {"pass": PASSED, "fail": FAILED, "error": BROKEN}


def add(app: typer.Typer, doors: Doors) -> None:
    """Hang the command into the application."""

    @app.command()
    def requirements(
        paths: Annotated[
            list[Path] | None, typer.Argument(metavar="PATH", help="Files and folders; the shipped scenarios.")
        ] = None,
        on: options.Wires = ALL,
        kept: Annotated[
            Path | None, typer.Option("--from", metavar="RUNS", help="Play nothing: read what `run` and `check` left.")
        ] = None,
        seed: options.Seed = None,
        attempts: Attempts = 1,
        runs: Annotated[
            Path | None, typer.Option("--runs", metavar="DIR", help="Where runs go, instead of results/runs.")
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option(
                "--out",
                "-o",
                metavar="FILE",
                help=f"Write all evidence as Markdown; {PLACE} where all is played: without PATH, --on and --from.",
            ),
        ] = None,
        json: options.Json = False,
    ) -> None:
        """Show which scenarios prove which requirement on which wire; what nothing proves is a failure."""
        wires = options.wires(on)
        is_whole = not paths and kept is None and set(wires) == set(options.wires(ALL))
        place = PLACE if out is None and is_whole else out
        if place is not None:
            check_file(place, "--out")
        scenarios = distinct(loaded(doors.load(paths or [])), "the matrix")
        from chatsim.findings.finding import Play
        from chatsim.findings.matrix import matrix

        plays = [Play(scenario=_any(each), wire=wire, seed=seed) for wire in wires for each in scenarios]
        if kept is None:
            pairs = [(each, wire) for wire in wires for each in scenarios]
            outcomes = play(doors, pairs, seed, runs, attempts)
            found = [finding for each in zip(plays, outcomes, strict=True) for finding in _played(*each)]
        else:
            if not is_folder(kept):
                raise UsageError(f"{kept} is no folder: name the one that runs were written to, such as results/runs")
            found = [finding for each in plays for finding in _kept(each, kept)]
        made = matrix([_any(each) for each in scenarios], wires, found)
        if place is not None:
            from chatsim.findings.requirements_page import markdown

            _write(place, markdown(made))
        if json:
            emit_document(made.to_dict())
        else:
            from chatsim.findings.requirements_page import evidence, rows

            emit_groups(list(evidence(made)), right=(3,))
            emit("")
            emit_columns(("requirement", "what it is", "scenarios", *wires, "verdict"), rows(made))
            if place is not None:
                emit(f"\nwritten to {place}")
        for gap in made.gaps:
            say(f"chatsim: gap: {' '.join(gap.split())}")
        raise typer.Exit(_CODES[made.verdict])


def _any(scenario: Any) -> Any:
    """A scenario with all that there is to know of it: commands ask for no more than its name."""
    return scenario


def _played(play: Play, outcome: Outcome) -> list[Finding]:
    if outcome.result is not None:
        return play.judged(outcome.result)
    # What a wire cannot play is no failure of the scenario; whether another one shows it, the matrix looks at.
    return play.unjudged(outcome.why, verdict="skipped" if outcome.code == USAGE else "error")


def _kept(play: Play, runs: Path) -> list[Finding]:
    """What the newest run of it says that was left there; one of another version, of another seed or on another wire is
    none of it, nor are many that were judged together."""
    from chatsim.analysis.kept import label, read_result
    from chatsim.scenario.versions import differing
    from chatsim.store.document import plain

    seed = play.scenario.seed if play.seed is None else play.seed
    now = plain(play.scenario.with_seed(seed).words)
    why = ""
    for folder in _folders(play, runs):
        try:
            kept = label(folder)
            if kept.wire != play.wire:
                # The address of somebody else's server may read like the name of a wire.
                continue
            if kept.replications:
                why = why or f"{kept.replications} runs of it were judged together, and no single one was kept: play it"
                continue
            changed = differing(kept.words, now, live=play.wire == "live")
            if not changed:
                return play.judged(read_result(folder))
        except ChatsimError as problem:
            # It is newer than what is behind it, and nobody knows what it would say.
            return play.unjudged(f"{problem}")
        why = why or f"the run that was kept is of another version of it ({', '.join(changed)} differ): play it again"
    return play.unjudged(why, verdict="skipped") if why else []


def _folders(play: Play, runs: Path) -> list[Path]:
    """The folders that may be of its runs, the newest first."""
    from chatsim.store.folder import safe_name

    found = runs.glob(f"{safe_name(play.scenario.name)}/[0-9]*-{play.wire}-*")
    # The second of a second, and the tenth, are behind the first.
    return sorted(found, key=lambda path: (path.name.partition("-")[0], len(path.name), path.name), reverse=True)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise HarnessError(f"cannot write {path} ({problem.strerror}): name another file with --out") from problem
