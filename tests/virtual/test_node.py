"""A virtual node: killed it hears nothing more, drained it lets everybody go, and the next one knows the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import pytest

from chatsim.core.client import ClientConfig
from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Close, Effects
from chatsim.core.frames import Body
from chatsim.core.snapshot import Snapshot
from chatsim.live.calendar import Calendar
from chatsim.live.crowd import Crowd
from chatsim.live.tokens import Purse
from chatsim.network.link import Link
from chatsim.people.people import Device, Person
from chatsim.people.streams import Streams
from chatsim.scenario.distributions import Constant
from chatsim.scenario.model import Scenario
from chatsim.virtual.loop import VirtualLoop
from chatsim.virtual.node import Node
from tests.live.arena import ADMIN_KEY, SECRET
from tests.live.arena import Constant as Same

EPOCH = 1_700_000_000.0
HELLO = Body(b'"hello"')


class CountingLoop(VirtualLoop):
    """Counts its turns, and how often time has passed."""

    def __init__(self) -> None:
        self.turns = self.jumps = 0
        super().__init__()

    def _run_once(self) -> None:
        self.turns += 1
        super()._run_once()  # type: ignore[misc]

    def _advance(self, timeout_s: float | None) -> None:
        self.jumps += 1
        super()._advance(timeout_s)


class World:
    """A node and a crowd 10 ms away from it, from 0 s on."""

    def __init__(
        self, loop: CountingLoop, *, log_s: float = 0.0, lasting: bool = True, config: HandlerConfig | None = None
    ) -> None:
        self.loop = loop
        self.doors: list[tuple[float, str]] = []
        self.closes: list[tuple[float, int]] = []
        self.begun: list[Snapshot] = []
        scenario = Scenario.of(
            {"name": "x", "duration": "1min", "groups": [{"name": "g", "users": 1}], "expect": ["lost == 0"]}
        )
        self.node = Node(
            loop,
            config or HandlerConfig(),
            seed=1,
            epoch=EPOCH,
            secret=SECRET,
            admin_key=ADMIN_KEY,
            latency=Streams(1).draws("log/latency", 0, Constant(value=log_s)),
            lasting=lasting,
            observers=(self,),
            on_begin=self.begun.append,
        )
        self.calendar = Calendar(loop, sampled=False, clock=loop.time, timer_s=0.0)
        self.crowd = Crowd(
            self.calendar,
            self.node.url,
            token=Purse(scenario, SECRET).token,
            links=self._links,
            wall=lambda: EPOCH + loop.time(),
        )
        self.calendar.begin()

    def _links(self, number: int, device: Device) -> tuple[Link, Link]:
        return Link(Same(0.01)), Link(Same(0.01))

    def step(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None:
        self.doors.append((round(now, 6), door))
        self.closes += [(now, effect.code) for effect in effects if isinstance(effect, Close)]

    def add(self, name: str) -> Person:
        """Somebody who comes now."""
        person = self.crowd.people.add(name, "g", "s", devices=1, seed=1, config=ClientConfig())
        self.crowd.people.arrive(self.loop.time(), person)
        return person

    def say(self, person: Person) -> None:
        """She says hello now."""
        self.crowd.people.say(self.loop.time(), person, self.loop.time(), HELLO)

    def heard(self, since: float, *doors: str) -> list[tuple[float, str]]:
        """Inputs of these doors since then."""
        return [(now, door) for now, door in self.doors if now >= since and door in doors]

    @property
    def acked(self) -> list[float]:
        """When each message was acked at its sender (s)."""
        return [round(row.acked_at, 6) for row in self.crowd.people.sent]


def play(scene: Callable[[World], Awaitable[None]], **how: Any) -> World:
    """Play the scene with a new world."""

    async def run() -> World:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        world = World(loop, **how)
        await scene(world)
        assert world.calendar.failure is None
        await world.crowd.end()
        world.node.driver.close()
        return world

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        return runner.run(run())


def test_a_killed_node_hears_nothing_more_and_stores_nothing_that_was_under_way() -> None:
    async def scene(world: World) -> None:
        ann = world.add("ann")
        await asyncio.sleep(1.0)
        world.say(ann)
        # It reaches the node, and not yet the log.
        await asyncio.sleep(0.5)
        ending = asyncio.ensure_future(world.node.end(2.0, in_order=False))
        await asyncio.sleep(1.0)
        assert not world.node.up
        assert not await world.node.end(1.0, in_order=False), "who is gone cannot end"
        assert world.doors[-1][0] <= 1.5
        await asyncio.sleep(10.0)
        assert await ending
        assert world.node.up

    world = play(scene, log_s=1.0)
    (outage,) = world.crowd.people.outages
    assert round(outage.lost_at, 6) == 1.51
    assert outage.joined_at > 3.5
    assert world.heard(0.0, "begin") == [(3.5, "begin")]
    assert [door for _, door in world.heard(0.0, "appended")] == ["appended"], "only what was said again"
    assert world.acked[0] > outage.joined_at


def test_the_next_life_knows_what_the_log_kept_and_begins_a_new_row_of_names() -> None:
    names: list[str] = []

    async def scene(world: World) -> None:
        ann, bob = world.add("ann"), world.add("bob")
        await asyncio.sleep(1.0)
        world.say(ann)
        await asyncio.sleep(1.0)
        names.append(bob.devices[0].client.connection)
        await world.node.end(1.0, in_order=False)
        await asyncio.sleep(20.0)
        names.append(bob.devices[0].client.connection)
        world.say(ann)
        await asyncio.sleep(1.0)

    world = play(scene)
    (snapshot,) = world.begun
    assert [(state.name, state.seq) for state in snapshot.sessions if state.name == "s"] == [("s", 1)]
    assert [name.partition("-")[0] for name in names] == ["c1", "c2"]
    assert sorted(world.crowd.people.receipts) == sorted({row.message_id for row in world.crowd.people.sent})
    assert [len(list(person.memory)) for person in world.crowd.people.persons] == [0, 2]


def test_a_drained_node_closes_everybody_and_takes_nobody_in_until_the_next_begins() -> None:
    refused: list[int] = []

    async def scene(world: World) -> None:
        people = [world.add(name) for name in ("ann", "bob", "cyd")]
        await asyncio.sleep(1.0)
        ending = asyncio.ensure_future(world.node.end(0.5, in_order=True))
        await asyncio.sleep(0.0)
        assert not await world.node.end(0.5, in_order=True), "it is on its way out already"
        late = world.crowd.people.refused

        def note(now: float, device: Device, status: int, retry_after_s: float | None = None) -> None:
            refused.append(status)
            late(now, device, status, retry_after_s)

        world.crowd.people.refused = note  # type: ignore[method-assign]
        people.append(world.add("dan"))
        await ending
        await asyncio.sleep(40.0)
        assert all(device.joined for device in world.crowd.people.devices)

    world = play(scene)
    assert 503 in refused
    assert world.heard(0.0, "drain") == [(1.0, "drain")]
    ((begun_at, _),) = world.heard(0.0, "begin")
    # Closes are spread over a second at least, and each takes one way there and one back.
    assert 1.5 < begun_at <= 1.0 + 1.0 + 0.02 + 0.5
    assert len(world.crowd.people.outages) == 3


def test_a_node_that_is_killed_while_it_drains_is_gone_at_that_moment_and_the_next_comes_as_after_any_kill() -> None:
    answers: list[bool] = []

    async def scene(world: World) -> None:
        for name in ("ann", "bob", "cyd"):
            world.add(name)
        await asyncio.sleep(1.0)
        ending = asyncio.ensure_future(world.node.end(5.0, in_order=True))
        await asyncio.sleep(0.01)
        killing = asyncio.ensure_future(world.node.end(2.0, in_order=False))
        await asyncio.sleep(0.0)
        assert not world.node.up
        # Whoever had it drain waits for nobody any more, and begins nothing.
        answers.append(await ending)
        assert world.loop.time() == 1.01
        answers.append(await killing)
        await asyncio.sleep(40.0)
        assert all(device.joined for device in world.crowd.people.devices)

    world = play(scene)
    assert answers == [True, True]
    assert world.heard(0.0, "drain", "begin") == [(1.0, "drain"), (3.01, "begin")]
    assert len(world.crowd.people.outages) == 3


def test_a_node_that_drains_for_too_long_is_killed_and_it_is_known_when_that_was_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As long as it may drain, only over 10,000 people keep it from being done.
    monkeypatch.setattr("chatsim.virtual.node.DRAIN_S_MAX", 3.0)

    async def scene(world: World) -> None:
        world.add("ann")
        await asyncio.sleep(1.0)
        assert await world.node.end(0.5, in_order=True)
        assert world.node.impatient_at == inf
        await asyncio.sleep(40.0)
        for began_at in (50.0, 90.0):
            await asyncio.sleep(began_at - world.loop.time())
            (peer,) = world.crowd.peers.values()
            # A close that nobody answers takes five seconds.
            world.crowd.vanish(began_at, peer, 30.0)
            assert await world.node.end(0.5, in_order=True)
            assert world.loop.time() == began_at + 3.0 + 0.5
            assert world.node.impatient_at == 53.0

    play(scene)


def test_when_a_notice_had_to_wait_first_is_known_over_all_lives() -> None:
    async def scene(world: World) -> None:
        people = [world.add(f"p{number}") for number in range(80)]
        await asyncio.sleep(1.0)
        assert world.node.lingered_at == inf
        world.say(people[0])
        await asyncio.sleep(1.0)
        lingered_at = world.node.lingered_at
        # A first ack is sent at once.
        assert lingered_at == pytest.approx(1.03)
        await world.node.end(0.5, in_order=False)
        assert world.node.lingered_at == lingered_at

    play(scene)


def test_the_log_answers_after_its_latency() -> None:
    async def scene(world: World) -> None:
        ann = world.add("ann")
        await asyncio.sleep(1.0)
        world.say(ann)
        await asyncio.sleep(2.0)

    world = play(scene, log_s=0.25)
    assert world.acked == [1.27]
    assert world.heard(1.0, "receive", "appended") == [(1.01, "receive"), (1.26, "appended")]


def test_a_log_that_is_down_takes_nothing_and_recovers() -> None:
    async def scene(world: World) -> None:
        ann = world.add("ann")
        await asyncio.sleep(1.0)
        world.node.log.down_until = 3.0
        world.say(ann)
        await asyncio.sleep(0.5)
        assert world.heard(1.0, "append_failed") == [(1.01, "append_failed")]
        await asyncio.sleep(20.0)

    world = play(scene, lasting=False)
    (acked_at,) = world.acked
    assert acked_at > 3.0


def test_its_clock_jumps_for_this_life_and_the_next() -> None:
    async def scene(world: World) -> None:
        world.add("ann")
        await asyncio.sleep(1.0)
        world.node.clock_jump(-30.0)
        assert world.node.driver.wall() == EPOCH + 1.0 - 30.0
        ending = asyncio.ensure_future(world.node.end(1.0, in_order=False))
        await asyncio.sleep(0.5)
        world.node.clock_jump(10.0)
        await ending
        assert world.node.driver.wall() == EPOCH + 2.0 - 20.0
        assert world.node.handler.wall(2.0) == EPOCH + 2.0 - 20.0

    assert play(scene).heard(0.0, "clock_jump") == [(1.0, "clock_jump")]


def test_a_scrape_tells_of_the_node() -> None:
    async def scene(world: World) -> None:
        world.add("ann")
        await asyncio.sleep(1.0)
        assert b"chatsim_connections 1.0" in world.node.scrape()

    play(scene)


def test_five_minutes_until_a_sweep_are_some_dozens_of_turns_of_the_loop() -> None:
    """However fast the machine is: time jumps from one moment for which something was asked to the next."""

    async def scene(world: World) -> None:
        loop = world.loop
        world.add("ann")
        await asyncio.sleep(33.0)
        (peer,) = world.crowd.peers.values()
        world.crowd.vanish(loop.time(), peer, None)
        turns, jumps = loop.turns, loop.jumps
        await asyncio.sleep(367.0)
        assert loop.time() == 400.0
        ((swept_at, code),) = world.closes
        heard_at = world.heard(0.0, "receive", "pong")[-1][0]
        assert code == 4005
        assert 300.0 < swept_at - heard_at <= 330.0
        # Some ten sweeps and as many pings, none of which takes more than a few turns.
        assert 20 <= loop.jumps - jumps < 60
        assert loop.turns - turns < 120

    play(scene, lasting=False, config=HandlerConfig(reliability="baseline"))
