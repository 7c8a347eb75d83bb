"""Pairs are what they say; what is played on both sides agrees, and what is wrong on purpose does not.

The live side is a simulation here: what two wires make of a scenario is not asked, but what is done with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from chatsim.analysis.validation import Sight
from chatsim.errors import BrokenPromiseError, UsageError
from chatsim.live.calibration.disk import COMMITS
from chatsim.live.metrics import frames
from chatsim.live.speed import WARMING, Glance
from chatsim.people.lateness import ON_TIME, Lateness
from chatsim.runner.calibrate import calibration
from chatsim.runner.run import RunResult, play, run
from chatsim.runner.spelled import times
from chatsim.runner.validate import (
    AROUND_S,
    CONTROLS,
    COSTLIER,
    DRAINS,
    PAIRS,
    Effort,
    Imitation,
    Lived,
    Pair,
    Validator,
    differences,
    disturbed,
    imitation,
    lateness,
    load_of,
    may_differ,
    pairs,
    sight,
    validate,
)
from chatsim.scenario.load import discover, load_all
from chatsim.scenario.model import Scenario
from chatsim.store.calibration import Calibration
from chatsim.verdict.invariants.catalogue import Violation
from tests.analysis.planted import measured

EFFORT = Effort(live=2, replications=2, attempts=1, jobs=1)


def made() -> Calibration:
    """The planted costs, twenty times over: a slow machine is as busy with fewer messages, and these tests with it."""
    found = calibration(measured(rounds=2, cv=0.0), chatsim="0", made_at="2026-01-02", quick=True, journal=True)
    found.costs = times(found.costs, 20.0)
    return found


class Wire:
    """Stands for the live one: plays in simulation what it is given, with the costs so many times what is told."""

    def __init__(
        self,
        factor: float = 1.0,
        why: str = "",
        crowd_share: float = 0.0,
        late_s: Sequence[float] = (),
        glances_s: Sequence[float] = (),
        left_out: Sequence[float] = (),
        waits_s: float = 0.0,
    ) -> None:
        """`late_s` is by how much the crowd is late (s) with one message after another, and so on from the front;
        `glances_s` is what the server's fixed work takes each time (s), `left_out` which share of the time has to be
        left out of one run after another for its host's sake, from the end of the warm-up on, and what is written in
        that time or, where there is none, in its first fifth waits for `waits_s`."""
        self.left_out = left_out
        self.waits_s = waits_s
        self.glances_s = glances_s
        self.late_s = late_s
        self.costs = made().costs
        self.crowd_share = crowd_share
        self.factor = factor
        self.why = why
        self.played = 0

    def __call__(self, scenario: Scenario, out: Path) -> RunResult:
        self.played += 1
        told = scenario.with_({"costs": times(self.costs, self.factor)})
        result = run(told, on="sim", out=out)
        if self.late_s:
            meant_at = np.array([sent.intended_at for sent in result.record.sent])
            late = Lateness(meant_at, np.resize(self.late_s, meant_at.size))
            path, result = result.path, play(told, late=late)
            result.path, result.late_s = path, (late.moments(meant_at) - meant_at).tolist()
        acting_s = scenario.duration_s - scenario.warmup_s
        share = self.left_out[self.played - 1] if self.left_out else 0.0
        if share:
            # As long as is left out around it, and after it at this load.
            busy = result.record.utilisation[0]
            took_s = (share * acting_s - AROUND_S) / (1.0 + DRAINS * busy / (1.0 - busy))
            result.stolen = [(scenario.warmup_s, scenario.warmup_s + took_s)]
        if self.waits_s:
            self._wait(result, scenario.warmup_s, scenario.warmup_s + (share or 0.2) * acting_s)
        result.health["crowd_cpu_s"] = self.crowd_share * scenario.duration_s
        assert result.path is not None
        result.health["frames_out"] = frames((result.path / "metrics.prom").read_bytes(), "out")
        result.glances = [Glance(place, took_s, took_s / 2) for place, took_s in enumerate(self.glances_s)]
        if self.why:
            result.valid, result.why_invalid, result.busy = False, self.why, True
        return result

    def _wait(self, result: RunResult, began_at: float, ended_at: float) -> None:
        record = result.record
        for place, sent in enumerate(record.sent):
            if began_at <= sent.intended_at <= ended_at:
                record.sent[place] = msgspec.structs.replace(sent, acked_at=sent.acked_at + self.waits_s)
                receipts = record.receipts.get(record.accepted.get((sent.user, sent.id), ""), {})
                receipts.update({user: at + self.waits_s for user, at in receipts.items()})


@pytest.fixture
def small() -> Scenario:
    return pairs(["fives-50"])[0].with_({"duration": "4s", "groups.people.users": 20})


def glances_of(cv: float) -> list[float]:
    """What a server's fixed work takes on a machine of two speeds, each held for twenty glances (s)."""
    dice = np.random.default_rng(1)
    speed, found = 1.0, []
    for _ in range(10_000):
        if dice.random() < 1 / 20:
            speed = 1.0 + cv * float(dice.choice([-1.0, 1.0]))
        found.append(90e-6 * speed * (1.0 + 0.02 * float(dice.standard_normal())))
    return found


