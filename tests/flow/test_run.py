"""Flows against the full simulation: means and p99 of latencies within 5 % in thirteen scenarios, and utilisation.

Load and constants are common, so that most differ by rounding alone. Where latencies or costs are drawn, they are drawn
apart: a p99 then has a standard error of at most 0.8 %, a mean one of 0.4 %, so that a difference of two that have the
same law is over 5 % with a probability below 1e-5 in each, and in all of them together below one in ten thousand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chatsim.flow.run import flow
from chatsim.sim.run import simulate
from chatsim.verdict.metrics import Metrics, counters
from tests.flow.worlds import scenario

FREE: dict[str, Any] = {"network": {}}
SLOW = {"frame": "400us", "recipient": "40us", "write": "250us", "append": "100us"}
FINE = {
    "wake": "40us", "flush": "30us", "write": "12us", "recipient": "1us", "frame": "30us", "frame_ack": "20us",
    "append": "20us", "owed": "1us", "settled": "3us",
}  # fmt: skip
DRAWN = {"network": {"latency": {"uniform": {"low": "5ms", "high": "25ms"}}}}
TENTH: dict[str, Any] = {"network": {"latency": {"lognormal": {"median": "30ms", "p99": "45ms"}}}}

SCENARIOS: dict[str, tuple[tuple[dict[str, Any], ...], dict[str, Any]]] = {
    "constant latency": (({},), {}),
    "no latency": ((FREE,), {}),
    "a busy node": ((FREE | {"users": 100},), {"costs": SLOW}),
    "drawn latency": ((DRAWN,), {}),
    "a long tail": ((TENTH | {"users": 60},), {}),
    "one room": (({"users": 60, "session_size": 60, "messages": {"arrivals": "poisson", "rate": "3/min"}},), {}),
    "drawn costs": ((DRAWN,), {"costs": {"frame": {"exponential": {"mean": "200us"}}}}),
    "finer costs": (
        ({},),
        {"costs": {"wake": "1ms", "flush": "2ms", "handshake": "5ms", "frame_ack": "100us", "collect": "300us"}},
    ),
    "pauses of a collector": (
        ({},),
        {"costs": SLOW | {"collect": {"every": 20, "pauses": ["2ms", "3ms", "15ms"]}}},
    ),
    "a loop that grows cold": (
        ({},),
        {"costs": SLOW | {"wake": "100us", "cold": {"exponential": {"mean": "300us"}}, "cold_after": "500us"}},
    ),
    "many notices": (
        ({"users": 900, "messages": {"arrivals": "poisson", "rate": "40/min"}},),
        {"costs": FINE, "duration": "20s"},
    ),
    "one room at finer costs": (
        ({"users": 100, "session_size": 100, "messages": {"arrivals": "poisson", "rate": "40/min"}},),
        {"costs": FINE, "duration": "20s"},
    ),
    "a speed that wavers": (
        (DRAWN,),
        {
            "costs": SLOW
            | {"pace": {"uniform": {"low": 0.2, "high": 1.8}}, "pace_hold": {"exponential": {"mean": "5ms"}}}
        },
    ),
    "two groups and latecomers": (
        (
            {"messages": {"arrivals": "profile", "profile": [["0s", "2/min"], ["20s", "30/min"]]}},
            {"session_size": 2, "network": {"latency": {"constant": "40ms"}}},
        ),
        {"events": [{"at": "15s", "do": "arrive", "users": 10, "group": "g1"}]},
    ),
    "periodic over TLS": (
        ({"messages": {"arrivals": "periodic", "rate": "15/min"}, "session_size": 3},),
        {"tls": True, "costs": {"tls_frame": "500us", "tls_write": "1ms", "tls_handshake": "3ms"}},
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_means_and_p99_are_those_of_the_full_simulation(name: str) -> None:
    groups, words = SCENARIOS[name]
    made = scenario(*groups, **words)
    found, record = flow(made), simulate(made).record
    full, counted = Metrics(record), counters(record)
    named = [None, *(group.name for group in made.groups)]
    for metric in ("delivery_latency", "ack_latency", "stable_latency"):
        for group in named:
            assert found.count(metric, group) == full.count(metric, group)
            for aggregate in ("mean", "p99"):
                expected = full.aggregate(aggregate, metric, group)
                assert found.aggregate(aggregate, metric, group) == pytest.approx(expected, rel=0.05), (metric, group)
    assert found.aggregate("mean", "utilisation") == pytest.approx(full.aggregate("mean", "utilisation"), rel=0.05)
    assert found.count("loop_lag") == full.count("loop_lag")
    for counter in ("sent", "accepted", "delivered", "presence_events", "connections_peak"):
        assert found.counters[counter] == counted[counter]
    assert abs(found.counters["pings"] - counted["pings"]) <= 40


def test_the_same_seed_is_the_same_flow() -> None:
    made = scenario(DRAWN)
    a, b, other = flow(made), flow(made), flow(made.with_seed(2))
    assert a.summary() == b.summary() != other.summary()


def test_it_says_how_far_it_is() -> None:
    told: list[float] = []
    flow(scenario(), progress=told.append)
    assert told[-1] == 1.0
    assert told == sorted(told)


def test_a_node_that_is_too_slow_falls_behind() -> None:
    found = flow(scenario({"users": 200, "network": {}}, costs={"frame": "20ms"}))
    assert found.wait_s_max > 5.0
    assert found.aggregate("mean", "utilisation") == pytest.approx(1.0, abs=0.2)


def test_more_people_are_slower() -> None:
    costs = {"costs": SLOW}
    means = [
        flow(scenario(FREE | {"users": users}, **costs)).aggregate("mean", "delivery_latency")
        for users in (20, 100, 200)
    ]
    assert np.all(np.diff(means) > 0.0)
