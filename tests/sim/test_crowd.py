"""The crowd carries frames over its links, and a device hears nothing that its fate forbids."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from msgspec import Raw

from chatsim.core.client import ClientConfig
from chatsim.core.config import HandlerConfig
from chatsim.core.frames import Heartbeat, HeartbeatIn, ServerFrame
from chatsim.core.handler import ChatHandler
from chatsim.core.tokens import Claims
from chatsim.network.link import Link
from chatsim.people.lateness import ON_TIME, Lateness
from chatsim.people.people import Device, Person
from chatsim.people.streams import Streams
from chatsim.scenario.costs import free
from chatsim.scenario.distributions import Constant
from chatsim.sim.crowd import BusyCrowd, Crowd, Knock
from chatsim.sim.engine import Engine
from chatsim.sim.node import Node

EPOCH = 1000.0


class Fixed:
    """Draws that are all the same."""

    def __init__(self, value: float) -> None:
        self.constant = value

    def next(self) -> float:
        return self.constant


class World:
    """Ann and Bob in one session, 100 ms away from a free node; `refused` names those whose tokens are no good."""

    def __init__(self, *refused: str, config: HandlerConfig | None = None, late: Lateness = ON_TIME) -> None:
        self.engine = Engine(quantum_s=0.5)
        handler = ChatHandler(config or HandlerConfig(), epoch=EPOCH, seed=1)
        self.node = Node(self.engine, handler, Streams(1), free(), Constant(value=0.0), ())

        self.minted: list[float] = []

        def claims(user: str, now: float) -> Claims | None:
            self.minted.append(now)
            return None if user in refused else Claims(sub=user, exp=EPOCH + now + 3600.0, sessions=("s",))

        knocks = {"g": Knock(claims)}
        self.crowd = (BusyCrowd if late.busy else Crowd)(self.engine, self.node, self._links, knocks)
        if isinstance(self.crowd, BusyCrowd):
            self.crowd.reads_s, self.crowd.frames_s, self.crowd.writes_s = late.reads_s, late.frames_s, late.writes_s
        people = self.crowd.people
        self.ann, self.bob = (
            people.add(name, "g", "s", devices=1, seed=number, config=ClientConfig())
            for number, name in enumerate(("ann", "bob"))
        )
        for person in (self.ann, self.bob):
            self.at(0.0, people.arrive, person)

    def _links(self, number: int, device: Device) -> tuple[Link, Link]:
        return Link(Fixed(0.1)), Link(Fixed(0.1))

    def at(self, moment: float, call: Any, *args: Any) -> None:
        self.engine.at(moment, lambda now, a, b: call(now, *args))

    def run(self, until: float) -> None:
        self.engine.run(until)

    def dials(self) -> list[int]:
        """How often each device has dialled, or is about to."""
        return list(self.crowd._dials.values())

    def do(self, moment: float, call: Any, person: Person, *args: Any) -> None:
        """Call with the person's pipe of that moment."""
        self.at(moment, lambda now: call(now, self.crowd.pipes[person.devices[0].number], *args))


def test_opening_takes_two_round_trips() -> None:
    world = World()
    seen: list[tuple[float, int]] = []
    for moment in (0.39, 0.41):
        world.at(moment, lambda now: seen.append((now, len(world.crowd.pipes))))
    world.run(2.0)
    assert seen == [(0.39, 0), (0.41, 2)]
    assert all(device.joined for device in world.crowd.people.devices)


def test_a_refused_knock_is_final() -> None:
    world = World("bob")
    world.run(2.0)
    assert world.crowd.people.auth_refused == 1
    assert world.bob.devices[0].client.state == "idle"
    assert world.ann.devices[0].joined


def test_a_person_who_leaves_is_gone_on_both_sides() -> None:
    world = World()
    world.at(5.0, world.crowd.people.leave, world.bob)
    world.run(10.0)
    assert list(world.crowd.pipes) == [world.ann.devices[0].number]
    assert len(world.node.pipes) == 1
    assert world.crowd.people.outages == []


