"""Notices of delivery that wait for company, for many at once.

Decides what `sim.company` decides one notice at a time: of those within `LINGER_S` a few are written at once, and each
other goes along with what its connection is written next, or alone when it has waited so long. Rule: the stretches of
time stand in a row, and a connection that is written to is taken to have no more notices in the same stretch: both are
so where there are many.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chatsim.core.notices import EAGER_MAX, LINGER_S
from chatsim.flow.lindley import turn_starts

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def eager(at: FloatArray, count: IntArray) -> IntArray:
    """How many of the `count` notices of each piece of work at these moments (s, ascending) are written at once."""
    cell = np.floor(at / LINGER_S)
    total = np.cumsum(count)
    before = total - count
    begins = np.ones(at.size, dtype=np.bool_)
    np.not_equal(cell[1:], cell[:-1], out=begins[1:])
    before -= before[np.maximum.accumulate(np.where(begins, np.arange(at.size), 0))]
    left: IntArray = np.maximum(EAGER_MAX - before, 0)
    return np.minimum(left, count)


def alone(
    conn: IntArray, at: FloatArray, session: IntArray, written_session: IntArray, written_at: FloatArray
) -> npt.NDArray[np.bool_]:
    """Which of the waiting notices, ascending in time (s), begin a wait that ends in a write of its own.

    Each is for a connection of a session, all of which is written to at `written_at` (s).
    """
    order = np.lexsort((at, conn))
    # One row of moments, connection behind connection, so far apart that no wait reaches from one into the next.
    apart = (float(at.max()) if at.size else 0.0) + 4.0 * LINGER_S
    key = conn[order] * apart + at[order]
    first = np.ones(at.size, dtype=np.bool_)
    np.not_equal(conn[order][1:], conn[order][:-1], out=first[1:])
    begins = turn_starts(key, key + LINGER_S, first)
    apart = max(apart, (float(written_at.max()) if written_at.size else 0.0) + 4.0 * LINGER_S)
    written = np.append(np.sort(written_session * apart + written_at), np.inf)
    since = session[order] * apart + at[order]
    begins &= written[np.searchsorted(written, since)] > since + LINGER_S
    found = np.zeros(at.size, dtype=np.bool_)
    found[order] = begins
    return found
