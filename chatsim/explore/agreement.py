"""One seed on both wires of virtual time: the simulation and the asyncio server are to do the same, to the last moment.

Decides which part of a drawn scenario both wires can agree on: it is played without what they model differently, and
everything else is compared, frame by frame. Rule: what is left out is named here, with the reason; whatever is not
named has to be the same. Every kind of fault is played.
How the traces of two runs are compared is the verdict's.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from chatsim.explore.lots import Words
from chatsim.scenario import units

LEFT_OUT: Final[dict[str, str]] = {
    "costs": "on the virtual wire the node's work takes no time",
    "ties": "what else is due at an instant is each wire's own, so that a seed puts it into another order",
    "network.latency that recurs": "frames of two connections would come in at one instant, in an order of each wire",
    "network.bandwidth": "the simulation weighs a handshake at 600 bytes, and on a wire it is as long as it is",
    "handler.outbound_frames, outbound_bytes": "what waits for a peer that is gone without a word is counted by a "
    "transport, and not in the simulation",
    "arrive_over of 0s": "as with latencies that recur",
    "over 32 notices of delivery within 50 ms": "a server lets them wait for company, and what is drawn for one may "
    "then hold up the frame behind it",
    "a drain of more than 28 s": "a process keeps two of the protocol's 30 s for its own end",
    "after the duration": "each wire looks in its own way whether all is at rest",
    "after the first reader who leaves more than 16 KiB unread": "what is beyond it waits at the server, and is lost "
    "with it; in the simulation all of it is on the link",
}
"""What is not played, is not compared, or may differ all the same where a scenario has it, and why."""

SCATTERED: Final = frozenset({"exponential", "lognormal", "gamma", "weibull", "pareto"})
"""Distributions of latencies that are never the same twice."""

LATENCY: Final = {"exponential": {"mean": "5ms"}}
"""So that no two frames of different connections come in at one moment; those of one are one read on both wires."""

NEVER_FULL: Final = {"outbound_frames": 100_000, "outbound_bytes": "64MiB"}
"""So much waits for nobody."""

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
    for place, event in enumerate(made.get("events", ()), 1):
        event["at"] = f"{round(units.duration(event['at']), 1) + STEP_S * place:g}s"
    for group in made["groups"]:
        network = group.setdefault("network", {})
        network.pop("bandwidth", None)
        if SCATTERED.isdisjoint(network.get("latency", ())):
            network["latency"] = dict(LATENCY)
        if group.get("arrive_over", "0s") == "0s":
            group["arrive_over"] = "3s"
    return made
