"""One seed on both wires of virtual time: the simulation and the asyncio server are to do the same, to the last moment.

Decides which part of a drawn scenario both wires can agree on: it is played without what they model differently, and
everything else is compared, frame by frame. Rule: what is left out is named here, with the reason; whatever is not
named has to be the same.
How the traces of two runs are compared is the verdict's.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from chatsim.explore.lots import Words
from chatsim.scenario import units

LEFT_OUT: Final[dict[str, str]] = {
    "revoke": "the simulation revokes a user, and the order over HTTP the token of each device",
    "expire_tokens": "a gate refuses a token that has ended, so that the one that a device shows lives a moment longer",
    "slow_reader": "how much a kernel holds of what is not read is not in the simulation",
    "freeze": "all that a peer finds when it wakes comes in at one moment, the end of its connection included",
    "loss": "frames that have waited for a lost one come in at one moment, which is one read of a socket",
    "latency": "as with loss, where a slow frame holds up those behind it for longer than acks wait for company",
    "partition": "as with loss",
}
"""The faults that are not played, and why."""

LATENCY: Final = {"exponential": {"mean": "5ms"}}
"""So that no two frames come in at one moment, and hardly any within one read."""

NEVER_FULL: Final = {"outbound_frames": 100_000, "outbound_bytes": "64MiB"}
"""What waits for a peer that is gone without a word is counted by a transport, and not in the simulation."""

STEP_S: Final = 0.0017
"""Faults are this far from round moments, and from each other (s)."""

WITHIN_S: Final = 1e-6
"""Sums of the same moments in another order differ by less (s)."""


def alike(words: Words) -> Words:
    """The scenario without what the wires model differently; given one that is so already, the same."""
    made = deepcopy(words)
    made["costs"] = 0
    made.pop("ties", None)
    made["handler"] = {**made.get("handler", {}), **NEVER_FULL}
    events = [event for event in made.get("events", ()) if event["do"] not in LEFT_OUT]
    for place, event in enumerate(events, 1):
        event["at"] = f"{round(units.duration(event['at']), 1) + STEP_S * place:g}s"
    made["events"] = events
    for group in made["groups"]:
        group["network"] = {"latency": dict(LATENCY)}
        if group.get("arrive_over", "0s") == "0s":
            group["arrive_over"] = "3s"
        if group.get("credentials") == "revoked":
            del group["credentials"]
    return made