def lived_at(seen: Sight, glances_s: Sequence[float], speed: float = 1.0) -> Lived:
    """A live run whose server looked at its speed a hundred times a second, and found this (s)."""
    glances = [Glance(place / 100, took_s, took_s / 2) for place, took_s in enumerate(glances_s)]
    return Lived(seen, speed, ON_TIME, {}, glances=glances, slower=[took_s / 90e-6 for took_s in glances_s])


@pytest.mark.parametrize(("cv", "wavers"), [(0.3, True), (0.0, False)])
def test_a_pair_has_the_pace_of_its_own_time_and_not_that_of_the_calibration(
    small: Scenario, cv: float, wavers: bool
) -> None:
    calibrated = made()
    calibrated.costs |= {"pace": {"uniform": {"low": 0.1, "high": 1.9}}, "pace_hold": "1s"}
    lived = lived_at(sight(play(small)), glances_of(cv), 1.0)
    validator = Validator(calibrated, EFFORT)
    costs = validator.wavers(validator.pace([lived])).costs
    assert ("pace" in costs, "pace_hold" in costs) == (wavers, wavers)
    assert costs.get("pace") != calibrated.costs["pace"]
    assert {word for word in costs if word not in ("pace", "pace_hold")} == set(made().costs)


def test_a_simulation_is_as_fast_as_the_server_of_its_live_run_was(small: Scenario, tmp_path: Path) -> None:
    calibrated = made()
    wire = Wire(glances_s=[1.5 * calibrated.reference.median_s] * 4)
    validator = Validator(calibrated, EFFORT, play_live=wire)
    [lived], why = validator.live(small, tmp_path)
    assert why == ""
    assert lived.speed == validator.speed == pytest.approx(1.5)


def test_a_server_is_slower_than_its_fixed_work_by_the_power_that_was_calibrated(
    small: Scenario, tmp_path: Path
) -> None:
    calibrated = made()
    told = calibrated.measured["frame"]
    calibrated.measured["elasticity"] = msgspec.structs.replace(told, value=1.5, unit="power")
    usual_s = calibrated.reference.median_s
    wire = Wire(glances_s=[usual_s, 4.0 * usual_s])
    [lived], why = Validator(calibrated, EFFORT, play_live=wire).live(small, tmp_path)
    assert why == ""
    assert lived.slower == pytest.approx([1.0, 8.0])
    course = imitation(small, lived).course
    assert course is not None
    assert course.levels[1] == pytest.approx(8.0 * course.levels[0])
    assert lived.speed == pytest.approx(4.5)
    # What the glances themselves take is what they took.
    assert imitation(small, lived).chores == [(at, took_s * (1 + WARMING)) for at, took_s, _ in lived.glances]


def test_a_simulation_slows_down_when_its_live_run_did(small: Scenario) -> None:
    """Twice as slow in the first half as in the second one, and the other way round: the same in the mean."""
    half = int(small.duration_s * 50)
    slow, fast = [180e-6] * half, [90e-6] * half
    seen = sight(play(small))
    late_s = []
    for glances_s in (slow + fast, fast + slow):
        lived = lived_at(seen, glances_s)
        it = imitation(small.with_({"warmup": "0s"}), lived)
        assert it.course is not None
        assert np.mean(it.course.levels) == pytest.approx(1.0)
        told = Validator(made(), EFFORT).simulated(it)
        first = told.moments["ack_latency"] < small.duration_s / 2
        late_s.append([np.median(told.latencies["ack_latency"][here]) for here in (first, ~first)])
    (slow_s, then_fast_s), (fast_s, then_slow_s) = late_s
    assert slow_s > 1.5 * fast_s
    assert then_slow_s > 1.5 * then_fast_s


