"""The load of a run as arrays: the people, sessions and moments of the full simulation's plan, and no object for each.

Decides nothing: moments come from the functions that lay out the plan, by the same streams, a slice of the users to
each process. Rule: who comes when and means to send when is equal to the plan's, bit by bit.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from chatsim.people import plan
from chatsim.people.streams import Streams
from chatsim.scenario.model import Group, Scenario, Trace

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]
Part = tuple[FloatArray, npt.NDArray[np.int64], int]

SLICE: Final = 100_000
"""Users whose moments one process lays out at a time; fewer are laid out here."""


class Load(NamedTuple):
    """Who comes, and who says what when.

    By user: `connect_at` (s), `session` and `group` (numbers). By session: `first`, its first user, and `size`; its
    users are neighbours. By message, ascending by moment: `at_s`, `user` and, unless all are alike, `body_bytes`.
    """

    connect_at: FloatArray
    session: IntArray
    group: IntArray
    first: IntArray
    size: IntArray
    at_s: FloatArray
    user: IntArray
    body_bytes_max: int


def lay_out(scenario: Scenario) -> Load:
    """The load of a scenario. Raises UsageError where a trace sends before anybody is there."""
    connect: list[FloatArray] = []
    parts: list[tuple[FloatArray, IntArray]] = []
    sessions: list[IntArray] = []
    groups: list[IntArray] = []
    users = rooms = largest = 0
    streams = Streams(scenario.seed)
    for number, group in enumerate(scenario.groups):
        connect_at = plan.connect_moments(group, plan.later_arrivals(scenario, group), streams)
        at_s, who, body_bytes = _messages(group, connect_at, scenario)
        parts.append((at_s, (who + users).astype(np.int32)))
        largest = max(largest, body_bytes)
        index = np.arange(connect_at.size) // group.session_size
        sessions.append((index + rooms).astype(np.int32))
        groups.append(np.full(connect_at.size, number, dtype=np.int32))
        connect.append(connect_at)
        users += connect_at.size
        rooms += int(index[-1]) + 1
    session = np.concatenate(sessions)
    at_s = np.concatenate([part[0] for part in parts])
    user = np.concatenate([part[1] for part in parts])
    order = np.argsort(at_s, kind="stable")
    size = np.bincount(session).astype(np.int32)
    first = (np.cumsum(size) - size).astype(np.int32)
    return Load(
        np.concatenate(connect), session, np.concatenate(groups), first, size, at_s[order], user[order], largest
    )


def _messages(group: Group, connect_at: FloatArray, scenario: Scenario) -> Part:
    """Moments of a group, the index of their users, and the largest body."""
    if group.messages is None:
        return np.empty(0), np.empty(0, dtype=np.int64), 0
    if connect_at.size <= SLICE or isinstance(group.messages, Trace):
        # A trace is dealt to all of them in turn.
        return _slice(group, connect_at, scenario.duration_s, scenario.seed, 0)
    jobs = (
        delayed(_slice)(group, connect_at[start : start + SLICE], scenario.duration_s, scenario.seed, start)
        for start in range(0, connect_at.size, SLICE)
    )
    found = Parallel(n_jobs=-1)(jobs)
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found]), max(f[2] for f in found)


def _slice(group: Group, connect_at: FloatArray, end_s: float, seed: int, first: int) -> Part:
    """The same for neighbours, of whom the first has that index."""
    streams = Streams(seed)
    at_s, who = plan.moments(group, connect_at, end_s, streams, first)
    if group.body_bytes.is_constant:
        return at_s, who + first, int(group.body_bytes.mean)
    sizes = plan.body_bytes(group, who, connect_at.size, streams, first)
    return at_s, who + first, int(sizes.max(initial=0))
