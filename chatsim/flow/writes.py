"""How many connections each piece of work flushes, where those of one turn are flushed once.

Decides what `Pipe.turn` decides one connection at a time. Rule: a connection is flushed by the first piece of work of
a turn that writes to it. Within a session there are two kinds: a broadcast writes to everybody who has joined it, and a
notice to the senders whom it is for, so that only those of one session can share anything.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def by_key(key: IntArray) -> IntArray:
    """Like a stable argsort of whole numbers from 0 on, and several times as fast: keys are made one of a kind."""
    n = key.size
    return np.sort(key * n + np.arange(n)) % n if n else np.empty(0, dtype=np.int64)


def flushed(
    session: IntArray,
    flushes: IntArray,
    broadcasts: BoolArray,
    turn: Callable[[], IntArray],
    may_share: Callable[[IntArray, IntArray], BoolArray],
    senders_of: Callable[[IntArray], tuple[IntArray, IntArray]],
) -> IntArray:
    """How many connections each piece of work really flushes, out of the `flushes` that it writes to.

    All stand in the order of the work: its session, and whether it is a broadcast. `turn()` is the turn of each, asked
    for only where `may_share(earlier, later)` finds neighbours of one session that may be in one; `senders_of(work)`
    gives pairs of a notice and a sender to whom it goes, for these notices, in order.
    """
    order = by_key(session)
    sorted_session = session[order]
    twins = np.flatnonzero(sorted_session[1:] == sorted_session[:-1])
    twins = twins[may_share(order[twins], order[twins + 1])]
    if not twins.size:
        return flushes
    turns = turn()
    twins = twins[turns[order[twins]] == turns[order[twins + 1]]]
    if not twins.size:
        return flushes
    # Those who share a turn and a session with somebody, group by group, in the order of the work.
    shares = np.zeros(order.size, dtype=np.bool_)
    shares[twins] = shares[twins + 1] = True
    work = order[shares]
    new_group = np.ones(work.size, dtype=np.bool_)
    new_group[1:] = (session[work[1:]] != session[work[:-1]]) | (turns[work[1:]] != turns[work[:-1]])
    group = np.cumsum(new_group) - 1
    found = flushes.copy()
    loud = broadcasts[work]
    # Behind the first broadcast of a group everybody is written to already.
    place = np.arange(work.size)
    first_loud = np.full(group[-1] + 1, work.size)
    np.minimum.at(first_loud, group[loud], place[loud])
    behind = place > first_loud[group]
    found[work[behind]] = 0
    quiet = ~loud & ~behind
    notice, sender = senders_of(work[quiet])
    rank = np.empty(flushes.size, dtype=np.int64)
    rank[work] = place
    at = rank[notice]
    # A group comes wholly before the next, and in it the entries of one sender in their order, however they came.
    in_order = np.lexsort((at, sender, group[at])) if at.size else at
    at, sender = at[in_order], sender[in_order]
    fresh = np.ones(at.size, dtype=np.bool_)
    fresh[1:] = (group[at[1:]] != group[at[:-1]]) | (sender[1:] != sender[:-1])
    found[work[quiet]] = 0
    np.add.at(found, work[at[fresh]], 1)
    # The first broadcast leaves out those to whom a notice before it has gone.
    spoken_to = np.bincount(group[at[fresh]], minlength=first_loud.size)
    has_loud = first_loud < work.size
    found[work[first_loud[has_loud]]] -= spoken_to[has_loud]
    return found
