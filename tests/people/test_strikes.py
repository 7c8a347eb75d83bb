"""Events that touch people strike those who are there, do what their words say, and heal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pytest

from chatsim.core.client import ClientConfig
from chatsim.core.frames import Fault, decode_client
from chatsim.network.link import Link
from chatsim.people.people import Device, People, Person
from chatsim.people.streams import UNIFORM, Streams
from chatsim.people.strikes import (
    BROKEN,
    LOSS_MAX,
    NOWHERE,
    Addition,
    Ending,
    Opening,
    Order,
    Posting,
    Removal,
    Revocation,
    Strikes,
)
from chatsim.scenario import events as ev
from chatsim.scenario.model import Scenario
from tests.people.fakes import FakeCalendar, NoWire


class Wire:
    """One connection with its two ways."""

    def __init__(self) -> None:
        streams = Streams(1)
        self.up, self.down = (Link(None, 0.0, streams.draws(way, 0, UNIFORM), None) for way in ("up", "down"))


class FakeCrowd:
    """Notes what is done to connections."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def drop(self, now: float, connection: Wire) -> None:
        self.done.append(("drop", now, connection))

    def vanish(self, now: float, connection: Wire, for_s: float | None) -> None:
        self.done.append(("vanish", now, connection, for_s))

    def freeze(self, now: float, connection: Wire, for_s: float) -> None:
        self.done.append(("freeze", now, connection, for_s))


class Noted(Strikes[Wire]):
    """A wire that only notes what it should do in its own way."""

    own: list[tuple[str, list[str]]]
    given: list[tuple[float, Order]]

    def _note(self, event: Any, victims: Sequence[Person]) -> None:
        self.own.append((event.do, [person.name for person in victims]))

    def _flood(self, now: float, event: ev.Flood, victims: Sequence[Person]) -> None:
        self._note(event, victims)

    def _bad_frames(self, now: float, event: ev.BadFrames, victims: Sequence[Person]) -> None:
        self._note(event, victims)

    def _expire_tokens(self, now: float, event: ev.ExpireTokens, victims: Sequence[Person]) -> None:
        self._note(event, victims)

    def _refresh_token(self, now: float, event: ev.RefreshToken, victims: Sequence[Person]) -> None:
        self._note(event, victims)

    def _revoke_tokens(self, now: float, devices: Sequence[Device]) -> None:
        self.own.append(("tokens", [device.user.name for device in devices]))

    def _give(self, now: float, order: Order) -> None:
        self.given.append((now, order))


class World:
    """Ann with two devices and Bob with one, all connected; Cid is away. Events choose all who are there."""

    def __init__(self) -> None:
        self.calendar, self.crowd, self.people = FakeCalendar(), FakeCrowd(), People(NoWire())
        for name, devices in (("ann", 2), ("bob", 1), ("cid", 1)):
            self.people.add(name, "g", "s", devices=devices, seed=1, config=ClientConfig())
        self.wires = {number: Wire() for number in range(3)}
        self.asked: list[tuple[int, Sequence[int]]] = []
        self.strikes = Noted(self.calendar, self.crowd, self.people, self.wires, self.choose)
        self.strikes.own, self.strikes.given = [], []

    def choose(self, number: int, event: Any, there: Sequence[int]) -> Sequence[int]:
        self.asked.append((number, there))
        return there

    def strike(self, do: str, now: float = 10.0, **words: Any) -> None:
        """`for_` is the word `for`, which Python keeps for itself."""
        said = {word.removesuffix("_"): value for word, value in words.items()}
        mapping = {
            "name": "x",
            "duration": "1min",
            "groups": [{"name": "g", "users": 3}],
            "expect": ["lost == 0"],
            "events": [{"at": "0s", "do": do, **said}],
        }
        (event,) = Scenario.of(mapping).events
        self.strikes.touch(now, 7, event)

    @property
    def links(self) -> list[Link]:
        return [link for wire in self.wires.values() for link in (wire.up, wire.down)]


def test_the_plan_chooses_among_those_who_are_there_and_the_report_names_them() -> None:
    world = World()
    world.strike("drop")
    assert world.asked == [(7, [0, 1])]
    assert [(fired.do, fired.at, fired.users) for fired in world.strikes.fired] == [("drop", 10.0, ("ann", "bob"))]
    assert world.crowd.done == [("drop", 10.0, world.wires[number]) for number in range(3)]


def test_who_vanishes_or_freezes_does_so_for_as_long_as_it_says() -> None:
    world = World()
    world.strike("vanish")
    world.strike("vanish", for_="5s")
    world.strike("freeze", for_="6s")
    assert [(done[0], done[3]) for done in world.crowd.done[::3]] == [
        ("vanish", None),
        ("vanish", 5.0),
        ("freeze", 6.0),
    ]


def test_latencies_multiply_and_each_takes_back_its_own() -> None:
    world = World()
    world.strike("latency", 10.0, factor=2, for_="10s")
    world.strike("latency", 15.0, factor=3, for_="10s")
    assert {link.factor for link in world.links} == {6.0}
    world.calendar.run(20.0)
    assert {link.factor for link in world.links} == {3.0}
    world.calendar.run(25.0)
    assert {link.factor for link in world.links} == {1.0}


