"""One finished run, as an analyst holds it: verdict, tables, and a card that says what it was and how to see it again.

Decides how a run looks on a page and in a shell. Rule: what is shown is what was judged; the tables are made when they
are first asked for, those of connections and of time from the journal.
"""

from __future__ import annotations

import shutil
import weakref
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Final

import pandas as pd

from chatsim.analysis import frames
from chatsim.analysis.held import Held, again_html, shell
from chatsim.analysis.numbers import numbers_of
from chatsim.analysis.tables import named, write_table
from chatsim.errors import UsageError
from chatsim.journal.lives import journals, steps
from chatsim.scenario.units import beside
from chatsim.timeline.story import Story
from chatsim.verdict.again import SAVED, Source, command
from chatsim.verdict.result import Finished
from chatsim.verdict.wires import FLOW, again_words

_BROKEN: Final = "does not hold"


class Run(Held):
    """A finished run.

    `messages`, `connections`, `events`, `attempts` and `series` are tables (`chatsim.analysis.frames` has their columns
    and dtypes); `result` is all that was judged, `path` the folder of a run that was kept, or None.
    """

    _what = "a run"

    def __init__(self, result: Finished, source: Source | None, *, kept: bool = True) -> None:
        """`source` is where its scenario is to be had (None: in no file), for the line that says how to run it again;
        the folder of a run that is not to be `kept` is removed with this object."""
        self.result = result
        self._source = source or Source(result.scenario)
        self._kept = kept
        if not kept and result.path is not None:
            weakref.finalize(self, shutil.rmtree, result.path, ignore_errors=True)

    @property
    def path(self) -> Path | None:
        """The folder of the run; None where nobody asked for one."""
        return self.result.path if self._kept else None

    @property
    def verdict(self) -> str:
        """`pass`, `fail`, `inconclusive` or `invalid`."""
        return self.result.verdict

    @property
    def ok(self) -> bool:
        """Whether every expectation holds."""
        return self.result.verdict == "pass"

    @cached_property
    def messages(self) -> pd.DataFrame:
        """What was said, a row for each message and receiver (`frames.MESSAGES`).

        Raises UsageError, as `connections`, `attempts` and `series` do, for a flow, which keeps no rows.
        """
        self._has_rows("messages")
        return frames.messages(self.result.record)

    @cached_property
    def events(self) -> pd.DataFrame:
        """What the scenario did to whom (`frames.EVENTS`)."""
        return frames.events(self.result.record)

    @cached_property
    def connections(self) -> pd.DataFrame:
        """Who was connected when (`frames.CONNECTIONS`)."""
        self._has_rows("connections")
        return frames.connections(self._story, self.result.record.groups)

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """Every time that the server sent a message to a receiver (`frames.ATTEMPTS`)."""
        self._has_rows("attempts")
        return frames.attempts(self._story, self.result.record.groups)

    @cached_property
    def series(self) -> pd.DataFrame:
        """How it went, second by second (`frames.SERIES`)."""
        self._has_rows("series")
        return frames.series(self._story)

    def _has_rows(self, table: str) -> None:
        if self.result.wire == FLOW:
            raise UsageError(
                f"a flow counts and keeps no rows, so that it has no {table}: summary() has its numbers, or play it at "
                "full fidelity"
            )

    @cached_property
    def _story(self) -> Story:
        assert self.result.path is not None, "every run that is shown has a journal"
        return Story(steps(journals(self.result.path)))

    def summary(self) -> pd.DataFrame:
        """The run in one row: what it was, and every number that it has (`chatsim.analysis.numbers`), under the same
        names for every scenario and wire."""
        found = self.result
        head = {
            "scenario": found.scenario,
            "wire": found.wire,
            "seed": found.seed,
            "verdict": found.verdict,
            "valid": found.valid,
        }
        return pd.DataFrame([head | numbers_of(found.metrics, found.counters)])

    def to_csv(self, folder: str | Path) -> list[Path]:
        """Write the tables as CSV into a folder; returns the files."""
        return self._written(folder, "csv")

    def to_parquet(self, folder: str | Path) -> list[Path]:
        """Write the tables as Parquet into a folder; returns the files.

        Raises UsageError where `chatsim[parquet]` is not installed.
        """
        return self._written(folder, "parquet")

    def _written(self, folder: str | Path, kind: str) -> list[Path]:
        place = Path(named(folder))
        if self.result.wire == FLOW:
            return [write_table(self.summary(), place / f"summary.{kind}")]
        tables = {
            "messages": self.messages,
            "connections": self.connections,
            "events": self.events,
            "attempts": self.attempts,
            "series": self.series,
            "summary": self.summary(),
        }
        return [write_table(table, place / f"{name}.{kind}") for name, table in tables.items()]

    @property
    def again(self) -> str:
        """The command that runs it again, seen from here, with what `with_` changed; no path of this machine is in it
        where there is one from here. What has to be done before, such as saving a scenario that stands in no file, is
        its comment."""
        return " ".join(self._again)

    @property
    def _again(self) -> list[str]:
        return self._command(self._source)

    def _command(self, source: Source) -> list[str]:
        wire = " ".join(again_words(self.result.wire))
        return command("run", [source], *([wire] if wire else []), seed=self.result.seed)

    def _rows(self) -> list[tuple[str, str, str]]:
        return [(j.text, beside(j.observed, j.limit, j.unit), j.verdict) for j in self.result.expectations]

    def _broken(self) -> list[str]:
        return [f"invariant {b.name} at {b.at:g} s: {b.sentence} {b.detail}" for b in self.result.violations]

    def __repr__(self) -> str:
        """A few lines of at most 80 columns, and the command that runs it again."""
        found = self.result
        lines = [f"{found.verdict.upper()}  {found.scenario} on {found.wire}, seed {found.seed}"]
        if not found.valid:
            lines.append(found.why_invalid)
        lines += [f"  {'fail':12} {_BROKEN:>14}  {text}" for text in self._broken()]
        lines += [f"  {verdict:12} {observed:>14}  {text}" for text, observed, verdict in self._rows()]
        return shell(lines, self._again, self._command(Source(SAVED)))

    def _repr_html_(self) -> str:
        """A card: plain tables and no script, so that it looks the same wherever notebooks are shown."""
        found = self.result
        head = f"<b>{escape(found.verdict.upper())}</b> {escape(found.scenario)} on {escape(found.wire)}"
        rows = "".join(
            f"<tr><td>{escape(text)}</td><td>{escape(observed)}</td><td>{n}</td><td>{escape(verdict)}</td></tr>"
            for (text, observed, verdict), n in zip(self._rows(), (j.n for j in found.expectations), strict=True)
        )
        why = "" if found.valid else f"<p>{escape(found.why_invalid)}</p>"
        why += "".join(f"<p>{_BROKEN}: {escape(text)}</p>" for text in self._broken())
        return (
            f"<div><p>{head}, seed {found.seed}</p>{why}"
            "<table><thead><tr><th>expectation</th><th>observed</th><th>n</th><th>verdict</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>{again_html(self._again)}</div>"
        )
