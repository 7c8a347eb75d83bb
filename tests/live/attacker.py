"""What somebody does who means no good: tokens signed by hand, bytes that no library writes, sockets that never speak.

Everything is on loopback; to wait is to wait for the server to do something, with a patience that no passing test
needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import resource
import selectors
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any, TypeAlias

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake

from tests.live.outside import Place
from tests.live.running import PATIENCE_S, SECRET, Peer, Running, token

Answer: TypeAlias = tuple[int, str]

DESCRIPTORS_SPARE = 500
"""What a process needs beside the sockets of an attack."""


def signed(claims: object, key: bytes = SECRET, **header: Any) -> str:
    """A token whose claims and header are whatever one likes, with an HMAC of the key."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256"} | header, claims)]
    signature = hmac.new(key, b".".join(parts), "sha256").digest()
    return b".".join([*parts, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def at_every_door(place: Place, bad: str, good: str) -> tuple[Answer, Answer, int | None]:
    """What a bad token is answered: at the handshake, over HTTP, and (a close code) as the refresh of a good one."""
    handshake = await place.with_token(bad)
    answer = await place.server.request("GET", "/api/sessions/@ann", headers={"Authorization": "Bearer " + bad})
    async with place.server.dial("?token=" + good) as socket_:
        peer = Peer(socket_)
        await peer.send(type="status", action="refresh", token=bad)
        return handshake, (answer.status_code, answer.json()["error"]), await peer.close_code()


class Raw:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, until: bytes = b"") -> bytes:
        """All that the server says, up to these words or the end of the connection."""
        found = b""
        # A peer that is dropped gets no farewell.
        with contextlib.suppress(ConnectionError):
            while (not until or until not in found) and (
                data := await asyncio.wait_for(self.reader.read(65536), PATIENCE_S)
            ):
                found += data
        return found

    async def drip(self, data: bytes, every_s: float, until: bytes = b"") -> bytes:
        """Write this again and again, until the server has had enough; all that it said."""
        ended = asyncio.ensure_future(self.answer(until))
        while not ended.done():
            self.write(data)
            await asyncio.wait([ended], timeout=every_s)
        return await ended


@asynccontextmanager
async def raw(server: Running, trust: SSLContext | None = None) -> AsyncIterator[Raw]:
    """A connection of which the server has heard nothing yet, but for TLS where there is `trust`."""
    name = None if trust is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trust, server_hostname=name)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()


def handshake(user: str = "ann") -> bytes:
    """A whole request to open a WebSocket."""
    head = f"GET /ws?token={token(user)} HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    return f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()


def frame(first: int, payload: bytes, length: int | None = None) -> bytes:
    """A client's frame that begins with this byte; `length` is what its header says, true or not. The mask is 0."""
    said = len(payload) if length is None else length
    if said < 126:
        return bytes((first, 0x80 | said)) + bytes(4) + payload
    if said < 65536:
        return bytes((first, 0xFE)) + said.to_bytes(2, "big") + bytes(4) + payload
    return bytes((first, 0xFF)) + said.to_bytes(8, "big") + bytes(4) + payload


# Many.


