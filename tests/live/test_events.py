"""Nothing that is written holds a token or a key, however it was handed in and however talkative the server is."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidHandshake

from chatsim.live.events import LOGGER, REDACTED, Often, redact, tell, written_to
from tests.live.running import on_loop, running

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
