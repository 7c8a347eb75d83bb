"""Scenarios for the tests of flows, in the words of a file."""

from __future__ import annotations

from typing import Any

from chatsim.scenario.model import Scenario

PLAIN: dict[str, Any] = {
    "frame": "20us", "verify": "60us", "tls_handshake": "1ms",
    "recipient": "1us", "write": "10us", "append": "5us", "ping": "8us",
}  # fmt: skip
"""Costs that are always the same, so that two fidelities differ by rounding alone."""


def scenario(*groups: dict[str, Any], **words: Any) -> Scenario:
    """A minute of these groups at `PLAIN` costs; each is `g1`, `g2` and so on unless it says otherwise."""
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
        {
            "name": "flowing",
            "duration": "40s",
            "warmup": "8s",
            "groups": given,
            "costs": PLAIN,
            "expect": ["sent >= 1"],
        }
        | words
    )
