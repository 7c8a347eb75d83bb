"""What the events of a scenario do to people, on whichever wire they are.

Decides whom an event strikes, and how links and devices suffer and heal. Rule: the victims are the plan's, chosen among
those who are there, and every event reports whom it touched.
What a wire does in a way of its own (frames that nobody meant, tokens, the node) is left to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from msgspec import Raw

from chatsim.journal.record import Fired
from chatsim.network.link import Link
from chatsim.people.people import Device, People, Person
from chatsim.people.script import Calendar
from chatsim.people.spells import Spells
from chatsim.scenario import events as ev

LOSS_MAX = 0.999
FLOOD_BODY = Raw(b'"flood"')
POST_BODY = Raw(b'"post"')
NOWHERE = "nowhere"
"""A session that nobody is in, and no token names."""

BROKEN: Final[Mapping[ev.Broken, bytes]] = {
    "bad_json": b"{this is no JSON",
    "bad_frame": b'{"type":"typing"}',
    "unknown_type": b'{"type":"nothing"}',
    "binary": b"\x00\x01",
    "bad_utf8": b'{"type":"heartbeat","t":"\xff"}',
}
"""What is sent that is no frame, by what is wrong with it: text, but for `binary`."""


class Removal(NamedTuple):
    """An order: the user takes part in the session no more."""

    session: str
    user: str


class Addition(NamedTuple):
    """An order: the user takes part in the session."""

    session: str
    user: str


class Ending(NamedTuple):
    """An order: the session is over."""

    session: str


class Opening(NamedTuple):
    """An order: there is a session of this name for these users, which ends after `ttl_s` seconds."""

    session: str
    participants: tuple[str, ...]
    ttl_s: float


class Posting(NamedTuple):
    """An order: this goes to all connections of the user, from the server."""

    user: str
    body: Raw = POST_BODY


class Revocation(NamedTuple):
    """An order: no token that the user has so far is good any more."""

    user: str


Order: TypeAlias = Removal | Addition | Ending | Opening | Posting | Revocation
"""What is done by order, over HTTP where there is HTTP."""

PeopleEvent: TypeAlias = ev.VictimEvent | ev.Arrive
"""An event that touches people."""

Choose: TypeAlias = Callable[[int, PeopleEvent, Sequence[int]], Sequence[int]]
"""The numbers of the users whom an event (its place in the scenario comes first) strikes, of those who are there."""


class Linked(Protocol):
    """A connection between a device and the node, with its two ways."""

    @property
    def up(self) -> Link: ...
    @property
    def down(self) -> Link: ...


C = TypeVar("C", bound=Linked)
Struck = TypeVar("Struck", contravariant=True)


class StruckCrowd(Protocol[Struck]):
    """What a wire's crowd does to a connection."""

    def drop(self, now: float, connection: Struck, /) -> None:
        """Both sides lose it, and know it."""

    def vanish(self, now: float, connection: Struck, for_s: float | None, /) -> None:
        """The peer is gone without a word; she is back after `for_s` seconds, or never."""

    def freeze(self, now: float, connection: Struck, for_s: float, /) -> None:
        """The client stops reading and answering for so many seconds."""


