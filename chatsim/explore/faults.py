"""Faults out of a seed: which kinds of them, when, for how long, and whom they meet.

Decides what goes wrong in a run. Rule: some kinds are left out of each run altogether, since many at once hide what few
would show; and each fault gets the time that is left for it (s), and may use up to all of it, so that all are over when
the calm begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from chatsim.explore.lots import Lots, Words

FAULTS_UNTIL: Final = 0.7
"""The share of a run within which faults begin and end; a part of what is left is spent on coming to rest."""

FAULTS_MAX: Final = 10

_Fault: TypeAlias = Callable[[Lots, float], Words]


def _for(lots: Lots, left_s: float, low_s: float, high_s: float) -> str:
    return lots.duration(min(low_s, left_s), max(min(high_s, left_s), 0.1))


def _vanish(lots: Lots, left_s: float) -> Words:
    return {} if lots.chance(0.3) else {"for": _for(lots, left_s, 0.5, 60)}


def _and_back(lots: Lots, left_s: float) -> Words:
    return {} if lots.chance(0.3) else {"for": _for(lots, left_s, 0.1, 30)}


def _bandwidth(lots: Lots, left_s: float) -> Words:
    return {"bandwidth": f"{lots.whole(2000, 20_000)}bit/s", "for": _for(lots, left_s, 5, 40)}


KINDS: Final[dict[str, _Fault]] = {
    "drop": lambda lots, left_s: {},
    "vanish": _vanish,
    "freeze": lambda lots, left_s: {"for": _for(lots, left_s, 1, 60)},
    "slow_reader": _bandwidth,
    "latency": lambda lots, left_s: {"factor": lots.pick((2, 5, 20)), "for": _for(lots, left_s, 2, 30)},
    "loss": lambda lots, left_s: {"rate": f"{lots.whole(5, 60)}%", "for": _for(lots, left_s, 2, 30)},
    "partition": lambda lots, left_s: {"for": _for(lots, left_s, 0.5, 40)},
    # Five a second is one in each delay of an ack.
    "flood": lambda lots, left_s: {
        "rate": lots.pick(("1/s", "3/s", "5/s", "5/s", "12/s")),
        "for": _for(lots, left_s, 1, 8),
    },
    "withhold_acks": lambda lots, left_s: {"for": _for(lots, left_s, 5, 80)},
    "expire_tokens": lambda lots, left_s: {},
    "revoke": lambda lots, left_s: {},
    "bad_frames": lambda lots, left_s: {"rate": f"{lots.whole(1, 5)}/s", "for": _for(lots, left_s, 1, 8)},
    "leave": _and_back,
    "remove_participant": _and_back,
    "end_session": _and_back,
    "post": lambda lots, left_s: {},
    "trespass": lambda lots, left_s: {},
    "restart_node": lambda lots, left_s: {"down": _for(lots, left_s, 0.5, 20)},
    "drain_node": lambda lots, left_s: {},
    "crash_node": lambda lots, left_s: {"down": _for(lots, left_s, 0.1, 20)},
    "log_outage": lambda lots, left_s: {"for": _for(lots, left_s, 0.5, 15)},
    "clock_jump": lambda lots, left_s: {"by": lots.pick(("-5s", "5s", "20s", "40s", "-60s"))},
    "arrive": lambda lots, left_s: {"users": lots.whole(1, 3)},
    "refresh_token": lambda lots, left_s: {"token": lots.pick(("good", "expired", "forged", "foreign", "revoked"))},
}
_BY_ITSELF: Final = frozenset({"refresh_token"})
"""Not drawn among the others, so that these are what they would be without."""

_WITHOUT_VICTIMS: Final = frozenset({"restart_node", "drain_node", "crash_node", "log_outage", "clock_jump"})
ASK_THE_LOG: Final = frozenset({"restart_node", "drain_node", "crash_node", "log_outage"})
"""What is not to be where the log is said to be in memory."""
_IN_ORDER: Final = frozenset({"restart_node", "drain_node"})
_CAPPED: Final = frozenset({"crash_node", "restart_node", "drain_node"})
"""Of these two in a run are enough: each makes everybody start again."""


def draw_events(lots: Lots, groups: list[Words], duration_s: int) -> list[Words]:
    """The events of a run with these groups."""
    kinds = lots.some(tuple(kind for kind in KINDS if kind not in _BY_ITSELF), 0.35) or ["drop"]
    until_s = duration_s * FAULTS_UNTIL
    made: list[Words] = []
    node_events = 0
    # What follows an earlier fault closely meets what it has left behind.
    last_s = lots.number(2, until_s / 2)
    for _ in range(lots.whole(1, FAULTS_MAX)):
        kind = lots.pick(kinds)
        if kind in _CAPPED:
            node_events += 1
            if node_events > 2:
                continue
        near = made and lots.chance(0.4)
        at_s = min(last_s + lots.number(0, 4), until_s) if near else lots.number(1, until_s)
        at = f"{round(at_s)}s" if lots.chance(0.4) else f"{at_s:g}s"
        last_s = float(at[:-1])
        event = {"at": at, "do": kind, **KINDS[kind](lots, max(until_s - last_s, 1.0))}
        if kind == "arrive":
            event["group"] = lots.pick(groups)["name"]
        elif kind not in _WITHOUT_VICTIMS:
            draw_victims(lots, groups, event)
        made.append(event)
        if kind in _IN_ORDER and lots.chance(0.3):
            # A node that is on its way out is killed before it has got there.
            made.append({"at": f"{last_s + lots.number(0, 1.2):g}s", "do": "crash_node", "down": lots.duration(0.1, 5)})
    return made


def draw_victims(lots: Lots, groups: list[Words], event: Words) -> None:
    """Whom the event meets: those of a group or everybody, a share of them, or one."""
    if lots.chance(0.4):
        event["group"] = lots.pick(groups)["name"]
    if lots.chance(0.7):
        if lots.chance(0.5):
            event["share"] = lots.pick(("25%", "50%", "100%"))
        else:
            event["count"] = 1
