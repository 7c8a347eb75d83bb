"""Many independent runs of one scenario as one finding: intervals of every metric, and a verdict on each promise.

Decides what a replication contributes. Rule: one number per replication and metric, never a message; what was never
delivered is infinite in it, and a verdict is on the mean over replications. How replications are run is left to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from html import escape
from math import isfinite, isnan, nan
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from chatsim.analysis.held import Held, again_html, shell
from chatsim.analysis.intervals import LEVEL, t_interval
from chatsim.analysis.missed import Missed
from chatsim.analysis.numbers import Replication, name_of, named, possible, promised, quantile_of
from chatsim.analysis.quantiles import smallest_n
from chatsim.analysis.slo import Looks, Ruling, Verdict, bounded, rule, together
from chatsim.analysis.tables import with_form, write_table
from chatsim.scenario.expectations import Expectation
from chatsim.scenario.units import spread
from chatsim.verdict.again import SAVED, Source, command
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.wires import again_words

SUMMARY: Final = {
    "metric": "string",
    "mean": "float64",
    "low": "float64",
    "high": "float64",
    "n": "int64",
}
"""One row for each metric: its mean over replications and a 95 % interval, in the unit that the name ends in (`_s`)
or in a count or share; `n` replications had a sample. A quantile of which a run has fewer samples than can bound it has
a mean and no interval: `low` and `high` are nan."""

ESTIMATES: Final = SUMMARY | {"needed": "int64"}
"""The same, and how many samples in a run would do where a quantile has no interval for want of them; elsewhere 0."""

VERDICTS: Final = {
    "expectation": "string",
    "mean": "float64",
    "low": "float64",
    "high": "float64",
    "limit": "float64",
    "n": "int64",
    "infinite": "int64",
    "verdict": "string",
    "would_do": "float64",
    "why": "string",
}
"""One row for each expectation. `low` and `high` are one-sided bounds, each wrong with a probability of 5 % over all
expectations together, or the least and the greatest of what is promised of every run (a count, `max`, `min`, `==`), and
shown no further than the number can be (`Replicated.shown`). In `infinite` of the n it was infinite: something never
came; `would_do` is how many replications would probably decide, 0 where it is decided, and inf where none would, with
the reason in `why`: a quantile of fewer messages than can bound it. There stands too how many runs broke what every run
was to keep."""


class Replicated(Held):
    """Replications of one scenario. `expect` are its promises, `looks` at how many replications each was judged, and
    `source` is where the scenario is to be had (None: in no file). `missed` are the metrics that were to be precise and
    had not become so when that was given up."""

    _what = "a replicated scenario"

    def __init__(
        self,
        scenario: str,
        wire: str,
        found: Sequence[Replication],
        expect: Sequence[Expectation],
        looks: Looks,
        source: Source | None = None,
    ) -> None:
        self.source = source or Source(scenario)
        self.scenario = scenario
        self.wire = wire
        self.replications = tuple(found)
        self.expect = tuple(expect)
        self.looks = looks
        self.missed: tuple[Missed, ...] = ()

    def __len__(self) -> int:
        return len(self.replications)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row for each replication: `replication`, `seed`, and a column for each number, the same
        columns whatever was played."""
        rows = [{"replication": r.number, "seed": r.seed, **r.numbers} for r in self.replications]
        return pd.DataFrame(rows)

    @cached_property
    def numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        """The numbers of all replications by their names, each float64 of shape (n,), nan where one had no sample."""
        names = dict.fromkeys(name for r in self.replications for name in r.numbers)
        return {name: np.array([r.numbers.get(name, nan) for r in self.replications]) for name in names}

    def promised(self) -> list[str]:
        """The names of the numbers that the expectations are about."""
        return promised(self.expect)

    def name(self, metric: str) -> str:
        """The name of a number that is given by it, or as an expectation writes it. Raises UsageError with the nearest
        name."""
        return named(metric, self.numbers)

    def values(self, metric: str) -> npt.NDArray[np.float64]:
        """The number of each replication, float64 of shape (n,), nan where one had no sample; `metric` is its name, or
        what an expectation would write.

        Raises UsageError with the nearest name.
        """
        return self.numbers[self.name(metric)].copy()

    def needed(self, metric: str) -> int:
        """How many samples an interval of this number wants in a run, where it is a quantile and a run has fewer than
        can bound it from above (`quantiles.smallest_n`): it would be too low on average. Else 0; runs without a sample
        do not count. Raises UsageError with the nearest name."""
        name = self.name(metric)
        quantile = quantile_of(name)
        # Who hands in numbers without their counts answers for them.
        if quantile is None or quantile[1] not in self.numbers:
            return 0
        q, counted = quantile
        counts = self.numbers[counted][~np.isnan(self.numbers[name])]
        least = smallest_n(q)
        return least if counts.size and counts.min() < least else 0

    def summary(self, level: float = LEVEL) -> pd.DataFrame:
        """The mean of every metric with its interval: the columns of `SUMMARY`. Raises UsageError for fewer than two
        replications.

        An interval is Student's, and ends where the number can go no further: at 0, a share at 1 (`numbers.possible`).
        """
        return self.estimates(level)[list(SUMMARY)]

    def estimates(self, level: float = LEVEL) -> pd.DataFrame:
        """As `summary`, and what an interval would take where there is none: the columns of `ESTIMATES`."""
        rows = []
        for metric, values in self.numbers.items():
            there = values[~np.isnan(values)]
            if there.size >= 2:
                interval, needed = t_interval(there, level, independent=True), self.needed(metric)
                # What never came is infinite, however few there are.
                bare = needed and isfinite(interval.mean)
                low, high = (nan, nan) if bare else possible(metric, interval.low, interval.mean, interval.high)
                rows.append((metric, interval.mean, low, high, there.size, needed))
            elif len(self) < 2:
                t_interval(values, level)
        return pd.DataFrame(rows, columns=list(ESTIMATES)).astype(ESTIMATES)

    def to_csv(self, path: str | Path) -> Path:
        """Write `frame` as CSV, to a name that ends in .csv; returns the path. Raises UsageError."""
        return write_table(self.frame, with_form(path, ".csv"))

    def to_parquet(self, path: str | Path) -> Path:
        """Write `frame` as Parquet, to a name that ends in .parquet; returns the path.

        Raises UsageError where `chatsim[parquet]` is not installed.
        """
        return write_table(self.frame, with_form(path, ".parquet"))

    @cached_property
    def rulings(self) -> list[Ruling]:
        """The verdict on each expectation; none on a quantile of too few samples (`slo.bounded`)."""
        found = []
        for place, each in enumerate(self.expect):
            observed = [r.observed[place] for r in self.replications]
            ruling = rule(observed, each.limit, each.op, self.looks, every=each.of_every_run, independent=True)
            quantile = quantile_of(name_of(each.metric, each.aggregate, each.group))
            # Who hands in numbers without their counts answers for them.
            if quantile is not None and quantile[1] in self.numbers:
                ruling = bounded(ruling, quantile[0], each.op, self.numbers[quantile[1]])
            found.append(ruling)
        return found

    @property
    def shown(self) -> list[Ruling]:
        """The rulings with their bounds as they are shown, not beyond what the number can be (`numbers.possible`).

        A verdict is by the bounds of `rulings`; one that would come to lie on the other side of its limit stays.
        """
        return [_shown(e, r) for e, r in zip(self.expect, self.rulings, strict=True)]

    @property
    def violations(self) -> list[tuple[int, Violation]]:
        """The invariants that did not hold, each with the seed of the first replication in which it did not."""
        first: dict[str, tuple[int, Violation]] = {}
        for made in self.replications:
            for each in made.violations:
                first.setdefault(each.name, (made.seed, each))
        return list(first.values())

    @property
    def verdict(self) -> Verdict:
        """`pass`, `fail` or `inconclusive`, over all expectations; `fail` where an invariant did not hold."""
        return "fail" if self.violations else together(ruling.verdict for ruling in self.rulings)

    def verdicts(self) -> pd.DataFrame:
        """What became of each expectation: the columns of `VERDICTS`."""
        rows = [
            (e.text, r.mean, r.low, r.high, e.limit, r.n, r.infinite, r.verdict, r.would_do, r.why)
            for e, r in zip(self.expect, self.shown, strict=True)
        ]
        return pd.DataFrame(rows, columns=list(VERDICTS)).astype(VERDICTS)

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [
            (e.text, mean, _span(r, low, high), r.verdict)
            for e, r in zip(self.expect, self.shown, strict=True)
            for mean, low, high in (spread(r.mean, r.low, r.high, e.limit, e.unit),)
        ]

    @property
    def seed(self) -> int:
        """The scenario's own, which the seeds of all replications are made from."""
        return self.replications[0].seed

    @property
    def again(self) -> str:
        """The command that plays them again, as `Run.again`."""
        return " ".join(self._again)

    @property
    def _again(self) -> list[str]:
        return self._command(self.source)

    def _command(self, source: Source) -> list[str]:
        # Those that were played until they were precise are the same as so many that were asked for.
        n = f"-n {len(self) if self.looks.first == self.looks.n_max else 'auto'}"
        wire = " ".join(again_words(self.wire))
        return command("replicate", [source], n, *([wire] if wire else []), seed=self.seed)

    def _broken(self) -> list[str]:
        return [f"invariant {each} (seed {seed})" for seed, each in self.violations]

    def __repr__(self) -> str:
        """A few lines of at most 80 columns, and the command that plays them again."""
        lines = [
            f"{self.verdict.upper()}  {self.scenario} on {self.wire}, {len(self)} replications from seed {self.seed}"
        ]
        lines += [f"  {'fail':12} {text}" for text in self._broken()]
        for each in self.missed:
            lines += [f"  {'imprecise':12} {each.metric}", f"  {'':12} {each.text}"]
        for text, mean, span, verdict in self._rows():
            lines += [f"  {verdict:12} {text}", f"  {'':12} {mean} in the mean, bounds {span}"]
        return shell(lines, self._again, self._command(Source(SAVED)))

    def _repr_html_(self) -> str:
        """A card: plain tables and no script."""
        broken = "".join(f"<p>does not hold: {escape(text)}</p>" for text in self._broken())
        broken += "".join(f"<p>not precise: {escape(each.metric)} {escape(each.text)}</p>" for each in self.missed)
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self._rows())
        return (
            f"<div><p><b>{self.verdict.upper()}</b> {escape(self.scenario)} on {escape(self.wire)}, "
            f"{len(self)} replications from seed {self.seed}</p>{broken}<table><thead><tr><th>expectation</th>"
            "<th>mean</th><th>bounds, one-sided</th><th>verdict</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>{again_html(self._again)}</div>"
        )


def _shown(expectation: Expectation, ruling: Ruling) -> Ruling:
    name = name_of(expectation.metric, expectation.aggregate, expectation.group)
    low, high = possible(name, ruling.low, ruling.mean, ruling.high)
    return msgspec.structs.replace(
        ruling,
        low=low if expectation.holds(low) == expectation.holds(ruling.low) else ruling.low,
        high=high if expectation.holds(high) == expectation.holds(ruling.high) else ruling.high,
    )


def _span(ruling: Ruling, low: str, high: str) -> str:
    """The bounds, as they are shown, or why there are none."""
    if isnan(ruling.low):
        return "no sample"
    if ruling.infinite:
        return f"infinite in {ruling.infinite} of {ruling.n}"
    if ruling.needed:
        return f"{ruling.samples} of {ruling.needed} samples"
    return f"{low} .. {high}"
