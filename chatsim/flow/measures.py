"""What was measured of a flow: a sketch for each metric, and one of each metric for each group.

Rule: only what a flow has a model of is here; whoever asks for anything else has been refused before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from chatsim.flow.sketch import Sketch
from chatsim.journal.record import Fired, RunRecord
from chatsim.scenario.events import Arrive
from chatsim.scenario.expectations import AGGREGATES, METRICS, NODE_METRICS
from chatsim.scenario.model import Scenario

FloatArray = npt.NDArray[np.float64]

MEASURED: Final = ("delivery_latency", "ack_latency", "stable_latency", "loop_lag", "utilisation")
"""The metrics that a flow has."""

COUNTED: Final = ("sent", "accepted", "delivered", "pings", "presence_events", "connections_peak")
"""The counters that a flow has."""


class Measures:
    """The numbers of one flow, as the judge asks for them (`chatsim.verdict.metrics.Metrics`); `wait_s_max` is how long
    a piece of work waited for the event loop at most (s)."""

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = list(groups)
        self._sketches: dict[tuple[str, str | None], Sketch] = {
            (metric, group): Sketch()
            for metric in MEASURED
            for group in (None, *(() if metric in NODE_METRICS else groups))
        }
        self.counters: dict[str, int] = dict.fromkeys(COUNTED, 0)
        self.wait_s_max = 0.0

    def sketch(self, metric: str, group: str | None = None) -> Sketch:
        """The sketch of a metric, of one group's if it is named."""
        return self._sketches[metric, group]

    def add(self, metric: str, values: FloatArray, group: npt.NDArray[np.int32]) -> None:
        """Count these values (s), each for the group of that number."""
        if len(self._groups) == 1:
            self._sketches[metric, self._groups[0]].add(values)
            self._sketches[metric, None] = self._sketches[metric, self._groups[0]]
            return
        self._sketches[metric, None].add(values)
        for number, name in enumerate(self._groups):
            self._sketches[metric, name].add(values[group == number])

    def count(self, metric: str, group: str | None = None) -> int:
        """How many samples there are."""
        return self.sketch(metric, group).count

    def aggregate(self, name: str, metric: str, group: str | None = None) -> float:
        """One aggregate of one metric; nan where there is no sample."""
        return self.sketch(metric, group).aggregate(name)

    def summary(self, group: str | None = None) -> dict[str, dict[str, float]]:
        """Every aggregate of every metric that is measured; one without a sample has its `count` of 0 alone."""
        table = {}
        for metric in METRICS:
            if metric not in MEASURED or (group is not None and metric in NODE_METRICS):
                continue
            sketch = self.sketch(metric, group)
            names = AGGREGATES if sketch.count else ("count",)
            table[metric] = {name: sketch.aggregate(name) for name in names}
        return table

    def why_invalid(self, scenario: Scenario) -> str:
        """Why nothing follows from these numbers, in one sentence: the node is so late that what a flow leaves out
        would begin. Nothing where it does not."""
        handler = scenario.handler
        patience_s = min(handler.pong_timeout_s, handler.retry_interval_s) / 2.0
        if self.wait_s_max <= patience_s:
            return ""
        return (
            f"the node is {self.wait_s_max:.1f} s behind, so that retries and unanswered pings would begin, which a "
            "flow leaves out: fewer users, or fewer messages"
        )

    def record(self, scenario: Scenario) -> RunRecord:
        """What there is of the rows of a run: no message, no receipt, and the arrivals that were events."""
        arrivals = [Fired(event.do, event.at_s, ()) for event in scenario.events if isinstance(event, Arrive)]
        return RunRecord(
            sent=[],
            accepted={},
            receipts={},
            owed={},
            groups={},
            outages=[],
            detections=[],
            fired=arrivals,
            drain_time_s=[],
            loop_lag_s=[],
            utilisation=[],
            counters=dict(self.counters),
            duration_s=scenario.duration_s,
            warmup_s=scenario.warmup_s,
        )
