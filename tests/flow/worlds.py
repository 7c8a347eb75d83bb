"""Scenarios for the tests of flows, in the words of a file."""

from __future__ import annotations

from typing import Any

from chatsim.scenario.model import Scenario


def scenario(*groups: dict[str, Any], **words: Any) -> Scenario:
    """A minute of these groups; each is `g1`, `g2` and so on unless it says otherwise."""
    given = [
        {
            "name": f"g{number}",
            "users": 40,
            "session_size": 5,
            "arrive_over": "5s",
            "messages": {"arrivals": "poisson", "rate": "12/min"},
            "network": {"latency": {"constant": "5ms"}},
        }
        | group
        for number, group in enumerate(groups or ({},), 1)
    ]
    return Scenario.of(
        {"name": "flowing", "duration": "40s", "warmup": "8s", "groups": given, "expect": ["sent >= 1"]} | words
    )