def test_where_nobody_looked_how_fast_it_was_no_speed_goes(small: Scenario) -> None:
    lived = lived_at(sight(play(small)), [], 1.2)
    it = imitation(small, lived)
    assert (it.scenario, it.speed, it.late, it.course) == (small, 1.2, ON_TIME, None)


def test_there_are_pairs_of_every_kind() -> None:
    found = pairs()
    assert len(found) >= 20
    loads = [load_of(scenario) for scenario in found]
    assert min(loads) == 0.2
    assert max(loads) == 0.85
    assert {group.session_size for scenario in found for group in scenario.groups} >= {2, 5, 20, 100, 500}
    assert any(scenario.tls for scenario in found)
    # What is left out is played as each wire is used to, and the two are used to different logs.
    assert {scenario.log.store for scenario in found} == {"memory", "sqlite"}
    assert {event.do for scenario in found for event in scenario.events} == {"drop", "slow_reader"}


def test_no_check_plays_them() -> None:
    shipped, _ = load_all(discover([]))
    assert not {scenario.name for scenario in shipped} & {scenario.name for scenario in pairs()}
    assert all(path.stem == scenario.name for path, scenario in zip(discover([PAIRS]), pairs(), strict=True))


def test_a_pair_that_there_is_not_is_told_with_its_neighbour() -> None:
    with pytest.raises(UsageError, match=r"no pair fives-51.*fives-50"):
        pairs(["fives-51"])


def test_a_pair_is_as_busy_as_it_says(small: Scenario) -> None:
    validator = Validator(made(), EFFORT)
    told = validator.loaded(small, 1.3)
    seen = validator.simulated(Imitation(told, 1.3))
    assert seen.utilisation == pytest.approx(0.5, rel=0.05)


def test_the_same_on_both_sides_is_equivalent(small: Scenario) -> None:
    wire = Wire()
    validator = Validator(made(), EFFORT, play_live=wire)
    found = validator.pair(small)
    assert wire.played == EFFORT.live
    assert found.judged is not None
    by = {test.metric: test for test in found.judged.tests}
    assert by["delivery_latency_p95"].ratio == pytest.approx(1.0)
    # What a silent server does beside is not in this wire's account.
    assert by["utilisation"].ratio == pytest.approx(1.0, abs=0.01)
    assert found.judged.counted


def test_how_late_a_crowd_writes_is_no_difference(small: Scenario) -> None:
    """It writes in bunches, and half a second late: what waits at the server then waits there on both sides."""
    bunched = [0.02, 0.01, 0.0, 0.0, 0.5]
    validator = Validator(made(), EFFORT, play_live=Wire(late_s=bunched))
    found, punctual = validator.pair(small), validator.simulated(Imitation(small, 1.0))
    assert found.judged is not None
    assert found.judged.equivalent
    for live, simulated in zip(found.live, found.simulated, strict=True):
        for metric, latencies in live.latencies.items():
            assert latencies == pytest.approx(simulated.latencies[metric])
            assert np.quantile(latencies, 0.95) < 0.4, "from when it was written, not from when it was meant"
            assert np.quantile(latencies, 0.95) > 1.5 * np.quantile(punctual.latencies[metric], 0.95)


def test_costs_that_are_wrong_are_found_out(small: Scenario) -> None:
    validator = Validator(made(), EFFORT, play_live=Wire(factor=1.6))
    found = validator.pair(small)
    assert found.judged is not None
    assert not found.judged.equivalent
    assert {test.metric: test for test in found.judged.tests}["utilisation"].ratio > 1.4


def test_a_control_that_was_off_before_tells_nothing(small: Scenario) -> None:
    """Where the costs are too low by as much as those of the control are too high, these are right."""
    full = small.with_({"tags": ["validation", "load-70%"]})
    for factor, caught in ((1.0, True), (COSTLIER, False)):
        found = Validator(made(), EFFORT, play_live=Wire(factor=factor)).pair(full)
        assert found.judged is not None
        assert ("utilisation" in found.judged.equal) == caught
        assert found.controls == {f"costs x {COSTLIER:g} ({small.name})": caught}


