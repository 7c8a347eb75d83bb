"""A scenario that `run` and `check` judge by many runs instead of one: `--replications auto`, or a number.

Decides what is shown and written of such a scenario. Rule: its verdict is one of three, wrong with a probability of at
most 5 % over all of its expectations together; an invariant that does not hold in one of the runs fails it, and a run
among them that is not valid makes the whole invalid. Playing and
judging are the runner's and the analysis' affair.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chatsim.cli.doors import Progress, Wire
from chatsim.cli.execute import CODES, Outcome, Row, broken_text
from chatsim.errors import ChatsimError
from chatsim.scenario.units import about, limited, spread
from chatsim.store.folder import RunFolder
from chatsim.verdict.result import Broken

if TYPE_CHECKING:
    from chatsim.analysis.replicated import Replicated
    from chatsim.analysis.slo import Ruling
    from chatsim.verdict.invariants.catalogue import Violation


@dataclass(frozen=True, slots=True)
class Repeated(Outcome):
    """What became of a scenario that was played many times; `folder` is where that is written."""

    found: Replicated | None = None
    folder: Path | None = None

    @property
    def path(self) -> Path | None:
        return self.folder

    @property
    def rulings(self) -> Sequence[Ruling] | None:
        """A verdict for each expectation, None where nothing could be judged."""
        return None if self.found is None else self.found.shown

    @property
    def broken(self) -> Sequence[tuple[int, Broken]]:
        """The invariants that did not hold, each with the seed of the first run that shows it."""
        return () if self.found is None else self.found.violations

    @property
    def is_judged(self) -> bool:
        """Whether there are replications to judge by."""
        return self.found is not None

    def document(self) -> Mapping[str, Any]:
        """As `--json` shows it, with what the replications say."""
        # Not `super()`, which a class with slots has lost: it is made anew.
        head = Outcome.document(self)
        return head if self.found is None else {**head, "valid": True, **_document(self.found)}

    def rows(self) -> Iterator[Row]:
        """Its lines in the table, a mean and its interval in place of what one run observed."""
        if self.found is None:
            yield from Outcome.rows(self)
            return
        for text, mean, low, high, limit, verdict in judged_rows(self.found):
            shown = mean if low == mean == high else f"{mean} ({low} .. {high})"
            yield self.scenario, self.wire, text, shown, limit, verdict
        for text in broken_texts(self.found):
            yield self.scenario, self.wire, text, "", "", "fail"


def repeated(
    scenario: Any,
    wire: Wire,
    replications: int | Literal["auto"],
    *,
    seed: int | None,
    out: Path | None,
    jobs: int,
    progress: Progress,
) -> Repeated:
    """Play it so many times, or until it is decided; `progress` hears the share of what it may take at most."""
    from chatsim.analysis.slo import N_MAX
    from chatsim.runner.replicate import replicate

    most = N_MAX if replications == "auto" else replications
    played = scenario if seed is None else scenario.with_seed(seed)
    try:
        found = replicate(played, replications, on=wire, jobs=jobs, progress=lambda done: progress(done / most))
        with RunFolder(played.name, wire, played.seed, at=time.time(), out=out) as folder:
            folder.write_scenario(played.words)
            folder.write_document(_document(found))
            folder.write_table("replications", list(found.frame.columns), found.frame.itertuples(index=False))
    except ChatsimError as error:
        return Repeated(scenario.name, wire, seed, None, error.exit_code, str(error))
    return Repeated(scenario.name, wire, played.seed, None, CODES[found.verdict], found=found, folder=folder.path)


def judged_rows(found: Replicated) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Each expectation with the mean over replications, its bounds, the limit, and the verdict with what there is to
    know beside it."""
    for expectation, ruling in zip(found.expect, found.shown, strict=True):
        limit, unit = expectation.limit, expectation.unit
        bounds = spread(ruling.mean, ruling.low, ruling.high, limit, unit)
        yield expectation.text, *bounds, limited(limit, unit, ruling.mean), ruling.verdict + _more(ruling)


def broken_texts(found: Replicated) -> list[str]:
    """The invariants that did not hold, as a table has them."""
    return [f"{broken_text(each)} (seed {seed})" for seed, each in found.violations]


def violations(found: Iterable[tuple[int, Violation]]) -> list[dict[str, Any]]:
    """The invariants that did not hold over many runs, as JSON shows them."""
    return [
        {"invariant": v.name, "sentence": v.sentence, "at_s": v.at, "detail": v.detail, "seed": seed}
        for seed, v in found
    ]


def _more(ruling: Ruling) -> str:
    if ruling.infinite:
        return f" (infinite in {ruling.infinite} of {ruling.n})"
    if ruling.empty:
        return f" (no sample in {ruling.empty} of {ruling.n})"
    if ruling.why:
        return f" ({ruling.why})"
    if ruling.verdict != "inconclusive":
        return ""
    return " (no number would do)" if ruling.would_do == inf else f" ({about(ruling.would_do)} would probably do)"


def _document(found: Replicated) -> dict[str, Any]:
    """It as JSON shows it: `observed` is the mean over replications, `low` and `high` are its one-sided bounds."""
    return {
        "scenario": found.scenario,
        "wire": found.wire,
        "seed": found.replications[0].seed,
        "verdict": found.verdict,
        "replications": len(found),
        # Fewer than asked for would have been judged by other bounds.
        "auto": found.looks.first != found.looks.n_max,
        "seeds": [replication.seed for replication in found.replications],
        "expectations": [
            {
                "text": expectation.text,
                "observed": ruling.mean,
                "low": ruling.low,
                "high": ruling.high,
                "limit": expectation.limit,
                "verdict": ruling.verdict,
                "n": ruling.n,
                "infinite": ruling.infinite,
                "would_do": ruling.would_do,
                "why": ruling.why,
                "unit": "" if expectation.unit == "count" else expectation.unit,
            }
            for expectation, ruling in zip(found.expect, found.shown, strict=True)
        ],
        "violations": violations(found.violations),
        "numbers": found.estimates().to_dict("records"),
    }
