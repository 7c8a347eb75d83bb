"""Where the results of a run live: `results/runs/<scenario>/<time>-<wire>-<seed>/`.

Decides names and the moment at which a folder appears. Rule: a folder is written beside its place under a name that
starts with a dot and is renamed into place when it is whole, and never onto another one: the second run of a second
gets `-2`. The wall time is an argument. What is written (run.json, the journal, the tables) is the runner's affair; how
a value looks as text is `document`'s.
"""

from __future__ import annotations

import csv
import errno
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from chatsim.errors import HarnessError, UsageError
from chatsim.store.document import cell, encode

RUNS: Final = Path("results") / "runs"
"""Where results go unless `--out` says otherwise, seen from the working directory."""

NAME_MAX: Final = 80
"""Longest file name made from a scenario's name: well below the 255 bytes of file systems."""

_SUFFIX_MAX: Final = 10_000
_TAKEN: Final = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def safe_name(name: str) -> str:
    """A scenario's name as one harmless file name: letters, digits, `_`, `-`, inner dots; never empty or hidden."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    kept = re.sub(r"\.{2,}", ".", kept).strip(".-")
    return kept[:NAME_MAX].rstrip(".-") or "unnamed"


def moment(at: float) -> str:
    """Wall time (seconds since the Unix epoch) as it stands in a folder's name: UTC, `20261123T112600Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def make_place(out: Path | None) -> Path:
    """The folder of all runs, made if it is not there: `out`, or `results/runs`.

    Raises UsageError where there can be none.
    """
    place = RUNS if out is None else out
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(place, error) from error
    return place


def _refusal(folder: Path, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(f"cannot write results to {folder} ({reason}): name another folder with --out")


class RunFolder:
    """The folder of one run while it is being written.

    As a context manager: an exception on the way removes what was written; otherwise leaving it calls `commit`, which
    puts the folder in place. `path` is its name at this moment: a hidden one before `commit`, afterwards the final one.
    """

    def __init__(self, scenario: str, wire: str, seed: int, *, at: float, out: Path | None = None) -> None:
        """Make the hidden folder. `at` is wall time in seconds since the Unix epoch; `out` replaces `results/runs`."""
        self._parent = (RUNS if out is None else out) / safe_name(scenario)
        self._name = f"{moment(at)}-{safe_name(wire)}-{seed}"
        self._committed = False
        try:
            self._parent.mkdir(parents=True, exist_ok=True)
            self.path = Path(tempfile.mkdtemp(prefix=f".{self._name}.", dir=self._parent))
            self.path.chmod(0o755)
        except OSError as error:
            raise _refusal(self._parent, error) from error

    @property
    def journal(self) -> Path:
        """Where a writer puts the journal of the run."""
        return self.path / "journal.jsonl"

    def write_document(self, document: Mapping[str, Any]) -> None:
        """Write `run.json`."""
        self._write("run.json", encode(document) + "\n")

    def write_scenario(self, words: Mapping[str, Any]) -> None:
        """Write `scenario.json`, the words of the scenario that was played, from which it can be played again."""
        self._write("scenario.json", encode(words) + "\n")

    def write_metrics(self, exposition: bytes) -> None:
        """Write `metrics.prom`, Prometheus' text exposition."""
        self._write("metrics.prom", exposition.decode("utf-8"))

    def write_pictures(self, chart: str, trace: bytes) -> None:
        """Write `timeline.svg`, a sequence chart, and `timeline.json`, a trace for Perfetto."""
        self._write("timeline.svg", chart)
        self._write("timeline.json", trace.decode("utf-8"))

    def write_table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write `NAME.csv` with a header line; each row has one value per column."""
        target = self.path / f"{safe_name(name)}.csv"
        with self._guard(), target.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            for row in rows:
                assert len(row) == len(columns), f"table {name}: {len(row)} values for {len(columns)} columns"
                writer.writerow([cell(value) for value in row])

    def commit(self) -> Path:
        """Put the folder in its place under the first name that is free; return that path. Twice is once."""
        if self._committed:
            return self.path
        for count in range(1, _SUFFIX_MAX):
            target = self._parent / (self._name if count == 1 else f"{self._name}-{count}")
            if self._claim(target):
                self._committed = True
                self.path = target
                return target
        raise HarnessError(
            f"{self._parent} holds {_SUFFIX_MAX} runs of one second: clear it, or name another with --out"
        )

    def discard(self) -> None:
        """Remove what was written, unless it was committed."""
        if not self._committed:
            shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
        else:
            self.commit()

    def _claim(self, target: Path) -> bool:
        """Rename to the target if nothing is there; an empty folder, made first, is the lock between two runs."""
        with self._guard():
            try:
                target.mkdir()
            except FileExistsError:
                return False
            try:
                self.path.replace(target)
            except OSError as error:
                if error.errno in _TAKEN:
                    return False
                raise
            return True

    def _write(self, name: str, text: str) -> None:
        with self._guard():
            (self.path / name).write_text(text, encoding="utf-8")

    def _guard(self) -> _Guard:
        return _Guard(self.path)


class _Guard:
    """Turns the operating system's refusal (a full disk, a lost folder) into one sentence."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise HarnessError(f"writing the results in {self._path} failed: {reason}") from error
