"""What seeds together must have come through, on each wire: where a property is never reached, nobody looks.

Decides which properties a wire cannot reach, and from how many runs on it that one was never reached counts as a
failure. Rule: every wire is judged by its own runs alone, of which a comparison is one on either wire; and what is not
asked of a wire, or of a comparison, is named here, with the reason.
What the properties mean is left to the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chatsim.explore.campaign import Totals
from chatsim.verdict.sometimes import SOMETIMES

WIRES: Final = ("sim", "virtual")

SEEDS_EXPECTED: Final = 2000
"""Among so many seeds every property is to be reached; fewer only report what they did not reach."""

RUNS_EXPECTED: Final = 1000
"""And so many runs on a wire that can reach a property are to have done so once.

Played on both, 2,000 seeds are 1,100 runs on virtual: 100 of its own (`VIRTUAL_EVERY`), and 1,000 as half of a
comparison (`AGREEMENT_EVERY`), in which no queue is ever full: what fills queues is judged there from 20,000 seeds on.
Counted over seeds 0 to 1999, one run in 60 reaches the rarest (`bad_utf8_closed`, 18 of 1,100 on virtual). That 1,000
runs all miss one as rare has a probability of (59/60)^1000, less than one in ten million, and there are some 60 to be
missed. Of 100 runs one in five would miss it, so that what only 100 could have reached is told and not judged.
"""

_NEVER_FULL: Final = "where wires are compared, no queue is ever full: how full it is each counts in its own way"

OUT_OF_REACH: Final[Mapping[str, Mapping[str, str]]] = {
    "virtual": {
        "held_back": (
            "a reader's side takes 16 KiB ahead of her before the server feels that she is slow, as a kernel does, and "
            "hardly any part of a replay that is drawn is that long: it has gone out when the next message comes"
        ),
    },
    "agreement": {
        "held_back": _NEVER_FULL,
        "replayed_in_parts": _NEVER_FULL,
        "shedding": _NEVER_FULL,
        "slow_reader_closed": _NEVER_FULL,
        "one_instant": "where wires are compared, latencies are such that no two frames come in at one moment",
    },
}
"""What is not asked of a wire, or of two that are compared, and why; the simulation can reach everything."""


def missed(totals: Totals) -> list[str]:
    """The properties that no run has reached, though one of the wires played can."""
    return [name for name in reachable(totals) if not totals.reached.get(name)]


def reachable(totals: Totals) -> list[str]:
    """The properties that at least one of the wires played can reach."""
    return [name for name in SOMETIMES if any(runs_for(totals, wire, name) for wire in WIRES)]


def failed(totals: Totals) -> dict[str, list[str]]:
    """For each wire the properties for which there were enough runs, and which none of them reached; wires without such
    are left out."""
    found = {}
    for wire, asked in judged(totals).items():
        reached = totals.reached_on.get(wire, {})
        if names := [name for name in asked if not reached.get(name)]:
            found[wire] = names
    return found


def judged(totals: Totals) -> dict[str, list[str]]:
    """For each wire the properties for which there were so many runs that it is a failure if none of them was reached;
    wires without such are left out."""
    if totals.seeds < SEEDS_EXPECTED:
        return {}
    asked = {wire: [name for name in SOMETIMES if runs_for(totals, wire, name) >= RUNS_EXPECTED] for wire in WIRES}
    return {wire: names for wire, names in asked.items() if names}


def runs_for(totals: Totals, wire: str, name: str) -> int:
    """How many runs on the wire could have reached the property: its own, and its halves of comparisons."""
    if name in OUT_OF_REACH.get(wire, {}):
        return 0
    return sum(totals.by_wire.get(way, 0) for way in (wire, "agreement") if name not in OUT_OF_REACH.get(way, {}))
