"""Errands are done in order, each as often as it takes, and are waited for no longer than is worth it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from chatsim.errors import ChatClosedError, JoinRefusedError, MessageRefusedError, RateLimitedError
from chatsim.live.outbox import ERRANDS_MAX, Errand, Outbox
from chatsim.virtual.loop import VirtualLoop

T = TypeVar("T")


def in_virtual_time(work: Callable[[], Awaitable[T]]) -> T:
    async def run() -> T:
        return await work()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


class Desk:
    """An outbox at work, and what came of it when."""

    def __init__(self) -> None:
        self.done: list[tuple[float, str]] = []
        self.said: list[str] = []
        self.outbox = Outbox(self.said.append)
        self.running = asyncio.ensure_future(self.outbox.run())

    def errand(self, name: str, *problems: Exception, takes_s: float = 0.0) -> Errand:
        """Something that meets these problems before it is done."""
        waiting = list(problems)

        async def work() -> None:
            await asyncio.sleep(takes_s)
            if waiting:
                raise waiting.pop(0)
            self.done.append((round(asyncio.get_running_loop().time(), 6), name))

        return work


def test_what_comes_too_soon_is_done_when_the_server_says_and_before_what_follows() -> None:
    async def work() -> None:
        desk = Desk()
        soon = RateLimitedError("later", "rate_limited", 40.0)
        desk.outbox.put(desk.errand("a", soon, RateLimitedError("later", "frame_rate")), line=True)
        desk.outbox.put(desk.errand("b"), line=True)
        assert (desk.outbox.lines, len(desk.outbox), desk.outbox.full) == (2, 2, False)
        assert await desk.outbox.shrink(0, 5.0)
        assert desk.done == [(41.0, "a"), (41.0, "b")]
        assert desk.said == ["Too many messages for the server: this one waits 40 s."]
        assert (desk.outbox.lines, desk.outbox.refused) == (0, 0)

    in_virtual_time(work)


def test_patience_begins_anew_with_everything_that_is_done() -> None:
    async def work() -> None:
        desk = Desk()
        for _ in range(3):
            desk.outbox.put(desk.errand("slow", takes_s=4.0), line=True)
        desk.outbox.put(desk.errand("never", takes_s=1e6), line=True)
        loop = asyncio.get_running_loop()
        assert await desk.outbox.shrink(1, 5.0)
        assert not await desk.outbox.shrink(0, 5.0)
        assert (loop.time(), desk.outbox.lines) == (17.0, 1)
        assert not await desk.outbox.shrink(0, 0.0)
        assert loop.time() == 17.0

    in_virtual_time(work)


def test_who_is_not_obedient_waits_no_longer_because_the_server_says_so() -> None:
    async def work() -> None:
        desk = Desk()
        desk.outbox.put(desk.errand("a", RateLimitedError("later", "rate_limited", 40.0)), line=True)
        assert not await desk.outbox.shrink(0, 1.0, obedient=False)
        assert asyncio.get_running_loop().time() == 1.0

    in_virtual_time(work)


def test_what_is_refused_is_told_and_counted_and_what_is_vital_or_final_ends_it() -> None:
    async def work() -> None:
        desk = Desk()
        desk.outbox.put(desk.errand("a", MessageRefusedError("no", "bad_frame")), line=True)
        desk.outbox.put(desk.errand("b", JoinRefusedError("not you", "s", "no_such_session")))
        desk.outbox.put(desk.errand("c", ValueError("what?")), line=True)
        assert await desk.outbox.shrink(0, 1.0)
        assert (desk.said, desk.outbox.refused) == (["no", "not you", "what?"], 2)
        desk.outbox.put(desk.errand("d", JoinRefusedError("not you", "s", "no_such_session")), vital=True)
        with pytest.raises(JoinRefusedError):
            await desk.running
        desk.running = asyncio.ensure_future(desk.outbox.run())
        desk.outbox.put(desk.errand("e", ChatClosedError("over", 4502)))
        with pytest.raises(ChatClosedError):
            await desk.running

    in_virtual_time(work)


def test_it_is_full_with_so_many() -> None:
    async def work() -> None:
        outbox = Outbox(print)
        desk = Desk()
        for _ in range(ERRANDS_MAX):
            assert not outbox.full
            outbox.put(desk.errand("x"))
        assert outbox.full

    in_virtual_time(work)
