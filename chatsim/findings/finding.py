"""What was found of each expectation: the one object that every report for machines and for pytest is written from.

Decides what a finding says of itself, and in which order the worst comes. Rule: one finding for each expectation of
each scenario on each wire, one for each invariant that did not hold there, and one for each fault of a file that could
not be read; what was not judged is an error with its reason, never silently absent. Judging is the verdict's; how a
report looks stands in the modules beside it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import inf, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from chatsim.scenario.changes import set_options
from chatsim.scenario.units import about, beside, limited, spread
from chatsim.verdict.again import as_word
from chatsim.verdict.result import Broken, Ruling, Shown
from chatsim.verdict.wires import FLOW, again_words

if TYPE_CHECKING:
    from chatsim.scenario.expectations import Expectation
    from chatsim.scenario.model import Scenario

Verdict: TypeAlias = Literal["pass", "fail", "inconclusive", "error", "skipped"]

VERDICTS: Final[tuple[Verdict, ...]] = ("fail", "error", "inconclusive", "skipped", "pass")
"""All of them, the worst first: nothing hides a broken promise, not even what could not be judged beside it."""

BAD: Final = frozenset({"error", "fail", "inconclusive"})
"""What is no success."""

VIRTUAL: Final = frozenset({"sim", FLOW, "virtual"})
"""Wires that play a scenario as it is, without its `live:` overrides."""

INVARIANT: Final = "invariant"
"""What the name of an invariant has before it where a promise is named: no expectation begins so."""

_UNJUDGED: Final = "it was not judged"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation on one wire, an invariant that did not hold there (`expectation` is then `invariant NAME`), or
    one fault of a file (`expectation` is then empty, and so is `wire`).

    `observed`, `limit` and the bounds `low` and `high` are in `unit` ("s", "share", or "" for a count), nan where there
    is none; with replications `observed` is their mean and `n` counts them, else `n` counts samples. `file`, `line` and
    `column` say where it is written, 0 where that is not known. `again` is the command that plays it once more,
    `took_s` how long the whole run took (s on the wall). `gone`: there is nothing left that could be judged, which
    people are told and which makes nothing else of it better or worse.
    """

    scenario: str
    wire: str
    expectation: str
    verdict: Verdict
    file: str = ""
    line: int = 0
    column: int = 0
    seed: int | None = None
    observed: float = nan
    limit: float = nan
    unit: str = ""
    n: int = 0
    low: float = nan
    high: float = nan
    replications: int = 1
    why: str = ""
    again: str = ""
    took_s: float = 0.0
    gone: bool = False

    @property
    def in_words(self) -> bool:
        """Whether `why` says all of it, and no number does: it was not judged, or it is about none."""
        return self.verdict in ("error", "skipped") or isnan(self.limit)

    @property
    def is_invariant(self) -> bool:
        """Whether it is about what must hold in every run, whatever the scenario says."""
        return self.expectation.startswith(f"{INVARIANT} ")

    @property
    def told(self) -> str:
        """What was seen, in a few words: a number, or why."""
        return self.why if self.in_words else f"observed {self.shown[0]}"

    @property
    def shown(self) -> tuple[str, str, str]:
        """What was observed, or the mean with its bounds, the limit, and of how many, as people read them beside each
        other."""
        limit = limited(self.limit, self.unit, self.observed)
        if self.replications == 1:
            return beside(self.observed, self.limit, self.unit), limit, f"{self.n}"
        mean, low, high = spread(self.observed, self.low, self.high, self.limit, self.unit)
        bounds = "" if low == mean == high else f" ({low} .. {high})"
        return f"{mean}{bounds}", limit, f"{self.n} replications"

    @property
    def where(self) -> str:
        """`file:line:column`, as far as it is known."""
        places = [self.file or self.scenario, *(f"{number}" for number in (self.line, self.column) if number)]
        return ":".join(places)

    @property
    def sentence(self) -> str:
        """All of it in one line, with where it stands and how to see it again."""
        told = [self.expectation] if self.expectation else []
        if self.verdict in ("error", "skipped"):
            told.append(f"{self.verdict}: {self.why or _UNJUDGED}" if self.expectation else self.why or _UNJUDGED)
        elif self.in_words:
            told.append(f"{self._mark}{self.why}, seed {self.seed}, on {self.wire}")
        else:
            _, limit, n = self.shown
            more = f", {self.why}" if self.why else ""
            told.append(f"{self._mark}{self._seen}, limit {limit}, n {n}, seed {self.seed}, on {self.wire}{more}")
        again = f"; again: {self.again}" if self.again else ""
        return _one_line(f"{self.where}: {': '.join(told)}{again}")

    @property
    def _mark(self) -> str:
        return "inconclusive: " if self.verdict == "inconclusive" else ""

    @property
    def _seen(self) -> str:
        if isnan(self.observed):
            return "no sample"
        if self.replications == 1:
            return self.told
        mean, low, high = spread(self.observed, self.low, self.high, self.limit, self.unit)
        return f"observed {mean} in the mean, between {low} and {high}"


