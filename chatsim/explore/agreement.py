"""One seed on both wires of virtual time: the simulation and the asyncio server are to do the same, to the last moment.

Decides which part of a drawn scenario both wires can agree on: it is played without what they model differently, and
everything else is compared, frame by frame, up to the moment from which the two runs are two runs for a reason that is
known. Rule: what is left out is named here, with the reason; whatever is not named has to be the same. Every kind of
fault is played.
How the traces of two runs are compared is the verdict's.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final, NamedTuple

from chatsim.core.notices import EAGER_MAX, LINGER_S
from chatsim.explore.lots import Words
from chatsim.live.server import DRAIN_S_MAX
from chatsim.network.link import HELD_BYTES_MAX
from chatsim.scenario import units
from chatsim.scenario.model import Scenario
from chatsim.sim.node import DRAIN_S_MAX as HARD_STOP_S
from chatsim.virtual.run import VirtualOutcome

NOTICES: Final = f"over {EAGER_MAX} notices of delivery within {1000 * LINGER_S:g} ms"
LONG_DRAIN: Final = f"a drain of more than {DRAIN_S_MAX:g} s"
UNREAD: Final = f"a reader who leaves more than {HELD_BYTES_MAX // 1024} KiB unread"

LEFT_OUT: Final[dict[str, str]] = {
    "costs": "on the virtual wire the node's work takes no time",
    "ties": "what else is due at an instant is each wire's own, so that a seed puts it into another order",
    "network.latency that recurs": "frames of two connections would come in at one instant, in an order of each wire",
    "network.bandwidth": "the simulation weighs a handshake at 600 bytes, and on a wire it is as long as it is",
    "handler.outbound_frames, outbound_bytes": "what waits for a peer that is gone without a word is counted by a "
    "transport, and not in the simulation",
    "log.store of sqlite": "the simulation commits together what comes during a commit; on the virtual wire there is "
    "no file, and each message has a latency of its own",
    "handler.message_bytes_max under 1 KiB": "a token that is handed in may be longer, and in the simulation it has no "
    "length",
    "arrive_over of 0s": "as with latencies that recur",
    NOTICES: "a server lets them wait for company, and what is drawn for one may then hold up the frame behind it",
    LONG_DRAIN: f"a process keeps {HARD_STOP_S - DRAIN_S_MAX:g} s of the protocol's {HARD_STOP_S:g} for its own end, "
    "and the simulation has no process",
    UNREAD: "what is beyond it waits at the server, and is lost with it; in the simulation all of it is on the link",
    "after the duration": "each wire looks in its own way whether all is at rest",
}
"""What is not played, or not compared from its first moment on where a scenario has it all the same, and why."""

SCATTERED: Final = frozenset({"exponential", "lognormal", "gamma", "weibull", "pareto"})
"""Distributions of latencies that are never the same twice."""

LATENCY: Final = {"exponential": {"mean": "5ms"}}
"""So that no two frames of different connections come in at one moment; those of one are one read on both wires."""

NEVER_FULL: Final = {"outbound_frames": 100_000, "outbound_bytes": "64MiB"}
"""So much waits for nobody."""

TOKEN_BYTES_MAX: Final = 1024
"""No frame with a token has more."""

ARRIVE_OVER_S: Final = 3.0
"""Who would all arrive at once do so over this time, or half of a run that is short (s)."""

STEP_S: Final = 0.0017
"""Faults are this far from round moments, and from each other (s); they last for half of it longer, so that none ends
when somebody tries again to give an order that nobody was there to take."""

WITHIN_S: Final = 1e-6
"""Sums of the same moments in another order differ by less (s)."""


class Compared(NamedTuple):
    """Up to when two runs are compared (s), and which of `LEFT_OUT` ends it ("": nothing does before the duration)."""

    until_s: float
    left_out: str = ""


def compared(scenario: Scenario, played: VirtualOutcome) -> Compared:
    """As much of a run as is the same on both wires, by what has happened on the virtual one."""
    ends = (
        Compared(scenario.duration_s),
        Compared(played.held_at, UNREAD),
        Compared(played.lingered_at, NOTICES),
        Compared(played.impatient_at, LONG_DRAIN),
    )
    return min(ends, key=lambda end: end.until_s)


def alike(words: Words) -> Words:
    """The scenario without what the wires model differently; given one that is so already, the same."""
    made = deepcopy(words)
    made["costs"] = 0
    made.pop("ties", None)
    handler = made["handler"] = {**made.get("handler", {}), **NEVER_FULL}
    if units.size(handler.get("message_bytes_max", TOKEN_BYTES_MAX)) < TOKEN_BYTES_MAX:
        handler["message_bytes_max"] = f"{TOKEN_BYTES_MAX}B"
    made.get("log", {}).pop("store", None)
    for place, event in enumerate(made.get("events", ()), 1):
        event["at"] = f"{round(units.duration(event['at']), 1) + STEP_S * place:g}s"
        if "for" in event:
            event["for"] = f"{round(units.duration(event['for']), 2) + STEP_S / 2:g}s"
    for group in made["groups"]:
        network = group.setdefault("network", {})
        network.pop("bandwidth", None)
        if SCATTERED.isdisjoint(network.get("latency", ())):
            network["latency"] = dict(LATENCY)
        if group.get("arrive_over", "0s") == "0s":
            group["arrive_over"] = f"{min(ARRIVE_OVER_S, units.duration(made['duration']) / 2):g}s"
    return made
