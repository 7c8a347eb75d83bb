"""One server after another: each end is followed by a beginning on the same port, and absence is no failure then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from chatsim.errors import HarnessError
from chatsim.live.lives import Lives
from chatsim.live.node import Node


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

    def kill(self) -> None:
        self.done.append("kill")


class World:
    """The lives of a fake server."""

    def __init__(self, *, code: int = 0) -> None:
        self.made: list[tuple[int, int]] = []
        self.nodes: list[FakeNode] = []
        self.begun: list[int] = []
        self._code = code
        self.lives = Lives(cast(Callable[[int, int], Node], self._make), self.begun.append)

    def _make(self, life: int, port: int) -> FakeNode:
        self.made.append((life, port))
        self.nodes.append(FakeNode(port, code=self._code))
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


def test_an_end_in_order_that_was_none_is_a_failure() -> None:
    with pytest.raises(HarnessError, match="ended with 1"):
        asyncio.run(World(code=1).lives.end(0.0, in_order=True))


def test_an_end_that_nobody_meant_is_a_failure() -> None:
    world = World()
    world.nodes[0].kill()
    with pytest.raises(HarnessError, match="ended"):
        world.lives.check()
