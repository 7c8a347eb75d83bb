"""Nothing that is written holds a token or a key, however it was handed in and however talkative the server is."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake

from chatsim.live.events import LOGGER, REDACTED, Often, redact, tell, written_to
from tests.live.running import PATIENCE_S, SECRET, Peer, on_loop, running, token

ROOT = Path(__file__).parents[2]
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.sig-na_ture"
OPAQUE = "opaque-0123456789"
ADMIN = b"the-admin-key-of-one-server-in-a-test"


@pytest.mark.parametrize("secret", [JWT, OPAQUE])
@pytest.mark.parametrize(
    "way",
    [
        "Authorization: Bearer {}",
        "authorization: bearer {}\r\nHost: here",
        "[(b'host', b'x'), (b'authorization', b'Bearer {}')]",
        "Authorization: Basic {}",
        "GET /ws?token={}&resume=c1 HTTP/1.1",
        "GET /ws%3Ftoken%3D{} HTTP/1.1",
        "{{'query_string': b'token={}'}}",
        "Sec-WebSocket-Protocol: chatsim.v1, bearer.{}",
        '{{"type":"status","action":"refresh","token":"{}"}}',
        r'"{{\"type\":\"status\",\"token\": \"{}\"}}"',
        "StatusIn(action='refresh', token='{}')",
    ],
)
def test_every_way_to_hand_in_a_token_is_redacted(way: str, secret: str) -> None:
    said = redact(way.format(secret))
    assert secret not in said
    assert REDACTED in said


def test_a_token_alone_and_a_key_are_found_too() -> None:
    assert redact(f"what is {JWT}?") == f"what is {REDACTED}?"
    assert redact("the key is sesame-open", ["sesame-open"]) == f"the key is {REDACTED}"
    assert redact("GET /health/live took 3 ms") == "GET /health/live took 3 ms"


@contextmanager
def heard(level: int = logging.INFO, *, as_json: bool = True) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with written_to(stream, as_json=as_json, level=level, secrets=(ADMIN, b"short")):
        yield stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_of_json_has_time_level_event_and_fields() -> None:
    with heard() as stream:
        tell(logging.INFO, "thing done", count=3, why='a "reason"')
        tell(logging.DEBUG, "not told")
    (line,) = lines(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "event": "thing done", "count": 3, "why": 'a "reason"'}


def test_a_line_for_people_is_one_line_whatever_is_in_it() -> None:
    with heard(as_json=False) as stream:
        tell(logging.WARNING, "thing done", path="/a\nfake line", took_s=0.25)
    assert stream.getvalue()[8:] == ' warning thing done path="/a\\nfake line" took_s=0.25\n'


def test_libraries_speak_from_warnings_on_and_are_redacted() -> None:
    with heard() as stream:
        logging.getLogger("uvicorn.error").info("started")
        logging.getLogger("websockets.server").warning("> Authorization: Bearer %s", OPAQUE)
        try:
            raise RuntimeError(f"{ADMIN.decode()} and token={OPAQUE}")
        except RuntimeError:
            logging.getLogger("asyncio").exception("failed")
    first, second = lines(stream)
    assert (first["logger"], second["logger"]) == ("websockets.server", "asyncio")
    assert "RuntimeError" in second["trace"]
    assert OPAQUE not in stream.getvalue()
    assert ADMIN.decode() not in stream.getvalue()


def test_loggers_are_left_as_they_were_found() -> None:
    before = (LOGGER.level, logging.getLogger().level, logging.getLogger().handlers[:], logging.raiseExceptions)
    with heard(logging.DEBUG):
        pass
    assert (LOGGER.level, logging.getLogger().level, logging.getLogger().handlers, logging.raiseExceptions) == before


def test_what_happens_often_is_told_once_a_second() -> None:
    often = Often()
    with heard() as stream:
        for now in (0.0, 0.1, 0.2, 1.1, 1.2):
            often.tell(now, logging.INFO, "refused", "draining")
        often.tell(1.2, logging.INFO, "refused", "overloaded")
    assert [(line["reason"], line["count"]) for line in lines(stream)] == [
        ("draining", 1),
        ("draining", 3),
        ("overloaded", 1),
    ]
    with heard(logging.DEBUG) as stream:
        for _ in range(3):
            often.tell(1.3, logging.INFO, "refused", "draining")
    assert [line["count"] for line in lines(stream)] == [2, 1, 1]


def test_a_server_tells_its_life() -> None:
    async def work() -> list[dict[str, Any]]:
        with heard(logging.DEBUG) as stream:
            async with running() as server:
                async with server.peer() as peer:
                    await peer.join()
                with pytest.raises(InvalidHandshake):
                    await server.dial("?token=junk")
                await server.request("GET", "/api/tokens?a=b")
            return [line for line in lines(stream) if "logger" not in line]

    found: list[dict[str, Any]] = []

    async def keep() -> None:
        found.extend(await work())

    on_loop(keep)
    events = [line["event"] for line in found]
    assert events == [
        "listening",
        "connection opened",
        "connection closed",
        "handshake refused",
        "request",
        "draining",
        "ended",
    ]
    closed, refused, request = found[2], found[3], found[4]
    assert (closed["connection"], closed["code"]) == ("c1", 1000)
    assert closed["open_s"] >= 0.0
    assert (refused["reason"], refused["status"], refused["peer"]) == ("token_invalid", 401, "127.0.0.1")
    assert (request["path"], request["query"], request["status"]) == ("/api/tokens", REDACTED, 405)


@pytest.mark.parametrize("as_json", [True, False])
def test_no_token_is_in_anything_that_a_server_writes(as_json: bool, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "admin").write_bytes(ADMIN)
    log, journal = tmp_path / "log", tmp_path / "journal.jsonl"
    flags = ["--port", "0", "--secret-file", f"{tmp_path / 'secret'}", "--admin-key-file", f"{tmp_path / 'admin'}"]
    flags += [
        "--data",
        f"{tmp_path / 'data'}",
        "--journal",
        f"{journal}",
        "--log-level",
        "debug",
        *(["--log-json"] if as_json else []),
    ]
    command = [sys.executable, "-X", "dev", "-m", "chatsim", "serve", *flags]
    used = [SECRET.decode(), ADMIN.decode(), OPAQUE]
    with log.open("wb") as stderr, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().decode().removeprefix("listening on ").strip()
            on_loop(lambda: _every_way(url, used))
        finally:
            server.terminate()
            rest = server.stdout.read().decode()
    written = rest + log.read_text() + journal.read_text()
    written += "".join(path.read_text("latin-1") for path in (tmp_path / "data").iterdir())
    assert "connection closed" in written
    assert "handshake refused" in written
    assert "Invalid HTTP request" in written
    for secret in used:
        for part in (secret, *secret.split(".")[1:]):
            assert part not in written
    if as_json:
        assert all(json.loads(line)["event"] for line in log.read_text().splitlines())


async def _every_way(url: str, used: list[str]) -> None:
    """Hand in tokens in every way there is, good and bad; each that was used is noted."""

    def fresh(user: str, **claims: Any) -> str:
        used.append(token(user, **claims))
        return used[-1]

    bearer = f"Bearer {fresh('ann')}"
    async with _dial(url, additional_headers={"Authorization": bearer}) as socket:
        peer = Peer(socket)
        await peer.send(type="status", action="refresh", token=fresh("ann", jti="again"))
        await peer.read_type("status")
        await socket.send(f'{{"type":"status","token":"{fresh("ann", jti="broken")}", this is no JSON')
        await peer.read_type("error")
        await peer.send(type="status", action="refresh", token=OPAQUE)
        assert await peer.close_code() == 4500
    async with _dial(f"{url}?token={fresh('bob')}"):
        pass
    async with _dial(url, subprotocols=["chatsim.v1", f"bearer.{fresh('cid')}"]):
        pass
    for query, headers in (
        ("?token=" + fresh("eva", life_s=-5.0), {}),
        ("?token=" + OPAQUE, {}),
        ("", {"Authorization": f"Bearer {OPAQUE}"}),
        ("", {"Sec-WebSocket-Protocol": f"chatsim.v1, bearer.{OPAQUE}"}),
        ("?token=" + fresh("fay"), {"Origin": "http://elsewhere"}),
    ):
        with pytest.raises(InvalidHandshake):
            await _dial(url + query, additional_headers=headers)
    await _over_http(url, used)
    # Two spaces are an unusual form, which goes by way of uvicorn.
    head = "Host: here\r\nConnection: Upgrade\r\nUpgrade:  websocket\r\nSec-WebSocket-Version: 13\r\n"
    head += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    assert (await _raw(url, f"GET /ws?token={fresh('dan')} HTTP/1.1\r\n{head}")).startswith(b"HTTP/1.1 101")
    broken = f"BROKEN /ws?token={OPAQUE}\r\nAuthorization Bearer {OPAQUE}\r\n\r\n"
    assert (await _raw(url, broken)).startswith(b"HTTP/1.1 400")


async def _raw(url: str, request: str) -> bytes:
    """The head of the answer to these very bytes."""
    host, _, port = url.removeprefix("ws://").removesuffix("/ws").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer


async def _over_http(url: str, used: list[str]) -> None:
    base = url.replace("ws", "http", 1).removesuffix("/ws")
    key = {"Authorization": f"Bearer {ADMIN.decode()}"}
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=PATIENCE_S) as client:
        made = await client.post("/api/tokens", headers=key, json={"user": "gus"})
        used.append(made.json()["token"])
        for path in ("/ws", "/metrics", "/health/live", "/nothing", "/nothing/" + used[0]):
            await client.get(path, params={"token": used[0]}, headers={"Authorization": f"Bearer {OPAQUE}"})
        await client.post("/api/tokens", content=b"{" + OPAQUE.encode(), headers=key)


def _dial(url: str, **options: Any) -> connect:
    return connect(url, open_timeout=PATIENCE_S, proxy=None, compression=None, **options)
