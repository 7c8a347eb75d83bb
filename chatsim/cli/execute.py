"""Runs a list of scenarios one after the other, and says with which exit code that ends.

Rule: one broken run does not hide the others: what it raised becomes its outcome. Nothing run is never a success, and
nothing hides a broken promise: where one expectation failed, or an invariant, the code is 1, whatever could not be
judged beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chatsim.cli.doors import Progress, Runner, Scenario, Wire
from chatsim.errors import ChatsimError, NotApplicableError, TargetError, UsageError
from chatsim.scenario.units import beside, limited, quantity
from chatsim.verdict.result import Broken, Result, Ruling

PASSED: Final = 0
FAILED: Final = 1
INCONCLUSIVE: Final = 2
USAGE: Final = 3
BROKEN: Final = 4
INTERRUPTED: Final = 130

CODES: Final = {"pass": PASSED, "fail": FAILED, "inconclusive": INCONCLUSIVE, "skipped": USAGE, "invalid": BROKEN}
_WORST_FIRST: Final = (FAILED, BROKEN, USAGE, INCONCLUSIVE, PASSED)
_VERDICTS: Final = {PASSED: "pass", FAILED: "fail", INCONCLUSIVE: "inconclusive", USAGE: "invalid", BROKEN: "invalid"}

Row = tuple[str, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one scenario: a result, or the sentence that says why there is none.

    `skipped`: nothing of it could be asked of a server that somebody else runs, which is no success.
    """

    scenario: str
    wire: str
    seed: int | None
    result: Result | None
    code: int
    why: str = ""
    skipped: bool = False

    @property
    def verdict(self) -> str:
        """The one word for it."""
        if self.skipped:
            return "skipped"
        return _VERDICTS[self.code]

    @property
    def path(self) -> Path | None:
        """The folder that was written; None where none was."""
        return None if self.result is None else self.result.path

    @property
    def rulings(self) -> Sequence[Ruling] | None:
        """What was found over many runs; None for one that was judged by itself, or not at all."""
        return None

    @property
    def broken(self) -> Sequence[tuple[int, Broken]]:
        """The invariants that did not hold over many runs, with the seed of the first in which each did not."""
        return ()

    @property
    def is_judged(self) -> bool:
        """Whether there is something to show, and not only a sentence."""
        return self.result is not None

    def document(self) -> Mapping[str, Any]:
        """The run as `--json` shows it; a run without a result is `invalid` and has no figures."""
        if self.result is not None:
            return self.result.to_dict()
        return {
            "scenario": self.scenario,
            "wire": self.wire,
            "seed": self.seed,
            "verdict": self.verdict,
            "expectations": [],
            "metrics": {},
            "counters": {},
            "trace_hash": "",
            "valid": False,
            "why_invalid": self.why,
        }

    def rows(self) -> Iterator[Row]:
        """Its lines in the table."""
        if self.result is not None:
            for judged in self.result.expectations:
                # A reason stands in place of a number.
                observed = "" if judged.why else beside(judged.observed, judged.limit, judged.unit)
                limit = limited(judged.limit, judged.unit, judged.observed)
                yield self.scenario, self.wire, judged.text, observed, limit, judged.verdict
            for broken in self.result.violations:
                yield self.scenario, self.wire, broken_text(broken), "", "", "fail"
        if self.why:
            yield self.scenario, self.wire, self.why, "", "", self.verdict if self.skipped else "invalid"

    def shortfall(self) -> str:
        """Its verdict once more in one line, with what made it so and what was observed there."""
        whys = (
            [self.why]
            if self.verdict == "invalid"
            else [
                f"{row[2]}, observed {row[3]}" if row[3] else row[2]
                for row in self.rows()
                if row[-1].startswith(self.verdict)
            ]
        )
        return f"{self.verdict}: {self.scenario} ({self.wire}): {'; '.join(whys)}".removesuffix(": ")

    def events(self) -> str:
        """One line about what was done to whom, nothing where nothing was."""
        done = self.result.to_dict().get("events", ()) if self.result is not None else ()
        told = [f"{event['do']} at {quantity(event['at_s'], 's')}{_whom(event['users'])}" for event in done]
        return f"events of {self.scenario} ({self.wire}): {'; '.join(told)}" if told else ""

    def remarks(self) -> Iterator[str]:
        """What else there is to know, a sentence each: why something was skipped, and what the run went by."""
        if self.result is None:
            return
        whys: dict[str, list[str]] = {}
        for judged in self.result.expectations:
            if judged.verdict == "skipped":
                whys.setdefault(judged.why, []).append(judged.text)
        for why, texts in whys.items():
            yield f"skipped of {self.scenario}: {', '.join(texts)}: {why}"
        for note in self.result.to_dict().get("health", {}).get("notes", ()):
            yield f"{self.scenario}: {note}"