@pytest.mark.slow
def test_every_control_turns_its_verdict() -> None:
    turned: dict[str, bool] = {}
    validator = Validator(made(), EFFORT, play_live=Wire())
    for name in ("fives-70", "pings-20", "retries-20"):
        turned |= validator.pair(pairs([name])[0].with_({"duration": "4s"})).controls
    assert all(any(name.startswith(kind) for name in turned) for kind in CONTROLS)
    assert all(turned.values()), turned


def test_a_machine_that_is_too_busy_is_not_judged(small: Scenario) -> None:
    wire = Wire(why="the crowd was late")
    validator = Validator(made(), EFFORT._replace(attempts=2), play_live=wire)
    found = validator.pair(small)
    assert (found.judged, found.why) == (None, "the crowd was late")
    assert wire.played == 2


def test_a_run_that_the_machine_was_too_busy_for_costs_no_pair_its_others(small: Scenario, tmp_path: Path) -> None:
    """The first is good, the next two are not, and the fourth is again: the two good ones count."""
    wire = Wire()

    def play_live(scenario: Scenario, out: Path) -> RunResult:
        wire.why = "the crowd was late" if wire.played in (1, 2) else ""
        return wire(scenario, out)

    lived, why = Validator(made(), EFFORT._replace(attempts=2), play_live=play_live).live(small, tmp_path, 2)
    assert (len(lived), why, wire.played) == (2, "", 4)


def test_a_backlog_of_a_server_that_is_busy_all_the_time_ends_all_the_same() -> None:
    result = play(pairs(["fives-50"])[0].with_({"duration": "4s", "groups.people.users": 20}))
    result.record.utilisation[:] = [1.0]
    result.stolen = [(2.0, 2.01)]
    [[began_at, ended_at]] = disturbed(result)
    assert (began_at, ended_at) == pytest.approx((2.0 - AROUND_S, 2.01 + AROUND_S + DRAINS * 0.01 * 9))


def test_a_server_that_breaks_what_must_hold_validates_nothing(
    small: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Violation("seq", 3.0, "s has 4 after 2.")
    monkeypatch.setattr("chatsim.verdict.invariants.watch.Watch.finish", lambda *_, **__: [broken])
    wire = Wire()
    validator = Validator(made(), EFFORT._replace(attempts=3), play_live=wire)
    with pytest.raises(BrokenPromiseError, match="invariants do not hold: seq"):
        validator.live(small, tmp_path)
    assert wire.played == 1, "no luck makes up for that"
    found = validator.pair(small)
    assert (found.judged, found.broken) == (None, True)
    assert found.why == f"invariants do not hold: {broken}"
    assert validator.measure_path() == found.why


@pytest.mark.parametrize(
    ("shares", "runs", "counts"),
    [
        ([0.05], 1, [0.05]),
        ([0.4, 0.02], 1, [0.02]),
        ([0.5, 0.3, 0.4], 1, [0.3]),
        ([0.01, 0.4, 0.0], 2, [0.01, 0.0]),
        ([0.5, 0.4, 0.01, 0.3, 0.6, 0.5], 2, [0.01, 0.3]),
    ],
)
def test_the_calmest_runs_count_of_as_many_as_it_takes(
    small: Scenario, tmp_path: Path, shares: list[float], runs: int, counts: list[float]
) -> None:
    """So many of which next to nothing has to be left out, and three times as many at most."""
    wire = Wire(left_out=shares)
    validator = Validator(made(), EFFORT._replace(attempts=3), play_live=wire)
    lived, why = validator.live(small, tmp_path, runs)
    assert (wire.played, why) == (len(shares), "")
    assert [one.left_out for one in lived] == pytest.approx(counts)


def test_what_waited_for_the_host_is_left_out_on_both_sides(small: Scenario) -> None:
    """For a fifth of the time each message waits for half a second longer: nobody sees any of it."""
    found = Validator(made(), EFFORT, play_live=Wire(left_out=[0.2] * 4, waits_s=0.5)).pair(small)
    assert found.judged is not None
    assert found.judged.equivalent
    assert found.left_out == pytest.approx([0.2] * EFFORT.live)
    for live, simulated in zip(found.live, found.simulated, strict=True):
        for metric, latencies in live.latencies.items():
            assert latencies == pytest.approx(simulated.latencies[metric])
            assert latencies.max() < 0.4
    seen = Validator(made(), EFFORT, play_live=Wire(waits_s=0.5)).pair(small)
    assert seen.judged is not None
    assert not seen.judged.equivalent


def test_what_is_written_just_before_and_for_as_long_after_as_it_takes_to_catch_up_is_left_out() -> None:
    result = play(pairs(["fives-50"])[0].with_({"duration": "4s", "groups.people.users": 20}))
    assert disturbed(result).shape == (0, 2)
    result.record.utilisation[:] = [0.5]
    result.stolen = [(2.0, 2.1), (3.0, 3.01)]
    # At half a load the backlog of 100 ms is gone after 100 ms, in the mean.
    spans = [[2.0 - AROUND_S, 2.1 + AROUND_S + DRAINS * 0.1], [3.0 - AROUND_S, 3.01 + AROUND_S + DRAINS * 0.01]]
    assert disturbed(result) == pytest.approx(np.array(spans))


def test_a_crowd_that_is_busy_all_the_time_is_not_judged(small: Scenario) -> None:
    wire = Wire(crowd_share=0.84)
    validator = Validator(made(), EFFORT._replace(attempts=2), play_live=wire)
    found = validator.pair(small)
    assert found.judged is None
    assert found.why.startswith("the crowd's process was busy for 84% of the time")
    assert wire.played == 2, "it may have been something else that ran beside"


def test_what_a_crowd_takes_is_shared_by_what_it_wrote_and_read(small: Scenario) -> None:
    result = play(small)
    assert lateness(result) == ON_TIME, "nobody has told"
    result.health |= {"crowd_cpu_s": 2.0, "crowd_wrote_s": 0.5, "crowd_heard_s": 0.9, "frames_in": 100}
    result.health |= {"crowd_reads": 200, "crowd_frames": 300}
    told = lateness(result)
    assert told.reads_s == pytest.approx(0.003)
    assert told.frames_s == pytest.approx(0.003)
    assert told.writes_s == pytest.approx(0.005)


def test_the_way_is_what_is_left_beside_the_costs() -> None:
    validator = Validator(made(), EFFORT, play_live=Wire())
    assert validator.measure_path() == ""
    assert validator.path_s == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("counter", "larger", "allowed"), [("pings", 10, 5), ("pings", 100, 10), ("sent", 100, 0)])
