"""The script puts everything that people mean to do on the calendar, at its moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chatsim.core.frames import AckIn, HeartbeatIn, PresenceIn, Say
from chatsim.people.lateness import ON_TIME, Lateness
from chatsim.people.people import Device, People
from chatsim.people.plan import Plan
from chatsim.people.script import Script, body_of, settle_s_max
from chatsim.people.streams import Streams
from chatsim.scenario.model import Scenario
from tests.frames import joined, message, welcome
from tests.people.fakes import FakeCalendar


class FakeWire:
    """Opens at once what is dialled, and notes what is written."""

    def __init__(self) -> None:
        self.people: People
        self.dialled: list[tuple[float, str]] = []
        self.frames: list[tuple[float, str, Any]] = []

    def dial(self, now: float, device: Device, after_s: float) -> None:
        self.dialled.append((now, device.user.name))
        self.people.opened(now, device)
        self.people.receive(now, device, welcome())
        device.joined = True

    def transmit(self, now: float, device: Device, frame: Any) -> None:
        self.frames.append((now, device.user.name, frame))

    def refresh(self, now: float, device: Device) -> None:
        raise AssertionError("no token expires here")

    def hang_up(self, now: float, device: Device, code: int) -> None:
        raise AssertionError("nobody leaves here")

    def arm(self, now: float, device: Device) -> None:
        device.armed_at = device.client.wake_at()


class World:
    """The people of one group, for 60 s."""

    def __init__(self, *events: dict[str, Any], late: Lateness = ON_TIME, **group: Any) -> None:
        people = {"name": "g", "users": 3} | group
        words = {"name": "s", "duration": "1min", "expect": ["lost == 0"], "groups": [people], "events": list(events)}
        self.scenario = Scenario.of(words)
        streams = Streams(self.scenario.seed)
        self.plan = Plan(self.scenario, streams)
        self.wire = FakeWire()
        self.wire.people = self.people = People(self.wire)
        self.calendar = FakeCalendar()
        self.script = Script(self.scenario, self.plan, streams, self.people, self.calendar, late)

    def of(self, kind: type) -> list[tuple[float, str, Any]]:
        return [row for row in self.wire.frames if isinstance(row[2], kind)]


def test_everyone_arrives_at_the_planned_moment() -> None:
    world = World({"at": "20s", "do": "arrive", "users": 2}, arrive_over="10s", connections_per_user=2)
    world.calendar.run(60.0)
    assert sorted(world.wire.dialled) == sorted((user.connect_at, user.name) for user in world.plan.users for _ in "12")
    assert len(world.people.persons) == 5


def test_who_is_to_be_late_writes_later_what_was_meant_for_its_moment() -> None:
    late = Lateness(np.array([0.0, 30.0]), np.array([0.25, 90.0]))
    world = World(late=late, messages={"arrivals": "periodic", "rate": "30/min"})
    meant_at = world.plan.at_s
    written: list[tuple[float, float]] = []
    world.people.on_say = lambda now, meant_at: written.append((now, meant_at))
    before = world.script.writing
    world.calendar.run(200.0)
    assert (before, world.script.writing) == (True, False)
    assert written == list(zip(late.moments(meant_at).tolist(), meant_at.tolist(), strict=True))
    assert [sent.intended_at for sent in world.people.sent] == meant_at.tolist()
    assert written[-1][0] > 60.0, "beyond the end of the plan too"


def test_messages_go_at_their_intended_moments_whatever_the_server_answers() -> None:
    world = World(
        messages={"arrivals": "poisson", "rate": "30/min"}, body_bytes={"uniform": {"low": "10B", "high": "90B"}}
    )
    world.calendar.run(100.0)
    plan = world.plan
    assert len(plan.at_s) > 50
    assert [row.intended_at for row in world.people.sent] == plan.at_s.tolist()
    assert [row.user for row in world.people.sent] == [plan.users[number].name for number in plan.user.tolist()]
    assert len({row.id for row in world.people.sent}) == len(plan.at_s)


def test_one_entry_stands_on_the_calendar_for_all_messages() -> None:
    world = World(messages={"arrivals": "poisson", "rate": "30/min"})
    world.calendar.run(0.0)
    assert len(world.calendar.entries) == 1


def test_bodies_have_the_planned_size() -> None:
    assert [len(bytes(body_of(size))) for size in (2, 3, 120)] == [2, 3, 120]
    assert bytes(body_of(4)) == b'"xx"'


def test_a_closed_loop_thinks_after_arriving_and_after_each_ack() -> None:
    world = World(users=1, messages={"arrivals": {"closed": {"think": {"constant": "4s"}}}})
    world.calendar.run(10.0)
    assert [row.intended_at for row in world.people.sent] == [4.0], "she waits for the ack"
    assert world.people.on_ack is not None
    world.people.on_ack(11.0, world.people.persons[0])
    world.calendar.run(30.0)
    assert [row.intended_at for row in world.people.sent] == [4.0, 15.0]


def test_a_closed_loop_ends_with_the_sending() -> None:
    world = World(users=1, messages={"arrivals": {"closed": {"think": {"constant": "4s"}}}})
    world.calendar.run(50.0)
    assert world.people.on_ack is not None
    world.people.on_ack(57.0, world.people.persons[0])
    world.calendar.run(100.0)
    assert len(world.people.sent) == 1


def test_an_open_loop_listens_to_no_ack() -> None:
    assert World(messages={"arrivals": "periodic", "rate": "6/min"}).people.on_ack is None


def test_heartbeats_come_at_their_period_and_end_with_the_sending() -> None:
    world = World(users=1, heartbeat="7s")
    world.calendar.run(200.0)
    assert [now for now, _, _ in world.of(HeartbeatIn)] == pytest.approx([7.0 * turn for turn in range(1, 9)])


def test_presence_turns_between_away_and_online() -> None:
    world = World(users=40, presence=True)
    world.calendar.run(200.0)
    shown = world.of(PresenceIn)
    assert len(shown) > 10
    for user in {name for _, name, _ in shown}:
        states = [frame.state for _, name, frame in shown if name == user]
        assert states == ["away", "online"] * (len(states) // 2) + ["away"] * (len(states) % 2)
    assert max(now for now, _, _ in shown) < 60.0


def test_a_group_acks_as_it_says() -> None:
    cases: list[tuple[dict[str, Any], list[AckIn]]] = [
        ({}, [AckIn("g-s0001", 1)]),
        ({"ack_each": True}, [AckIn(message_id=message(1, session="g-s0001").message_id)]),
        ({"acks": False}, []),
    ]
    for words, acked in cases:
        world = World(users=1, **words)
        world.calendar.run(0.0)
        (device,) = world.people.devices
        world.people.receive(1.0, device, joined(session="g-s0001"))
        world.people.receive(2.0, device, message(1, session="g-s0001"))
        assert [frame for _, _, frame in world.of(AckIn)] == acked


def test_nobody_says_anything_without_messages() -> None:
    world = World()
    world.calendar.run(100.0)
    assert world.of(Say) == []
    assert list(world.people.sent) == []


def test_a_run_settles_within_what_the_handler_waits_for_at_most() -> None:
    scenario = World().scenario
    # Four attempts of 30 s, 300 s of retention, 300 s of silence, a sweep of 30 s, and a minute.
    assert settle_s_max(scenario) == 4 * 30 + 300 + 300 + 30 + 60
    assert settle_s_max(scenario.scaled(0.1)) == pytest.approx(81.0)
