"""Findings for tests, made without playing anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chatsim.findings.finding import Finding, Play
from chatsim.scenario.model import Scenario


def finding(**changes: Any) -> Finding:
    """One that failed: 104 ms where 100 ms were promised."""
    fields: dict[str, Any] = {
        "scenario": "steady",
        "wire": "sim",
        "expectation": "p99(delivery_latency) <= 100ms",
        "verdict": "fail",
        "file": "scenarios/steady.yaml",
        "line": 17,
        "seed": 1,
        "observed": 0.104,
        "limit": 0.1,
        "unit": "s",
        "n": 4384,
        "again": "chatsim run scenarios/steady.yaml --seed 1",
    }
    return Finding(**fields | changes)


def play(*expect: str, wire: str = "sim", **changes: Any) -> Play:
    """A scenario that promises this, from line 5 on, as it would have been read from a file."""
    promises = list(expect) or ["p99(delivery_latency) <= 100ms", "lost == 0"]
    words = {"name": "small", "duration": "30s", "groups": [{"name": "people", "users": 2}], "expect": promises}
    lines: dict[tuple[str | int, ...], int] = {("expect", place): 5 + place for place in range(len(promises))}
    made = Scenario.of(words, path=Path("small.yaml"), lines=lines)
    return Play(scenario=made, wire=wire, **changes)
