"""A real server on loopback for one test, and the independent `websockets` client to talk to it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any, TypeVar

import httpx
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from chatsim.core.tokens import issue
from chatsim.live.server import ServerSettings, serve

SECRET = b"a secret of thirty-two bytes or more"
ADMIN = b"the admin key"
PATIENCE_S = 10.0
"""No test waits longer for anything; nothing that passes waits that long."""

T = TypeVar("T")


def on_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run one test's coroutine on uvloop, as the server does, and give up after a while."""

    async def bounded() -> T:
        async with asyncio.timeout(3 * PATIENCE_S):
            return await work()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


def token(user: str = "ann", *, life_s: float = 600.0, **claims: Any) -> str:
    """A token of the user, good for a while, that may join the session `room`."""
    wall = time.time()
    said: dict[str, Any] = {"sub": user, "exp": wall + life_s, "wall": wall, "jti": f"t-{user}", "sessions": ("room",)}
    return issue(SECRET, "HS256", **(said | claims))


class Peer:
    """One client connection, with words for what the tests do."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def read(self) -> dict[str, Any]:
        """The next frame."""
        frame = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE_S))
        assert isinstance(frame, dict)
        return frame

    async def read_type(self, kind: str) -> dict[str, Any]:
        """The next frame of this type; others before it are skipped."""
        while (frame := await self.read())["type"] != kind:
            pass
        return frame

    async def join(self, session: str = "room") -> dict[str, Any]:
        await self.send(type="status", action="join", session=session)
        while (frame := await self.read()).get("status") != "joined":
            pass
        return frame

    async def close_code(self) -> int:
        """The code that the server closes with; frames before it are skipped."""
        await asyncio.wait_for(self.socket.wait_closed(), PATIENCE_S)
        code = self.socket.close_code
        assert code is not None
        return code


class Running:
    """A server that listens, and how to reach it."""

    def __init__(self, url: str, stop: asyncio.Event, done: asyncio.Task[dict[str, Any]], trust: SSLContext | None):
        self.url = url
        self.stop = stop
        self.done = done
        self.trust = trust
        self.ws = url.replace("http", "ws", 1) + "/ws"
        self.port = int(url.rpartition(":")[2])

    def dial(self, query: str = "", **options: Any) -> connect:
        """A client's connection in the making; compression is not asked for unless the options do."""
        if self.trust is not None:
            options["ssl"] = self.trust
        return connect(self.ws + query, open_timeout=PATIENCE_S, proxy=None, **({"compression": None} | options))

    @asynccontextmanager
    async def peer(self, user: str = "ann", *, compression: str | None = None, **claims: Any) -> AsyncIterator[Peer]:
        """A connection of the user whose welcome was read."""
        headers = {"Authorization": f"Bearer {token(user, **claims)}"}
        async with self.dial(additional_headers=headers, compression=compression) as socket:
            peer = Peer(socket)
            assert (await peer.read())["status"] == "welcome"
            yield peer

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(verify=self.trust or True, trust_env=False, timeout=PATIENCE_S) as client:
            return await client.request(method, self.url + path, **options)

    async def end(self) -> dict[str, Any]:
        """Stop, and wait until it has ended; the statistics."""
        self.stop.set()
        return await self.done


@asynccontextmanager
async def running(trust: SSLContext | None = None, **settings: Any) -> AsyncIterator[Running]:
    """A server with these settings on a free port of loopback, ended afterwards."""
    stop = asyncio.Event()
    listens: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    told: dict[str, Any] = {"keys": (SECRET,), "admin_key": ADMIN, "seed": 1} | settings
    done = asyncio.ensure_future(serve(ServerSettings(**told), ready=listens.set_result, stop=stop))
    await asyncio.wait((listens, done), return_when=asyncio.FIRST_COMPLETED)
    if done.done():
        await done
    server = Running(await listens, stop, done, trust)
    try:
        yield server
    finally:
        await server.end()