def test_a_dropped_device_dials_again() -> None:
    world = World()
    world.do(5.0, world.crowd.drop, world.bob)
    world.run(10.0)
    (outage,) = world.crowd.people.outages
    assert (outage.user, outage.lost_at) == ("bob", 5.0)
    assert 0.5 < outage.joined_at - 5.0 < 2.0
    assert len(world.crowd.pipes) == len(world.node.pipes) == 2


def test_who_comes_back_is_known_and_let_in_before_strangers() -> None:
    # One stranger is let in in a quarter of an hour, and ann is the one.
    world = World(config=HandlerConfig(accept_rate_per_s=0.001))
    world.do(5.0, world.crowd.drop, world.ann)
    world.run(10.0)
    (ann,), (bob,) = world.ann.devices, world.bob.devices
    assert ann.joined
    assert ann.client.former == "c1" != ann.client.connection
    assert bob.client.state == "waiting"


def test_who_has_vanished_hears_and_says_nothing() -> None:
    world = World()
    people = world.crowd.people
    world.do(5.0, world.crowd.vanish, world.bob, None)
    world.at(6.0, people.say, world.ann, 6.0, b'"hello"')
    world.at(6.0, people.say, world.bob, 6.0, b'"anyone?"')
    world.run(7.0)
    assert world.crowd.undetected()
    by_ann, by_bob = people.sent
    assert by_ann.acked_at == pytest.approx(6.2)
    assert by_bob.message_id == ""
    assert by_ann.message_id not in people.receipts


def test_the_node_finds_who_has_vanished() -> None:
    world = World()
    world.do(5.0, world.crowd.vanish, world.bob, None)
    world.run(60.0)
    assert not world.crowd.undetected()
    (row,) = world.crowd.found()
    assert (row.user, row.group, row.gone_at) == ("bob", "g", 5.0)
    assert 10.0 < row.closed_at - row.gone_at <= 40.1


def test_who_was_never_found_counts_as_never() -> None:
    world = World()
    world.do(5.0, world.crowd.vanish, world.bob, None)
    world.run(6.0)
    assert [row.closed_at for row in world.crowd.found()] == [inf]


def test_the_frozen_read_everything_in_order_when_they_wake() -> None:
    world = World()
    people = world.crowd.people
    world.do(5.0, world.crowd.freeze, world.bob, 4.0)
    for moment in (6.0, 6.5, 7.0):
        world.at(moment, people.say, world.ann, moment, b'"hello"')
    world.run(20.0)
    assert [people.receipts[row.message_id] for row in people.sent] == [{"bob": 9.0}] * 3
    assert people.out_of_order == people.duplicates == 0
    assert world.crowd.found() == []


def test_a_shorter_freeze_within_a_longer_one_ends_with_it() -> None:
    world = World()
    people = world.crowd.people
    world.do(5.0, world.crowd.freeze, world.bob, 4.0)
    world.do(6.0, world.crowd.freeze, world.bob, 1.0)
    world.at(6.0, people.say, world.ann, 6.0, b'"hello"')
    world.run(20.0)
    assert [people.receipts[row.message_id] for row in people.sent] == [{"bob": 9.0}]


def test_who_was_gone_already_is_gone_since_then() -> None:
    for first in (world_with_freeze, world_with_vanishing):
        world = first()
        world.do(6.0, world.crowd.freeze, world.bob, 90.0)
        world.do(7.0, world.crowd.vanish, world.bob, None)
        world.run(60.0)
        assert [row.gone_at for row in world.crowd.found()] == [5.0]


def world_with_freeze() -> World:
    """Bob has been frozen since 5 s."""
    world = World()
    world.do(5.0, world.crowd.freeze, world.bob, 80.0)
    return world


def world_with_vanishing() -> World:
    """Bob has been gone since 5 s."""
    world = World()
    world.do(5.0, world.crowd.vanish, world.bob, None)
    return world


