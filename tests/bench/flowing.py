"""What a flow gains: deliveries a second of CPU, beside those of the full simulation of the same scenario."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from chatsim.runner.run import play
from chatsim.scenario.model import Scenario

WANTED = 50


def world(users: int, duration: str) -> Scenario:
    """People in sessions of five, each with a message a minute."""
    people = {
        "name": "people",
        "users": users,
        "session_size": 5,
        "arrive_over": "30s",
        "messages": {"arrivals": "poisson", "rate": "1/min"},
        "network": {"latency": {"lognormal": {"median": "15ms", "p99": "45ms"}}},
    }
    return Scenario.of({"name": "flowing", "duration": duration, "groups": [people], "expect": ["sent >= 1"]})


def _a_second(scenario: Scenario, on: str) -> float:
    began_s = time.process_time()
    delivered = play(scenario, on=on).counters["delivered"]
    assert delivered > 10_000
    return delivered / (time.process_time() - began_s)


def flowing(pairs: int, timed: Callable[[Scenario, str], float] = _a_second) -> None:
    """Print the ratio, a median over pairs taken in turn."""
    scenario = world(2000, "10min")
    timed(scenario, "flow")
    full, flow = zip(*((timed(scenario, "sim"), timed(scenario, "flow")) for _ in range(pairs)), strict=True)
    ratio = statistics.median(b / a for a, b in zip(full, flow, strict=True))
    print(
        f"flow: {statistics.median(flow) / 1e3:.0f} k deliveries per CPU s, "
        f"full {statistics.median(full) / 1e3:.1f} k: {ratio:.0f}x (wanted {WANTED}x)"
    )
