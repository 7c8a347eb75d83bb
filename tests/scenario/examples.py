"""The example of the scenario vocabulary, and small scenarios made from it."""

from __future__ import annotations

from typing import Any

EXAMPLE = """\
name: reconnect-storm
description: Half of the mobile users lose their connection at once; all are back within seconds and nothing is lost.
requirements: ["5.3"]
tags: [reconnect]
seed: 1
duration: 5min
warmup: 30s
handler:                        # any field of the handler's configuration
  reliability: hardened         # or baseline
  ping_interval: 30s
  rate_limit: 60/min
nodes: 1
log: {latency: {constant: 0.2ms}}
costs: default                  # or a file written by `chatsim calibrate`, or the numbers themselves
groups:
  - name: mobile
    users: 500
    connections_per_user: 1
    session_size: 5
    arrive_over: 20s
    messages: {arrivals: poisson, rate: 2/min}        # poisson | periodic | closed | trace | profile
    body_bytes: {lognormal: {median: 120, p99: 900}}
    typing: true
    network: {latency: {lognormal: {median: 15ms, p99: 45ms}}, loss: 0%, bandwidth: 5Mbit/s}
events:
  - {at: 2min, do: drop, group: mobile, share: 50%}
expect:
  - p99(delivery_latency) <= 100ms
  - lost == 0
  - p95(reconnect_time) <= 5s
live: {time_scale: 0.1}         # overrides of any key for wall-clock runs; see below
"""


def mapping(**changes: Any) -> dict[str, Any]:
    """The smallest scenario there is, with other keys put in."""
    return {
        "name": "small",
        "duration": "1min",
        "groups": [{"name": "a", "users": 3}],
        "expect": ["lost == 0"],
        **changes,
    }


def group(**changes: Any) -> dict[str, Any]:
    """The smallest group, with other keys put in."""
    return {"name": "a", "users": 3, **changes}
