"""The capacity of a node whose capacity is known: every user costs the same time of the loop, evenly spread."""

from __future__ import annotations

import json
from math import nan
from pathlib import Path
from typing import Any

import pytest

from chatsim.analysis.capacity import BUSY_MAX
from chatsim.analysis.capacity_found import Finding, answer
from chatsim.errors import HarnessError, UsageError
from chatsim.runner.calibrate import calibration
from chatsim.runner.capacity import FACTOR_RUNS, capacity, target_of
from chatsim.scenario.expectations import parse_expectation
from chatsim.scenario.model import Scenario
from chatsim.store.calibration import connection_bytes, write
from tests.analysis.planted import measured
from tests.sim.worlds import FREE, scenario

FRAME_S = 0.01
RATE = 2.0
KNOWN = BUSY_MAX / (2 * FRAME_S * RATE)
"""Each message is a frame of its author's and an ack of its one receiver's, and nothing else costs anything."""


def pairs(**words: Any) -> Scenario:
    """People in twos, each of whom says something twice a second."""
    made: dict[str, Any] = {
        "group": {
            "users": 10,
            "session_size": 2,
            "messages": {"arrivals": "periodic", "rate": f"{RATE:g}/s"},
            "network": {"latency": {"uniform": {"low": "1ms", "high": "9ms"}}},
        },
        "duration": "8s",
        "warmup": "2s",
        # Who joins is free: at a node that is nearly full it would take all the run to catch up with that.
        "costs": FREE | {"frame": f"{FRAME_S * 1000:g}ms", "frame_status": "0s"},
        "expect": ["p99(delivery_latency) <= 5s"],
    }
    return scenario(**made | words)


@pytest.fixture(scope="module")
def found() -> Finding:
    heard: list[tuple[str, int]] = []
    made = capacity(
        pairs(), users=1000, price_h=1.0, jobs=1, most=200, progress=lambda what, runs: heard.append((what, runs))
    )
    assert [runs for _, runs in heard] == sorted(runs for _, runs in heard)
    assert list(dict.fromkeys(what for what, _ in heard)) == [
        "looking for the range",
        "searching",
        "drawing the knee",
        "turning factors",
        "playing a storm",
    ]
    return made


def test_it_finds_what_is_known_and_names_what_binds(found: Finding) -> None:
    assert found.outcome == "found"
    assert found.low <= KNOWN < found.high
    assert found.high - found.low <= 6
    assert found.low <= found.near < found.high
    assert found.binding == "the event loop"
    assert found.load(found.low).mean("busy") == pytest.approx(2 * FRAME_S * RATE * found.low, rel=0.02)


def test_theory_says_the_same_where_only_the_loop_binds(found: Finding) -> None:
    assert found.theory == pytest.approx(KNOWN, rel=0.05)


def test_the_knee_has_loads_on_both_sides(found: Finding) -> None:
    users = found.curve["users"].tolist()
    assert users == sorted(set(users))
    assert users[0] <= 0.3 * found.low
    assert users[-1] >= 1.08 * found.low
    # But for the first run, which says where to look.
    assert (found.curve["runs"] < FACTOR_RUNS).sum() <= 1


def test_factors_turn_the_capacity_as_they_must(found: Finding) -> None:
    sides = {(swing.name, side.says): side for swing in found.swings for side in swing.sides}
    assert sides["message rate", "x 0.8"].users == pytest.approx(KNOWN / 0.8, rel=0.1)
    assert sides["message rate", "x 1.25"].users == pytest.approx(KNOWN / 1.25, rel=0.1)
    # Four in a room are up to three acks for each message instead of one: some of them say it of two messages.
    assert 0.95 * KNOWN / 2 < sides["room size", "4"].users < 0.75 * KNOWN
    assert sides["network latency", "x 2"].users == pytest.approx(found.base, abs=4)
    assert sides["ping interval", "15 s"].why.startswith("the run shows no more than")


def test_the_fleet_and_its_failures_are_there(found: Finding) -> None:
    assert found.plan is not None
    assert found.plan.capacity == found.low
    assert found.storm is not None
    assert found.storm.users == found.plan.users_a_node
    assert found.storm.why == ""
    assert found.storm.played_lost == 0
    assert found.storm.played_max_s is not None
    assert 0.5 < found.storm.played_max_s < 10