class Findings:
    """All of them, in the order in which they were found."""

    def __init__(self, found: Iterable[Finding] = ()) -> None:
        self.found = tuple(found)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many there are of each verdict, the worst first."""
        return {verdict: sum(finding.verdict == verdict for finding in self.found) for verdict in VERDICTS}

    @property
    def verdict(self) -> str:
        """The one word for all: `fail` where a promise is broken, else `invalid` where there is an error or nothing was
        judged, of all or of a run, else the worst of them; what has gone is left out of account."""
        counts = self.counts
        unjudged = any(_unjudged(found) for _, found in self.runs())
        if counts["fail"]:
            return "fail"
        if counts["error"] or unjudged or all(finding.gone for finding in self.found):
            return "invalid"
        return next(verdict for verdict in VERDICTS if counts[verdict] and verdict != "skipped")

    @property
    def bad(self) -> list[Finding]:
        """Those that are no success, as they were found; what was skipped is one where nothing else came of its run."""
        bad = []
        for _, found in self.runs():
            unjudged = _unjudged(found)
            bad += [finding for finding in found if unjudged or finding.verdict in BAD]
        return bad

    @property
    def told(self) -> list[Finding]:
        """Those that people are told of one by one, what has gone last: the reason why a run was not judged is told
        once."""
        told: dict[tuple[object, ...], Finding] = {}
        for place, finding in enumerate([*self.bad, *(finding for finding in self.found if finding.gone)]):
            shared = finding.verdict in ("error", "skipped") and finding.expectation
            key = (finding.file, finding.scenario, finding.wire, finding.why) if shared else (place,)
            told.setdefault(key, finding)
        return list(told.values())

    @property
    def worst_first(self) -> list[Finding]:
        """All of them, what is bad before what is good, and as they were found where they are equally bad."""
        return sorted(self.found, key=lambda finding: VERDICTS.index(finding.verdict))

    def runs(self) -> Iterator[tuple[tuple[str, str], list[Finding]]]:
        """Those of one run together: the name (of the file, where it could not be read) and the wire, and what was
        found."""
        for key, found in groupby(self.found, key=lambda finding: (finding.scenario, finding.wire, finding.file)):
            yield key[:2], list(found)

    def to_dict(self) -> dict[str, Any]:
        """All of it for a JSON document; how long it took is left out, so that the same finding is the same text."""
        return {"verdict": self.verdict, "counts": self.counts, "findings": [to_dict(each) for each in self.found]}


def _unjudged(found: Sequence[Finding]) -> bool:
    """Whether all that there is of a run was skipped, though it is there."""
    return all(finding.verdict == "skipped" and not finding.gone for finding in found)


FIELDS: Final = tuple(name for name in Finding.__struct_fields__ if name not in ("took_s", "gone"))
"""What is told of a finding in JSON and CSV, in this order."""


def to_dict(finding: Finding) -> dict[str, Any]:
    """One finding by `FIELDS`."""
    return {name: getattr(finding, name) for name in FIELDS}


# Where they come from.


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario on one wire, as it was asked for: `seed` None is the scenario's own, `replications` what was asked
    (None: a single run), `file` how its file is called to people, `command` the words of the command where it is
    neither `run` nor `replicate`, and `options` further words of its line."""

    scenario: Scenario
    wire: str
    seed: int | None = None
    replications: int | Literal["auto"] | None = None
    file: str = ""
    command: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def expect(self) -> tuple[Expectation, ...]:
        """What is promised on this wire; each knows the line where it is written."""
        scenario = self.scenario if self.wire in VIRTUAL else self.scenario.with_live_overrides()
        return scenario.expect

    @property
    def source(self) -> str:
        """Its file as people call it; nothing where it has none."""
        return self.file or ("" if self.scenario.path is None else f"{self.scenario.path}")

    @property
    def again(self) -> str:
        """The command that plays it once more."""
        command = self.command or (("run",) if self.replications is None else ("replicate",))
        words = ["chatsim", *command, as_word(self.source or self.scenario.name)]
        words += [] if self.replications is None else ["-n", f"{self.replications}"]
        words += [*again_words(self.wire), *self.options, *set_options(self.scenario.changes or {})]
        return shlex.join([*words, "--seed", f"{self._seed}"])

    def judged(self, result: Shown, took_s: float = 0.0) -> list[Finding]:
        """What a single run found; one that is not valid proves nothing about what is expected, so that all of that is
        in error. What must hold and did not comes last."""
        broken = self.broken([(self._seed, each) for each in result.violations], took_s)
        if not result.valid:
            return [*self.unjudged(result.why_invalid or "the run is not valid", took_s), *broken]
        found = [
            self._finding(
                expectation,
                took_s,
                verdict=judged.verdict,
                observed=judged.observed,
                limit=judged.limit,
                unit=judged.unit,
                n=judged.n,
                why=judged.why,
            )
            for expectation, judged in zip(self.expect, result.expectations, strict=True)
        ]
        return [*found, *broken]

    def broken(self, violations: Iterable[tuple[int, Broken]], took_s: float = 0.0) -> list[Finding]:
        """The invariants that did not hold, each with the seed of the run in which that was first seen, and the command
        that plays that one run once more. They stand where the scenario has its name."""
        line = self.scenario.line_of(("name",))
        return [
            Finding(
                scenario=self.scenario.name,
                wire=self.wire,
                expectation=f"{INVARIANT} {each.name}",
                verdict="fail",
                file=self.source,
                line=line,
                seed=seed,
                why=f"does not hold at {each.at:g} s: {each.sentence} {each.detail}".rstrip("."),
                again=self._single(seed).again,
                took_s=took_s,
            )
            for seed, each in violations
        ]

    def held(self, found: Sequence[Finding]) -> Finding:
        """All invariants as one finding, out of everything that was found of the run: they hold where none did not,
        unless the run was not judged at all."""
        broken = [finding for finding in found if finding.is_invariant]
        if broken:
            why = "; ".join(f"{finding.expectation} {finding.why}" for finding in broken)
            return msgspec.structs.replace(broken[0], expectation=f"{INVARIANT}s", why=why)
        first = found[0]
        unjudged = all(finding.verdict in ("error", "skipped") for finding in found)
        return Finding(
            scenario=self.scenario.name,
            wire=self.wire,
            expectation=f"{INVARIANT}s",
            verdict=first.verdict if unjudged else "pass",
            file=self.source,
            line=self.scenario.line_of(("name",)),
            seed=self._seed,
            replications=first.replications,
            why=first.why if unjudged else "all of them hold",
            again=self.again,
            took_s=first.took_s,
        )

    @property
    def _seed(self) -> int:
        return self.scenario.seed if self.seed is None else self.seed

    def _single(self, seed: int) -> Play:
        """One run with that seed; the words of another command are none of `run`."""
        options = () if self.command else self.options
        return msgspec.structs.replace(self, seed=seed, replications=None, command=(), options=options)

    def ruled(self, rulings: Sequence[Ruling], took_s: float = 0.0) -> list[Finding]:
        """What replications found."""
        return [
            self._finding(
                expectation,
                took_s,
                verdict=ruling.verdict,
                observed=ruling.mean,
                limit=expectation.limit,
                unit="" if expectation.unit == "count" else expectation.unit,
                n=ruling.n,
                low=ruling.low,
                high=ruling.high,
                replications=ruling.n,
                why=ruling.why or _would_do(ruling),
            )
            for expectation, ruling in zip(self.expect, rulings, strict=True)
        ]

    def unjudged(self, why: str, took_s: float = 0.0, verdict: Verdict = "error") -> list[Finding]:
        """Every expectation with the reason why there is nothing to say about it."""
        return [self._finding(expectation, took_s, verdict=verdict, why=why) for expectation in self.expect]

    def _finding(self, expectation: Expectation, took_s: float, **found: Any) -> Finding:
        return Finding(
            scenario=self.scenario.name,
            wire=self.wire,
            expectation=expectation.text,
            file=self.source,
            line=expectation.line,
            seed=self._seed,
            again=self.again,
            took_s=took_s,
            **found,
        )