def _whom(users: int) -> str:
    """How many it touched; what is done to a part of the node touches nobody by itself."""
    return f", {users} {'user' if users == 1 else 'users'}" if users else ""


Watch = Callable[[Scenario, Wire], Progress | None]
"""Asked before each run who wants to hear how far it is."""


def execute(
    scenarios: Sequence[Scenario], *, on: Wire, seed: int | None, out: Path | None, runner: Runner, watch: Watch
) -> Iterator[Outcome]:
    """Run each scenario and yield its outcome. What leaves here as an exception is no `ChatsimError`, or a TargetError,
    which ends all of it."""
    for scenario in scenarios:
        progress = watch(scenario, on)
        try:
            result = runner(scenario, on=on, seed=seed, out=out, progress=progress)
        except TargetError:
            # The next one would not be let in either.
            raise
        except ChatsimError as error:
            skipped = isinstance(error, NotApplicableError)
            yield Outcome(scenario.name, on, seed, None, error.exit_code, str(error), skipped)
        else:
            yield outcome_of(result)


def broken_text(broken: Broken) -> str:
    """An invariant that did not hold, as the table has it."""
    return f"invariant {broken.name} at {broken.at:g} s: {broken.sentence} {broken.detail}"


def outcome_of(result: Result) -> Outcome:
    """A result with its exit code; a run that is not valid proves nothing, whatever its expectations say, but that an
    invariant did not hold."""
    code = FAILED if result.violations else CODES[result.verdict] if result.valid else BROKEN
    why = "" if result.valid else result.why_invalid or "the run is not valid"
    return Outcome(result.scenario, result.wire, result.seed, result, code, why, result.verdict == "skipped")


def worst(outcomes: Iterable[Outcome]) -> int:
    """The exit code of all together: a broken promise (1), the harness (4), usage and what was skipped as a whole (3),
    doubt (2), in this order; nothing run is a usage error."""
    codes = {outcome.code for outcome in outcomes}
    return next((code for code in _WORST_FIRST if code in codes), USAGE)


def document(outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
    """All runs as `check --json` shows them."""
    return {"verdict": _VERDICTS[worst(outcomes)], "runs": [outcome.document() for outcome in outcomes]}


def loaded(found: tuple[Sequence[Scenario], Sequence[object]]) -> Sequence[Scenario]:
    """The scenarios, or every problem of every file at once; no scenario at all is a problem too."""
    scenarios, problems = found
    if problems:
        raise UsageError("\n".join(str(problem) for problem in problems))
    if not scenarios:
        raise UsageError("nothing to run: no scenario file (*.yaml) was found there; name one that exists")
    return scenarios


def distinct(scenarios: Sequence[Any], whose: str) -> Sequence[Any]:
    """The scenarios, of which no two may have one name. Raises UsageError where they do; `whose` are the names."""
    names = [scenario.name for scenario in scenarios]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two scenarios are called {twice}: {whose} knows them by their names, so rename one")
    return scenarios
