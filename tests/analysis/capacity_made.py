"""Loads and findings that are made up, for whoever judges, draws or tells them."""

from __future__ import annotations

from typing import Any

import msgspec

from chatsim.analysis.capacity import Load, Measured, Node
from chatsim.analysis.capacity_found import Finding, Swing, Turned
from chatsim.analysis.planning import Storm, plan
from chatsim.analysis.slo import Verdict

CAPACITY = 1000


def run(users: int, number: int = 0, **words: Any) -> Measured:
    """A run of a node that is full at `CAPACITY` and saturated a little later."""
    busy = min(0.95 * users / CAPACITY, 1.0)
    wait_s = 0.0001 * busy / max(1 - busy, 0.001)
    made: dict[str, Any] = {
        "users": users,
        "seed": number + 1,
        "observed": 0.06 + 20 * wait_s + 0.0001 * number,
        "busy": busy + 0.0001 * number,
        "log_busy": 0.0,
        "p50_s": 0.03 + wait_s,
        "p95_s": 0.05 + 10 * wait_s,
        "p99_s": 0.06 + 20 * wait_s,
        "messages": users / 2,
        "deliveries": users * 4.5,
        "egress_bytes": users * 2000.0,
        "works": users * 9.5,
        "work_s": 0.0001,
        "square_s2": 2e-8,
        "wait_s": wait_s,
        "wait_p99_s": 5 * wait_s,
    }
    return Measured(**made | words)


def load(users: int, n: int = 4, verdict: Verdict | None = None, **words: Any) -> Load:
    """A load of so many runs."""
    return Load(users=users, runs=tuple(run(users, number, **words) for number in range(n)), verdict=verdict)


def finding(**words: Any) -> Finding:
    """The answer to such a node, with all that surrounds it."""
    loads = (load(250, 2), load(700, 2), load(1000, 4, "pass"), load(1020, 4, "fail"), load(1200, 2))
    made: dict[str, Any] = {
        "scenario": "hall",
        "description": "A hall full of people.",
        "words": {"name": "hall", "costs": "/opt/somebody/costs.json", "groups": []},
        "seed": 1,
        "target": "p99(delivery_latency) <= 100ms",
        "unit": "s",
        "limit": 0.1,
        "outcome": "found",
        "low": 1000,
        "high": 1020,
        "near": 1000,
        "smallest": 10,
        "most": 20_000,
        "step": 0.02,
        "binding": "the event loop",
        "node": Node(memory_bytes=2**30, connection_bytes=50_000.0),
        "loads": loads,
        "theory": 1010,
        "base": 1000,
        "swings": (
            Swing("message rate", (Turned("x 0.8", 1240, "found"), Turned("x 1.25", 800, "found"))),
            Swing("room size", (Turned("5", 2000, "found"), Turned("20", 0, "none"))),
            Swing("retry interval", (Turned("15 s", 0, None, "too short"),)),
        ),
        "plan": plan(1_000_000, 0.3, loads[2], Node(connection_bytes=50_000.0), 0.2),
        "storm": Storm(
            users=699,
            handshake_s=0.002,
            possible=500.0,
            free=0.33,
            door=1000.0,
            back_s=5.2,
            played_p50_s=2.0,
            played_max_s=6.0,
            played_p99_s=0.8,
            played_lost=0,
        ),
    }
    return Finding(**made | words)


def without(found: Finding, **words: Any) -> Finding:
    """The same with something else in it."""
    return msgspec.structs.replace(found, **words)
