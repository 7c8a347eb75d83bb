"""How long things took, counted in buckets.

Rule: an observation costs one search of a dozen edges and two sums, and nothing is kept of it but its bucket, so that a
handler may count for months. Edges are upper ones and belong to their bucket; 0.1 s, the limit that a delivery is held
to, is one of them.
How buckets are shown is left to `chatsim.telemetry`.
"""

from __future__ import annotations

from bisect import bisect_left

EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
"""From a thousandth of a second to the end of all retries (30 s after the first send, and three times more)."""


class Histogram:
    """Counts of durations; `counts` has one place more than there are edges, for what is beyond the last."""

    __slots__ = ("counts", "edges_s", "sum_s")

    def __init__(self, edges_s: tuple[float, ...] = EDGES_S) -> None:
        self.edges_s = edges_s
        self.counts = [0] * (len(edges_s) + 1)
        self.sum_s = 0.0

    def observe(self, took_s: float) -> None:
        """Count one duration (s); a negative one, which only a clock set back can make, counts as 0."""
        if took_s < 0.0:
            took_s = 0.0
        self.counts[bisect_left(self.edges_s, took_s)] += 1
        self.sum_s += took_s


class Times:
    """What one handler has timed, each in seconds.

    `ack`: from taking a message to its ack, once the log has it. `delivery`: from taking a message to a receiver's ack
    of it, which her client may hold back. `pong`: from a ping to the first sign of life that is no frame, which is
    the pong unless the peer pings at that very moment.
    """

    __slots__ = ("ack", "delivery", "pong")

    def __init__(self) -> None:
        self.ack = Histogram()
        self.delivery = Histogram()
        self.pong = Histogram()
