"""What the people of a plan do, moment by moment, on whatever calendar a wire has.

Decides when arrivals, messages, heartbeats and changes of presence happen; one entry at a time stands on the calendar
for the whole plan of messages.
Rule: open-loop messages go at their intended moments, or as late as a crowd was that is to be followed; a closed loop
thinks after each ack.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from msgspec import Raw

from chatsim.core.client import ClientConfig
from chatsim.people.lateness import ON_TIME, Lateness
from chatsim.people.people import People, Person
from chatsim.people.plan import Plan
from chatsim.people.streams import Streams
from chatsim.scenario.distributions import Exponential
from chatsim.scenario.model import Scenario

PRESENCE_S_MEAN = 60.0
"""Mean time between two changes of presence of people who show it."""


class Calendar(Protocol):
    """Something that calls back: `action(now, a, b)` at a moment of the run (s)."""

    def at(self, moment: float, action: Callable[[float, Any, Any], None], a: Any = None, b: Any = None) -> None:
        """Put an action on the calendar."""


@lru_cache(maxsize=4096)
def body_of(size_bytes: int) -> Raw:
    """A JSON string of that many bytes, quotes included (2 at least)."""
    return Raw(b'"' + b"x" * (size_bytes - 2) + b'"')


EPOCH = 1_700_000_000.0
"""Wall time of the start of every run in virtual time (s since 1970): a constant, so that journals of equal seeds are
equal."""

SETTLE_S = 0.5
"""How often such a run is asked, from the end of sending on, whether all is settled."""


def settle_s_max(scenario: Scenario) -> float:
    """How long a run may go on after the sending until nothing is in flight (s): all retries, then retention, then the
    sweep that finds whoever is gone, and a minute of the people's own to come back."""
    handler = scenario.handler
    return (
        handler.retry_interval_s * (handler.retries + 1)
        + handler.retention_s
        + handler.stale_after_s
        + handler.sweep_interval_s
        + 60.0 * scenario.played_scale
    )


class Script:
    """The people of a plan, brought to life; they write as `late` as a crowd that was measured."""

    def __init__(
        self,
        scenario: Scenario,
        plan: Plan,
        streams: Streams,
        people: People,
        calendar: Calendar,
        late: Lateness = ON_TIME,
    ) -> None:
        self._scenario = scenario
        self._plan = plan
        self._people = people
        self._calendar = calendar
        self._next = 0
        # Arrays, not lists: eight bytes a number, and reading one gives a plain number of Python.
        self._meant_at = array("d", plan.at_s.tobytes())
        said_at = late.moments(plan.at_s)
        self._at = self._meant_at if said_at is plan.at_s else array("d", said_at.tobytes())
        self._user = array("q", plan.user.tobytes())
        self._bytes = array("q", plan.body_bytes.tobytes())
        dice = streams.generator("clients")
        seeds = dice.integers(0, 2**63, len(plan.users)).tolist()
        pause = Exponential(scale=PRESENCE_S_MEAN * scenario.played_scale)
        for user, seed in zip(plan.users, seeds, strict=True):
            group = scenario.group(user.group)
            config = ClientConfig(reconnect=group.reconnect, acks=group.acks, ack_each=group.ack_each)
            person = people.add(
                user.name,
                user.group,
                user.session,
                devices=user.connections,
                seed=seed,
                config=config.scaled(scenario.played_scale),
                typing=group.typing,
            )
            calendar.at(user.connect_at, self._arrives, person, user.number)
            if group.heartbeat_s is not None:
                calendar.at(user.connect_at + group.heartbeat_s, self._beats, person, group.heartbeat_s)
            if group.presence:
                draws = streams.draws(f"presence/{user.group}", user.index, pause)
                calendar.at(user.connect_at + draws.next(), self._changes, person, (draws, "away"))
        people.on_ack = self._acked if plan.closed else None
        if self._at:
            calendar.at(self._at[0], self._says)

    @property
    def writing(self) -> bool:
        """Whether messages of the plan are still to be written: who is late may go on beyond the end."""
        return self._next < len(self._at)

    def _arrives(self, now: float, person: Person, number: int) -> None:
        self._people.arrive(now, person)
        loop = self._plan.closed.get(number)
        if loop is not None:
            self._calendar.at(now + loop.think.next(), self._thought, person, number)

    def _says(self, now: float, _: Any, __: Any) -> None:
        at, people = self._at, self._people
        place = self._next
        people.say(now, people.persons[self._user[place]], self._meant_at[place], body_of(self._bytes[place]))
        self._next = place = place + 1
        if place < len(at):
            self._calendar.at(max(at[place], now), self._says)

    def _thought(self, now: float, person: Person, number: int) -> None:
        if now < self._scenario.duration_s:
            size = round(self._plan.closed[number].body_bytes.next())
            self._people.say(now, person, now, body_of(max(size, 2)))

    def _acked(self, now: float, person: Person) -> None:
        loop = self._plan.closed.get(person.number)
        if loop is not None:
            self._calendar.at(now + loop.think.next(), self._thought, person, person.number)

    def _beats(self, now: float, person: Person, period_s: float) -> None:
        if now < self._scenario.duration_s:
            self._people.beat(now, person)
            self._calendar.at(now + period_s, self._beats, person, period_s)

    def _changes(self, now: float, person: Person, how: Any) -> None:
        draws, state = how
        if now < self._scenario.duration_s:
            self._people.show_presence(now, person, state)
            other = "online" if state == "away" else "away"
            self._calendar.at(now + draws.next(), self._changes, person, (draws, other))