def test_counts_that_timers_decide_may_differ_a_little(counter: str, larger: int, allowed: int) -> None:
    assert may_differ(counter, larger) == allowed


def test_counts_are_the_same_or_near(small: Scenario) -> None:
    validator = Validator(made(), EFFORT)
    seen = validator.simulated(Imitation(small, 1.0))

    def counted(**more: int) -> Any:
        return msgspec.structs.replace(seen, counts={**seen.counts, **more})

    assert differences([seen], [seen]) == {}
    assert differences([counted(pings=103)], [counted(pings=100)]) == {}
    assert differences([counted(pings=150)], [counted(pings=100)]) == {"pings": (150, 100)}
    assert differences([counted(sent=1)], [counted(sent=2)]) == {"sent": (1, 2)}
    assert differences([counted(rate_limited=20)], [counted(rate_limited=30)]) == {"rate_limited": (20, 30)}
    assert differences([counted(slow_closed=1)], [counted(slow_closed=6)]) == {}


def test_a_crowd_that_takes_its_time_reads_one_connection_after_the_other(small: Scenario) -> None:
    each_s = 0.0005
    validator = Validator(made(), EFFORT)
    whole = small.with_({"warmup": "0s"})
    sights = [validator.simulated(Imitation(whole, 1.0, late)) for late in (ON_TIME, ON_TIME._replace(reads_s=each_s))]
    at = [
        np.unique(np.concatenate([seen.moments[m] + seen.latencies[m] for m in seen.latencies]).round(9))
        for seen in sights
    ]
    # On time four hear of each message at one moment; else what one connection finds when its turn comes it has at one.
    assert at[1].size > 2 * at[0].size
    assert np.diff(at[1]).min() >= each_s - 2e-9


def test_pings_of_a_run_that_settles_for_longer_are_no_more(small: Scenario) -> None:
    result = play(small)
    assert result.lasted_s >= small.duration_s
    result.counters["pings"] = 300
    result.lasted_s = 1.5 * small.duration_s
    assert sight(result).counts["pings"] == 200


