"""When a load counts as carried, what binds, and how a scenario grows."""

from __future__ import annotations

from math import inf, nan

import msgspec
import pytest

from chatsim.analysis.capacity import (
    BUSY_MAX,
    FIRST,
    N_MAX,
    Load,
    Node,
    binding,
    memory_bytes,
    more_wanted,
    plain_verdict,
    shares,
    sized,
    smallest,
    users_of,
    uses,
    verdict_on,
)
from chatsim.scenario.expectations import parse_expectation
from chatsim.scenario.model import Scenario
from tests.analysis.capacity_made import load, run

TARGET = parse_expectation("p99(delivery_latency) <= 100ms")
NODE = Node()


def test_a_load_within_the_limit_is_carried_and_one_beyond_it_is_not() -> None:
    assert verdict_on(load(500), TARGET, NODE) == "pass"
    assert verdict_on(load(1100), TARGET, NODE) == "fail"


def test_a_loop_that_is_too_busy_fails_however_short_its_queue_is_yet() -> None:
    assert verdict_on(load(500, busy=BUSY_MAX + 0.01), TARGET, NODE) == "fail"
    assert verdict_on(load(500, log_busy=BUSY_MAX + 0.01), TARGET, NODE) == "fail"


def test_what_a_node_has_of_memory_and_egress_is_a_limit_too() -> None:
    enough = Node(memory_bytes=500 * 50_000.0, egress_bytes=500 * 2000.0, connection_bytes=50_000.0)
    assert verdict_on(load(500), TARGET, enough) == "pass"
    assert verdict_on(load(500), TARGET, Node(memory_bytes=500 * 49_999.0, connection_bytes=50_000.0)) == "fail"
    assert verdict_on(load(500), TARGET, Node(egress_bytes=500 * 1999.0)) == "fail"
    # Twice as many devices are twice as much memory.
    assert verdict_on(load(500), TARGET, Node(memory_bytes=5e7, connection_bytes=5e4, devices=2.0)) == "pass"
    assert verdict_on(load(501), TARGET, Node(memory_bytes=5e7, connection_bytes=5e4, devices=2.0)) == "fail"


def test_what_was_never_delivered_is_not_within_any_limit() -> None:
    assert verdict_on(load(500, observed=inf), TARGET, NODE) == "fail"


def test_a_run_without_a_sample_says_nothing() -> None:
    empty = Load(users=5, runs=(*load(5, 4).runs, run(5, 4, observed=nan)))
    assert verdict_on(empty, TARGET, NODE) == "pass"
    assert verdict_on(load(5, 4, observed=nan), TARGET, NODE) == "inconclusive"


def test_more_runs_are_wanted_until_there_is_a_verdict_or_no_more_look() -> None:
    wide = [0.05, 0.15, 0.06, 0.14, 0.05, 0.15, 0.06, 0.14]

    def near(n: int) -> Load:
        return Load(users=500, runs=tuple(run(500, number, observed=wide[number]) for number in range(n)))

    assert more_wanted(near(0), TARGET, NODE) == FIRST
    assert more_wanted(near(1), TARGET, NODE) == FIRST - 1
    assert more_wanted(near(FIRST), TARGET, NODE) == N_MAX - FIRST
    assert more_wanted(near(N_MAX), TARGET, NODE) == 0
    assert more_wanted(load(500), TARGET, NODE) == 0


def test_means_alone_decide_where_luck_is_shared() -> None:
    assert plain_verdict(load(500, 2), TARGET, NODE) == "pass"
    assert plain_verdict(load(1100, 2), TARGET, NODE) == "fail"
    assert plain_verdict(load(5, 2, observed=nan), TARGET, NODE) == "fail"
    at = Load(users=5, runs=(run(5, observed=0.1),))
    assert plain_verdict(at, TARGET, NODE) == "pass"
    assert plain_verdict(at, parse_expectation("p99(delivery_latency) < 100ms"), NODE) == "fail"


def test_the_slowest_of_every_run_is_no_mean() -> None:
    one = load(500, 4)
    slow = Load(users=500, runs=(*one.runs[:3], msgspec.structs.replace(one.runs[3], observed=0.11)))
    for text, verdict in (("max(delivery_latency) <= 100ms", "fail"), ("mean(delivery_latency) <= 100ms", "pass")):
        target = parse_expectation(text)
        assert plain_verdict(slow, target, NODE) == verdict
        assert (verdict_on(slow, target, NODE) == "fail") == (verdict == "fail")


def test_what_is_used_most_binds_unless_it_is_hardly_used() -> None:
    node = Node(memory_bytes=1000 * 50_000.0, egress_bytes=1000 * 4000.0, connection_bytes=50_000.0)
    assert [use.name for use in uses(load(1000), node)] == ["memory", "the event loop", "egress", "the log"]
    assert binding(load(1000), node) == "memory"
    assert binding(load(1000), NODE) == "the event loop"
    assert binding(load(1000, busy=0.2, log_busy=0.9), NODE) == "the log"
    assert binding(load(1000, busy=0.2), NODE) == "no resource of the node"


def test_memory_that_nobody_measured_is_not_known() -> None:
    assert memory_bytes(10, NODE) is None
    assert memory_bytes(10, Node(connection_bytes=100.0, devices=1.5)) == 1500


def scenario(**words: object) -> Scenario:
    groups = [
        {"name": "hall", "users": 60, "session_size": 20, "messages": {"arrivals": "poisson", "rate": "6/min"}},
        {"name": "pairs", "users": 20, "session_size": 2, "connections_per_user": 2},
    ]
    return Scenario.of({"name": "s", "duration": "1min", "groups": groups, "expect": ["lost == 0"], **words})


def test_groups_grow_together_and_rooms_keep_their_size() -> None:
    assert shares(scenario(), 800) == {"hall": 600, "pairs": 200}
    assert shares(scenario(), 805) == {"hall": 600, "pairs": 202}
    assert shares(scenario(), 1) == {"hall": 20, "pairs": 2}
    assert smallest(scenario()) == 22
    grown = sized(scenario(), 800)
    assert users_of(grown) == 800
    assert [group.session_size for group in grown.groups] == [20, 2]
    assert grown.seed == scenario().seed


def test_the_door_is_as_wide_as_the_load_and_no_narrower_than_it_was() -> None:
    assert sized(scenario(), 800).handler.accept_rate_per_s == 1000.0  # two devices of 200 of them
    assert sized(scenario(), 80).handler.accept_rate_per_s == 500.0


@pytest.mark.parametrize("name", ["busy", "observed"])
def test_a_load_knows_its_means_and_spans(name: str) -> None:
    made = load(500, 3)
    values = [getattr(each, name) for each in made.runs]
    assert made.mean(name) == pytest.approx(sum(values) / 3)
    assert made.span(name) == (min(values), max(values))