def test_loss_slow_reading_and_withheld_acks_heal() -> None:
    world = World()
    clients = [device.client for person in world.people.persons[:2] for device in person.devices]
    world.strike("loss", rate="100%", for_="5s")
    world.strike("slow_reader", bandwidth="1Mbit/s", for_="5s")
    world.strike("withhold_acks", for_="5s")
    assert {link.extra_loss for link in world.links} == {LOSS_MAX}
    assert {(wire.up.bandwidth_bit_per_s, wire.down.bandwidth_bit_per_s) for wire in world.wires.values()} == {
        (None, 1e6)
    }
    assert not any(client.acks for client in clients)
    world.calendar.run(15.0)
    assert {(link.extra_loss, link.bandwidth_bit_per_s) for link in world.links} == {(0.0, None)}
    assert all(client.acks for client in clients)


def test_of_two_partitions_the_longer_holds() -> None:
    world = World()
    world.strike("partition", for_="9s")
    world.strike("partition", for_="2s")
    assert {link.blocked_until for link in world.links} == {19.0}


@pytest.mark.parametrize(
    "words",
    [
        {"do": "flood", "rate": "1/s", "for_": "1s"},
        {"do": "bad_frames", "rate": "1/s", "for_": "1s"},
        {"do": "expire_tokens"},
        {"do": "refresh_token", "token": "forged"},
    ],
)
def test_what_each_wire_does_in_its_own_way_is_left_to_it(words: dict[str, Any]) -> None:
    world = World()
    world.strike(**words)
    assert world.strikes.own == [(words["do"], ["ann", "bob"])]


def test_what_is_broken_is_so_in_the_way_that_it_is_called() -> None:
    assert BROKEN.keys() == set(get_args(ev.Broken))
    for kind, data in BROKEN.items():
        found = decode_client(data)
        if kind not in ("binary", "bad_utf8"):
            assert isinstance(found, Fault)
            assert found.code == kind
    with pytest.raises(UnicodeDecodeError):
        BROKEN["bad_utf8"].decode()


def test_the_tokens_of_all_devices_are_revoked_or_those_of_the_user() -> None:
    world = World()
    world.strike("revoke")
    assert world.strikes.own == [("tokens", ["ann", "ann", "bob"])]
    assert world.strikes.given == []
    world.strike("revoke", of="user")
    assert len(world.strikes.own) == 1
    assert world.strikes.given == [(10.0, Revocation("ann")), (10.0, Revocation("bob"))]


def test_who_leaves_is_back_after_a_while_or_never() -> None:
    world = World()
    clients = [device.client for person in world.people.persons[:2] for device in person.devices]
    for person in world.people.persons[:2]:
        for device in person.devices:
            device.wanted = True
            device.client.join(0.0, person.session)
    world.strike("leave", for_="5s")
    assert not any(client.wants("s") for client in clients)
    world.calendar.run(14.9)
    assert not any(client.wants("s") for client in clients)
    world.calendar.run(15.0)
    assert all(client.wants("s") for client in clients)
    world.strike("leave", 20.0)
    assert not world.calendar.entries
    assert world.strikes.given == []


def test_who_is_removed_is_added_again_before_she_is_back() -> None:
    world = World()
    world.strike("remove_participant", for_="5s")
    assert world.strikes.given == [(10.0, Removal("s", "ann")), (10.0, Removal("s", "bob"))]
    world.calendar.run(15.0)
    assert world.strikes.given[2:] == [(15.0, Addition("s", "ann")), (15.0, Addition("s", "bob"))]
    world.strike("remove_participant", 20.0)
    assert not world.calendar.entries


def test_a_session_ends_once_for_all_and_all_are_back() -> None:
    world = World()
    for person in world.people.persons:
        for device in person.devices:
            device.wanted = True
    world.strike("end_session", for_="5s")
    assert world.strikes.given == [(10.0, Ending("s"))]
    world.calendar.run(15.0)
    # Cid too, who was away.
    assert all(device.client.wants("s") for device in world.people.devices)


def test_a_session_is_opened_for_a_time_by_those_who_are_back_and_they_are_back_once_more() -> None:
    world = World()
    clients = [device.client for device in world.people.devices]
    for device in world.people.devices:
        device.wanted = True
    world.strike("end_session", for_="5s", ttl="20s")
    assert [fired.lasts_s for fired in world.strikes.fired] == [30.0]
    world.calendar.run(15.0)
    assert world.strikes.given == [(10.0, Ending("s")), (15.0, Opening("s", ("ann", "bob", "cid"), 20.0))]
    assert all(client.wants("s") for client in clients)
    for client in clients:
        client.leave(34.0, "s")
    world.calendar.run(39.9)
    assert not any(client.wants("s") for client in clients)
    world.calendar.run(40.0)
    assert all(client.wants("s") for client in clients)
    assert len(world.strikes.given) == 2


def test_the_server_writes_to_each() -> None:
    world = World()
    world.strike("post")
    assert world.strikes.given == [(10.0, Posting("ann")), (10.0, Posting("bob"))]


def test_who_trespasses_asks_for_what_is_not_hers() -> None:
    world = World()
    world.people.add("dan", "g", "t", devices=1, seed=1, config=ClientConfig())
    world.strike("trespass")
    ann, bob = (person.devices[0].client for person in world.people.persons[:2])
    assert [name for name in ("@bob", "t", NOWHERE) if ann.wants(name)] == ["@bob", "t", NOWHERE]
    assert [name for name in ("@cid", "t", NOWHERE) if bob.wants(name)] == ["@cid", "t", NOWHERE]
    assert (ann.unacked, bob.unacked) == (3, 3)
    assert len(world.people.sent) == 0


def test_an_arrival_is_only_reported() -> None:
    world = World()
    world.strike("arrive", users=2)
    assert [fired.users for fired in world.strikes.fired] == [("ann", "bob")]
    assert world.crowd.done == world.calendar.entries == []
