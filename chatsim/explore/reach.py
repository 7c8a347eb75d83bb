"""What seeds together must have come through, on each wire: where a property is never reached, nobody looks.

Decides which properties a wire cannot reach, and from how many runs on it that it was never reached counts as a
failure. Rule: every wire is judged by its own runs alone, and what is not asked of it is named here, with the reason.
What the properties mean is left to the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chatsim.explore.campaign import Totals
from chatsim.verdict.sometimes import SOMETIMES

SEEDS_EXPECTED: Final = 2000
"""Among so many runs on a wire every property is to be reached; fewer only report what they did not reach."""

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
"""What is not asked of a wire, and why; the simulation can reach everything."""


def missed(totals: Totals) -> list[str]:
    """The properties that no run has reached, though one of the wires played can."""
    return [name for name in reachable(totals) if not totals.reached.get(name)]


def reachable(totals: Totals) -> list[str]:
    """The properties that at least one of the wires played can reach."""
    return [name for name in SOMETIMES if any(name not in OUT_OF_REACH.get(wire, {}) for wire in totals.by_wire)]


def failed(totals: Totals) -> dict[str, list[str]]:
    """For each wire with enough runs the properties that these never reached, though it can; wires without are left
    out."""
    found = {}
    for wire in judged(totals):
        reached, beyond = totals.reached_on.get(wire, {}), OUT_OF_REACH.get(wire, {})
        if names := [name for name in SOMETIMES if not reached.get(name) and name not in beyond]:
            found[wire] = names
    return found


def judged(totals: Totals) -> list[str]:
    """The wires with so many runs that what they never reached is a failure."""
    return [wire for wire, runs in totals.by_wire.items() if runs >= SEEDS_EXPECTED]
