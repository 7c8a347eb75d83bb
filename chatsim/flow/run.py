"""One scenario as a flow: all work of the node in blocks of time, counted in sketches.

Decides what is measured. Rule: the same load and the same costs as the full simulation, no handler and no client, and
nothing is kept of a delivery but its count; what is left out is refused before anything runs (`refusals`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from chatsim.flow.block import Block, Done, Fans
from chatsim.flow.load import lay_out
from chatsim.flow.measures import Measures
from chatsim.flow.node import Node
from chatsim.flow.refusals import check, check_load
from chatsim.people.streams import Streams
from chatsim.scenario.model import Scenario

FloatArray = npt.NDArray[np.float64]

LAG_SAMPLE_S = 0.1
"""How often the lag of the event loop is looked at, as in the full simulation."""


def flow(scenario: Scenario, *, progress: Callable[[float], None] | None = None) -> Measures:
    """Work the scenario off; `progress` hears the share done.

    Raises UsageError for what a flow leaves out.
    """
    check(scenario)
    load = lay_out(scenario)
    check_load(scenario, load)
    node = Node(scenario, load, Streams(scenario.seed))
    found = Measures([group.name for group in scenario.groups])
    clock = _Clock(scenario.duration_s)
    while not node.settled or node.now < scenario.duration_s:
        done = Block(node, node.reach()).work()
        clock.add(done, node.now)
        _measure(found, done.fans, scenario.warmup_s)
        if progress is not None:
            progress(min(node.now / scenario.duration_s, 1.0))
    found.sketch("loop_lag").add(np.concatenate(clock.lags))
    found.sketch("utilisation").add(np.array([clock.busy_s / scenario.duration_s]))
    found.counters = {
        "sent": int(load.at_s.size),
        "accepted": node.accepted,
        "delivered": node.delivered,
        "pings": node.pings,
        "presence_events": node.presence_events,
        "connections_peak": node.connections,
    }
    found.wait_s_max = node.wait_s_max
    return found


class _Clock:
    """How late the event loop is at each look, and how long it was busy until the end of sending (s)."""

    def __init__(self, end_s: float) -> None:
        self._end_s = end_s
        # One after the other, as they are taken: a sum of tenths is not their product.
        looks = np.cumsum(np.full(int(end_s / LAG_SAMPLE_S) + 1, LAG_SAMPLE_S))
        self._looks = looks[looks <= end_s]
        self._next = 0
        self._free_at = 0.0
        self.busy_s = 0.0
        self.lags: list[FloatArray] = [np.empty(0)]

    def add(self, done: Done, now: float) -> None:
        """What was worked off up to `now`."""
        upto = int(np.searchsorted(self._looks, now))
        looks = self._looks[self._next : upto]
        place = np.searchsorted(done.ready_at, looks, side="right")
        free_at = np.append(self._free_at, done.end_at)[place]
        self.lags.append(np.maximum(free_at - looks, 0.0))
        self._next = upto
        # Work that was begun and ends after that moment belongs to the time after.
        self.busy_s += float(np.clip(done.cost_s - np.maximum(done.end_at - self._end_s, 0.0), 0.0, None).sum())
        if done.end_at.size:
            self._free_at = float(done.end_at[-1])


def _measure(found: Measures, fans: Fans, warmup_s: float) -> None:
    """Count the latencies of the messages that were meant to be sent after the warm-up."""
    of = np.repeat(np.arange(fans.intended_at.size), fans.receivers)
    delivery_s = fans.received_at - fans.intended_at[of]
    heard = np.flatnonzero(fans.receivers)
    begins = (np.cumsum(fans.receivers) - fans.receivers)[heard]
    stable_s = np.maximum.reduceat(delivery_s, begins) if heard.size else np.empty(0)
    counted = fans.intended_at >= warmup_s
    for metric, values, message in (
        ("delivery_latency", delivery_s, of),
        ("ack_latency", fans.acked_at - fans.intended_at, np.arange(fans.intended_at.size)),
        ("stable_latency", stable_s, heard),
    ):
        whole = counted.all()
        found.add(
            metric,
            values if whole else values[counted[message]],
            fans.group[message] if whole else fans.group[message[counted[message]]],
        )
