"""Each request has its line, and its query none."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import pytest

from chatsim.live.access import AccessLog
from chatsim.live.events import REDACTED, written_to


class App:
    """An ASGI application that answers 204, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.fails:
            raise ValueError("no")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def asked(app: App, path: str, level: int, query: bytes = b"") -> tuple[list[str], list[dict[str, Any]]]:
    """What was sent on, and the lines that were written; the clock ticks half a second."""
    sent: list[str] = []
    ticks = iter((10.0, 10.5))

    async def send(message: Any) -> None:
        sent.append(message["type"])

    stream = io.StringIO()
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query}
    with written_to(stream, as_json=True, level=level):
        asyncio.run(AccessLog(app, lambda: next(ticks))(scope, None, send))
    return sent, [json.loads(line) for line in stream.getvalue().splitlines() if '"asyncio"' not in line]


def test_a_request_has_its_line_and_its_query_none() -> None:
    sent, (line,) = asked(App(), "/api", logging.INFO, b"after=secret")
    assert sent == ["http.response.start", "http.response.body"]
    told = {name: line[name] for name in ("event", "method", "path", "query", "status", "took_s")}
    assert told == {
        "event": "request",
        "method": "GET",
        "path": "/api",
        "query": REDACTED,
        "status": 204,
        "took_s": 0.5,
    }


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_what_machines_ask_for_is_told_at_debug(path: str) -> None:
    assert asked(App(), path, logging.INFO)[1] == []
    assert [line["path"] for line in asked(App(), path, logging.DEBUG)[1]] == [path]


def test_a_request_that_fails_has_its_line_too() -> None:
    stream = io.StringIO()
    ticks = iter((0.0, 1.0))
    scope = {"type": "http", "method": "GET", "path": "/x"}
    with written_to(stream, as_json=True, level=logging.INFO), pytest.raises(ValueError, match="no"):
        asyncio.run(AccessLog(App(fails=True), lambda: next(ticks))(scope, None, None))
    assert json.loads(stream.getvalue())["status"] == 0