def test_the_mirror_rule_dials_again_when_the_server_is_silent() -> None:
    world = World()

    def cut(now: float) -> None:
        world.crowd.pipes[world.bob.devices[0].number].down.blocked_until = now + 80.0

    world.at(20.0, cut)
    world.run(70.0)
    people = world.crowd.people
    (outage,) = people.outages
    # Ping interval, pong timeout and 5 s of margin after the last that was heard, which is at most a ping older.
    assert outage.user == "bob"
    assert 20.0 < outage.lost_at <= 20.0 + 45.0
    assert outage.joined_at < inf


def test_a_new_token_is_handed_in_on_the_open_connection() -> None:
    world = World()
    device = world.ann.devices[0]
    world.at(5.0, world.crowd.refresh, device)
    heard: list[str] = []

    class Ear:
        def step(self, now: float, door: str, args: tuple[Any, ...], effects: Any) -> None:
            if door == "refresh":
                heard.append(f"{args[0]} at {now:.1f}")

    world.node._observers = (Ear(),)
    world.run(6.0)
    assert len(heard) == 1
    assert heard[0].endswith("at 5.1")


def test_a_token_is_of_the_moment_at_which_it_is_asked_with() -> None:
    world = World()
    world.run(2.0)
    # It leaves after the round trip that opens the way, and not when it arrives, 100 ms later.
    assert world.minted == pytest.approx([0.2, 0.2])


def test_who_finds_nobody_at_home_knows_it_after_the_round_trip() -> None:
    world = World()
    seen: list[tuple[float, list[int]]] = []
    for moment in (0.19, 0.21):
        world.at(moment, lambda now: seen.append((now, world.dials())))
    world.node.up = False
    world.run(0.5)
    assert seen == [(0.19, [1, 1]), (0.21, [2, 2])]


def test_a_request_under_way_when_the_node_ends_is_not_the_next_ones() -> None:
    world = World()
    seen: list[tuple[float, list[int]]] = []

    def ends(now: float) -> None:
        # It is back at once, long before the requests arrive.
        world.node.crash(now, 1e9)
        world.node.up = True

    world.at(0.25, ends)
    for moment in (0.34, 0.36):
        world.at(moment, lambda now: seen.append((now, world.dials())))
    world.run(0.4)
    assert seen == [(0.34, [1, 1]), (0.36, [2, 2])]
    assert world.node.pipes == {}


def test_a_crowd_that_is_one_process_reads_one_connection_after_the_other() -> None:
    """Three messages leave the crowd, and come back to it, at once: it comes to each connection in turn."""
    world = World(late=ON_TIME._replace(reads_s=0.05, frames_s=0.01))
    body = Raw(b'"hi"')
    for _ in range(3):
        world.at(5.0, lambda now: world.crowd.people.say(now, world.ann, now, body))
    world.run(9.0)
    people = world.crowd.people
    heard = [at for seen in people.receipts.values() for at in seen.values()]
    acked = [sent.acked_at for sent in people.sent]
    # Written at 5.0, there and back at 5.2, when one read finds three acks and another one three messages.
    assert sorted({*heard, *acked}) == pytest.approx([5.2, 5.2 + 0.05 + 3 * 0.01])
    assert len(heard) == len(acked) == 3
    assert world.bob.devices[0].joined


def test_a_busy_crowd_reads_with_a_frame_what_has_come_behind_it() -> None:
    world = World(late=ON_TIME._replace(reads_s=0.05))
    world.run(9.0)
    read: list[tuple[str, float]] = []
    world.crowd._read = lambda now, device, frame: read.append((device.user.name, now))
    ann, bob = (world.crowd.pipes[one.devices[0].number] for one in (world.ann, world.bob))
    world.at(10.0, world.crowd.deliver, (ann, bob), Heartbeat(1.0, {}))
    world.at(10.01, world.crowd.deliver, (ann, bob), Heartbeat(2.0, {}))
    world.run(11.0)
    # What has come for ann while she was read waits behind bob, for whom both were there.
    assert [name for name, _ in read] == ["ann", "bob", "bob", "ann"]
    assert [at for _, at in read] == pytest.approx([10.0, 10.05, 10.05, 10.1])


