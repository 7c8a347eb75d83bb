"""What commits of the log that lasts cost, out of the loads of a calibration that wait for them.

Decides how a commit is told apart from what else an ack takes. Rule: an ack from the log that lasts takes longer than
one from memory by the commit, by the loop's hearing of it, and by two wake-ups that may be colder; a commit takes the
longer the longer the log has rested, and its thread works for a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.fits import Shape, line_through, positive_shape
from chatsim.analysis.makeup import cold, slept_s
from chatsim.analysis.rounds import Loads, middle
from chatsim.live.calibration.loads import BURSTS, KEPT

COMMIT_COLD_AFTER_S: Final = (0.001, 0.002, 0.004, 0.008, 0.016)
"""For how long the log rests until a commit takes as long as it ever does: as `COLD_AFTER_S`."""

BATCHES: Final = (("kept", 1), *((f"kept {count}", count) for count in BURSTS))
"""Loads of the log that lasts, and how many records a commit of each has."""


class Commits:
    """What a commit costs for each record in it, and how long one of one record keeps its ack waiting (s), by draw:
    `cold_after_s` is for how long the log rests until a commit takes longer, of those that were tried (0: the loads do
    not tell), and `busy` which share of a commit its thread works, by draw (None: they do not)."""

    def __init__(
        self,
        loads: Loads,
        draws: Sequence[npt.NDArray[np.int64]],
        loops: Mapping[str, FloatArray],
        loop_cold_after_s: float,
    ) -> None:
        """`loops` are the loop's costs by draw, and `loop_cold_after_s` for how long it sleeps until it is cold (0:
        that is not told)."""
        threads = {count: loads.thread(name) for name, count in BATCHES}
        slopes = [line_through(list(threads), [middle(of[one]) for of in threads.values()]).slope for one in draws]
        record = np.maximum(slopes, 0.0)
        self.costs = {"commit_record": record}
        self.cold_after_s = 0.0
        self.busy: FloatArray | None = None
        kinds = loads.kinds
        rests = np.array([loads.rested(name) for name in KEPT])
        best = {word: float(drawn[0]) for word, drawn in loops.items()}
        waited = np.array(
            [_waited(loads, name, rests_s, best, loop_cold_after_s) for name, rests_s in zip(KEPT, rests, strict=True)]
        )

        def middles(of: FloatArray) -> FloatArray:
            by_draw = [[middle(of[:, one[kind[one]]], axis=1) for kind in kinds] for one in draws]
            return np.array(by_draw).reshape(len(draws), -1)

        drawn = middles(waited) - record[:, np.newaxis]
        rested = middles(rests)[0]
        if not np.isfinite(drawn).all():
            return
        tried = {after: np.column_stack([np.ones(rested.size), cold(rested, after)]) for after in COMMIT_COLD_AFTER_S}
        self.cold_after_s = min(tried, key=lambda after: nnls(tried[after], drawn[0])[1])
        found = np.array([nnls(tried[self.cold_after_s], one)[0] for one in drawn])
        self.costs |= {"commit": found[:, 0], "commit_cold": found[:, 1]}
        spent = middles(np.array([loads.thread(name) for name in KEPT])) - record[:, np.newaxis]
        self.busy = np.clip(spent.sum(axis=1) / drawn.sum(axis=1), 0.0, 1.0)


def _waited(loads: Loads, name: str, rests_s: FloatArray, best: Mapping[str, float], cold_after_s: float) -> FloatArray:
    """How long the ack of this load waited for the log alone, by round (s): beside what an ack takes from memory, the
    loop is woken once more, and both wake-ups may be colder."""
    waited: FloatArray = loads.answered(name) - loads.answered("said")
    waited = waited - best.get("commit_heard", 0.0) - best.get("wake", 0.0)
    if cold_after_s:
        slept = np.array([slept_s(seen["said"], loads.idle_wakes) for seen in loads.rounds])
        times = (loads.answered(name), rests_s)
        colder = sum(cold(one, cold_after_s) for one in times) - cold(slept, cold_after_s)
        waited = waited - best.get("cold", 0.0) * colder
    return waited


def commit_shape(loads: Loads) -> Shape | None:
    """Of commits that come soon after another, since most do, and that none kept waiting: what else an ack takes is
    taken off as its median."""
    load = next(iter(KEPT))
    samples = [
        (s - float(np.median(seen["said"].answered_s or (0.0,)))) / loads.speed(seen[load])
        for seen in loads.rounds
        for s in seen[load].alone_s
    ]
    return positive_shape(samples)
