"""The commands that look back at a run: `replay` and `timeline`.

Decides what is read of a run's folder, and where pictures go. Rule: the run itself is only read; what is made of it
goes beside it, or where it was told to. Whether a journal is whole is the journal's to say, what a picture shows
`timeline`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from chatsim.cli.execute import FAILED, PASSED
from chatsim.cli.output import emit, emit_document
from chatsim.errors import HarnessError, UsageError
from chatsim.journal.around import around

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or a journal.")]


def add(app: typer.Typer) -> None:
    """Hang the commands into the application."""

    @app.command()
    def replay(
        run: Run,
        json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
        arrivals: Annotated[
            bool, typer.Option("--arrivals", help="Play what came in a live run on the virtual clock, and count.")
        ] = False,
    ) -> None:
        """Feed a run's journal to a fresh handler, and name the first step that goes otherwise."""
        found = played_again(run) if arrivals else replayed(run)
        if json:
            emit_document(found)
        else:
            for journal in found["journals"]:
                emit(_counted(journal) if arrivals else _told(journal))
        raise typer.Exit(PASSED if found["verdict"] == "pass" else FAILED)

    @app.command()
    def timeline(
        run: Run,
        start: Annotated[str | None, typer.Option("--from", metavar="T", help="From this moment on, as 90s.")] = None,
        end: Annotated[str | None, typer.Option("--to", metavar="T", help="Up to this moment, as 2min.")] = None,
        users: Annotated[list[str] | None, typer.Option("--user", metavar="U", help="Only these users.")] = None,
        session: Annotated[str, typer.Option("--session", metavar="S", help="Only this session.")] = "",
        rows: Annotated[int, typer.Option("--rows", metavar="N", min=1, max=5000, help="At most so many rows.")] = 80,
        out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where they go, not the run's.")] = None,
    ) -> None:
        """Draw a run: timeline.svg, a sequence chart, and timeline.json, a trace for ui.perfetto.dev."""
        for path in drawn(run, _moment("--from", start), _moment("--to", end), users or [], session, rows, out):
            emit(f"written to {path}")


def replayed(run: Path) -> dict[str, Any]:
    """Every journal of the run, replayed, as `--json` shows it.

    Raises UsageError where there is none, HarnessError where one is damaged.
    """
    from chatsim.journal.lives import journals
    from chatsim.journal.replay import replay_whole

    paths = journals(run)
    found = [(path, replay_whole(path, followed=path != paths[-1])) for path in paths]
    return {
        "run": run,
        "verdict": "pass" if all(one.difference is None for _, one in found) else "fail",
        "journals": [
            {
                "journal": path,
                "steps": one.steps,
                "closed": one.closed,
                "difference": None
                if (difference := one.difference) is None
                else {
                    "step": difference.step,
                    "at_s": difference.at,
                    "door": difference.door,
                    "expected": difference.expected,
                    "came": difference.got,
                },
            }
            for path, one in found
        ],
    }


def played_again(run: Path) -> dict[str, Any]:
    """What arrived in every journal of the run, played again on the virtual clock, as `--json` shows it.

    Raises UsageError where there is none, or it is none of a live run, HarnessError where one is damaged.
    """
    from chatsim.journal.lives import journals
    from chatsim.virtual.arrivals import play_again

    found = [(path, play_again(path)) for path in journals(run)]
    return {
        "run": run,
        "verdict": "fail" if any(again.differences for _, again in found) else "pass",
        "journals": [
            {"journal": path, "arrivals": again.arrivals, "then": again.then, "again": again.now}
            for path, again in found
        ],
    }


def _counted(journal: dict[str, Any]) -> str:
    """What came of playing one journal's arrivals again: a line, and one for each count that is otherwise."""
    then, again = journal["then"], journal["again"]
    head = f"{journal['journal']}: {journal['arrivals']} arrivals, "
    odd = [name for name in sorted(then.keys() | again.keys()) if then.get(name, 0) != again.get(name, 0)]
    if not odd:
        return f"{head}counted alike: " + ", ".join(f"{count} {name}" for name, count in then.items())
    return "\n".join([f"{head}counted otherwise", *(f"  {n}: {then.get(n, 0)}, now {again.get(n, 0)}" for n in odd)])


def drawn(
    run: Path,
    start: float | None,
    end: float | None,
    users: list[str],
    session: str,
    rows_max: int,
    out: Path | None,
) -> tuple[Path, Path]:
    """Draw the chart and the trace of a run (moments in seconds), and say where they are.

    Raises UsageError where the range is wrong or there is no run, HarnessError where its journal is damaged.
    """
    from chatsim.journal.lives import journals, steps
    from chatsim.timeline.choice import Range
    from chatsim.timeline.sequence import draw
    from chatsim.timeline.story import Story
    from chatsim.timeline.trace import write

    paths = journals(run)
    asked = Range(start, end, tuple(users), session)
    asked.check_order()
    folder = run if run.is_dir() else run.parent
    title, marks = _document(folder)
    story = Story(steps(paths), marks)
    chart, trace = draw(story, asked, title, rows_max=rows_max), write(story, asked, title)
    to = folder if out is None else out
    svg, json = to / "timeline.svg", to / "timeline.json"
    try:
        to.mkdir(parents=True, exist_ok=True)
        svg.write_text(chart, encoding="utf-8")
        json.write_bytes(trace)
    except OSError as problem:
        raise UsageError(f"cannot write to {to} ({problem.strerror}): name another folder with --out") from problem
    return svg, json


class _Event(msgspec.Struct):
    do: str
    at_s: float
    users: int


class _Document(msgspec.Struct):
    """What is needed of `run.json`."""

    scenario: str
    wire: str
    seed: int
    verdict: str
    events: list[_Event] = []


def _document(folder: Path) -> tuple[str, list[Any]]:
    """The title of a run, and what its scenario did when; a journal that stands alone has neither."""
    from chatsim.timeline.story import Mark

    path = folder / "run.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Document)
    except FileNotFoundError:
        return folder.name, []
    except (OSError, msgspec.DecodeError) as problem:
        raise HarnessError(f"{path} cannot be read ({problem}): copy it again, or name the journal alone") from problem
    title = f"{found.scenario} on {found.wire}, seed {found.seed}: {found.verdict}"
    if found.wire == "live":
        # There the moments of events are those of the crowd's clock, which the journal does not know.
        return title, []
    return title, [Mark(event.at_s, _done(event)) for event in found.events]


def _done(event: _Event) -> str:
    """What the scenario did; only what is done to people says to how many."""
    from chatsim.scenario.events import EVENTS, VictimEvent

    if not issubclass(EVENTS.get(event.do, object), VictimEvent):
        return event.do
    return f"{event.do}: {'1 person' if event.users == 1 else f'{event.users} people'}"


def _moment(flag: str, text: str | None) -> float | None:
    """The seconds of a moment such as 90s."""
    from chatsim.scenario.units import duration

    if text is None:
        return None
    try:
        return duration(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from error


def _told(journal: dict[str, Any]) -> str:
    """What became of one journal, for people."""
    name, steps, found = journal["journal"], journal["steps"], journal["difference"]
    if found is None:
        end = "" if journal["closed"] else "; it was not closed: its server was killed, or is still there"
        return f"{name}: {steps:,} steps, all equal{end}"
    expected, came = found["expected"], found["came"]
    return "\n".join(
        (
            f"{name}: step {found['step']:,} (line {found['step'] + 1:,}), at {found['at_s']:.6f} s, through the door "
            f"{found['door']}, goes otherwise",
            f"  expected  {around(expected, came)}",
            f"  came      {around(came, expected)}",
        )
    )
