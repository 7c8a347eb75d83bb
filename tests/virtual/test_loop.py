"""Time passes only when nothing is ready, and then to the very moment that somebody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chatsim.virtual.loop import DeadlockError, VirtualLoop


def play(scene: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    """Run the scene on a new loop."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await scene(loop)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


def test_time_stands_while_something_is_ready() -> None:
    async def scene(loop: VirtualLoop) -> None:
        rung: list[float] = []
        loop.call_later(1.0, lambda: rung.append(loop.time()))
        for _ in range(1000):
            await asyncio.sleep(0)
        assert (loop.time(), rung) == (0.0, [])
        await asyncio.sleep(5.0)
        assert (loop.time(), rung) == (5.0, [1.0])

    play(scene)


def test_timers_of_one_moment_ring_in_the_order_of_asking_and_before_what_they_lead_to() -> None:
    async def scene(loop: VirtualLoop) -> None:
        rung: list[str] = []

        def first() -> None:
            rung.append("first")
            loop.call_soon(rung.append, "led to")

        for moment in (3.0, 1.0, 2.0):
            loop.call_at(moment, rung.append, f"at {moment:g}")
        loop.call_at(2.5, first)
        for number in range(50):
            loop.call_at(2.5, rung.append, f"{number}")
        await asyncio.sleep(4.0)
        assert rung == ["at 1", "at 2", "first", *(f"{n}" for n in range(50)), "led to", "at 3"]

    play(scene)


def test_that_all_of_a_moment_is_done_is_told_before_time_passes() -> None:
    async def scene(loop: VirtualLoop) -> None:
        done: list[object] = []
        loop.call_at(1.0, lambda: loop.call_soon(done.append, "work"))
        loop.call_at(2.0, done.append, "more")
        loop.on_settled = lambda: done.append(loop.time())
        await asyncio.sleep(2.5)
        assert done == [0.0, "work", 1.0, "more", 2.0]

    play(scene)


def test_moments_are_shown_as_they_were_asked_for() -> None:
    """Sums of tenths drift; a timer of a moment shows that moment, bit by bit."""

    async def scene(loop: VirtualLoop) -> None:
        moments = [place / 10 for place in range(1, 2000)]
        shown: list[float] = []
        for moment in moments:
            loop.call_at(moment, lambda: shown.append(loop.time()))
        # The neighbour of a moment, one bit later, has a turn of its own.
        later: list[float] = []
        loop.call_at(0.30000000000000004, lambda: later.append(loop.time()))
        await asyncio.sleep(1000.0)
        assert shown == moments
        assert later == [0.30000000000000004]

    play(scene)


def test_a_timer_that_was_cancelled_is_no_moment() -> None:
    async def scene(loop: VirtualLoop) -> None:
        rung: list[float] = []
        loop.call_at(1.0, rung.append, 1.0).cancel()
        loop.call_at(2.0, lambda: rung.append(loop.time()))
        soon = loop.call_later(1.5, rung.append, 1.5)
        loop.call_at(1.0, soon.cancel)
        await asyncio.sleep(3.0)
        assert rung == [2.0]

    play(scene)


def test_long_waits_are_crossed_in_steps_and_end_exactly() -> None:
    async def scene(loop: VirtualLoop) -> None:
        await asyncio.sleep(30 * 86_400.0)
        assert loop.time() == 30 * 86_400.0

    play(scene)


def test_who_waits_for_what_never_comes_is_named() -> None:
    async def scene(loop: VirtualLoop) -> None:
        async def wait() -> None:
            await loop.create_future()

        waiting = [loop.create_task(wait(), name=f"waiter-{number}") for number in range(12)]
        await asyncio.sleep(7.0)
        await asyncio.wait(waiting)

    with pytest.raises(DeadlockError, match=r"at 7 s, and these wait: .*waiter-0.* and \d+ more"):
        play(scene)


def test_who_waits_is_named_by_what_it_does_where_nobody_gave_it_a_name() -> None:
    async def scene(loop: VirtualLoop) -> None:
        async def waits_for_nothing() -> None:
            await loop.create_future()

        await asyncio.wait([loop.create_task(waits_for_nothing())])

    with pytest.raises(DeadlockError, match=r"waits_for_nothing") as raised:
        play(scene)
    assert "Task-" not in str(raised.value)


def test_a_task_that_waits_for_ever_beside_others_hinders_nobody() -> None:
    async def scene(loop: VirtualLoop) -> None:
        for_ever = loop.create_task(asyncio.Event().wait())
        await asyncio.sleep(10.0)
        assert not for_ever.done()
        for_ever.cancel()

    play(scene)


def test_timeouts_are_of_this_clock() -> None:
    async def scene(loop: VirtualLoop) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20.0):
                await loop.create_future()
        assert loop.time() == 20.0

    play(scene)


def test_a_port_is_listened_on_once_and_nobody_else_answers() -> None:
    async def scene(loop: VirtualLoop) -> None:
        server = loop.listen(asyncio.Protocol)
        other = loop.listen(asyncio.Protocol)
        assert server.port != other.port
        with pytest.raises(OSError, match="in use"):
            loop.listen(asyncio.Protocol, server.port)
        await loop.create_connection(asyncio.Protocol, "anywhere", server.port)
        server.close()
        assert (server.is_serving(), other.is_serving()) == (False, True)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(asyncio.Protocol, "anywhere", server.port)
        assert loop.listen(asyncio.Protocol, server.port).port == server.port

    play(scene)


def test_streams_of_asyncio_work_as_everywhere() -> None:
    async def scene(loop: VirtualLoop) -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(echo, "anywhere", 7)
        reader, writer = await asyncio.open_connection("anywhere", 7)
        writer.write(b"hello\n")
        assert await reader.read() == b"hello\n"
        writer.close()
        await writer.wait_closed()
        server.close()

    play(scene)
