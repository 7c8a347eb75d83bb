"""Who comes when, and who means to send what when: the whole load of a run, laid out before it starts.

Decides users, sessions, connect moments, and the intended moments and sizes of open-loop messages; a closed loop gets
its thinking times. Rule: everything depends on the scenario and its streams alone, and on nothing that happens in the
run, so every wire plays the same plan. Each user draws from streams of her own: another user more or less changes
nobody's moments.
Sending, connecting and what the events do to their victims are left to the wires.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from chatsim.errors import UsageError
from chatsim.people.streams import Draws, FloatArray, Streams
from chatsim.scenario.events import Arrive, VictimEvent
from chatsim.scenario.model import Closed, Group, Periodic, Poisson, Profile, Scenario, Trace

IntArray = npt.NDArray[np.int64]

BODY_BYTES_MIN = 2
"""The least size of a body: it is a JSON string, and these are its quotes."""


class User(msgspec.Struct, frozen=True):
    """One person of the plan: `number` in the whole run, `index` in her group, `connect_at` in seconds."""

    number: int
    name: str
    group: str
    index: int
    session: str
    connections: int
    connect_at: float


class ClosedLoop(msgspec.Struct, frozen=True):
    """One closed-loop user: she sends `think` seconds after connecting, and after each ack, a body of `body_bytes`."""

    think: Draws
    body_bytes: Draws


class Plan:
    """The load of one run.

    `at_s` (float64), `user` (int64, a user's `number`) and `body_bytes` (int64) are parallel, one entry an open-loop
    message, ascending by `at_s`; all lie between the user's connect moment and the end of sending. `closed` maps the
    numbers of closed-loop users to their draws.
    """

    def __init__(self, scenario: Scenario, streams: Streams) -> None:
        self._streams = streams
        self.users: list[User] = []
        self.closed: dict[int, ClosedLoop] = {}
        self._arriving: dict[int, list[int]] = {}
        parts: list[tuple[FloatArray, IntArray, IntArray]] = []
        for group in scenario.groups:
            first = len(self.users)
            later = later_arrivals(scenario, group)
            connect_at = connect_moments(group, later, streams)
            self.users += [_user(group, first, index, at) for index, at in enumerate(connect_at.tolist())]
            newest = first + group.users
            for number, event in later:
                self._arriving[number] = list(range(newest, newest + event.users))
                newest += event.users
            if isinstance(group.messages, Closed):
                for index in range(connect_at.size):
                    self.closed[first + index] = _closed_loop(group, group.messages, index, streams)
            elif group.messages is not None:
                at_s, who = moments(group, connect_at, scenario.duration_s, streams)
                parts.append((at_s, who + first, body_bytes(group, who, connect_at.size, streams)))
        self.at_s, self.user, self.body_bytes = _merged(parts)

    def victims(self, number: int, event: VictimEvent | Arrive, candidates: Sequence[int]) -> list[int]:
        """The users whom the event (`number` in the scenario) strikes, out of `candidates`; ascending user numbers.

        Whom an arrival touches are those who arrive with it.
        A share is rounded to the nearest count, but strikes one at least where there is one. Each user has a lot of her
        own in each event, so that one candidate more or less changes at most one victim.
        """
        if isinstance(event, Arrive):
            return self._arriving[number]
        there = [user for user in sorted(candidates) if event.group in (None, self.users[user].group)]
        if event.count is not None:
            count = min(event.count, len(there))
        elif event.share is not None:
            count = min(max(1, int(event.share * len(there) + 0.5)), len(there))
        else:
            return there
        lots = self._streams.generator("victims", number).random(len(self.users))
        return sorted(sorted(there, key=lambda user: lots[user])[:count])


def _user(group: Group, first: int, index: int, connect_at: float) -> User:
    session = f"{group.name}-s{index // group.session_size + 1:04d}"
    name = f"{group.name}-{index + 1:04d}"
    return User(first + index, name, group.name, index, session, group.connections_per_user, connect_at)


def later_arrivals(scenario: Scenario, group: Group) -> list[tuple[int, Arrive]]:
    """The events that bring a group more users, with their places in the scenario, in the order of their moments."""
    found = [
        (number, event)
        for number, event in enumerate(scenario.events)
        # Without a name there is only one group that could be meant: the scenario's reader has seen to it.
        if isinstance(event, Arrive) and event.group in (None, group.name)
    ]
    return sorted(found, key=lambda arrival: arrival[1].at_s)


def connect_moments(group: Group, later: Sequence[tuple[int, Arrive]], streams: Streams) -> FloatArray:
    """Connect moments of a group's users in seconds, by index: its own, ascending, then those who arrive later."""
    own = np.sort(streams.generator(f"arrive/{group.name}").random(group.users)) * group.arrive_over_s
    return np.concatenate([own, *(np.full(event.users, event.at_s) for _, event in later)])


def _closed_loop(group: Group, messages: Closed, index: int, streams: Streams) -> ClosedLoop:
    return ClosedLoop(
        streams.draws(f"think/{group.name}", index, messages.think),
        streams.draws(f"body/{group.name}", index, group.body_bytes),
    )


def moments(
    group: Group, connect_at: FloatArray, end_s: float, streams: Streams, first: int = 0
) -> tuple[FloatArray, IntArray]:
    """Intended moments of an open-loop group and the index of their user: parallel, in any order.

    `connect_at` may be that of neighbours only, counted from 0, of whom the first has the index `first` in her group
    (not of a trace, which is dealt to all).
    """
    messages = group.messages
    if isinstance(messages, Trace):
        return _trace_moments(group.name, messages.moments_s, connect_at, end_s)
    if isinstance(messages, Periodic):
        return _periodic_moments(group.name, 1.0 / messages.rate_per_s, connect_at, end_s, streams, first)
    assert isinstance(messages, Poisson | Profile)
    points = messages.profile if isinstance(messages, Profile) else ((0.0, messages.rate_per_s),)
    return _profile_moments(group.name, points, connect_at, end_s, streams, first)


def _profile_moments(
    name: str,
    points: Sequence[tuple[float, float]],
    connect_at: FloatArray,
    end_s: float,
    streams: Streams,
    first: int,
) -> tuple[FloatArray, IntArray]:
    """Poisson processes whose rate is a step function of absolute time, by inversion of the integrated rate.

    With unit exponential gaps E_k, the moments are L^-1(L(connect) + E_1 + ... + E_k), L the integral of the rate from
    0 (Cinlar 1975, 4.7): exact, and nothing falls where the rate is 0.
    """
    steps = [(at, rate) for at, rate in points if at < end_s]
    starts = np.array([at for at, _ in steps])
    rates = np.array([rate for _, rate in steps])
    # L at the start of each step and at the end; between them it is a straight line.
    grid = np.append(starts, end_s)
    integral = np.concatenate(([0.0], np.cumsum(rates * np.diff(grid))))
    if integral[-1] == 0.0:
        return np.empty(0), np.empty(0, dtype=np.int64)
    since = np.interp(connect_at, grid, integral)
    sums = [
        _unit_poisson(streams, f"messages/{name}", index, float(integral[-1] - begun))
        for index, begun in enumerate(since, first)
    ]
    index = np.repeat(np.arange(connect_at.size), [part.size for part in sums])
    height = since[index] + np.concatenate(sums)
    # Rounding of the sum may reach the very end, where no step rises any more.
    inside = (height > 0.0) & (height < integral[-1])
    height, index = height[inside], index[inside]
    # The step in which L rises through this height: a step of rate 0 has no height that it could be found by.
    step = np.searchsorted(integral, height, side="left") - 1
    at_s = starts[step] + (height - integral[step]) / rates[step]
    # Rounding may put a moment a hair outside the time in which its user sends.
    kept = (at_s < end_s) & (at_s >= connect_at[index])
    return at_s[kept], index[kept]


def _unit_poisson(streams: Streams, name: str, entity: int, until: float) -> FloatArray:
    """Moments of a Poisson process of rate 1 on (0, until), from the user's own stream."""
    if until <= 0.0:
        return np.empty(0)
    generator = streams.borrowed(name, entity)
    expected = int(until + 4.0 * until**0.5 + 4.0)
    gaps = generator.standard_exponential(expected)
    # Methods, since their functions take as long again for so few numbers, and there may be a million users.
    sums = gaps.cumsum()
    while sums[-1] < until:
        gaps = np.concatenate((gaps, generator.standard_exponential(expected)))
        sums = gaps.cumsum()
    return sums[: sums.searchsorted(until)]


def _periodic_moments(
    name: str, period_s: float, connect_at: FloatArray, end_s: float, streams: Streams, first: int
) -> tuple[FloatArray, IntArray]:
    """Moments at a fixed distance from a phase uniform in one period after connecting."""
    users = range(first, first + connect_at.size)
    phases = [streams.borrowed(f"messages/{name}", index).random() for index in users]
    since = connect_at + np.array(phases) * period_s
    counts = np.maximum(np.ceil((end_s - since) / period_s), 0.0).astype(np.int64)
    index = np.repeat(np.arange(connect_at.size), counts)
    turn = np.arange(index.size) - np.repeat(np.cumsum(counts) - counts, counts)
    at_s = since[index] + turn * period_s
    kept = at_s < end_s
    return at_s[kept], index[kept]


def _trace_moments(
    name: str, moments_s: Sequence[float], connect_at: FloatArray, end_s: float
) -> tuple[FloatArray, IntArray]:
    """Recorded moments, dealt in turn to the users who are there by then. Raises UsageError where nobody is."""
    at_s = np.sort(np.array(moments_s, dtype=np.float64))
    at_s = at_s[: np.searchsorted(at_s, end_s)]
    order = np.argsort(connect_at, kind="stable")
    there = np.searchsorted(connect_at[order], at_s, side="right")
    if at_s.size and there[0] == 0:
        raise UsageError(
            f"groups.{name}: the trace sends at {at_s[0]:g} s, before the first user connects at "
            f"{connect_at.min():g} s: set arrive_over to 0s, or let the trace begin later"
        )
    return at_s, order[np.arange(at_s.size) % np.maximum(there, 1)]


def body_bytes(group: Group, index: IntArray, users: int, streams: Streams, first: int = 0) -> IntArray:
    """Sizes of a group's messages, whole bytes, drawn for each user from her own stream.

    `index` holds the messages' users; one user's messages stand in the order of their moments. Of `users` neighbours,
    counted from 0, the first has the index `first` in her group.
    """
    law = group.body_bytes
    if law.is_constant:
        sizes = np.full(index.size, law.mean)
    else:
        counts = np.bincount(index, minlength=users)
        parts = [
            law.sample(streams.borrowed(f"body/{group.name}", user), n)
            for user, n in enumerate(counts.tolist(), first)
            if n
        ]
        sizes = np.empty(index.size)
        sizes[np.argsort(index, kind="stable")] = np.concatenate([np.empty(0), *parts])
    whole: IntArray = np.maximum(np.rint(sizes), BODY_BYTES_MIN).astype(np.int64)
    return whole


def _merged(parts: list[tuple[FloatArray, IntArray, IntArray]]) -> tuple[FloatArray, IntArray, IntArray]:
    """The messages of all groups in one, ascending by moment; equal moments by user number."""
    at_s = np.concatenate([np.empty(0), *(part[0] for part in parts)])
    none = np.empty(0, dtype=np.int64)
    user = np.concatenate([none, *(part[1] for part in parts)])
    body_bytes = np.concatenate([none, *(part[2] for part in parts)])
    order = np.lexsort((user, at_s))
    return at_s[order], user[order], body_bytes[order]
