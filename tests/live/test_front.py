"""Invariant: whoever comes is served in the end, by the quick way or the other, and whoever says nothing goes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

import pytest
import uvicorn
from starlette.applications import Starlette
from uvicorn.server import ServerState

from chatsim.live.front import READ_TIMEOUT_S, Front, TimedHttp, asks_for_websocket
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
    """A front on a fake loop, which is told of its connection `tls_s` after the accept (s)."""

    def __init__(self, tls_s: float = 0.0) -> None:
        self.loop = FakeLoop()
        self.state = ServerState()
        config = uvicorn.Config(Starlette(), log_config=None, lifespan="off")
        self.front = Front(config, self.state, {}, cast(asyncio.AbstractEventLoop, self.loop))
        self.transport = FakeTransport()
        self.loop.advance(tls_s)
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


def test_time_counts_from_the_accept_and_not_from_the_end_of_a_tls_handshake() -> None:
    world = World(tls_s=HANDSHAKE_TIMEOUT_S - 1.0)
    world.loop.advance(0.9)
    assert not world.transport.aborted
    world.loop.advance(0.2)
    assert world.transport.aborted


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b"GET / HTTP/1.1\r\nHost: "),
        (b"", b"POST /api/tokens HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n{"),
        # A request that was whole buys no time for the next.
        (b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n", b"GET /health"),
    ],
)
def test_a_peer_that_never_finishes_its_request_is_dropped(first: bytes, then: bytes) -> None:
    async def work() -> None:
        async with running(handshake_timeout_s=0.3) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            if first:
                writer.write(first)
                await asyncio.wait_for(reader.readuntil(b'{"status":"live"}'), PATIENCE_S)
            writer.write(then)
            with contextlib.suppress(ConnectionResetError):
                said = await asyncio.wait_for(reader.read(), PATIENCE_S)
                assert not said or said.startswith(b"HTTP/1.1 401")
            writer.close()

    on_loop(work)


class Peer(FakeTransport):
    """A transport with an address."""

    protocol: asyncio.BaseProtocol | None = None

    def get_extra_info(self, name: str) -> None:
        return None

    def get_protocol(self) -> asyncio.BaseProtocol | None:
        return self.protocol


def test_who_does_not_read_an_answer_is_dropped() -> None:
    loop, transport = FakeLoop(), Peer()
    config = uvicorn.Config(Starlette(), log_config=None, lifespan="off")
    http = TimedHttp(config, ServerState(), {}, cast(asyncio.AbstractEventLoop, loop))
    http.deadline_at, http.patience_s = loop.time() + 10.0, 10.0
    transport.protocol = http
    http.connection_made(cast(asyncio.Transport, transport))
    http._request.stop()
    http.pause_writing()
    loop.advance(READ_TIMEOUT_S - 0.1)
    http.resume_writing()
    loop.advance(READ_TIMEOUT_S)
    assert not transport.aborted
    http.pause_writing()
    loop.advance(READ_TIMEOUT_S + 0.1)
    assert transport.aborted


def test_what_is_no_http_is_refused_as_everything_else_is() -> None:
    async def work() -> None:
        async with running() as server:
            for wrong in (b"junk\r\n\r\n", b"GET / HTTP/1.1\r\nHost: here\r\nX: " + b"x" * 20_000):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(wrong)
                answer = b""
                with contextlib.suppress(ConnectionResetError):
                    answer = await asyncio.wait_for(reader.readuntil(b"}"), PATIENCE_S)
                assert answer.startswith(b"HTTP/1.1 400")
                assert b'"error":"bad_request"' in answer
                writer.close()

    on_loop(work)
