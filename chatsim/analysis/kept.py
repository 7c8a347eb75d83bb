"""A run that was kept in a folder, held as if it had just been played.

Decides what is read of a run's folder. Rule: what was judged is believed as it was written, and the tables are made of
the rows beside it; a folder that is none, or is damaged, is refused with one sentence.
What is made of the run is left to others.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from math import isnan, nan
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from chatsim.analysis.results import Run
from chatsim.errors import HarnessError, UsageError
from chatsim.journal.lives import is_elsewhere, journals
from chatsim.journal.record import Fired, Outage, RunRecord, Sent
from chatsim.verdict.again import Source
from chatsim.verdict.judge import Judged
from chatsim.verdict.wires import FLOW

Number = float | Literal["inf", "-inf"] | None
"""A float as JSON can say it."""


class _Expectation(msgspec.Struct):
    text: str
    observed: Number
    limit: Number
    verdict: Literal["pass", "fail", "inconclusive", "skipped"]
    n: int
    unit: str
    why: str = ""


class _Event(msgspec.Struct):
    do: str
    at_s: float
    users: int
    whom: tuple[str, ...] = ()
    lasts_s: Number = 0.0
    vain: bool = False


class _Document(msgspec.Struct):
    """What is needed of `run.json`."""

    scenario: str
    wire: str
    seed: int
    verdict: str
    valid: bool
    why_invalid: str
    expectations: list[_Expectation] = []
    metrics: dict[str, dict[str, Number]] = {}
    counters: dict[str, int] = {}
    events: list[_Event] = []
    trace_hash: str = ""
    duration_s: float = 0.0
    warmup_s: float = 0.0
    health: dict[str, Any] = {}


class KeptResult(msgspec.Struct):
    """What was judged of a kept run, and the rows that its folder holds: no detections, drains or samples of the event
    loop, whose numbers are in `metrics`. `words` are those of its scenario, empty where they were not kept; `health`
    says how well the harness of a live run did itself."""

    scenario: str
    wire: str
    seed: int
    verdict: str
    expectations: list[Judged]
    metrics: dict[str, dict[str, float]]
    counters: dict[str, int]
    valid: bool
    why_invalid: str
    path: Path | None
    trace_hash: str
    record: RunRecord
    words: dict[str, Any]
    health: dict[str, Any]


TABLES: Final = {
    "messages": ("user", "group", "session", "id", "intended_at_s", "acked_at_s", "message_id"),
    "receipts": ("message_id", "user", "outcome", "received_at_s"),
    "outages": ("user", "group", "lost_at_s", "joined_at_s"),
}
"""The tables of a run's folder, with the columns that are read."""


def read(folder: Path) -> Run:
    """The run of a folder, as `chatsim run` leaves it.

    Raises UsageError where it is none, HarnessError where it is damaged.
    """
    found = read_result(folder)
    return Run(found, Source(found.scenario, f"{folder / 'scenario.json'}") if found.words else None)


def read_result(folder: Path) -> KeptResult:
    """What was judged of the run, and its rows; as `read`."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name the folder of a run, as `chatsim run` prints it")
    found = _decoded(folder / "run.json", _Document) if (folder / "run.json").exists() else None
    if found is not None and found.wire == FLOW:
        raise UsageError(f"{folder} is of a flow, which keeps no rows: its numbers are in run.json")
    if found is None or not is_elsewhere(found.wire):
        journals(folder)
    found = found or _decoded(folder / "run.json", _Document)
    words = _decoded(folder / "scenario.json", dict[str, Any]) if (folder / "scenario.json").exists() else {}
    judged = [
        Judged(e.text, number(e.observed), number(e.limit), e.verdict, e.n, e.unit, e.why) for e in found.expectations
    ]
    return KeptResult(
        scenario=found.scenario,
        wire=found.wire,
        seed=found.seed,
        verdict=found.verdict,
        expectations=judged,
        metrics={name: {key: number(value) for key, value in row.items()} for name, row in found.metrics.items()},
        counters=found.counters,
        valid=found.valid,
        why_invalid=found.why_invalid,
        path=folder,
        trace_hash=found.trace_hash,
        record=_record(folder, found),
        words=words,
        health=found.health,
    )


def number(value: Number) -> float:
    """A float out of JSON: null is nan."""
    return nan if value is None else float(value)


def _record(folder: Path, found: _Document) -> RunRecord:
    sent, accepted, groups = [], {}, {}
    for row in _rows(folder, "messages"):
        sent.append(
            Sent(
                row["user"],
                row["group"],
                row["session"],
                row["id"],
                _moment(row["intended_at_s"]),
                _moment(row["acked_at_s"]),
                row["message_id"],
            )
        )
        groups[row["user"]] = row["group"]
        if row["message_id"]:
            accepted[row["user"], row["id"]] = row["message_id"]
    owed: dict[str, dict[str, str]] = {message_id: {} for message_id in accepted.values()}
    receipts: dict[str, dict[str, float]] = {}
    for row in _rows(folder, "receipts"):
        owed.setdefault(row["message_id"], {})[row["user"]] = row["outcome"]
        at = _moment(row["received_at_s"])
        if not isnan(at):
            receipts.setdefault(row["message_id"], {})[row["user"]] = at
    outages = []
    for row in _rows(folder, "outages"):
        outages.append(Outage(row["user"], row["group"], _moment(row["lost_at_s"]), _moment(row["joined_at_s"])))
        groups[row["user"]] = row["group"]
    fired = [Fired(e.do, e.at_s, e.whom, e.vain, number(e.lasts_s)) for e in found.events]
    return RunRecord(
        sent=sent,
        accepted=accepted,
        receipts=receipts,
        owed=owed,
        groups=groups,
        outages=outages,
        detections=[],
        fired=fired,
        drain_time_s=[],
        loop_lag_s=[],
        utilisation=[],
        counters=found.counters,
        duration_s=found.duration_s,
        warmup_s=found.warmup_s,
    )


def _moment(text: str) -> float:
    return float(text) if text else nan


def _decoded(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as problem:
        raise UsageError(
            f"{path.parent} holds no {path.name}: name the folder of a run, as `chatsim run` prints it"
        ) from problem
    except (OSError, ValueError, RecursionError) as problem:
        raise HarnessError(f"{path} cannot be read ({problem}): copy the whole run again") from problem


def _rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    """The rows of a table; a cell is text."""
    path = folder / f"{name}.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            missing = set(TABLES[name]) - set(reader.fieldnames or ())
            if missing:
                raise ValueError(f"it has no column {min(missing)}")
            for row in reader:
                for column in TABLES[name]:
                    if column.endswith("_s"):
                        _moment(row[column])
                yield row
    except (OSError, ValueError, csv.Error) as problem:
        raise HarnessError(f"{path} cannot be read ({problem}): copy the whole run again") from problem
