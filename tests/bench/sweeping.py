"""What a sweep costs beyond the runs in it, and what a second processor gains: 24 points, 10 replications, 200 users.

One process plays everything twice in turn, bare and as a sweep, so that the ratio is one machine's; then two play it.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from typing import Any, Final

from chatsim.runner.replication import replication
from chatsim.runner.sweep import sweep
from chatsim.scenario.model import Scenario

GRID: Final[dict[str, list[Any]]] = {
    "groups.people.messages.rate": ["1/min", "2/min", "3/min", "4/min", "5/min", "6/min"],
    "groups.people.session_size": [2, 5],
    "handler.rate_limit": ["30/min", "60/min"],
}
REPLICATIONS: Final = 10


def world() -> Scenario:
    """200 users who talk in small sessions for a minute."""
    people = {
        "name": "people",
        "users": 200,
        "session_size": 5,
        "arrive_over": "5s",
        "messages": {"arrivals": "poisson", "rate": "4/min"},
        "network": {"latency": {"lognormal": {"median": "15ms", "p99": "45ms"}}},
    }
    return Scenario.of({"name": "swept", "duration": "1min", "groups": [people], "expect": ["lost == 0"]})


def bare(scenario: Scenario) -> None:
    """The same runs and nothing else."""
    for combination in itertools.product(*GRID.values()):
        point = scenario.with_(dict(zip(GRID, combination, strict=True)))
        for number in range(REPLICATIONS):
            replication(point, "sim", number)


def sweeping(pairs: int) -> None:
    """Print the overhead of one process and the speed-up of two, each a median over pairs taken in turn."""
    scenario, jobs = world(), min(2, os.cpu_count() or 1)
    replication(scenario, "sim", 0)
    # Processes are started once in a session, and are there for the next sweep.
    few = {"handler.rate_limit": GRID["handler.rate_limit"]}
    tables = [sweep(scenario, few, replications=2, jobs=count, progress=False) for count in (1, jobs)]
    assert tables[0].equals(tables[1]), "the same whoever plays"
    overheads, gains, took = [], [], 0.0
    for _ in range(pairs):
        alone_s = _timed(lambda: bare(scenario))
        one_s = _timed(lambda: sweep(scenario, GRID, replications=REPLICATIONS, jobs=1, progress=False))
        took = _timed(lambda: sweep(scenario, GRID, replications=REPLICATIONS, jobs=jobs, progress=False))
        overheads.append(one_s / alone_s - 1)
        gains.append(alone_s / took)
    print(
        f"sweep: 24 points x {REPLICATIONS} of 200 users in {took:.1f} s, overhead {statistics.median(overheads):.1%} "
        f"(wanted under 5%), {jobs} processes {statistics.median(gains):.2f}x (wanted 1.7x)"
    )


def _timed(work: Any) -> float:
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at
