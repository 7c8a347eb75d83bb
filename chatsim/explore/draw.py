"""From a seed to a whole scenario: load, network, settings of the handler, and the faults with their times and victims.

Decides what is looked at. Rule: everything is drawn from the seed, and everything drawn is legal: a handler whose
settings contradict each other proves nothing. A run has two phases, faults and then calm, in which all has to come to
rest. Playing it, and whether it went well, is left to `play`.
"""

from __future__ import annotations

from typing import Final

from chatsim.explore.afterwards import draw_cost, drawn_apart, drawn_last
from chatsim.explore.faults import draw_events
from chatsim.explore.groups import draw_group, draw_latency, narrow_one
from chatsim.explore.lots import Lots, Words
from chatsim.explore.settings import limits, settings
from chatsim.scenario.costs import WORDS as COSTS
from chatsim.scenario.model import Scenario

_OF_THE_FILE: Final = "says nothing of what is played"

UNDRAWN: Final[dict[str, dict[str, str]]] = {
    "handler": {"algorithms": "the crowd signs with one of them, and a node that pins others would let nobody in"},
    "scenario": {
        "description": _OF_THE_FILE,
        "requirements": _OF_THE_FILE,
        "tags": _OF_THE_FILE,
        "expect": _OF_THE_FILE,
        "live": "neither wire of explore is live",
        "nodes": "there is one so far",
    },
    "trace": {"moments_s": "they stand in a file, of which there is one"},
    "run": {
        "somebody in two shared sessions": "the people of a scenario are in one each, beside their own",
        "a token for another audience": "none of the credentials that a scenario names is one",
        "no room for one revocation more": "whoever orders one that is refused takes that for a fault of the node",
        "messages in fragments": "no client of ours writes them",
        "pings of clients": "no client of ours sends any: it goes by what it hears",
        "a handshake that is never finished": "a client knocks with all of it or not at all",
    },
}
"""Of everything that a scenario may say the words that are the same whatever the seed, and what else may come about in
a `run` and never does, each with its reason."""


def draw(seed: int) -> Scenario:
    """The scenario of a seed: every wire of explore can play it."""
    return Scenario.of(words(seed))


def words(seed: int) -> Words:
    """The scenario of a seed, in the words of a scenario file."""
    lots = Lots(seed)
    duration_s = lots.whole(40, 150)
    handler = settings(lots)
    groups = [draw_group(lots, place, duration_s, handler) for place in range(lots.pick((1, 1, 1, 2, 2, 3)))]
    narrow = ""
    if lots.chance(0.4):
        narrow = narrow_one(lots, handler, groups)
    events = draw_events(lots, groups, duration_s)
    if narrow:
        # Whoever has a narrow link is to be behind while retries are due.
        at_s = lots.number(0.2, 0.4) * duration_s
        events.append({"at": f"{at_s:g}s", "do": "vanish", "group": narrow, "for": lots.duration(4, 0.25 * duration_s)})
    limits(lots, handler, groups, events)
    made: Words = {
        "name": f"explore-{seed}",
        "description": "Drawn from a seed.",
        "seed": seed,
        "duration": f"{duration_s}s",
        "handler": handler,
        "groups": groups,
        "events": events,
        "expect": ["lost == 0"],
    }
    if lots.chance(0.7):
        made["costs"] = 0
    elif lots.chance(0.5):
        made["costs"] = {word: draw_cost(lots) for word in lots.some(COSTS, 0.6)}
    if lots.chance(0.15):
        made["tls"] = True
    if lots.chance(0.1):
        made["warmup"] = lots.duration(1, 20)
    if lots.chance(0.5):
        made["log"] = {"latency": draw_latency(lots, lots.pick((0.4, 0.4, 3.0)))}
    if lots.chance(0.8):
        made["ties"] = seed
    # Drawn last, so that all else is what it would be without.
    drawn_last(lots, made, duration_s)
    drawn_apart(Lots(seed, 1), made, duration_s)
    return made
