"""The crowd against the real server: who comes in, what arrives once, and what faults do to connections."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

import pytest

from chatsim.core.client import ClientConfig
from chatsim.core.config import HandlerConfig
from chatsim.live.calendar import TIMER_S, Calendar
from chatsim.live.crowd import Crowd
from chatsim.network.link import Link
from chatsim.virtual.loop import VirtualLoop
from tests.live.arena import PATIENCE_S, Arena, Constant, play


def test_what_is_said_arrives_once_at_each_device_of_the_others() -> None:
    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann", devices=2), arena.add("bob", devices=2)
        await arena.joined(ann, bob)
        for _ in range(20):
            arena.say(ann)
        await arena.until(lambda: arena.received() == 20)
        await arena.until(lambda: all(row.acked_at >= row.intended_at for row in arena.crowd.people.sent))

    crowd = play(test)
    assert crowd.people.duplicates == crowd.people.out_of_order == 0
    assert len(crowd.late_s) == 20
    # Done at once: what is meant for the moment that the calendar has reached is early by its resolution at most.
    assert -TIMER_S <= min(crowd.late_s) <= max(crowd.late_s) < PATIENCE_S
    assert crowd.faults == []


def test_bad_tokens_are_counted_and_not_tried_again() -> None:
    async def test(arena: Arena) -> None:
        arena.add("eve", group="bad", devices=3)
        await arena.until(lambda: arena.crowd.people.auth_refused == 3)
        assert not arena.crowd.away()

    assert play(test).people.auth_refused == 3


def test_a_server_that_is_not_there_is_tried_again() -> None:
    async def test(arena: Arena) -> None:
        crowd = arena.crowd
        port, crowd._port = crowd._port, 1
        ann = arena.add("ann")
        await arena.until(lambda: crowd._serials[0] > 2)
        crowd._port = port
        await arena.joined(ann)

    assert play(test).people.auth_refused == 0


def test_a_dropped_connection_comes_back_and_hears_what_it_missed() -> None:
    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann"), arena.add("bob")
        await arena.joined(ann, bob)
        arena.crowd.drop(arena.calendar.now(), arena.crowd.peers[bob.devices[0].number])
        arena.say(ann)
        await arena.until(lambda: arena.received() == 1)
        assert arena.crowd.peers[bob.devices[0].number].name

    crowd = play(test)
    assert [(row.user, row.joined_at < inf) for row in crowd.people.outages] == [("bob", True)]


def test_who_comes_back_names_her_former_connection_and_is_let_in_before_strangers() -> None:
    async def test(arena: Arena) -> None:
        ann = arena.add("ann")
        await arena.joined(ann)
        (device,) = ann.devices
        # Strangers are let in once in a quarter of an hour, and ann was the one.
        for name in ("c2", "c3"):
            arena.crowd.drop(arena.calendar.now(), arena.crowd.peers[device.number])
            await arena.joined(ann)
            assert device.client.connection == name

    play(test, config=HandlerConfig(accept_rate_per_s=0.001))


def test_a_refusal_is_waited_out_as_fast_as_the_scenario_is_played() -> None:
    async def test(arena: Arena) -> None:
        ann = arena.add("ann")
        await arena.joined(ann)
        bob = arena.add("bob")
        # Each time he is told 1 to 5 s.
        await arena.until(lambda: arena.crowd._serials[bob.devices[0].number] > 50)

    play(test, config=HandlerConfig(accept_rate_per_s=0.001), time_scale=0.001)


def test_a_peer_that_vanished_is_closed_by_the_server_and_comes_back_later() -> None:
    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann"), arena.add("bob")
        await arena.joined(ann, bob)
        number = bob.devices[0].number
        former = arena.crowd.peers[number]
        arena.crowd.vanish(arena.calendar.now(), former, 0.2)
        arena.say(ann)
        await arena.until(lambda: arena.received() == 1)
        assert arena.crowd.peers[number] is not former
        (found,) = arena.crowd.found(lambda name: {former.name: 5.0}[name])
        assert (found.user, found.closed_at) == ("bob", 5.0)

    play(test)


def test_a_frozen_peer_that_wakes_in_time_reads_on_and_is_no_detection() -> None:
    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann"), arena.add("bob")
        await arena.joined(ann, bob)
        frozen_at = arena.calendar.now()
        arena.crowd.freeze(frozen_at, arena.crowd.peers[bob.devices[0].number], 0.3)
        arena.say(ann)
        await arena.until(lambda: arena.received() == 1)
        (at,) = (moment for users in arena.crowd.people.receipts.values() for moment in users.values())
        assert at >= frozen_at + 0.3
        assert arena.crowd.found(lambda name: inf) == []
        assert len(arena.crowd.found(lambda name: frozen_at + 0.1)) == 1

    play(test)


def test_who_was_gone_already_is_found_once_and_gone_since_then() -> None:
    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann"), arena.add("bob")
        await arena.joined(ann, bob)
        peer = arena.crowd.peers[bob.devices[0].number]
        first_at = arena.calendar.now()
        arena.crowd.freeze(first_at, peer, 0.3)
        arena.crowd.freeze(first_at + 0.01, peer, 0.1)
        assert peer.frozen_until == first_at + 0.3
        assert len(arena.crowd.found(lambda name: first_at + 0.2)) == 1
        assert arena.crowd.found(lambda name: first_at + 0.4) == []
        arena.crowd.vanish(first_at + 0.02, peer, None)
        arena.crowd.freeze(first_at + 0.03, peer, 5.0)
        (found,) = arena.crowd.found(lambda name: inf)
        assert (found.gone_at, found.closed_at) == (first_at, inf)

    play(test)


def test_pings_are_answered_and_a_leaver_stays_away() -> None:
    async def test(arena: Arena) -> None:
        ann = arena.add("ann")
        await arena.joined(ann)
        peer = arena.crowd.peers[ann.devices[0].number]
        # Three ping intervals and pong timeouts: without pongs the server would have closed long before.
        end_at = arena.calendar.now() + 0.45
        await arena.until(lambda: arena.calendar.now() > end_at)
        assert arena.crowd.peers[ann.devices[0].number] is peer
        arena.crowd.people.leave(arena.calendar.now(), ann)
        assert arena.crowd.peers == {}
        assert not arena.crowd.away()

    crowd = play(test, config=HandlerConfig(ping_interval_s=0.1, pong_timeout_s=0.05))
    assert crowd.people.outages == []


class Door(asyncio.Protocol):
    """Notes what each request asks for and when, and refuses it with a word to come back in two seconds."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.asked.append((asyncio.get_running_loop().time(), data.split()[1].decode()))
        self.transport.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n")


