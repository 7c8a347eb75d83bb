"""The commands `baseline save` and `baseline compare`: what runs came to once, and whether they still do.

Decides what is refused, what is printed and with which code it ends. Rule: nothing is compared in silence with what it
is not the same as: a scenario that was changed since, was never saved, or has gone from its folder is refused with its
cure before anything is played. Comparing is the analysis', playing the runner's affair.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chatsim.cli import options
from chatsim.cli.doors import Doors
from chatsim.cli.execute import CODES, broken_text, distinct, loaded
from chatsim.cli.findings import Csv, Html, JsonFile, Junit, Reports
from chatsim.cli.helping import App
from chatsim.cli.output import emit, emit_columns, emit_document, say
from chatsim.cli.places import check_file
from chatsim.cli.repeating import violations
from chatsim.cli.running import Attempts
from chatsim.cli.version import __version__
from chatsim.errors import HarnessError, UsageError
from chatsim.scenario.paths import is_folder
from chatsim.store.baseline import PLACE, Baseline, Entry, file_from, read, write

if TYPE_CHECKING:
    from chatsim.analysis.baseline import Compared
    from chatsim.findings.finding import Finding, Play
    from chatsim.scenario.conditions import Condition
    from chatsim.verdict.invariants.catalogue import Violation

_COLUMNS: Final = ("scenario", "wire", "compared", "saved", "observed", "limit", "verdict")
_ROWS_MAX: Final = 20
_WHOSE: Final = "a baseline"
"""Differences of one scenario that the table shows; the JSON document has them all."""

Paths = Annotated[list[Path], typer.Argument(metavar="PATH", help="Scenario files and folders of them.")]
Repeat = Annotated[
    int | None,
    typer.Option("--repeat", min=1, metavar="N", help="How often to play each on live; as many as it takes."),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option("--fail-if", metavar="CONDITION", help="Such as 'p95(delivery_latency) > +10%'; may be repeated."),
]


def add(app: typer.Typer, doors: Doors) -> None:
    """Hang the commands into the application."""
    baseline = App(help="Save what runs came to, and compare later runs with it.", rich_markup_mode=None)
    app.add_typer(baseline, name="baseline")

    @baseline.command()
    def save(
        paths: Paths,
        on: options.Wires = "sim",
        name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is called in reports.")] = "baseline",
        out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help=f"Instead of {PLACE}.")] = None,
        repeat: Repeat = None,
        attempts: Attempts = 1,
        seed: options.Seed = None,
    ) -> None:
        """Play scenarios, and save every number of them. What the file has of others is kept, unless it has gone."""
        wires = options.wires(on)
        _check_repeat(repeat, wires)
        place = PLACE if out is None else out
        check_file(place, "--out")
        before = read(place) if place.exists() else None
        scenarios = distinct(_seeded(loaded(doors.load(paths)), seed), _WHOSE)
        for scenario in scenarios:
            _enough(scenario, wires, repeat, 1)
        from msgspec.structs import replace

        from chatsim.runner.baseline import check_sound

        entries = []
        for scenario in scenarios:
            for wire in wires:
                n = _repetitions(scenario, wire, repeat, None) if wire == "live" else 1
                entry, broken = _measured(scenario, wire, n, attempts)
                check_sound(entry, broken)
                entries.append(replace(entry, file=file_from(place, scenario.path)))
        vanished = _vanished(before, place, paths, scenarios, wires) if before is not None else []
        if vanished:
            gone = ", ".join(f"{each.scenario} ({each.wire})" for each in vanished)
            say(f"chatsim: no more in {name}, because it has gone: {gone}")
        made = _baseline(name, entries, before, without=vanished)
        write(place, made)
        runs = sum(len(entry.repetitions) for entry in entries)
        what = "one run" if runs == 1 else f"{runs} runs"
        emit(f"saved {what} as {name} in {place}")

    @baseline.command()
    def compare(
        paths: Paths,
        on: options.Wires = "sim",
        against: Annotated[
            Path, typer.Option("--against", metavar="FILE", help="The baseline that was saved.")
        ] = PLACE,
        fail_if: FailIf = None,
        repeat: Repeat = None,
        attempts: Attempts = 1,
        seed: options.Seed = None,
        json: options.Json = False,
        junit: Junit = None,
        json_file: JsonFile = None,
        csv: Csv = None,
        html: Html = None,
    ) -> None:
        """Play scenarios again, and compare them with what was saved. In virtual time they are to be equal, on live no
        worse, or each as --fail-if says."""
        from chatsim.scenario.conditions import parse_condition

        # Within the reports, so that whatever is refused is said in them too.
        with Reports([*paths, against], junit=junit, json_file=json_file, csv=csv, html=html) as reports:
            wires = options.wires(on)
            _check_repeat(repeat, wires)
            conditions = [parse_condition(text) for text in fail_if or []]
            saved = read(against)
            found = doors.load(paths, reports.noticed)
            words = _again(against, fail_if or [], repeat, attempts)
            given = reports.loaded(found, wires, seed, options=words, command=("baseline", "compare"))
            scenarios = distinct(_seeded(given, seed), _WHOSE)
            vanished = _vanished(saved, against, paths, scenarios, wires)
            _check_saved(scenarios, wires, saved, conditions, repeat, [_no_more(each, against) for each in vanished])
            if any(wire == "live" for wire in wires):
                _tell_machine(saved)
            done = _compared(scenarios, wires, saved, conditions, repeat, attempts, reports)
            # What stood in a folder has been refused; what stood elsewhere, or nobody knows where, is not to be missed.
            # Who names files has chosen.
            chosen = bool(paths) and not any(map(is_folder, paths))
            gone = [] if chosen else _gone(saved, scenarios, wires)
            reports.left_out([_missed(each, against) for each in gone])
            verdict = reports.verdict
        _tell_rest(saved, scenarios, wires, told=gone)
        from chatsim.analysis.baseline import EQUAL

        if json:
            emit_document(
                {
                    "baseline": saved.name,
                    "verdict": verdict,
                    "runs": [each.document() for each in done],
                    "not_compared": [{"scenario": each.scenario, "wire": each.wire} for each in gone],
                }
            )
        else:
            rows = [row for each in done for row in each.rows()]
            rows += [
                (each.scenario, each.wire, EQUAL, "", "not compared: it is not there", "", "skipped") for each in gone
            ]
            emit_columns(_COLUMNS, rows, right=_COLUMNS[3:6])
            emit(f"\ncompared with {saved.name} of chatsim {saved.chatsim}")
        raise typer.Exit(CODES[verdict])


class Done:
    """One scenario on one wire, compared."""

    def __init__(
        self,
        scenario: Any,
        wire: str,
        saved: Entry,
        now: Entry,
        conditions: Sequence[Condition],
        broken: Sequence[tuple[int, Violation]] = (),
    ) -> None:
        """`broken` are the invariants that did not hold `now`, with the seeds of their runs."""
        from chatsim.analysis import baseline as compare

        self.broken = broken
        self.scenario, self.wire, self.seed = scenario.name, wire, now.seed
        before = [each.values() for each in saved.repetitions[: len(now.repetitions)]]
        after = [each.values() for each in now.repetitions]
        traces = saved.repetitions[0].trace_hash, now.repetitions[0].trace_hash
        self.differences = compare.differences(before[0], after[0], *traces) if wire != "live" else []
        subjects: Sequence[Any] = conditions or (_promised(scenario) if wire == "live" else [])
        if wire == "live":
            of = compare.over_pairs if conditions else compare.promised
            self.found = [of(each, before, after, len(subjects)) for each in subjects]
        elif conditions:
            self.found = [compare.exactly(each, before[0], after[0]) for each in conditions]
        else:
            self.found = [compare.equal(before[0], after[0], *traces)]
        self._about = [{_number(each)} for each in subjects] or [{each.name for each in self.differences}]

    @property
    def verdict(self) -> str:
        return "fail" if self.broken else _worst(each.verdict for each in self.found)

    def document(self) -> dict[str, Any]:
        """As `--json` shows it: what was compared, and every number that differs."""
        from msgspec import to_builtins

        return {
            "scenario": self.scenario,
            "wire": self.wire,
            "seed": self.seed,
            "verdict": self.verdict,
            "violations": violations(self.broken),
            "compared": [to_builtins(each) for each in self.found],
            "differences": [to_builtins(each) for each in self.differences],
        }

    def rows(self) -> Iterator[Sequence[str]]:
        """Its lines in the table: what was compared, then the first numbers that differ."""
        from chatsim.analysis.baseline import EQUAL

        for each in self.found:
            shown = each.shown if each.text != EQUAL else ("", f"{each.observed:.0f} of {each.limit:.0f} equal", "")
            is_plain = each.text == EQUAL or (each.n == 1 and isfinite(each.saved))
            more = "" if is_plain else f" ({each.why})"
            yield self.scenario, self.wire, each.text, *shown, each.verdict + more
        for seed, broken in self.broken:
            yield self.scenario, self.wire, f"{broken_text(broken)} (seed {seed})", "", "", "", "fail"
        for other in self.differences[:_ROWS_MAX]:
            yield self.scenario, self.wire, other.name, *other.shown, "", "differs"
        if len(self.differences) > _ROWS_MAX:
            more = f"and {len(self.differences) - _ROWS_MAX} more differ (--json has them all)"
            yield self.scenario, self.wire, more, "", "", "", ""

    def findings(self, play: Play, *, took_s: float) -> list[Finding]:
        """What came of each comparison, as reports tell it."""
        found = [
            _finding(play, each, _line(play, about), self.seed, took_s)
            for each, about in zip(self.found, self._about, strict=True)
        ]
        return [*found, *play.broken(self.broken, took_s)]


class Undone:
    """One scenario on one wire that there is nothing to say about, with the reason."""

    verdict = "invalid"

    def __init__(self, scenario: Any, wire: str, why: str) -> None:
        self.scenario, self.wire, self.seed, self.why = scenario.name, wire, scenario.seed, why

    def document(self) -> dict[str, Any]:
        """As `--json` shows it."""
        head = {"scenario": self.scenario, "wire": self.wire, "seed": self.seed}
        return head | {"verdict": self.verdict, "why": self.why, "violations": [], "compared": [], "differences": []}

    def rows(self) -> Iterator[Sequence[str]]:
        """Its line in the table."""
        yield self.scenario, self.wire, self.why, "", "", "", self.verdict

    def findings(self, play: Play, *, took_s: float) -> list[Finding]:
        """An error for each promise, as reports tell it."""
        return play.unjudged(self.why, took_s)


def _again(against: Path, conditions: Sequence[str], repeat: int | None, attempts: int) -> list[str]:
    """The words of a command that compares again as this one does."""
    words = [] if against == PLACE else ["--against", f"{against}"]
    words += [word for text in conditions for word in ("--fail-if", text)]
    words += [] if repeat is None else ["--repeat", f"{repeat}"]
    return words + ([] if attempts == 1 else ["--attempts", f"{attempts}"])


def _compared(
    scenarios: Sequence[Any],
    wires: Sequence[options.OwnWire],
    saved: Baseline,
    conditions: Sequence[Condition],
    repeat: int | None,
    attempts: int,
    reports: Reports,
) -> list[Done | Undone]:
    done: list[Done | Undone] = []
    # In the order in which the reports expect them.
    for wire in wires:
        for scenario in scenarios:
            started_at = time.monotonic()
            entry = saved.entry(scenario.name, wire)
            assert entry is not None
            n = _repetitions(scenario, wire, repeat, entry, conditions) if wire == "live" else 1
            made: Done | Undone
            try:
                now, broken = _measured(scenario, wire, n, attempts)
            except HarnessError as problem:
                # One that fails hides nothing of the others.
                made = Undone(scenario, wire, f"{problem}")
            else:
                made = Done(scenario, wire, entry, now, conditions, broken)
            done.append(made)
            took_s = time.monotonic() - started_at
            reports.told(partial(made.findings, took_s=took_s))
    return done


def _number(said: Any) -> str:
    """The name of the number that an expectation or a condition is about."""
    from chatsim.analysis.numbers import name_of

    return name_of(said.metric, said.aggregate, said.group)


def _line(play: Play, about: Collection[str]) -> int:
    """Where something is promised of one of these numbers; where of none, the line of the promises."""
    lines = (each.line for each in play.expect if _number(each) in about)
    return next(lines, play.scenario.line_of(("expect",)))


def _finding(play: Play, each: Compared, line: int, seed: int, took_s: float) -> Finding:
    from chatsim.findings.finding import Finding

    return Finding(
        scenario=play.scenario.name,
        wire=play.wire,
        expectation=each.text,
        verdict=each.verdict,
        file=play.source,
        line=line,
        seed=seed,
        observed=each.observed,
        limit=each.limit,
        unit=each.unit,
        n=each.n,
        low=each.low,
        high=each.high,
        replications=each.n if play.wire == "live" else 1,
        why=each.why,
        again=play.again,
        took_s=took_s,
    )


# What is refused, before anything is played.


def _check_repeat(repeat: int | None, wires: Sequence[options.OwnWire]) -> None:
    if repeat is not None and "live" not in wires:
        raise UsageError("--repeat is for live: in virtual time the same seed gives the same run, however often")


def _seeded(scenarios: Sequence[Any], seed: int | None) -> Sequence[Any]:
    return scenarios if seed is None else [scenario.with_seed(seed) for scenario in scenarios]


def _check_saved(
    scenarios: Sequence[Any],
    wires: Sequence[options.OwnWire],
    saved: Baseline,
    conditions: Sequence[Condition],
    repeat: int | None,
    vanished: Sequence[str],
) -> None:
    """Raise UsageError with everything that cannot be compared, what has `vanished` included."""
    wrong = [why for wire in wires for each in scenarios if (why := _unlike(each, wire, saved, conditions))]
    wrong += vanished
    if wrong:
        raise UsageError("\n".join(wrong))
    if "live" in wires:
        for scenario in scenarios:
            entry = saved.entry(scenario.name, "live")
            assert entry is not None
            _repetitions(scenario, "live", repeat, entry, conditions)


def _vanished(
    saved: Baseline, place: Path, paths: Sequence[Path], scenarios: Sequence[Any], wires: Sequence[options.OwnWire]
) -> list[Entry]:
    """What was saved on one of these wires of a file in one of these folders, and is in none of them any more."""
    folders = [path.resolve() for path in filter(is_folder, paths)]
    return [
        each
        for each in _gone(saved, scenarios, wires)
        if (stood := each.stood(place)) is not None and any(map(stood.is_relative_to, folders))
    ]


def _no_more(entry: Entry, against: Path) -> str:
    """The sentence of one that has vanished."""
    from chatsim.findings.finding import relative

    stood = entry.stood(against)
    assert stood is not None
    what = f"{entry.scenario} on {entry.wire} was saved of {relative(stood, Path.cwd())}, where it is no more"
    save = f"save the folder anew (chatsim baseline save --on {entry.wire}), which leaves it out"
    return f"{what}: put it back, or {save}"


def _unlike(scenario: Any, wire: options.OwnWire, saved: Baseline, conditions: Sequence[Condition]) -> str:
    from chatsim.analysis.baseline import name_in_words
    from chatsim.runner.baseline import changes

    entry = saved.entry(scenario.name, wire)
    save = f"save it (chatsim baseline save --on {wire})"
    if entry is None:
        return f"{scenario.name} on {wire} is not in the baseline {saved.name}: {save}"
    changed = changes(entry, scenario)
    if changed:
        return f"{scenario.name} on {wire} is not what was saved ({changed} changed): {save} anew"
    # What is promised is compared on live alone: in virtual time a number that is new is a difference.
    subjects: Sequence[Any] = conditions or (_promised(scenario) if wire == "live" else ())
    other = ", or name another" if conditions else ""
    for each in subjects:
        if any(_number(each) not in repetition.numbers for repetition in entry.repetitions):
            return f"{scenario.name} on {wire} was saved without {name_in_words(each)}: {save} anew{other}"
    return ""


def _enough(scenario: Any, wires: Sequence[options.OwnWire], repeat: int | None, comparisons: int) -> None:
    if "live" in wires and repeat is not None:
        from chatsim.analysis.baseline import check_repetitions

        check_repetitions(repeat, comparisons, f"{scenario.name}: --repeat")


def _repetitions(
    scenario: Any, wire: options.OwnWire, repeat: int | None, entry: Entry | None, conditions: Sequence[Condition] = ()
) -> int:
    """How many times to play it on live. Raises UsageError where that, or what was saved, is too few."""
    from chatsim.analysis.baseline import check_repetitions, repetitions_min

    comparisons = len(conditions or _promised(scenario))
    enough = repetitions_min(comparisons)
    if entry is None:
        return enough if repeat is None else repeat
    there = len(entry.repetitions)
    if repeat is not None and repeat > there:
        raise UsageError(
            f"{scenario.name}: --repeat {repeat}, but {there} repetitions were saved on {wire}, and each is compared "
            f"with its own: give at most {there}, or save more"
        )
    check_repetitions(there, comparisons, f"{scenario.name}: the repetitions that were saved are")
    if repeat is not None:
        check_repetitions(repeat, comparisons, f"{scenario.name}: --repeat")
    return there if repeat is None else repeat


def _promised(scenario: Any) -> list[Any]:
    """What is promised on live, each number once."""
    expect = scenario.with_live_overrides().expect
    return list({(each.metric, each.aggregate, each.group): each for each in expect}.values())


# Playing and telling.


def _measured(scenario: Any, wire: options.OwnWire, n: int, attempts: int) -> tuple[Entry, list[tuple[int, Violation]]]:
    from chatsim.runner.baseline import measured
    from chatsim.runner.progress import bar

    started_at = time.monotonic()
    with bar("repetitions") as told:
        found = measured(scenario, wire, n, attempts=attempts, progress=lambda done: told(done, n))
    times = f" {n} times" if n > 1 else ""
    say(f"played{times} {scenario.name} ({wire}) {time.monotonic() - started_at:.1f} s")
    return found


def _baseline(name: str, entries: list[Entry], before: Baseline | None, without: Collection[Entry]) -> Baseline:
    from chatsim.runner.baseline import versions

    made = {(each.scenario, each.wire) for each in entries}
    left_out = made | {(each.scenario, each.wire) for each in without}
    rest = [each for each in (before.entries if before else ()) if (each.scenario, each.wire) not in left_out]
    machine: dict[str, str | int] = {}
    if any(each.wire == "live" for each in entries):
        machine = _machine()
    elif before is not None:
        machine = before.machine
    every = sorted([*rest, *entries], key=lambda each: (each.scenario, each.wire))
    return Baseline(name=name, chatsim=__version__, versions=versions(), machine=machine, entries=every)


def _machine() -> dict[str, str | int]:
    from chatsim.live.calibration.meters import machine

    return machine()


def _tell_machine(saved: Baseline) -> None:
    now = _machine()
    others = [f"{name} {saved.machine.get(name)}" for name in ("cpu", "cores") if saved.machine.get(name) != now[name]]
    if others:
        say(f"chatsim: {saved.name} was saved on another machine ({', '.join(others)}): its times are not this one's")


def _gone(saved: Baseline, scenarios: Sequence[Any], wires: Sequence[options.OwnWire]) -> list[Entry]:
    """What was saved on one of these wires, and is no more among the scenarios."""
    names = {scenario.name for scenario in scenarios}
    return [each for each in saved.entries if each.scenario not in names and each.wire in wires]


def _missed(entry: Entry, against: Path) -> Finding:
    """That a scenario was not compared, as reports tell it."""
    from chatsim.analysis.baseline import EQUAL
    from chatsim.findings.finding import Finding, relative

    return Finding(
        scenario=entry.scenario,
        wire=entry.wire,
        expectation=EQUAL,
        verdict="skipped",
        file=relative(against, Path.cwd()),
        seed=entry.seed,
        why=f"{entry.scenario} is not there: name it too, or begin a new baseline without it",
        gone=True,
    )


def _tell_rest(
    saved: Baseline, scenarios: Sequence[Any], wires: Sequence[options.OwnWire], *, told: Sequence[Entry]
) -> None:
    from chatsim.runner.baseline import versions

    names = {scenario.name for scenario in scenarios}
    left = [
        f"{each.scenario} ({each.wire})"
        for each in saved.entries
        if each not in told and (each.scenario not in names or each.wire not in wires)
    ]
    if left:
        say(f"chatsim: not compared, though {saved.name} has it: {', '.join(left)}")
    now = versions()
    others = [f"{name} {was}" for name, was in saved.versions.items() if now.get(name) != was]
    others += [f"chatsim {saved.chatsim}"] if saved.chatsim != __version__ else []
    if others:
        say(f"chatsim: {saved.name} was saved with {', '.join(others)}: what differs may differ for that")


def _worst(verdicts: Iterable[str]) -> str:
    found = set(verdicts)
    return next(word for word in ("fail", "inconclusive", "pass") if word in found)
