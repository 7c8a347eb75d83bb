"""The order of what happens at one instant, where a seed is to decide it.

Decides nothing but the order of lanes: what belongs to one (a connection, a device, a log) keeps the order in which it
was asked for, as bytes on one connection do. Rule: another seed gives another order, the same seed the same one.
"""

from __future__ import annotations

LANE_ENTRIES_BITS = 40
"""Room for so many entries (2**40) of one lane."""


def turn(seed: int, lane: int, count: int) -> int:
    """Where the `count`-th entry of all, which is of this lane, stands among those of its moment."""
    # A number of its own for each lane, which another seed makes another (the finalizer of SplitMix64).
    mixed = (lane + 1) * 0x9E3779B97F4A7C15 + seed * 0xD1342543DE82EF95 & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return ((mixed ^ (mixed >> 31)) << LANE_ENTRIES_BITS) + count