def knocks(*, former: str = "", **how: Any) -> list[tuple[float, str]]:
    """When a device that dials at 0 s and stays for four is heard at a door that is 100 ms away, and what it asks."""
    door = Door()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        url = f"ws://here:{loop.listen(lambda: door).port}/ws"
        calendar = Calendar(loop, sampled=False, clock=loop.time, timer_s=0.0)
        links = lambda number, device: (Link(Constant(0.1)), Link(Constant(0.1)))  # noqa: E731
        crowd = Crowd(calendar, url, token=lambda device, wall: None, links=links, wall=loop.time, **how)
        calendar.begin()
        person = crowd.people.add("ann", "g", "s", devices=1, seed=1, config=ClientConfig())
        person.devices[0].client._former = former
        crowd.people.arrive(0.0, person)
        await asyncio.sleep(4.0)
        await crowd.end()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    return door.asked


def test_a_dial_costs_its_round_trips_and_a_refusal_says_when_to_come_back() -> None:
    # One round trip and the request; its answer comes 100 ms later, and two seconds after that the next.
    assert [at for at, _ in knocks()] == [pytest.approx(0.3), pytest.approx(2.7)]
    assert {asked for _, asked in knocks()} == {"/ws"}
    assert [at for at, _ in knocks(flights=2)] == [pytest.approx(0.5), pytest.approx(3.1)]


def test_who_comes_back_shows_the_name_of_her_former_connection() -> None:
    assert [asked for _, asked in knocks(former="c2-7")] == ["/ws?resume=c2-7"] * 2
