"""A client of the wire protocol that shares no code with it: the `websockets` package, and plain JSON.

Tokens are made by PyJWT. Frames are plain dictionaries; to wait is to wait for a frame, with a patience that no passing
test needs.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chatsim.core.config import HandlerConfig
from chatsim.live.log import Log
from tests.live.running import ADMIN, PATIENCE_S, SECRET, Running, on_loop, running

Json: TypeAlias = dict[str, Any]


def bearer(user: str = "ann", *, key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A token that is good for ten minutes, for the session `room`; a claim of None is left out."""
    said = {"sub": user, "exp": time.time() + 600, "jti": f"of-{user}", "sessions": ["room"]} | claims
    return jwt.encode({name: value for name, value in said.items() if value is not None}, key, algorithm)


class Wire:
    """One connection, and what came on it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: Json = {}

    async def send(self, type_: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type_, **fields}))

    async def next(self) -> Json:
        """The next frame, whatever it is: text, and one JSON object."""
        data = await asyncio.wait_for(self.socket.recv(), PATIENCE_S)
        assert isinstance(data, str)
        frame = json.loads(data)
        assert isinstance(frame, dict)
        return frame

    async def find(self, type_: str, **fields: Any) -> Json:
        """The next frame of this type with these fields; others before it are skipped."""
        wanted = {"type": type_, **fields}
        while not wanted.items() <= (frame := await self.next()).items():
            pass
        return frame

    async def rest(self) -> list[Json]:
        """All frames that were on their way."""
        mark = time.monotonic()
        await self.send("heartbeat", t=mark)
        found = []
        while not ((frame := await self.next())["type"] == "heartbeat" and frame["t"] == mark):
            found.append(frame)
        return found

    async def join(self, session: str = "room", **fields: Any) -> Json:
        await self.send("status", action="join", session=session, **fields)
        return await self.find("status", status="joined", session=session)

    async def say(self, id_: str, body: Any = "hello", session: str = "room") -> Json:
        """Write a message; its ack."""
        await self.send("message", id=id_, session=session, body=body)
        return await self.find("ack", id=id_)

    async def code(self) -> int | None:
        """The code of the server's close; frames before it are read."""
        with pytest.raises(ConnectionClosed):
            while True:
                await self.next()
        await asyncio.wait_for(self.socket.wait_closed(), PATIENCE_S)
        return self.socket.close_code


class Place:
    """A server to dial; `data` is the folder of its log, where it lasts."""

    def __init__(self, server: Running, data: Path | None = None) -> None:
        self.server = server
        self.data = data

    def dial(self, query: str = "", **options: Any) -> connect:
        return connect(self.server.ws + query, proxy=None, open_timeout=PATIENCE_S, **({"compression": None} | options))

    @asynccontextmanager
    async def wire(
        self, user: str = "ann", *, joins: bool = False, query: str = "", **claims: Any
    ) -> AsyncIterator[Wire]:
        """A connection that was welcomed, and has joined `room` if asked to."""
        headers = {"Authorization": "Bearer " + bearer(user, **claims)}
        async with self.dial(query, additional_headers=headers) as socket:
            made = Wire(socket)
            made.welcome = await made.next()
            if joins:
                await made.join()
            yield made

    async def refusal(self, query: str = "", **options: Any) -> tuple[int, str]:
        """Status and code of a handshake that is refused with the body that the protocol says."""
        with pytest.raises(InvalidStatus) as caught:
            await self.dial(query, **options)
        answer = caught.value.response
        body = json.loads(answer.body or b"")
        assert sorted(body) == ["error", "message"]
        assert answer.status_code != 503 or int(answer.headers["Retry-After"]) > 0
        return answer.status_code, body["error"]

    async def with_token(self, token: str) -> tuple[int, str]:
        return await self.refusal(additional_headers={"Authorization": "Bearer " + token})

    async def ask(
        self, who: str | None, method: str, path: str, body: Any = None, **claims: Any
    ) -> tuple[int, Json | None]:
        """Status and JSON of a request by this user (with a token that names no sessions), `admin`, or nobody.

        An error is held to its shape: its code stands for the body.
        """
        headers = {}
        if who is not None:
            secret = ADMIN.decode() if who == "admin" else bearer(who, **{"sessions": None} | claims)
            headers = {"Authorization": "Bearer " + secret}
        answer = await self.server.request(method, path, headers=headers, **({} if body is None else {"json": body}))
        if answer.status_code == 204:
            assert answer.content == b""
            return 204, None
        said = answer.json()
        assert answer.headers["Content-Type"] == "application/json"
        if answer.status_code >= 400:
            assert sorted(said) == ["error", "message"]
            assert said["message"]
        return answer.status_code, said

    async def refused(self, who: str | None, method: str, path: str, body: Any = None, **claims: Any) -> Any:
        """Status and error code of a request that is refused."""
        status, said = await self.ask(who, method, path, body, **claims)
        assert said is not None
        return status, said["error"]

    async def gauge(self, name: str) -> float:
        """One number of the metrics."""
        text = (await self.server.request("GET", "/metrics")).text
        [found] = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name + " ")]
        return float(found)

    async def revoke(self, jti: str) -> None:
        headers = {"Authorization": "Bearer " + ADMIN.decode()}
        assert (await self.server.request("DELETE", f"/api/tokens/{jti}", headers=headers)).status_code == 204


def against(
    *, keys: tuple[bytes, ...] = (SECRET,), log: Log | None = None, lasting: bool = False, **config: Any
) -> Callable[..., Callable[[], None]]:
    """Make a test of a rule: a coroutine that is given a server with this configuration.

    `log` is one of the test's own, `lasting` asks for one that lasts, in a folder of its own.
    """

    def made(rule: Callable[[Place], Awaitable[None]]) -> Callable[[], None]:
        async def work() -> None:
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) if lasting else None
                async with running(config=HandlerConfig(**config), keys=keys, log=log, data=data) as server:
                    await rule(Place(server, data))

        def test() -> None:
            on_loop(work)

        test.__name__, test.__doc__ = rule.__name__, rule.__doc__
        return test

    return made