def test_a_crowd_that_is_one_process_writes_what_is_due_one_after_the_other_but_a_message_when_it_was_written() -> None:
    world = World(late=ON_TIME._replace(writes_s=0.05))
    world.run(9.0)
    people = world.crowd.people
    came: list[tuple[float, str]] = []
    world.crowd._arrived = lambda now, pipe, frame: came.append((now, type(frame).__name__))
    for person in (world.ann, world.bob):
        world.at(10.0, lambda now, one: world.crowd.transmit(now, one.devices[0], HeartbeatIn()), person)
    world.at(10.0, lambda now: people.say(now, world.ann, now, Raw(b'"hi"')))
    world.run(10.5)
    at = {name: [now for now, kind in came if kind == name] for name in ("HeartbeatIn", "Say")}
    # What takes 50 ms to write leaves then, and is 100 ms on its way.
    assert at["HeartbeatIn"] == pytest.approx([10.15, 10.2])
    assert at["Say"] == pytest.approx([10.15])


def test_a_crowd_that_is_one_process_writes_an_answer_before_it_reads_on() -> None:
    world = World(late=ON_TIME._replace(reads_s=0.02, writes_s=0.05))
    world.run(9.0)
    read: list[float] = []
    came: list[float] = []
    world.crowd._arrived = lambda now, pipe, frame: came.append(now)

    def answer(now: float, device: Device, frame: ServerFrame) -> None:
        read.append(now)
        world.crowd.transmit(now, device, HeartbeatIn())

    world.crowd._read = answer
    pipes = [world.crowd.pipes[one.devices[0].number] for one in (world.ann, world.bob)]
    world.at(10.0, world.crowd.deliver, pipes, Heartbeat(1.0, {}))
    # Something that is due while it reads is written behind what is there to be read, and a third comes behind that.
    world.at(10.01, lambda now: world.crowd.transmit(now, pipes[0].peer, HeartbeatIn()))
    world.at(10.02, world.crowd.deliver, pipes[:1], Heartbeat(2.0, {}))
    world.run(11.0)
    assert read == pytest.approx([10.0, 10.07, 10.19])
    assert came == pytest.approx([10.17, 10.24, 10.29, 10.36])


def test_a_busy_crowd_answers_pings_and_comes_to_a_close_behind_what_came_before_it() -> None:
    world = World(late=ON_TIME._replace(reads_s=0.05), config=HandlerConfig(ping_interval_s=1.0, pong_timeout_s=0.9))
    world.run(9.0)
    assert world.crowd.people.outages == [], "every pong was in time"
    pipe = world.crowd.pipes[world.bob.devices[0].number]
    told: list[str] = []
    world.crowd._read = lambda now, device, frame: told.append(type(frame).__name__)
    world.crowd.deliver(9.0, (pipe,), Heartbeat(1.0, {}))
    world.crowd.closed(9.0, (pipe,), 1000)
    world.run(10.0)
    assert told == ["Heartbeat"], "who is closed reads nothing any more"
    assert not pipe.client_open


def test_a_busy_crowd_reads_what_came_before_its_connection_is_found_cut() -> None:
    world = World(late=ON_TIME._replace(reads_s=0.05))
    world.run(9.0)
    pipe = world.crowd.pipes[world.bob.devices[0].number]
    told: list[str] = []
    world.crowd._read = lambda now, device, frame: told.append(type(frame).__name__)
    world.crowd.deliver(9.0, (pipe,), Heartbeat(1.0, {}))
    world.crowd.deliver(9.0, (pipe,), Heartbeat(2.0, {}))
    world.crowd.cut(9.0, pipe, None)
    world.run(10.0)
    assert told == ["Heartbeat"] * 2
    assert not pipe.client_open
