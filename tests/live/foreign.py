"""A chat server that is not chatsim's: `websockets` and plain JSON, written after protocol.md, without a line of ours.

It greets, joins, stores, acks, fans out, replays and answers heartbeats; it tells no sender what became of her message
and retries nothing. `flaw` makes it break its promises: `loses` every tenth message, sends each `twice`, is `mute`
(never acks), or speaks in `riddles`.
"""

from __future__ import annotations

import asyncio
import http
import json
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import jwt
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

SECRET = b"the secret of somebody else, 32 bytes"


class Session:
    """A stream of messages, and the connections that are in it."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.here: dict[ServerConnection, str] = {}
        self.users: set[str] = set()


class Foreign:
    """The server's state. `peak` is how many connections there were at once, `handshakes` how many were tried; `die`
    has it go away for good, from its own thread."""

    def __init__(
        self,
        flaw: str = "",
        key: Any = SECRET,
        algorithm: str = "HS256",
        audience: str | None = None,
        greets: int = 10**6,
    ) -> None:
        """It takes that many handshakes, and then no token any more."""
        self._greets = greets
        self.flaw = flaw
        self.url = ""
        self.peak = 0
        self.handshakes = 0
        self.die: Callable[[], None] = lambda: None
        self._key, self._algorithm, self._audience = key, algorithm, audience
        self._sessions: dict[str, Session] = defaultdict(Session)
        self._claims: dict[ServerConnection, dict[str, Any]] = {}
        self._known: dict[tuple[str, str, str], dict[str, Any]] = {}

    def door(self, connection: ServerConnection, request: Request) -> Response | None:
        """Who has no good token is answered with 401."""
        self.handshakes += 1
        try:
            if self.handshakes > self._greets:
                raise KeyError("enough")
            token = request.headers["Authorization"].removeprefix("Bearer ")
            claims = jwt.decode(token, self._key, [self._algorithm], audience=self._audience)
        except (KeyError, jwt.PyJWTError):
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, '{"error": "token_invalid", "message": "no"}')
        self._claims[connection] = claims
        return None

    async def talk(self, connection: ServerConnection) -> None:
        """One connection from its welcome to its end."""
        claims = self._claims[connection]
        user = claims["sub"]
        self.peak = max(self.peak, len(self._claims))
        hello = {
            "type": "status" if self.flaw != "riddles" else "hello",
            "status": "welcome",
            "connection": f"x{id(connection)}",
            "user": user,
            "server_time": time.time(),
            "ping_interval_s": 20,
            "pong_timeout_s": 20,
            "expires_in_s": claims["exp"] - time.time(),
            "message_bytes_max": 65536,
            "rate_limit": {"messages": 60, "per_s": 60},
            "motd": "an extra field, which clients ignore",
        }
        try:
            with suppress(ConnectionClosed):
                await connection.send(json.dumps(hello))
                async for text in connection:
                    await self.act(connection, user, claims, json.loads(text))
        finally:
            self._claims.pop(connection, None)
            for session in self._sessions.values():
                session.here.pop(connection, None)

    async def act(self, connection: ServerConnection, user: str, claims: dict[str, Any], frame: dict[str, Any]) -> None:
        """Answer one frame."""
        kind = frame["type"]
        if kind == "heartbeat":
            answer = {"type": "heartbeat", "t": frame.get("t", 0), "server_time": time.time(), "seqs": {}}
            await connection.send(json.dumps(answer))
        elif kind == "status" and frame["action"] == "join":
            if frame["session"] not in claims["sessions"]:
                error = {"type": "error", "code": "not_a_participant", "message": "that is not yours"}
                await connection.send(json.dumps(error))
                return
            await self.join(connection, user, frame)
        elif kind == "message":
            await self.say(connection, user, frame)

    async def join(self, connection: ServerConnection, user: str, frame: dict[str, Any]) -> None:
        session = self._sessions[frame["session"]]
        last = frame.get("last_seq")
        missed = [] if last is None else [m | {"attempt": 2} for m in session.said[last:] if m["from"] != user]
        session.here[connection] = user
        session.users.add(user)
        joined = {
            "type": "status",
            "status": "joined",
            "session": frame["session"],
            "epoch": 1,
            "seq": len(session.said),
            "recovered": last is not None,
            "replayed": len(missed),
            "participants": [{"user": name, "state": "online"} for name in sorted(session.users)],
        }
        for each in (joined, *missed):
            await connection.send(json.dumps(each))

    async def say(self, connection: ServerConnection, user: str, frame: dict[str, Any]) -> None:
        session = self._sessions[frame["session"]]
        key = (user, frame["session"], frame["id"])
        known = self._known.get(key)
        if known is None:
            seq = len(session.said) + 1
            message = {
                "type": "message",
                "message_id": f"{frame['session']}/{seq}",
                "session": frame["session"],
                "epoch": 1,
                "seq": seq,
                "from": user,
                "body": frame["body"],
                "sent_at": time.time(),
                "attempt": 1,
            }
            session.said.append(message)
            self._known[key] = message
        else:
            message = known
        ack = {name: message[name] for name in ("message_id", "session", "epoch", "seq")}
        if self.flaw != "mute":
            await connection.send(json.dumps({"type": "ack", "id": frame["id"], "duplicate": known is not None, **ack}))
        if known is not None or (self.flaw == "loses" and message["seq"] % 10 == 0):
            return
        for other in [other for other in session.here if other is not connection]:
            with suppress(ConnectionClosed):
                for _ in range(2 if self.flaw == "twice" else 1):
                    await other.send(json.dumps(message))


class Mortal(Foreign):
    """Goes away for good with the ninth message."""

    def __init__(self) -> None:
        super().__init__()
        self.said = 0

    async def say(self, connection: Any, user: str, frame: dict[str, Any]) -> None:
        self.said += 1
        if self.said == 9:
            self.die()
        if self.said < 9:
            await super().say(connection, user, frame)


@contextmanager
def foreign(server: Foreign, tls: ssl.SSLContext | None = None) -> Iterator[Foreign]:
    """The server on a free port of loopback, in a thread with a loop of its own."""
    loop = asyncio.new_event_loop()
    listening, stop = threading.Event(), asyncio.Event()
    server.die = stop.set

    async def live() -> None:
        async with serve(server.talk, "127.0.0.1", 0, process_request=server.door, ssl=tls) as listener:
            (place,) = listener.sockets
            server.url = f"{'ws' if tls is None else 'wss'}://127.0.0.1:{place.getsockname()[1]}/chat"
            listening.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(live(),))
    thread.start()
    try:
        assert listening.wait(10.0), "the server does not listen"
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
