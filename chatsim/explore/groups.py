"""People out of a seed: groups, what they say and when, and the network between them and the node.

Decides who comes, and how. Rule: everything that is drawn is legal, and few enough come that a run takes little time.
"""

from __future__ import annotations

from typing import Final, get_args

from chatsim.explore.lots import Lots, Words
from chatsim.scenario.model import Credentials

P99_S_MAX: Final = 0.6
"""Of a log-normal latency about a median of 20 ms: from one of 3 s on, one in a million takes ten minutes."""

SPOILT: Final = tuple(kind for kind in get_args(Credentials) if kind != "good")
"""Credentials by which nobody is let in."""


def draw_latency(lots: Lots, mean_s_max: float) -> Words:
    """Latencies: none, all the same (moments coincide), or scattered."""
    kind = lots.whole(0, 4)
    if kind == 0:
        return {"constant": "0s"}
    if kind == 1:
        return {"constant": lots.pick(("5ms", "50ms", "250ms"))}
    if kind == 2:
        p99_s = lots.number(0.05, min(mean_s_max + 0.1, P99_S_MAX))
        return {"lognormal": {"median": "20ms", "p99": f"{p99_s:g}s"}, "shift": "1ms"}
    return {"exponential": {"mean": f"{lots.number(0.002, mean_s_max):g}s"}}


def draw_group(lots: Lots, place: int, duration_s: int, handler: Words) -> Words:
    """The group at this place, for a run of so many seconds on a node with these settings."""
    users = lots.whole(1, 7)
    made: Words = {
        "name": f"g{place}",
        "users": users,
        "session_size": lots.whole(1, users),
        "network": {"latency": draw_latency(lots, 0.25)},
    }
    if lots.chance(0.6):
        made["arrive_over"] = f"{lots.whole(1, duration_s // 4)}s"
    if lots.chance(0.4):
        made["connections_per_user"] = lots.whole(2, 3)
    if lots.chance(0.9):
        made["messages"] = draw_messages(lots, duration_s)
    _bodies(lots, made, handler)
    for word in ("typing", "presence"):
        if lots.chance(0.5):
            made[word] = True
    if lots.chance(0.2):
        made["heartbeat"] = lots.duration(2, 20)
    if lots.chance(0.4):
        made["token_ttl"] = lots.duration(10, duration_s)
    _oddities(lots, place, made)
    return made


def _oddities(lots: Lots, place: int, made: Words) -> None:
    """What few groups are like."""
    if lots.chance(0.15):
        made["network"]["loss"] = f"{lots.number(0.5, 10):g}%"
    if lots.chance(0.1):
        made["acks"] = False
    if lots.chance(0.08):
        made["reconnect"] = False
    if place and lots.chance(0.15):
        made["credentials"] = lots.pick(SPOILT)


def _bodies(lots: Lots, made: Words, handler: Words) -> None:
    if "message_bytes_max" in handler and lots.chance(0.6):
        made["body_bytes"] = _near(lots, int(handler["message_bytes_max"][:-1]))
    elif lots.chance(0.5):
        made["body_bytes"] = lots.whole(2, 300)


def _near(lots: Lots, bytes_max: int) -> Words:
    """Bodies of which a few are as large as they may be, or with what is around them a little larger."""
    rare = f"{lots.whole(1, 6)}%"
    return {
        "mixture": [
            {"weight": "94%", "constant": f"{lots.whole(2, 300)}B"},
            {"weight": rare, "uniform": {"low": f"{bytes_max - 150}B", "high": f"{bytes_max + 10}B"}},
        ]
    }


def narrow_one(lots: Lots, handler: Words, groups: list[Words]) -> str:
    """Give a group links so narrow, and replays parts so small, that who comes back is behind for a while; what waits
    for her meanwhile is within her limits, or nobody would ever come to rest. Returns the group's name."""
    group = lots.pick(groups)
    group["network"]["bandwidth"] = f"{lots.whole(6, 24)}kbit/s"
    least = 3000 if "message_bytes_max" not in handler else 9000
    handler["outbound_frames"], handler["outbound_bytes"] = lots.whole(12, 40), f"{lots.whole(least, least + 9000)}B"
    name: str = group["name"]
    return name


def draw_messages(lots: Lots, duration_s: int) -> Words:
    """When a group writes in a run of so many seconds."""
    rate = f"{lots.number(2, 25):g}/min"
    kind = lots.whole(0, 5)
    if kind <= 1:
        return {"arrivals": "poisson", "rate": rate}
    if kind == 2:
        return {"arrivals": "periodic", "rate": f"{lots.pick((6, 10, 12, 20, 30))}/min"}
    if kind == 3:
        return {"arrivals": "closed", "think": {"exponential": {"mean": lots.duration(1, 10)}}}
    half = f"{duration_s // 2}s"
    return {"arrivals": "profile", "profile": [["0s", rate], [half, f"{lots.number(5, 60):g}/min"]]}
