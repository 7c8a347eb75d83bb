"""One scenario, one wire, one verdict: plays it, judges it, and writes what happened.

Decides the order of things and what a run leaves behind. Rule: all wires end in the same rows (`RunRecord`), which
are judged in one place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from chatsim.errors import TargetError, UnbalancedError, UsageError
from chatsim.journal.record import RunRecord
from chatsim.people.lateness import ON_TIME, Lateness
from chatsim.runner.wreck import kept
from chatsim.scenario.expectations import SOMETHING
from chatsim.scenario.model import Scenario
from chatsim.store.folder import RunFolder
from chatsim.telemetry.prometheus import exposition
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.judge import Judged, judge, judge_measured, unproven, verdict_of
from chatsim.verdict.metrics import Metrics, check_conservation, counters, summary
from chatsim.verdict.outside import Outside
from chatsim.verdict.stalls import Stalls, without
from chatsim.verdict.wires import FLOW

if TYPE_CHECKING:
    from chatsim.flow.measures import Measures
    from chatsim.live.speed import Glance
    from chatsim.live.target import Target
    from chatsim.sim.event_loop import EventLoop

Verdict = Literal["pass", "fail", "inconclusive", "skipped", "invalid"]


class RunResult(msgspec.Struct):
    """What came of one run. `metrics` maps each metric to its aggregates (s, or shares), `path` is the folder that
    was written, `violations` are the invariants that did not hold (the run then fails, whatever else it says), `health`
    is how well the harness of a live run did itself (s, counts; empty in simulation), `busy` says that a run
    is not valid for the machine's sake alone: another one may be. `measures` are the numbers of a flow, whose `record`
    has no rows of messages. `late_s` is by how much a live crowd was late (s) in writing each message of the record
    (empty: nobody was), `glances` are those at the speed of a server that was measured closely, and `stolen` when the
    host ran other guests meanwhile (see `run_live`). It lasted for `lasted_s`, settling included (0 where the wire does
    not tell)."""

    scenario: str
    wire: str
    seed: int
    verdict: Verdict
    expectations: list[Judged]
    metrics: dict[str, dict[str, float]]
    counters: dict[str, int]
    trace_hash: str
    valid: bool
    why_invalid: str
    health: dict[str, Any]
    violations: list[Violation]
    path: Path | None
    record: RunRecord
    busy: bool = False
    lasted_s: float = 0.0
    measures: Measures | None = None
    late_s: Sequence[float] = ()
    glances: Sequence[Glance] = ()
    stolen: Sequence[tuple[float, float]] = ()

    def of_group(self, group: str) -> dict[str, dict[str, float]]:
        """Every aggregate of every metric of one group (s)."""
        return (self.measures or Metrics(self.record)).summary(group)

    def to_dict(self) -> dict[str, Any]:
        """The result as the one JSON document of `--json`."""
        return {
            "scenario": self.scenario,
            "wire": self.wire,
            "seed": self.seed,
            "verdict": self.verdict,
            "expectations": [
                {
                    "text": j.text,
                    "observed": j.observed,
                    "limit": j.limit,
                    "verdict": j.verdict,
                    "n": j.n,
                    "unit": j.unit,
                }
                | ({"why": j.why} if j.why else {})
                for j in self.expectations
            ],
            "metrics": self.metrics,
            "counters": self.counters,
            "duration_s": self.record.duration_s,
            "warmup_s": self.record.warmup_s,
            "events": [
                {
                    "do": f.do,
                    "at_s": f.at,
                    "lasts_s": f.lasts_s,
                    "users": len(f.users),
                    "whom": f.users,
                    "vain": f.vain,
                }
                for f in self.record.fired
            ],
            "trace_hash": self.trace_hash,
            "valid": self.valid,
            "why_invalid": self.why_invalid,
            "health": self.health,
            "violations": [
                {"invariant": v.name, "sentence": v.sentence, "at_s": v.at, "detail": v.detail} for v in self.violations
            ],
        }


class _Played(msgspec.Struct):
    """What a wire made of a scenario: `scenario` is the one to be judged by, `exposition` what a scrape told (None: it
    was not asked for), `outside` what is not known of a server that somebody else runs."""

    scenario: Scenario
    record: RunRecord
    trace_hash: str
    violations: list[Violation]
    exposition: bytes | None
    valid: bool = True
    why: str = ""
    busy: bool = False
    health: dict[str, Any] = msgspec.field(default_factory=dict)
    lasted_s: float = 0.0
    outside: Outside | None = None
    late_s: Sequence[float] = ()
    glances: Sequence[Glance] = ()
    stolen: Sequence[tuple[float, float]] = ()


def run(
    scenario: Scenario,
    *,
    on: str = "sim",
    seed: int | None = None,
    out: Path | None = None,
    progress: Callable[[float], None] | None = None,
    target: Target | None = None,
    closely: bool = False,
) -> RunResult:
    """Play a scenario on a wire and judge it; writes a folder below `out` (default `results/runs`).

    `progress` hears the share that is done; `target` is a server that somebody else runs, and `on` what it is called.
    A live run may be measured `closely` (see `run_live`). A run that was played to its end is always written,
    whether or not it may be judged; of one that broke on the way there are its journal and its last moments. Raises
    UsageError where the wire cannot play the scenario, TargetError where the server lets nobody in, HarnessError where
    it failed on the way.
    """
    if seed is not None:
        scenario = scenario.with_seed(seed)
    with RunFolder(scenario.name, on, scenario.seed, at=time.time(), out=out) as folder:
        if on == FLOW:
            result = _flow(scenario, progress)
            folder.write_scenario(scenario.words)
            folder.write_document(result.to_dict())
        else:
            result = _written(scenario, on, folder, progress, target, closely)
    result.path = folder.path
    return result


def _written(
    scenario: Scenario,
    on: str,
    folder: RunFolder,
    progress: Callable[[float], None] | None,
    target: Target | None,
    closely: bool,
) -> RunResult:
    """Play and judge it, with everything that is written down of a run of rows."""
    try:
        if target is not None:
            played = _play_remote(scenario, target, progress)
        elif on == "live":
            played = _play_live(scenario, folder.path, progress, closely)
        else:
            played = _play(scenario, on, folder.journal, progress)
    except (UsageError, TargetError):
        raise
    except Exception as problem:
        # Nothing can be judged, but its journal says what happened.
        told = kept(folder, {"scenario": scenario.name, "wire": on, "seed": scenario.seed}, problem)
        if told is None:
            raise
        raise told from problem
    result = _judged(played, on)
    folder.write_scenario(scenario.words)
    _write(folder, result)
    if played.exposition is not None:
        folder.write_metrics(played.exposition)
    return result


def play(scenario: Scenario, *, on: str = "sim", late: Lateness = ON_TIME, loop: EventLoop | None = None) -> RunResult:
    """Play a scenario in virtual time, on `sim`, `virtual` or as a flow, and judge it; nothing is written.

    On `sim` the crowd writes as `late` as another did, and the node's event loop is `loop`.
    Raises UsageError where the wire cannot play the scenario, HarnessError where it failed on the way.
    """
    if on == FLOW:
        return _flow(scenario, None)
    return _judged(_play(scenario, on, None, None, late, loop), on)


def _play(
    scenario: Scenario,
    on: str,
    journal: Path | None,
    progress: Callable[[float], None] | None,
    late: Lateness = ON_TIME,
    loop: EventLoop | None = None,
) -> _Played:
    if on == "virtual":
        from chatsim.live.beside import beside
        from chatsim.virtual.run import run_virtual

        # It has a loop of its own, and in a notebook one runs already; who does not want to know how far it is can
        # still interrupt it.
        there = beside(
            lambda told: run_virtual(scenario, journal=journal, progress=told), progress or (lambda share: None)
        )
        return _Played(scenario, there.record, there.trace_hash, there.violations, there.exposition)
    from chatsim.sim.run import simulate

    outcome = simulate(scenario, journal=journal, progress=progress, late=late, loop=loop)
    told = None if journal is None else exposition(outcome.families)
    return _Played(scenario, outcome.record, outcome.trace_hash, outcome.violations, told, lasted_s=outcome.lasted_s)


def _flow(scenario: Scenario, progress: Callable[[float], None] | None) -> RunResult:
    """Work it off as a flow: the same judge, and numbers without rows."""
    from chatsim.flow.run import flow

    found = flow(scenario, progress=progress)
    expectations = judge_measured(scenario.expect, found, found.counters)
    why = found.why_invalid(scenario)
    return RunResult(
        scenario=scenario.name,
        wire=FLOW,
        seed=scenario.seed,
        verdict="invalid" if why else verdict_of(expectations),
        expectations=unproven(expectations) if why else expectations,
        metrics=found.summary(),
        counters=found.counters,
        trace_hash="",
        valid=not why,
        why_invalid=why,
        health={},
        violations=[],
        path=None,
        record=found.record(scenario),
        measures=found,
    )


def _play_live(
    scenario: Scenario,
    folder: Path,
    progress: Callable[[float], None] | None,
    closely: bool,
) -> _Played:
    from chatsim.live.run import run_live

    lived = run_live(scenario, seed=scenario.seed, out_dir=folder, progress=progress, closely=closely)
    judged_by = scenario.with_live_overrides()
    judged_by = judged_by.scaled(judged_by.time_scale)
    played = _Played(judged_by, lived.record, lived.trace_hash, lived.violations, lived.exposition)
    played.valid, played.why, played.busy, played.health = lived.valid, lived.why_invalid, lived.busy, lived.health
    played.lasted_s, played.late_s = lived.health["lasted_s"], lived.late_s
    played.glances, played.stolen = lived.glances, lived.stolen
    excuse = _excuse(judged_by, lived.record, lived.stalls) if lived.valid else ""
    if excuse:
        played.valid, played.why, played.busy = False, excuse, True
    return played


def _play_remote(scenario: Scenario, target: Target, progress: Callable[[float], None] | None) -> _Played:
    from chatsim.live.remote import run_remote

    there = run_remote(scenario, target, progress=progress)
    played = _Played(there.scenario, there.record, "", [], None, outside=there.outside)
    played.valid, played.why, played.busy, played.health = there.valid, there.why_invalid, there.busy, there.health
    if not there.valid:
        return played
    excuse = _excuse(there.scenario, there.record, there.stalls, there.outside)
    if excuse:
        played.valid, played.why, played.busy = False, excuse, True
        return played
    nothing = there.unanswered or there.took_none
    if nothing and verdict_of(judge(there.scenario.expect, there.record, there.outside)) != "fail":
        # A promise that is broken stays so; one that seems kept may not have been asked.
        played.valid, played.why = False, nothing
    return played


def _judged(played: _Played, wire: str) -> RunResult:
    scenario, record = played.scenario, played.record
    valid, why, busy = played.valid, played.why, played.busy
    problem = _not_judgeable(scenario, record)
    if problem and valid:
        valid, why = False, problem
    outside = played.outside
    expectations = judge(scenario.expect, record, outside)
    counted = counters(record)
    if valid and verdict_of(expectations) == "pass":
        # Of somebody else's server it is heard by the crowd alone.
        peak = counted["connections_peak"] if outside is None else outside.bounds["connections_peak"].low
        why = "" if peak else _unattended(scenario)
        valid = not why
    verdict: Verdict = verdict_of(expectations) if valid else "invalid"
    if played.violations:
        # Whatever the machine did beside it, the handler has broken a promise, and would be no better the next time.
        verdict, busy = "fail", False
    return RunResult(
        scenario=scenario.name,
        wire=wire,
        seed=scenario.seed,
        verdict=verdict,
        expectations=expectations if valid else unproven(expectations),
        metrics=summary(record),
        counters=counted if outside is None else outside.counted(counted),
        trace_hash=played.trace_hash,
        valid=valid,
        why_invalid=why,
        health=played.health,
        violations=played.violations,
        path=None,
        record=record,
        busy=busy,
        lasted_s=played.lasted_s,
        late_s=played.late_s,
        glances=played.glances,
        stolen=played.stolen,
    )


def _excuse(scenario: Scenario, record: RunRecord, stalls: Stalls, outside: Outside | None = None) -> str:
    """Why limits that were broken prove nothing, in one sentence: the machine stood still, and but for that they hold.

    Nothing where they do not, and where none was broken: what holds in spite of a busy machine, holds.
    """
    broken = [judged.text for judged in judge(scenario.expect, record, outside) if judged.verdict == "fail"]
    if not broken or not stalls.total_s:
        return ""
    if verdict_of(judge(scenario.expect, without(record, stalls), outside)) == "fail":
        return ""
    return (
        f"the machine did not run the server or the crowd for {stalls.total_s * 1000:.0f} ms in all, "
        f"{stalls.longest_s * 1000:.0f} ms at a time; without that, {' and '.join(broken)} would hold"
    )


def _unattended(scenario: Scenario) -> str:
    """Why promises that were kept though nobody got in prove nothing, in one sentence; nothing where they do."""
    if not scenario.is_vacuous:
        return ""
    return (
        f"{scenario.name}: nobody got in, and all that is promised holds where nothing happens: "
        f"{SOMETHING}, or mend what keeps them out"
    )


def _not_judgeable(scenario: Scenario, record: RunRecord) -> str:
    """Why a run that was played to its end proves nothing, in one sentence; nothing where it does."""
    try:
        check_conservation(record)
    except UnbalancedError as problem:
        return str(problem)
    idle = [fired for fired in record.fired if fired.vain]
    if not idle:
        return ""
    return (
        f"{scenario.name}: {idle[0].do} at {idle[0].at:g} s touched nobody: "
        "choose a moment or a group with somebody there"
    )


def _write(folder: RunFolder, result: RunResult) -> None:
    folder.write_document(result.to_dict())
    record = result.record
    folder.write_table(
        "messages",
        ("user", "group", "session", "id", "intended_at_s", "acked_at_s", "message_id"),
        (
            (r.user, r.group, r.session, r.id, r.intended_at, r.acked_at, record.accepted.get((r.user, r.id)))
            for r in record.sent
        ),
    )
    folder.write_table(
        "receipts",
        ("message_id", "user", "outcome", "received_at_s"),
        (
            (message_id, user, outcome, record.receipts.get(message_id, {}).get(user))
            for message_id, owed in record.owed.items()
            for user, outcome in owed.items()
        ),
    )
    folder.write_table(
        "outages",
        ("user", "group", "lost_at_s", "joined_at_s"),
        ((r.user, r.group, r.lost_at, r.joined_at) for r in record.outages),
    )