def unreadable(problem: object) -> Finding:
    """A fault of a file (`chatsim.scenario.load.Problem`), or a sentence about something that is no scenario at all."""
    file = f"{getattr(problem, 'file', '')}"
    if not file:
        return Finding(scenario="chatsim", wire="", expectation="", verdict="error", why=f"{problem}")
    path, text = getattr(problem, "path", ""), getattr(problem, "text", "")
    return Finding(
        scenario=Path(file).stem,
        wire="",
        expectation="",
        verdict="error",
        file=file,
        line=getattr(problem, "line", 0),
        column=getattr(problem, "column", 0),
        why=f"{path}: {text}" if path else f"{text}",
    )


def relative(path: Path, to: Path) -> str:
    """A path as people see it from a folder: relative where it lies inside, else as it is. A link is what it leads to,
    or itself where that is nothing."""
    try:
        place = path.resolve() if path.exists() else path.parent.resolve() / path.name
        return place.relative_to(to.resolve()).as_posix()
    except (ValueError, OSError):
        return f"{path}"


def _would_do(ruling: Ruling) -> str:
    if ruling.verdict != "inconclusive" or ruling.would_do == inf:
        return ""
    return f"{about(ruling.would_do)} replications would probably decide"


def _one_line(text: str) -> str:
    return " ".join(text.split())
