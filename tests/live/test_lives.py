"""One server after another: each end is followed by a beginning on the same port, and absence is no failure then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import cast

import pytest

from chatsim.errors import HarnessError
from chatsim.live.lives import Lives
from chatsim.live.node import KILLED, Node


class FakeNode:
    """A server that does what it is told, and remembers it."""

    def __init__(self, port: int, *, code: int = 0) -> None:
        self.url = f"ws://127.0.0.1:{port or 4711}/ws"
        self.code = code
        self.done: list[str] = []

    def check(self) -> None:
        if self.done:
            raise HarnessError("the server ended")

    def cpu_s(self) -> float:
        return 2.0

    def stop(self) -> int:
        self.done.append("stop")
        return self.code

    def kill(self) -> int:
        self.done.append("kill")
        return KILLED


class DrainingNode(FakeNode):
    """A server that ends in order when it is let go, and at once when it is killed."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.asked, self.ended = threading.Event(), threading.Event()

    def stop(self) -> int:
        self.done.append("stop")
        self.asked.set()
        assert self.ended.wait(10.0)
        return self.code

    def kill(self) -> int:
        if not self.ended.is_set():
            self.code = KILLED
        self.ended.set()
        self.done.append("kill")
        return self.code


class World:
    """The lives of a fake server."""

    def __init__(self, *, code: int = 0, drains: bool = False) -> None:
        self.made: list[tuple[int, int]] = []
        self.nodes: list[FakeNode] = []
        self.begun: list[int] = []
        self._code = code
        self._drains = drains
        self.lives = Lives(cast(Callable[[int, int], Node], self._make), self.begun.append)

    def _make(self, life: int, port: int) -> FakeNode:
        self.made.append((life, port))
        self.nodes.append(DrainingNode(port) if self._drains else FakeNode(port, code=self._code))
        return self.nodes[-1]


@pytest.mark.parametrize(("in_order", "how"), [(True, "stop"), (False, "kill")])
def test_the_next_life_has_the_same_port(in_order: bool, how: str) -> None:
    world = World()
    assert asyncio.run(world.lives.end(0.0, in_order=in_order))
    assert world.nodes[0].done == [how]
    assert world.made == [(1, 0), (2, 4711)]
    assert world.begun == [2]
    world.lives.check()
    assert world.lives.cpu_s() == 4.0
    assert world.lives.url == "ws://127.0.0.1:4711/ws"


def test_while_it_is_meant_to_be_away_nothing_is_wrong_and_it_cannot_end_again() -> None:
    world = World()

    async def work() -> bool:
        ending = asyncio.create_task(world.lives.end(0.01, in_order=False))
        await asyncio.sleep(0)
        world.lives.check()
        assert world.lives.cpu_s() == 2.0
        again = await world.lives.end(0.0, in_order=False)
        await ending
        return again

    assert not asyncio.run(work())
    assert world.begun == [2]


def test_who_drains_can_be_killed_and_the_next_comes_as_after_any_kill() -> None:
    world = World(drains=True)

    async def work() -> list[bool]:
        # The next would be an hour away, if it came as after a drain.
        draining = asyncio.create_task(world.lives.end(3600.0, in_order=True))
        first = world.nodes[0]
        assert isinstance(first, DrainingNode)
        assert await asyncio.to_thread(first.asked.wait, 10.0)
        assert not await world.lives.end(0.0, in_order=True), "it drains already"
        killing = asyncio.create_task(world.lives.end(0.01, in_order=False))
        await asyncio.sleep(0)
        assert not await world.lives.end(0.0, in_order=False), "it was killed already"
        return [await killing, await draining]

    assert asyncio.run(work()) == [True, True]
    assert world.begun == [2]
    assert world.nodes[0].done == ["stop", "kill"]
    assert world.lives.up
    assert world.lives.cpu_s() == 4.0


def test_a_kill_that_finds_the_drained_gone_strikes_nothing() -> None:
    world = World(drains=True)

    async def work() -> list[bool]:
        draining = asyncio.create_task(world.lives.end(0.0, in_order=True))
        first = world.nodes[0]
        assert isinstance(first, DrainingNode)
        assert await asyncio.to_thread(first.asked.wait, 10.0)
        # It ends by itself in the moment in which it is to be killed.
        first.ended.set()
        killing = asyncio.create_task(world.lives.end(0.0, in_order=False))
        return [await killing, await draining]

    assert asyncio.run(work()) == [False, True]
    assert world.begun == [2]


def test_an_end_in_order_that_was_none_is_a_failure() -> None:
    with pytest.raises(HarnessError, match="ended with 1"):
        asyncio.run(World(code=1).lives.end(0.0, in_order=True))


def test_an_end_that_nobody_meant_is_a_failure() -> None:
    world = World()
    world.nodes[0].kill()
    with pytest.raises(HarnessError, match="ended"):
        world.lives.check()