def test_what_is_seen_lies_behind_the_warm_up(small: Scenario, tmp_path: Path) -> None:
    seen = sight(run(small, on="sim", out=tmp_path))
    assert seen.moments["delivery_latency"].min() >= small.warmup_s
    assert seen.latencies["delivery_latency"].size == seen.moments["delivery_latency"].size > 0
    assert seen.latencies["ack_latency"].min() > 0


def test_an_interrupt_keeps_the_pairs_that_are_done() -> None:
    class Interrupted(Validator):
        """Short pairs, in the middle of one of which somebody has had enough."""

        at = "fives-50"

        def measure_path(self) -> str:
            return ""

        def pair(self, scenario: Scenario) -> Pair:
            if scenario.name == self.at:
                raise KeyboardInterrupt
            return super().pair(scenario.with_({"duration": "3s", "groups.people.users": 10}))

    def interrupted(calibration: Calibration, effort: Effort) -> Validator:
        return Interrupted(calibration, effort, play_live=Wire())

    told: list[str] = []
    shown = validate(made(), ["fives-20", "fives-50"], EFFORT, told=told.append, make=interrupted)
    assert [pair.name for pair in shown.pairs] == ["fives-20"]
    assert shown.interrupted
    assert shown.verdict != "pass"
    assert any("interrupted when 1 of 2 pairs were done" in note for note in shown.notes)
    assert told[0].startswith("1 of 2: fives-20 is")
    with pytest.raises(KeyboardInterrupt):
        validate(made(), ["fives-50"], EFFORT, make=interrupted)


def test_a_disk_that_is_slower_just_now_has_its_commits_take_longer(small: Scenario) -> None:
    """Commits in turn with the live runs tell how fast the disk is, as glances tell it of the processor."""
    kept = small.with_({"log": {"store": "sqlite"}})
    document = made()
    document.costs |= {"commit": "1000us", "commit_cold": "500us", "commit_cold_after": "8ms"}
    document.reference = msgspec.structs.replace(document.reference, commits_s=[0.001, 0.002, 0.003])
    asked = Validator(document, EFFORT)
    usual, slow = (asked.simulated(Imitation(kept, 1.0, commits_s=seen)) for seen in ([0.002] * 3, [0.004] * 3))
    acks = [float(np.median(sight.latencies["ack_latency"])) for sight in (usual, slow)]
    assert acks[0] == float(np.median(asked.simulated(Imitation(kept, 1.0)).latencies["ack_latency"]))
    assert 0.001 < acks[1] - acks[0] < 0.003, "twice as long, and what waits behind it"


def test_only_a_log_that_lasts_has_its_disk_looked_at(small: Scenario, tmp_path: Path) -> None:
    document = made()
    document.reference = msgspec.structs.replace(document.reference, commits_s=[0.001])
    told = small.with_({"duration": "3s"})
    [memory], _ = Validator(document, EFFORT, play_live=Wire()).live(told, tmp_path)
    assert memory.commits_s == []
    [kept], _ = Validator(document, EFFORT, play_live=Wire()).live(told.with_({"log": {"store": "sqlite"}}), tmp_path)
    assert len(kept.commits_s) == COMMITS
    assert min(kept.commits_s) > 0
    [unknown], _ = Validator(made(), EFFORT, play_live=Wire()).live(told.with_({"log": {"store": "sqlite"}}), tmp_path)
    assert unknown.commits_s == []


class Unsteady(Wire):
    """Every other run of it costs three times as much."""

    def __call__(self, scenario: Scenario, out: Path) -> RunResult:
        self.factor = 1.0 + 2.0 * (self.played % 2)
        return super().__call__(scenario, out)


@pytest.mark.parametrize(("wire", "played"), [(Wire(), 2), (Unsteady(), 6)])
def test_what_two_runs_cannot_tell_is_played_on(wire: Wire, played: int, small: Scenario) -> None:
    """Until the intervals are narrow, or there are as many as are wanted: whatever it is that they tell."""
    told = small.with_({"duration": "3s"})
    pair = Validator(made(), EFFORT._replace(most=6), play_live=wire).pair(told)
    assert (wire.played, len(pair.live), len(pair.simulated), len(pair.speeds)) == (played,) * 4
    assert pair.judged is not None
    assert pair.judged.sharp == (played == 2)
