"""Invariant: what came before the end is read before the end is told."""

from __future__ import annotations

import asyncio

import pytest

from chatsim.errors import ChatClosedError
from chatsim.live.line import Line


def test_things_come_out_as_they_went_in_and_readers_wait() -> None:
    async def work() -> list[int]:
        line: Line[int] = Line(2)
        readers = [asyncio.ensure_future(line.get()) for _ in range(3)]
        await asyncio.sleep(0)
        for number in range(3):
            line.put(number)
        return list(await asyncio.gather(*readers))

    assert asyncio.run(work()) == [0, 1, 2]


def test_one_too_many_costs_the_oldest_and_is_counted() -> None:
    async def work() -> list[int]:
        line: Line[int] = Line(2)
        for number in range(5):
            line.push(number)
        assert line.full
        assert line.dropped == 3
        return [await line.get(), await line.get()]

    assert asyncio.run(work()) == [3, 4]


@pytest.mark.parametrize("problem", [None, ChatClosedError("over", 4503)])
def test_the_end_comes_last_and_to_every_reader(problem: Exception | None) -> None:
    async def work() -> None:
        line: Line[int] = Line(2)
        line.put(1)
        line.end(problem)
        line.put(2)
        assert await line.get() == 1
        for _ in range(2):
            with pytest.raises(StopAsyncIteration if problem is None else ChatClosedError):
                await line.get()

    async def guarded() -> None:
        # A coroutine may not end with StopAsyncIteration, so it is caught inside.
        await work()

    asyncio.run(guarded())