class Strikes(ABC, Generic[C]):
    """The events of one run that touch people; `connections` are those that are open now, by the device's number.

    `fired` is the report: every event with whom it touched.
    """

    def __init__(
        self,
        calendar: Calendar,
        crowd: StruckCrowd[C],
        people: People,
        connections: Mapping[int, C],
        choose: Choose,
    ) -> None:
        self.fired: list[Fired] = []
        self._calendar = calendar
        self._struck = crowd
        self._people = people
        self._connections = connections
        self._choose = choose
        self._spells = Spells()
        self._acts: dict[type, Callable[[float, Any, Sequence[Person]], None]] = {
            ev.Drop: self._drop,
            ev.Vanish: self._vanish,
            ev.Freeze: self._freeze,
            ev.SlowReader: self._slow_reader,
            ev.Latency: self._latency,
            ev.Loss: self._loss,
            ev.Partition: self._partition,
            ev.Flood: self._flood,
            ev.WithholdAcks: self._withhold_acks,
            ev.ExpireTokens: self._expire_tokens,
            ev.RefreshToken: self._refresh_token,
            ev.Revoke: self._revoke,
            ev.BadFrames: self._bad_frames,
            ev.Leave: self._leave,
            ev.RemoveParticipant: self._remove_participant,
            ev.EndSession: self._end_session,
            ev.Post: self._post,
            ev.Trespass: self._trespass,
            ev.Arrive: self._arrive,
        }

    def touch(self, now: float, number: int, event: ev.Event) -> None:
        """Have an event that touches people strike whom it chooses; `number` is its place in the scenario."""
        assert isinstance(event, PeopleEvent), f"{event.do} touches nobody"
        persons = self._people.persons
        victims = [persons[user] for user in self._choose(number, event, [p.number for p in self._there()])]
        self.fired.append(Fired(event.do, now, tuple(p.name for p in victims), not victims, event.lasts_s))
        self._acts[type(event)](now, event, victims)

    def strike_node(self, now: float, event: ev.Event) -> int:
        """Write down an event that strikes the node, with those who are connected; its place in the report."""
        there = tuple(person.name for person in self._there())
        self.fired.append(Fired(event.do, now, there, lasts_s=event.lasts_s))
        return len(self.fired) - 1

    def strike_thing(self, now: float, event: ev.Event) -> None:
        """Write down an event that strikes a part of the node, and nobody by itself."""
        self.fired.append(Fired(event.do, now, (), lasts_s=event.lasts_s))

    def missed(self, place: int) -> None:
        """There was no node for the event in that place of the report: it touched nobody."""
        fired = self.fired[place]
        self.fired[place] = Fired(fired.do, fired.at, (), vain=True)

    def _there(self) -> list[Person]:
        """Who is connected."""
        return [p for p in self._people.persons if any(d.number in self._connections for d in p.devices)]

    @abstractmethod
    def _flood(self, now: float, event: ev.Flood, victims: Sequence[Person]) -> None: ...
    @abstractmethod
    def _bad_frames(self, now: float, event: ev.BadFrames, victims: Sequence[Person]) -> None: ...
    @abstractmethod
    def _expire_tokens(self, now: float, event: ev.ExpireTokens, victims: Sequence[Person]) -> None: ...
    @abstractmethod
    def _refresh_token(self, now: float, event: ev.RefreshToken, victims: Sequence[Person]) -> None: ...

    @abstractmethod
    def _revoke_tokens(self, now: float, devices: Sequence[Device]) -> None:
        """Have the node refuse the tokens that these devices hold: as soon as there is a node, if there is none."""

    @abstractmethod
    def _give(self, now: float, order: Order) -> None:
        """Have the order given to the node: as soon as there is one, if there is none."""

    def _of(self, victims: Sequence[Person]) -> list[C]:
        """Their connections."""
        open_ = self._connections
        return [open_[d.number] for person in victims for d in person.devices if d.number in open_]

    def _links(self, victims: Sequence[Person]) -> list[Link]:
        return [link for connection in self._of(victims) for link in (connection.up, connection.down)]

    def _set(self, now: float, for_s: float, whom: Any, name: str, value: Any) -> None:
        """The attribute has this value for a while."""
        self._spells.cast(whom, name, value, now + for_s)
        self._calendar.at(now + for_s, self._spells.lift, whom, name)

    def _arrive(self, now: float, event: ev.Arrive, victims: Sequence[Person]) -> None:
        # The plan has these people already; here is only the report.
        pass

    def _drop(self, now: float, event: ev.Drop, victims: Sequence[Person]) -> None:
        for connection in self._of(victims):
            self._struck.drop(now, connection)

    def _vanish(self, now: float, event: ev.Vanish, victims: Sequence[Person]) -> None:
        for connection in self._of(victims):
            self._struck.vanish(now, connection, event.for_s)

    def _freeze(self, now: float, event: ev.Freeze, victims: Sequence[Person]) -> None:
        for connection in self._of(victims):
            self._struck.freeze(now, connection, event.for_s)

    def _slow_reader(self, now: float, event: ev.SlowReader, victims: Sequence[Person]) -> None:
        for connection in self._of(victims):
            self._set(now, event.for_s, connection.down, "bandwidth_bit_per_s", event.bandwidth_bits_per_s)

    def _latency(self, now: float, event: ev.Latency, victims: Sequence[Person]) -> None:
        for link in self._links(victims):
            link.factor *= event.factor
            self._calendar.at(now + event.for_s, self._calm, link, event.factor)

    def _calm(self, now: float, link: Link, factor: float) -> None:
        # Two faults may overlap, so each takes back its own part.
        link.factor /= factor

    def _loss(self, now: float, event: ev.Loss, victims: Sequence[Person]) -> None:
        for link in self._links(victims):
            self._set(now, event.for_s, link, "extra_loss", min(event.rate, LOSS_MAX))

    def _partition(self, now: float, event: ev.Partition, victims: Sequence[Person]) -> None:
        for link in self._links(victims):
            link.blocked_until = max(link.blocked_until, now + event.for_s)

    def _withhold_acks(self, now: float, event: ev.WithholdAcks, victims: Sequence[Person]) -> None:
        for person in victims:
            for device in person.devices:
                self._set(now, event.for_s, device.client, "acks", False)

    def _leave(self, now: float, event: ev.Leave, victims: Sequence[Person]) -> None:
        for person in victims:
            self._people.part(now, person)
            self._back(now, event.for_s, person)

    def _remove_participant(self, now: float, event: ev.RemoveParticipant, victims: Sequence[Person]) -> None:
        for person in victims:
            self._give(now, Removal(person.session, person.name))
            self._back(now, event.for_s, person, Addition(person.session, person.name))

    def _end_session(self, now: float, event: ev.EndSession, victims: Sequence[Person]) -> None:
        sessions = dict.fromkeys(person.session for person in victims)
        for session in sessions:
            self._give(now, Ending(session))
        for session in sessions:
            people = [person for person in self._people.persons if person.session == session]
            if event.ttl_s is not None:
                # Whoever is back first has it opened for all.
                opening = Opening(session, tuple(person.name for person in people), event.ttl_s)
                self._back(now, event.for_s, people[0], opening)
                for person in people:
                    self._back(now, event.lasts_s, person)
            for person in people:
                self._back(now, event.for_s, person)

    def _revoke(self, now: float, event: ev.Revoke, victims: Sequence[Person]) -> None:
        if event.of == "tokens":
            self._revoke_tokens(now, [device for person in victims for device in person.devices])
            return
        for person in victims:
            self._give(now, Revocation(person.name))

    def _back(self, now: float, for_s: float | None, person: Person, order: Order | None = None) -> None:
        if for_s is not None:
            self._calendar.at(now + for_s, self._returns, person, order)

    def _returns(self, now: float, person: Person, order: Order | None) -> None:
        if order is not None:
            self._give(now, order)
        self._people.rejoin(now, person)

    def _post(self, now: float, event: ev.Post, victims: Sequence[Person]) -> None:
        for person in victims:
            self._give(now, Posting(person.name))

    def _trespass(self, now: float, event: ev.Trespass, victims: Sequence[Person]) -> None:
        persons = self._people.persons
        for person in victims:
            # The next person's own session, the next session that others share, and one that nobody has.
            others = [*persons[person.number + 1 :], *persons[: person.number]]
            shared = [other.session for other in others if other.session != person.session]
            for session in (*(f"@{other.name}" for other in others[:1]), *shared[:1], NOWHERE):
                self._people.trespass(now, person, session, FLOOD_BODY)

    def _flooded(self, now: float, person: Person, _: Any = None) -> None:
        self._people.say(now, person, now, FLOOD_BODY)
