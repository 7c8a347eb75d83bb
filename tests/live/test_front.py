"""Invariant: whoever comes is served in the end, by the quick way or the other, and whoever says nothing goes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

import pytest
import uvicorn
from starlette.applications import Starlette
from uvicorn.server import ServerState

from chatsim.live.front import Front, TimedHttp, asks_for_websocket
from chatsim.live.protocol import HANDSHAKE_TIMEOUT_S
from tests.live.running import PATIENCE_S, on_loop, running, token
from tests.live.test_driver import FakeLoop, FakeTransport

HEAD = (
    b"GET /ws?token=x HTTP/1.1\r\nHost: here\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def test_a_plain_request_is_told_from_the_rest() -> None:
    assert asks_for_websocket(HEAD)
    assert asks_for_websocket(HEAD.replace(b"?token=x", b""))
    assert not any(asks_for_websocket(HEAD[:cut]) for cut in range(len(HEAD)))
    for old, new in (
        (b"GET", b"POST"),
        (b"/ws", b"/wss"),
        (b"/ws", b"/other"),
        (b"1.1", b"1.0"),
        (b"Host: here\r\n", b""),
        (b"Host: here", b"Host: here\r\nHost: there"),
        (b"Upgrade: WebSocket", b"Upgrade: h2c"),
        (b", Upgrade", b""),
        (b"\r\n\r\n", b"\r\n\r\nmore"),
    ):
        assert not asks_for_websocket(HEAD.replace(old, new))


@pytest.mark.parametrize("cut", [1, 6, 40, -3])
def test_a_request_in_two_pieces_is_upgraded_all_the_same(cut: int) -> None:
    async def work() -> None:
        async with running() as server:
            request = HEAD.replace(b"token=x", b"token=" + token().encode())
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request[:cut])
            # The answer to another request says that the server has read the first piece.
            assert (await server.request("GET", "/health/live")).status_code == 200
            writer.write(request[cut:])
            assert b"101" in await asyncio.wait_for(reader.readline(), PATIENCE_S)
            await asyncio.wait_for(reader.readuntil(b"welcome"), PATIENCE_S)
            writer.close()

    on_loop(work)


class World:
    """A front on a fake loop."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.state = ServerState()
        config = uvicorn.Config(Starlette(), log_config=None, lifespan="off")
        self.front = Front(config, self.state, {}, cast(asyncio.AbstractEventLoop, self.loop))
        self.transport = FakeTransport()
        self.front.connection_made(cast(asyncio.Transport, self.transport))


def test_who_says_nothing_is_dropped() -> None:
    world = World()
    world.loop.advance(HANDSHAKE_TIMEOUT_S - 0.1)
    assert not world.transport.aborted
    world.loop.advance(0.2)
    assert world.transport.aborted


def test_a_server_that_ends_knows_who_has_said_nothing_yet() -> None:
    world = World()
    (member,) = world.state.connections
    member.shutdown()
    assert world.transport.closed
    world.front.connection_lost(None)
    assert not world.state.connections
    assert world.loop.waiting() == 0


def test_a_peer_that_never_finishes_its_request_is_dropped() -> None:
    class Hasty(Front):
        patience_s = 0.05

    async def work() -> None:
        config = uvicorn.Config(Starlette(), http=TimedHttp, log_config=None, lifespan="off", access_log=False)

        def make() -> Hasty:
            return Hasty(config, ServerState(), {})

        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()
        server.close()

    on_loop(work)