def test_the_same_question_has_the_same_answer(found: Finding) -> None:
    again = capacity(pairs(), jobs=2, most=200, around=False)
    assert (again.outcome, again.low, again.high) == (found.outcome, found.low, found.high)
    judged = [load for load in found.loads if load.verdict]
    assert [load.runs for load in again.loads if load.verdict] == [load.runs for load in judged]
    assert (again.plan, again.swings) == (None, ())


def test_missed_by_the_smallest_load_is_none() -> None:
    none = capacity(pairs(), "p99(delivery_latency) <= 1ms", jobs=1, most=50)
    assert (none.outcome, none.low, none.high) == ("none", 0, 2)
    assert none.binding == "no resource of the node"
    assert answer(none).startswith("None:")
    assert (none.plan, none.storm, none.swings) == (None, None, ())


def test_kept_by_the_largest_load_is_more_than_tried() -> None:
    more = capacity(pairs(), jobs=1, most=20)
    assert (more.outcome, more.low, more.high) == ("more", 20, 0)
    assert answer(more).startswith("More than 20 users")


def test_no_more_than_the_handler_lets_in_is_tried() -> None:
    made = capacity(pairs(handler={"connections_max": 12}), jobs=1)
    assert made.low == 12
    assert "`handler.connections_max` lets in no more" in answer(made)


def test_memory_binds_where_there_is_little_of_it(tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    write(path, calibration(measured(rounds=2, cv=0.0), chatsim="0", made_at="2026-01-02", quick=True, journal=True))
    each = connection_bytes(path, tls=False)
    assert each is not None
    file = tmp_path / "pairs.yaml"
    file.write_text(json.dumps(pairs().words | {"costs": path.name}), encoding="utf-8")
    made = capacity(file, jobs=1, most=40, around=False, memory_bytes=15.0 * each)
    assert (made.outcome, made.binding) == ("found", "memory")
    assert made.low <= 15 < made.high


def test_egress_binds_where_there_is_little_of_it() -> None:
    words = {"costs": FREE}
    free = capacity(pairs(**words), jobs=1, most=40, around=False, egress_bytes=20_000.0)
    assert free.outcome == "found"
    assert free.binding == "egress"
    assert free.load(free.low).mean("egress_bytes") <= 20_000 < free.load(free.high).mean("egress_bytes")


@pytest.mark.parametrize(
    ("target", "words", "says"),
    [
        ("p99(delivery_latency) >= 1ms", {}, "no limit that too much load would break"),
        ("p99(delivery_latency, group=x) <= 1ms", {}, "has no group x"),
        (None, {"expect": ["lost == 0"]}, "expects no upper limit"),
        ("p99(reconnect_time) <= 1s", {}, "limits what never happens"),
    ],
)
def test_what_cannot_be_asked_is_refused(target: str | None, words: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        capacity(pairs(**words), target, jobs=1)


def test_numbers_that_leave_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="leaves nothing"):
        capacity(pairs(), headroom=1.0, jobs=1)
    with pytest.raises(UsageError, match=r"has 2 users at least, .* and 1 at most: raise --most to 2"):
        capacity(pairs(), most=1, jobs=1)
    with pytest.raises(UsageError, match=r"raise handler.connections_max to 2"):
        capacity(pairs(handler={"connections_max": 1}), jobs=1)
    with pytest.raises(UsageError, match="0 bytes of egress carries nobody"):
        capacity(pairs(), egress_bytes=0.0, jobs=1)
    with pytest.raises(UsageError, match="do not say how much memory a connection takes"):
        capacity(pairs(), memory_bytes=2.0**30, jobs=1)
    with pytest.raises(UsageError, match="nan is no price"):
        capacity(pairs(), price_h=nan, jobs=1)


def test_a_run_that_is_not_valid_ends_it_with_its_reason() -> None:
    vain = pairs(events=[{"at": "1ms", "do": "drop", "share": "100%"}], group={"users": 2, "arrive_over": "5s"})
    with pytest.raises(HarnessError, match="touched nobody"):
        capacity(vain, parse_expectation("p99(delivery_latency) <= 1s"), jobs=1)


def test_the_target_is_the_first_upper_limit_of_a_metric() -> None:
    expect = ["lost == 0", "count(delivery_latency) >= 3", "p95(ack_latency) <= 80ms", "p50(ack_latency) <= 1ms"]
    assert target_of(pairs(expect=expect)).text == "p95(ack_latency) <= 80ms"
