"""Orders reach the real server in one connection, and one that is not taken is said, without the key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.memory_log import MemoryLog
from chatsim.errors import HarnessError
from chatsim.live.admin import Admin
from chatsim.people.strikes import Addition, Ending, Posting, Removal, Revocation
from tests.live.running import ADMIN, on_loop, running, token


def test_each_token_named_is_revoked() -> None:
    async def work() -> None:
        async with running() as server:
            admin = Admin(server.ws, ADMIN)
            names = {"ann": "a 1?", "bob": "b", "cyd": "c"}
            ann, bob, cyd = (server.peer(user, jti=jti) for user, jti in names.items())
            async with ann as first, bob as second, cyd as third:
                await admin.revoke(["a 1?", "never seen", "b"])
                assert [await first.close_code(), await second.close_code()] == [4501, 4501]
                await third.join()

    on_loop(work)


def test_the_clock_is_set_where_the_server_lets_it_be_and_nowhere_else() -> None:
    async def work() -> None:
        async with running(clock_ahead_s=0.0) as server:
            await Admin(server.ws, ADMIN).clock_jump(-300.0)
            made = {"Authorization": f"Bearer {token()}"}
            assert (await server.request("GET", "/api/sessions/s", headers=made)).status_code == 401
            for key in (b"another key", b"no"):
                with pytest.raises(HarnessError, match="401"):
                    await Admin(server.ws, key).clock_jump(300.0)
        async with running() as server:
            with pytest.raises(HarnessError, match="404"):
                await Admin(server.ws, ADMIN).clock_jump(300.0)

    on_loop(work)


def test_metrics_are_read() -> None:
    async def work() -> None:
        async with running() as server:
            text = await Admin(server.ws, ADMIN).scrape()
            assert text.startswith(b"# HELP chatsim_connections ")
            assert text.endswith(b"\n")

    on_loop(work)


def test_a_server_that_tells_no_metrics_is_a_fault_of_the_harness() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 No\r\n\r\n")
        writer.close()

    async def work() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(HarnessError, match="500"):
                await Admin(f"ws://127.0.0.1:{port}/ws", ADMIN).scrape()
        with pytest.raises(HarnessError, match="metrics"):
            await Admin("ws://127.0.0.1:1/ws", ADMIN).scrape()

    on_loop(work)


def test_no_token_needs_no_server() -> None:
    async def work() -> None:
        await Admin("ws://127.0.0.1:1/ws", ADMIN).revoke([])

    on_loop(work)


def test_an_order_that_the_log_cannot_take_is_in_force_all_the_same() -> None:
    class Full(MemoryLog):
        def settled(self, answered: Callable[[bool], None]) -> None:
            answered(False)

    async def work() -> None:
        async with running(log=Full()) as server, server.peer("ann", jti="b") as ann:
            await Admin(server.ws, ADMIN).revoke(["a", "b"])
            assert await ann.close_code() == 4501
        async with running(config=HandlerConfig(revocations_max=1)) as server:
            with pytest.raises(HarnessError, match="503"):
                await Admin(server.ws, ADMIN).revoke(["a", "b"])

    on_loop(work)


def test_a_refused_order_is_a_fault_of_the_harness() -> None:
    async def work() -> None:
        async with running() as server:
            with pytest.raises(HarnessError, match="401") as caught:
                await Admin(server.ws, b"not the key").revoke(["a"])
            assert "not the key" not in str(caught.value)

    on_loop(work)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 204", b"x" * 100_000, b"\r\n\r\n", b"\xff\r\n\r\n"])
def test_a_server_that_is_none_is_a_fault_of_the_harness(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async def order(port: int) -> None:
        with pytest.raises(HarnessError, match="order to revoke"):
            await Admin(f"ws://127.0.0.1:{port}/ws", ADMIN).revoke(["a"])

    on_loop(lambda: with_server(answer, order))


def test_nobody_there_is_a_fault_of_the_harness() -> None:
    async def work() -> None:
        async with running() as server:
            port = server.port
        with pytest.raises(HarnessError, match="did not take the order"):
            await Admin(f"ws://127.0.0.1:{port}/ws", ADMIN).revoke(["a"])

    on_loop(work)


async def with_server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    work: Callable[[int], Awaitable[None]],
) -> None:
    """Work with a server on a free port of loopback that answers like that."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        await work(server.sockets[0].getsockname()[1])


def test_orders_to_the_session_service_are_followed_where_they_can_be() -> None:
    async def work() -> None:
        async with running() as server:
            admin = Admin(server.ws, ADMIN)
            async with server.peer("ann") as ann:
                await ann.join()
                assert await admin.give(Posting("ann", Raw(b'{"a":1}')))
                assert await admin.give(Addition("room", "b/b?"))
                assert await admin.give(Removal("room", "b/b?"))
                assert await admin.give(Ending("room"))
                assert not await admin.give(Ending("room"))
                assert not await admin.give(Removal("room", "ann"))
                assert await admin.give(Revocation("ann"))
                assert await ann.close_code() == 4501
            with pytest.raises(HarnessError, match="401"):
                await Admin(server.ws, b"another key").give(Ending("room"))
        assert not await Admin("ws://127.0.0.1:1/ws", ADMIN).give(Ending("room"))

    on_loop(work)
