"""One FIFO server, for many pieces of work at once: when each starts, and which share a turn.

Decides what `EventLoop` decides one piece at a time. Rule: the same starts and the same turns, whatever the order of
the arithmetic. What work there is, and what it costs, is left to the node.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_FEW = 24
"""So few chains are followed one step at a time: an array of them costs more than it saves."""


def starts(ready_at: FloatArray, cost_s: FloatArray, free_at: float) -> tuple[FloatArray, BoolArray]:
    """When each piece of work starts, and whether the server had nothing to do before it.

    `ready_at` is ascending, `cost_s` parallel to it; the server is free from `free_at` on. With C the sum of the costs
    before it, work i starts at C_i + max(free_at, max over j <= i of ready_j - C_j): Lindley's recursion, unrolled.
    """
    if not ready_at.size:
        return ready_at.copy(), np.empty(0, dtype=np.bool_)
    before = np.empty_like(cost_s)
    before[0] = 0.0
    np.cumsum(cost_s[:-1], out=before[1:])
    slack = ready_at - before
    most = np.maximum.accumulate(slack)
    np.maximum(most, free_at, out=most)
    idle = np.empty(slack.size, dtype=np.bool_)
    idle[0] = slack[0] > free_at
    np.greater(slack[1:], most[:-1], out=idle[1:])
    # Where nothing was before it, it starts when it is ready, to the last bit.
    return np.where(idle, ready_at, most + before), idle


def ends(start_at: FloatArray, cost_s: FloatArray, idle: BoolArray) -> FloatArray:
    """When each piece of work ends: to the last bit when the next one starts, where that has waited for it.

    What follows from an end at once is ready at that very moment, and is in a turn that begins then.
    """
    end_at = start_at + cost_s
    end_at[:-1] = np.where(idle[1:], end_at[:-1], start_at[1:])
    return end_at


def turn_starts(ready_at: FloatArray, start_at: FloatArray, idle: BoolArray) -> BoolArray:
    """Which pieces of work begin a turn: those that were not ready yet when the turn before began (the first does).

    From each that does, the next is the first that became ready after its start; an idle server always begins one, so
    that busy periods are followed side by side.
    """
    begins = idle.copy()
    if not begins.size:
        return begins
    begins[0] = True
    after = np.searchsorted(ready_at, start_at, side="right")
    at = after[np.flatnonzero(begins)]
    while at.size > _FEW:
        at = at[at < begins.size]
        at = at[~begins[at]]
        begins[at] = True
        at = after[at]
    for place in at.tolist():
        step = place
        while step < begins.size and not begins[step]:
            begins[step] = True
            step = int(after[step])
    return begins
