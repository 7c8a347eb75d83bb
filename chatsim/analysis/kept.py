"""A run that was kept in a folder, held as if it had just been played; and many that were judged together.

Decides what is read of a run's folder. Rule: what was judged is believed as it was written, and the tables are made of
the rows beside it; a folder that is none, or is damaged, is refused with one sentence.
What is made of the run is left to others.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from math import isnan, nan
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from chatsim.analysis.results import Run
from chatsim.errors import HarnessError, UsageError
from chatsim.journal.lives import is_elsewhere, journals
from chatsim.journal.record import Fired, Outage, RunRecord, Sent
from chatsim.scenario.units import duration
from chatsim.verdict.again import Source
from chatsim.verdict.judge import Judged, unproven
from chatsim.verdict.wires import FLOW

Number = float | Literal["inf", "-inf"] | None
"""A float as JSON can say it."""


class _Expectation(msgspec.Struct):
    text: str
    observed: Number
    limit: Number
    verdict: Literal["pass", "fail", "inconclusive", "skipped", "invalid"]
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


class _Violation(msgspec.Struct):
    invariant: str
    sentence: str
    at_s: float
    detail: str


class Violated(msgspec.Struct, frozen=True):
    """An invariant that did not hold, in the words of the version that has seen it."""

    name: str
    sentence: str
    at: float
    detail: str


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
    violations: list[_Violation] = []


class _Kind(msgspec.Struct):
    """What tells many runs that were judged together from one: how many they are."""

    replications: int | None = None


class _Label(msgspec.Struct):
    scenario: str
    wire: str
    seed: int
    replications: int | None = None


class Label(msgspec.Struct, frozen=True):
    """Which run a folder tells of: the `words` of its scenario (empty where they were not kept), its wire (the URL of
    somebody else's server), and how many runs they are that were judged together, 0 where it is one."""

    scenario: str
    wire: str
    seed: int
    replications: int
    words: dict[str, Any]


class _Ruled(msgspec.Struct):
    text: str
    observed: Number
    low: Number
    high: Number
    limit: Number
    verdict: Literal["pass", "fail", "inconclusive"]
    n: int
    infinite: int = 0
    would_do: Number = 0.0
    why: str = ""
    unit: str = ""


class _Summed(msgspec.Struct):
    metric: str
    mean: Number
    low: Number
    high: Number
    n: int
    needed: int = 0


class _Repeated(msgspec.Struct):
    """What is needed of `run.json` where many runs were judged together."""

    scenario: str
    wire: str
    seed: int
    verdict: Literal["pass", "fail", "inconclusive"]
    replications: int
    expectations: list[_Ruled]
    numbers: list[_Summed] = []
    auto: bool = False
    violations: list[_Violation] = []


class Ruled(msgspec.Struct, frozen=True):
    """One expectation that was judged over `n` runs: the mean over them and its one-sided bounds, in `unit` ("s",
    "share", or "" for a count). In `infinite` of the n it was infinite; `would_do` is how many would probably decide, 0
    where it is decided, and inf where none would, with the reason in `why`."""

    text: str
    mean: float
    low: float
    high: float
    limit: float
    verdict: Literal["pass", "fail", "inconclusive"]
    n: int
    infinite: int
    would_do: float
    why: str
    unit: str


class Summed(msgspec.Struct, frozen=True):
    """One number over `n` runs: its mean and a 95 % interval, nan where it has none; `needed` is how many samples a run
    would want for that, 0 where it has them."""

    metric: str
    mean: float
    low: float
    high: float
    n: int
    needed: int


class KeptRepeated(msgspec.Struct):
    """Many runs of one scenario that were judged together, as `chatsim run --replications` leaves them; `auto` says
    that they were played until all was decided. `words` are those of the scenario, empty where they were not kept;
    latencies were judged from `warmup_s` on."""

    scenario: str
    wire: str
    seed: int
    verdict: Literal["pass", "fail", "inconclusive"]
    replications: int
    auto: bool
    expectations: list[Ruled]
    numbers: list[Summed]
    path: Path | None
    words: dict[str, Any]
    warmup_s: float
    violations: list[Violated] = []


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
    violations: list[Violated] = []


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
    return Run(found, Source.at(found.scenario, folder / "scenario.json") if found.words else None)


def label(folder: Path) -> Label:
    """Which run a folder tells of, without what came of it; as `read`."""
    found = _decoded(folder / "run.json", _Label)
    return Label(found.scenario, found.wire, found.seed, found.replications or 0, _words(folder))


def read_any(folder: Path) -> KeptResult | KeptRepeated:
    """What was judged of the run of a folder, or of the many runs that it tells of; as `read`."""
    return _repeated(folder) if _many(folder) else read_result(folder)


def read_result(folder: Path) -> KeptResult:
    """What was judged of the run, and its rows; as `read`, and UsageError for many runs that were judged together."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name the folder of a run, as `chatsim run` prints it")
    if many := _many(folder):
        raise UsageError(
            f"{folder} is of {many} runs that were judged together, of which no rows were kept: `chatsim report` shows "
            "what was found, and its numbers are in replications.csv"
        )
    found = _decoded(folder / "run.json", _Document) if (folder / "run.json").exists() else None
    if found is not None and found.wire == FLOW:
        raise UsageError(f"{folder} is of a flow, which keeps no rows: its numbers are in run.json")
    if found is None or not is_elsewhere(found.wire):
        journals(folder)
    found = found or _decoded(folder / "run.json", _Document)
    words = _words(folder)
    judged = [
        Judged(e.text, number(e.observed), number(e.limit), e.verdict, e.n, e.unit, e.why) for e in found.expectations
    ]
    return KeptResult(
        scenario=found.scenario,
        wire=found.wire,
        seed=found.seed,
        verdict=found.verdict,
        # Those of old say what would have been of it.
        expectations=judged if found.valid else unproven(judged),
        metrics={name: {key: number(value) for key, value in row.items()} for name, row in found.metrics.items()},
        counters=found.counters,
        valid=found.valid,
        why_invalid=found.why_invalid,
        path=folder,
        trace_hash=found.trace_hash,
        record=_record(folder, found),
        words=words,
        health=found.health,
        violations=[Violated(v.invariant, v.sentence, v.at_s, v.detail) for v in found.violations],
    )


def _many(folder: Path) -> int:
    """Of how many runs a folder tells that were judged together; 0 where it is of one run, or of none."""
    path = folder / "run.json"
    return (_decoded(path, _Kind).replications or 0) if path.is_file() else 0


def _repeated(folder: Path) -> KeptRepeated:
    found = _decoded(folder / "run.json", _Repeated)
    words = _words(folder)
    warmup_s = 0.0
    with suppress(ValueError):
        warmup_s = duration(words.get("warmup", "0s"))
    return KeptRepeated(
        scenario=found.scenario,
        wire=found.wire,
        seed=found.seed,
        verdict=found.verdict,
        replications=found.replications,
        auto=found.auto,
        expectations=[
            Ruled(
                text=e.text,
                mean=number(e.observed),
                low=number(e.low),
                high=number(e.high),
                limit=number(e.limit),
                verdict=e.verdict,
                n=e.n,
                infinite=e.infinite,
                would_do=number(e.would_do),
                why=e.why,
                unit=e.unit,
            )
            for e in found.expectations
        ],
        numbers=[Summed(e.metric, number(e.mean), number(e.low), number(e.high), e.n, e.needed) for e in found.numbers],
        path=folder,
        words=words,
        warmup_s=warmup_s,
        violations=[Violated(v.invariant, v.sentence, v.at_s, v.detail) for v in found.violations],
    )


def _words(folder: Path) -> dict[str, Any]:
    """The words of the scenario, empty where they were not kept."""
    path = folder / "scenario.json"
    found: dict[str, Any] = _decoded(path, dict[str, Any]) if path.exists() else {}
    return found


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
