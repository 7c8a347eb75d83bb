"""The file that a calibration leaves: what things cost here, how sure that is, and on what it was measured.

Decides the shape of `calibration.json`. Rule: `costs` is in the words of a scenario, so that `costs: FILE` reads it;
everything else is for people and planners, in seconds and bytes; no name of a host and no path is in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from chatsim.errors import UsageError
from chatsim.scenario.costs import FORMAT, VERSION
from chatsim.store.document import encode


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """What a cost's samples look like: `distances` are Kolmogorov and Smirnov's, of every family that was tried."""

    family: Literal["lognormal", "gamma", "empirical"]
    cv: float
    distance: float
    samples: int
    distances: dict[str, float]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """One number over `n` repetitions, with its bootstrap interval of 95 %, in `unit` (a power has none)."""

    says: str
    unit: Literal["s", "share", "bytes", "power"]
    value: float
    low: float
    high: float
    n: int
    fit: Fit | None = None


class LineFit(msgspec.Struct, frozen=True, kw_only=True):
    """`intercept_s` + `slope_s` * n through the points (n, s); `worst` is the farthest point, as a share of it."""

    says: str
    intercept_s: float
    slope_s: float
    r2: float
    worst: float
    points: list[tuple[float, float]]


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """CPU time of the fixed work that a server does while it serves (s), in the mean of each load; `drift` is its 95th
    percentile over its 5th. Costs are those at `median_s`. `commits_s` are quantiles of how long the same commit took
    on the disk (s), evenly from the shortest to the longest."""

    median_s: float
    all_s: list[float]
    drift: float
    commits_s: list[float] = []


class Calibration(msgspec.Struct, kw_only=True):
    """A calibration. `measured` is by name; `levels` is how busy the loads were to keep the server; with `journal` it
    wrote one, as the servers of live runs do."""

    format: Literal["chatsim-calibration"] = FORMAT
    version: Literal[1] = VERSION
    chatsim: str
    made_at: str
    quick: bool
    journal: bool
    rounds: int
    levels: list[float]
    machine: dict[str, str | int]
    versions: dict[str, str]
    reference: Reference
    unexplained: float = 0.0
    costs: dict[str, Any]
    measured: dict[str, Estimate]
    fits: dict[str, LineFit]
    warnings: list[str]


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file."""
    return msgspec.json.schema(Calibration)


def write(path: Path, made: Calibration) -> None:
    """Write it whole or not at all. Raises UsageError where that cannot be."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(encode(msgspec.to_builtins(made)) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as problem:
        beside.unlink(missing_ok=True)
        raise UsageError(f"Cannot write {path} ({problem.strerror}): name another file with -o.") from problem


def read(path: Path) -> Calibration:
    """A calibration that was written before. Raises UsageError for any other file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except OSError as problem:
        raise UsageError(f"Cannot read {path} ({problem.strerror}): name a file that calibrate wrote.") from problem
    except msgspec.MsgspecError as problem:
        raise UsageError(f"{path} is no calibration that can be read ({problem}): calibrate again.") from problem


def connection_bytes(path: Path, *, tls: bool) -> float | None:
    """The memory that a quiet connection takes, by a file of costs; None where it holds no such measurement."""
    try:
        document = msgspec.json.decode(path.read_bytes())
        return float(document["measured"]["memory_tls" if tls else "memory_plain"]["value"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
        # Costs may be written by hand, in YAML, and without anything but costs.
        return None
