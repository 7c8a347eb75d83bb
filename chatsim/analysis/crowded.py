"""What a live crowd that is one process adds to the latencies which it measures: it too does one thing after the other.

Decides nothing of the server. Rule: every sending and every receipt takes the crowd the same time, in the order in
which they come due, one after the other (Lindley, 1952), and what is late by that is late in what was measured.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def delays(due_at: npt.ArrayLike, each_s: float) -> FloatArray:
    """How long after each of these moments (s, shape (n,), in any order) it is done, where each takes so long."""
    moments = np.asarray(due_at, dtype=np.float64)
    order = np.argsort(moments, kind="stable")
    place = np.arange(moments.size)
    # The end of the i-th is the latest of all starts up to it and what has been done since.
    ends = np.maximum.accumulate(moments[order] - each_s * place) + each_s * (place + 1)
    found = np.empty(moments.size)
    found[order] = ends - moments[order]
    return found