@contextmanager
def descriptors(count: int) -> Iterator[int]:
    """So many descriptors for this process and its children, or as many as the system grants; how many those are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, granted), hard))
    try:
        yield granted
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def silent(port: int, count: int, first: bytes) -> list[float]:
    """Open so many sockets, of which every other one says `first` and the rest nothing; how long each was let be (s).

    Blocks until the server has dropped them all, or for twice the patience of a test.
    """
    opened: dict[socket.socket, float] = {}
    lives: list[float] = []
    with selectors.DefaultSelector() as selector:
        try:
            for number in range(count):
                one = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
                opened[one] = time.monotonic()
                if number % 2:
                    one.sendall(first)
                one.setblocking(False)
                selector.register(one, selectors.EVENT_READ)
            until = time.monotonic() + 2 * PATIENCE_S
            while opened and time.monotonic() < until:
                for key, _ in selector.select(1.0):
                    one = key.fileobj  # type: ignore[assignment]
                    with contextlib.suppress(ConnectionError):
                        if one.recv(1):
                            continue
                    selector.unregister(one)
                    lives.append(time.monotonic() - opened.pop(one))
                    one.close()
        finally:
            for one in opened:
                one.close()
    return lives


def memory_bytes(pid: int) -> int:
    """What a process has in memory, as Linux tells it; 0 where that is not told."""
    try:
        text = Path(f"/proc/{pid}/statm").read_text()
    except OSError:
        return 0
    return int(text.split()[1]) * resource.getpagesize()


# Handing in tokens.


async def hand_in_every_way(url: str, used: list[str], *, opaque: str, admin: str) -> None:
    """Hand in tokens in every way there is, good and bad (`opaque` is no JWT); each that was used is noted."""

    def fresh(user: str, **claims: Any) -> str:
        used.append(token(user, **claims))
        return used[-1]

    bearer = f"Bearer {fresh('ann')}"
    async with _dial(url, additional_headers={"Authorization": bearer}) as socket_:
        peer = Peer(socket_)
        await peer.send(type="status", action="refresh", token=fresh("ann", jti="again"))
        await peer.read_type("status")
        await socket_.send(f'{{"type":"status","token":"{fresh("ann", jti="broken")}", this is no JSON')
        await peer.read_type("error")
        await peer.send(type="status", action="refresh", token=opaque)
        assert await peer.close_code() == 4500
    async with _dial(f"{url}?token={fresh('bob')}"):
        pass
    async with _dial(url, subprotocols=["chatsim.v1", f"bearer.{fresh('cid')}"]):
        pass
    for query, headers in (
        ("?token=" + fresh("eva", life_s=-5.0), {}),
        ("?token=" + opaque, {}),
        ("", {"Authorization": f"Bearer {opaque}"}),
        ("", {"Sec-WebSocket-Protocol": f"chatsim.v1, bearer.{opaque}"}),
        ("?token=" + fresh("fay"), {"Origin": "http://elsewhere"}),
    ):
        with pytest.raises(InvalidHandshake):
            await _dial(url + query, additional_headers=headers)
    await _over_http(url, used, opaque, admin)
    # Two spaces are an unusual form, which goes by way of uvicorn.
    head = "Host: here\r\nConnection: Upgrade\r\nUpgrade:  websocket\r\nSec-WebSocket-Version: 13\r\n"
    head += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    assert (await _head(url, f"GET /ws?token={fresh('dan')} HTTP/1.1\r\n{head}")).startswith(b"HTTP/1.1 101")
    broken = f"BROKEN /ws?token={opaque}\r\nAuthorization Bearer {opaque}\r\n\r\n"
    assert (await _head(url, broken)).startswith(b"HTTP/1.1 400")


async def _head(url: str, request: str) -> bytes:
    """The head of the answer to these very bytes."""
    host, _, port = url.removeprefix("ws://").removesuffix("/ws").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer


async def _over_http(url: str, used: list[str], opaque: str, admin: str) -> None:
    base = url.replace("ws", "http", 1).removesuffix("/ws")
    key = {"Authorization": f"Bearer {admin}"}
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=PATIENCE_S) as client:
        made = await client.post("/api/tokens", headers=key, json={"user": "gus"})
        used.append(made.json()["token"])
        for path in ("/ws", "/metrics", "/health/live", "/nothing", "/nothing/" + used[0]):
            await client.get(path, params={"token": used[0]}, headers={"Authorization": f"Bearer {opaque}"})
        await client.post("/api/tokens", content=b"{" + opaque.encode(), headers=key)


def _dial(url: str, **options: Any) -> connect:
    return connect(url, open_timeout=PATIENCE_S, proxy=None, compression=None, **options)
