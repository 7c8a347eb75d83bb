"""Pairs are what they say; what is played on both sides agrees, and what is wrong on purpose does not.

The live side is a simulation here: what two wires make of a scenario is not asked, but what is done with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatsim.errors import UsageError
from chatsim.runner.calibrate import calibration
from chatsim.runner.run import RunResult, play, run
from chatsim.runner.validate import CONTROLS, PAIRS, Effort, Validator, differences, load_of, pairs, sight, times
from chatsim.scenario.load import discover, load_all
from chatsim.scenario.model import Scenario
from chatsim.store.calibration import Calibration
from tests.analysis.planted import measured

EFFORT = Effort(live=2, replications=2, attempts=1, jobs=1)


def made() -> Calibration:
    """The planted costs, twenty times over: a slow machine is as busy with fewer messages, and these tests with it."""
    found = calibration(measured(rounds=2, cv=0.0), chatsim="0", made_at="2026-01-02", quick=True, journal=True)
    found.costs = times(found.costs, 20.0)
    return found


class Wire:
    """Stands for the live one: plays in simulation what it is given, with the costs so many times what is told."""

    def __init__(self, validator: Validator | None = None, factor: float = 1.0, why: str = "") -> None:
        self.costs = made().costs
        self.factor = factor
        self.why = why
        self.played = 0

    def __call__(self, scenario: Scenario, out: Path) -> RunResult:
        self.played += 1
        told = scenario.with_({"costs": times(self.costs, self.factor)})
        result = run(told, on="sim", out=out)
        if self.why:
            result.valid, result.why_invalid, result.busy = False, self.why, True
        return result


@pytest.fixture
def small() -> Scenario:
    return pairs(["fives-50"])[0].with_({"duration": "4s", "groups.people.users": 20})


class Steady(Validator):
    """On a machine whose speed never changes."""

    def speed(self) -> float:
        return 1.0


def test_there_are_pairs_of_every_kind() -> None:
    found = pairs()
    assert len(found) >= 20
    loads = [load_of(scenario) for scenario in found]
    assert min(loads) == 0.2
    assert max(loads) == 0.85
    assert {group.session_size for scenario in found for group in scenario.groups} >= {2, 5, 20, 100, 500}
    assert any(scenario.tls for scenario in found)
    assert any(scenario.log.store == "sqlite" for scenario in found)
    assert {event.do for scenario in found for event in scenario.events} == {"drop", "slow_reader"}


def test_no_check_plays_them() -> None:
    shipped, _ = load_all(discover([]))
    assert not {scenario.name for scenario in shipped} & {scenario.name for scenario in pairs()}
    assert all(path.stem == scenario.name for path, scenario in zip(discover([PAIRS]), pairs(), strict=True))


def test_a_pair_that_there_is_not_is_told_with_its_neighbour() -> None:
    with pytest.raises(UsageError, match=r"no pair fives-51.*fives-50"):
        pairs(["fives-51"])


def test_costs_are_multiplied_and_shares_are_not() -> None:
    words: dict[str, Any] = {
        "frame": "10us",
        "commit": {"lognormal": {"mean": "2.5us", "cv": 0.4}},
        "collect": {
            "mixture": [{"weight": 0.9, "constant": 0}, {"weight": 0.1, "uniform": {"low": "1us", "high": "3us"}}]
        },
    }
    assert times(words, 2.0) == {
        "frame": "20us",
        "commit": {"lognormal": {"mean": "5us", "cv": 0.4}},
        "collect": {
            "mixture": [{"weight": 0.9, "constant": 0}, {"weight": 0.1, "uniform": {"low": "2us", "high": "6us"}}]
        },
    }


def test_a_pair_is_as_busy_as_it_says(small: Scenario) -> None:
    validator = Steady(made(), EFFORT)
    told = validator.loaded(small, 1.3)
    seen = validator.simulated(told, 1.3)
    validator.close()
    assert seen.utilisation == pytest.approx(0.5, rel=0.05)


def test_the_same_on_both_sides_is_equivalent(small: Scenario) -> None:
    wire = Wire()
    validator = Steady(made(), EFFORT, play_live=wire)
    found = validator.pair(small)
    validator.close()
    assert wire.played == EFFORT.live
    assert found.judged is not None
    by = {test.metric: test for test in found.judged.tests}
    assert by["delivery_latency_p95"].ratio == pytest.approx(1.0)
    # What a silent server does beside is not in this wire's account.
    assert by["utilisation"].ratio == pytest.approx(1.0, abs=0.01)
    assert found.judged.counted


def test_costs_that_are_wrong_are_found_out(small: Scenario) -> None:
    validator = Steady(made(), EFFORT, play_live=Wire(factor=1.6))
    found = validator.pair(small)
    validator.close()
    assert found.judged is not None
    assert not found.judged.equivalent
    assert {test.metric: test for test in found.judged.tests}["utilisation"].ratio > 1.4


def test_every_control_turns_its_verdict() -> None:
    turned: dict[str, bool] = {}
    validator = Steady(made(), EFFORT, play_live=Wire())
    for name in ("fives-70", "pings-20", "retries-20"):
        turned |= validator.pair(pairs([name])[0].with_({"duration": "4s"})).controls
    validator.close()
    assert all(any(name.startswith(kind) for name in turned) for kind in CONTROLS)
    assert all(turned.values()), turned


def test_a_machine_that_is_too_busy_is_not_judged(small: Scenario) -> None:
    wire = Wire(why="the crowd was late")
    validator = Steady(made(), EFFORT._replace(attempts=2), play_live=wire)
    found = validator.pair(small)
    validator.close()
    assert (found.judged, found.why) == (None, "the crowd was late")
    assert wire.played == 2


def test_the_way_is_what_is_left_beside_the_costs() -> None:
    validator = Steady(made(), EFFORT, play_live=Wire())
    assert validator.measure_path() == ""
    assert validator.path_s == pytest.approx(0.0, abs=1e-6)
    validator.close()


def test_counts_are_the_same_or_near(small: Scenario) -> None:
    validator = Steady(made(), EFFORT)
    seen = validator.simulated(small, 1.0)
    validator.close()

    def counted(**more: int) -> Any:
        return msgspec.structs.replace(seen, counts={**seen.counts, **more})

    assert differences([seen], [seen]) == {}
    assert differences([counted(pings=103)], [counted(pings=100)]) == {}
    assert differences([counted(pings=150)], [counted(pings=100)]) == {"pings": (150, 100)}
    assert differences([counted(sent=1)], [counted(sent=2)]) == {"sent": (1, 2)}


def test_a_crowd_that_takes_its_time_sees_later(small: Scenario) -> None:
    validator = Steady(made(), EFFORT)
    seen, late = validator.simulated(small, 1.0), validator.simulated(small, 1.0, 0.0005)
    validator.close()
    for metric in ("delivery_latency", "ack_latency"):
        assert (late.latencies[metric] - seen.latencies[metric]).min() >= 0.001 - 1e-9, "one sending and one receipt"
    assert late.utilisation == seen.utilisation


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
