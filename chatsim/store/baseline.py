"""The file of a baseline: what runs came to once, so that later ones can be held against it.

Decides its shape. Rule: it says of each run everything that it depends on (the scenario's words and digests, the seed,
the versions), and holds every number of it to the last digit; no path of a machine and no name of a host is in it.
"""

from __future__ import annotations

from contextlib import suppress
from math import nan
from os.path import normpath, realpath, relpath
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from chatsim.errors import UsageError
from chatsim.store.document import encode

FORMAT: Final = "chatsim-baseline"
VERSION: Final = 1

PLACE: Final = Path("results") / "baselines" / "baseline.json"
"""Where a baseline goes unless somebody says otherwise, seen from the working directory."""

Number: TypeAlias = float | Literal["inf", "-inf"] | None
"""A float as JSON can say it."""


class Repetition(msgspec.Struct, frozen=True):
    """One run: its seed, each number by its name (null: no sample), and the hash of its trace in virtual time."""

    seed: int
    numbers: dict[str, Number]
    trace_hash: str = ""

    def values(self) -> dict[str, float]:
        """The numbers as floats, nan where there was no sample."""
        return {name: nan if value is None else float(value) for name, value in self.numbers.items()}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario on one wire. `scenario_hash` and `costs_hash` are of what was played, whatever words said it;
    `words` are there to tell what has changed since, and `file` is where it stood, seen from the baseline's folder, as
    far as that is known."""

    scenario: str
    wire: Literal["sim", "virtual", "live"]
    seed: int
    scenario_hash: str
    costs_hash: str
    words: dict[str, Any]
    repetitions: Annotated[list[Repetition], msgspec.Meta(min_length=1)]
    file: str = ""

    def stood(self, place: Path) -> Path | None:
        """Where it stood when it was saved in the baseline at `place`; None where that is not known."""
        return Path(normpath(realpath(place.parent) / Path(self.file))) if self.file else None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `machine` says what kind of machine live runs were played on, and is empty where there were none."""

    format: Literal["chatsim-baseline"] = FORMAT
    version: Literal[1] = VERSION
    name: str
    chatsim: str
    versions: dict[str, str]
    machine: dict[str, str | int]
    entries: list[Entry]

    def entry(self, scenario: str, wire: str) -> Entry | None:
        """What was saved of a scenario on a wire; None where nothing was."""
        return next((each for each in self.entries if (each.scenario, each.wire) == (scenario, wire)), None)


def file_from(place: Path, path: Path | None) -> str:
    """How the baseline at `place` names the file of a scenario: not at all where one of them lies outside of the
    working directory, since the way between them would be one of this machine."""
    if path is None:
        return ""
    here, folder, file = Path.cwd().resolve(), Path(realpath(place.parent)), Path(realpath(path.parent), path.name)
    if not folder.is_relative_to(here) or not file.is_relative_to(here):
        return ""
    return Path(relpath(file, folder)).as_posix()


def write(path: Path, made: Baseline) -> None:
    """Write it whole or not at all. Raises UsageError where that cannot be."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(encode(msgspec.to_builtins(made)) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as problem:
        with suppress(OSError):
            beside.unlink()
        raise UsageError(f"cannot write {path} ({problem.strerror}): name another file with --out") from problem


def read(path: Path) -> Baseline:
    """A baseline that was saved before. Raises UsageError for any other file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baseline)
    except OSError as problem:
        raise UsageError(
            f"cannot read {path} ({problem.strerror}): save a baseline first (chatsim baseline save), "
            "or name its file with --against"
        ) from problem
    except (msgspec.MsgspecError, RecursionError, ValueError) as problem:
        raise UsageError(
            f"{path} is no baseline that can be read ({problem}): name another file, or remove it and save anew"
        ) from problem
