"""What one operation of each load of a calibration is made of: so many frames, so many writes, so many wake-ups.

Decides nothing but the sums. Rule: a load is made of what the simulation charges for the same work, so that costs which
explain the loads are costs which the simulation spends rightly. Which costs explain them best is left to `costing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, Final

import numpy as np

from chatsim.core.notices import EAGER_MAX, LINGER_S
from chatsim.live.calibration.loads import LOADS, Load
from chatsim.live.calibration.seen import Seen

Makeup = Mapping[str, float]
"""How much of each cost, by name, one operation is made of."""

ALONE: Final[Makeup] = {"write": 1, "recipient": 1}
"""One frame to one connection, which is written at once."""

ASIDE: Final = ("refusal", "scene")
"""Costs that are no words of a scenario: to turn somebody away before her token is looked at, and to look at one
session more in which nobody is."""

_FRAMES: Final = {
    "typing": "frame_typing",
    "heartbeat": "frame_heartbeat",
    "join": "frame_status",
    "again": "frame",
    "said": "frame",
    "told": "frame",
    "talked": "frame",
    "acked": "frame_ack",
}


def slept_s(seen: Seen, idle_wakes: float = 0.0) -> float:
    """For how long the loop slept before it was woken while operations came, in the mean (s); inf where it was not.

    A server from which nothing more is wanted is woken as a silent one is, and has hardly anything to do.
    """
    wakes = seen.wakes - idle_wakes * (seen.wall_s - _paced_s(seen))
    return max(0.0, _paced_s(seen) - seen.loop_s) / wakes if wakes > 0 else inf


def _paced_s(seen: Seen) -> float:
    return seen.paced_s or seen.wall_s


def makeup(load: Load, seen: Seen, idle_wakes: float = 0.0, cold_after_s: float = 0.0) -> dict[str, float] | None:
    """What one operation of a load is made of, in the mean, as it was seen; None where it is looked at otherwise.

    Only wake-ups and the answers that may go out together depend on what was seen. `idle_wakes` is how often a second a
    silent server wakes up: that is none of the load's. A wake-up is as cold as the loop has slept long beside
    `cold_after_s` (0: that is not told apart).
    """
    made = _made(load, seen, idle_wakes)
    if made is not None and cold_after_s > 0.0:
        made["cold"] = made.get("wake", 0.0) * float(cold(slept_s(seen, idle_wakes), cold_after_s))
    return made


def cold(slept: Any, cold_after_s: float) -> Any:
    """How cold the loop is after so many seconds of sleep, or after each of so many, from 0 to 1."""
    return -np.expm1(-np.asarray(slept) / cold_after_s)


def _made(load: Load, seen: Seen, idle_wakes: float) -> dict[str, float] | None:
    # What is said alone to a log that lasts shows its commits, which are looked at by themselves.
    if load.say == "nothing" or (load.server == "durable" and load.say == "said"):
        return None
    made: dict[str, float] = {}
    if load.say in ("refused", "let in"):
        return _door(load)
    woken = max(0.0, seen.wakes - idle_wakes * seen.wall_s) / seen.ops
    if load.say == "pings":
        # The pong's wake-up is part of the ping: the simulation has none for it.
        return {"ping": 1, "wake": max(0.0, woken - 1)}
    made = {"wake": woken}
    if load.say == "presence":
        made |= {"frame_presence": 1, "scene": load.sessions - 1}
        told = load.listeners
        # What is for one alone is written at once, the first time.
        made |= {"flush": 1 if told * load.sessions > 1 else 0, "write": told, "recipient": told * load.sessions}
        if load.server == "tls":
            made |= {"tls_frame": 1, "tls_write": told}
        return made
    made[_FRAMES[load.say]] = load.frames
    if load.say in ("told", "talked"):
        made["owed"] = load.listeners * load.frames
    if load.say == "talked":
        made |= {"frame_ack": seen.frames / seen.ops - load.frames, "settled": load.listeners * load.frames}
    if load.say == "acked":
        made["settled"] = load.frames * load.settles
    flushes, writes = _written(load, seen)
    made |= {"flush": flushes, "write": writes, "recipient": seen.heard / seen.ops}
    if load.say in ("said", "told", "talked"):
        made["append"] = load.frames
    if load.server == "durable":
        # To hand a message to the log that lasts costs the loop what storing it in memory does: many in one go show it.
        made["commit_heard"] = load.frames
    if load.server == "tls":
        made |= {"tls_frame": seen.frames / seen.ops, "tls_write": writes}
    return made


def _written(load: Load, seen: Seen) -> tuple[float, float]:
    """How many turns with something to say to many an operation has, and how many writes."""
    answers = seen.heard / seen.ops
    told = (1.0 + load.listeners) * load.frames if load.say in ("told", "talked") else 0.0
    # Of several that come at once the first wakes the loop, and has a turn of its own.
    flushes = min(load.frames, 2.0) if told and load.listeners > 1 else 0.0
    if load.say not in ("acked", "talked"):
        return flushes, answers
    notices = max(0.0, answers - told)
    # So many notices are written at once, and all that are above in one turn when they have waited: to each who spoke.
    waits = max(1.0, _paced_s(seen) / LINGER_S) / seen.ops
    at_once = min(notices, EAGER_MAX * waits)
    late = waits if notices > at_once else 0.0
    speak = load.frames if load.say == "talked" else 1
    return flushes + late, answers - notices + at_once + late * speak


def _door(load: Load) -> dict[str, float]:
    if load.say == "let in":
        # Two wake-ups are charged by themselves: for the request, and for the end of the connection.
        return {"handshake": 1, "verify": 1, "wake": 2, **ALONE}
    made: dict[str, float] = {"refusal": 1}
    if load.token == "expired":
        made["verify_es256" if load.server == "es256" else "verify"] = 1
    if load.server == "tls":
        made["tls_handshake"] = 1
    return made


BY_NAME: Final = {load.name: load for load in LOADS}
