"""The access log: one line for each HTTP request, when it has been answered.

Rule: of a query only that there was one is written, because it may hold a token. What is asked for every few seconds by
machines (health, metrics) is told at debug, the rest at info. WebSockets do not come by here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from chatsim.live.events import LOGGER, REDACTED, tell

_OFTEN_ASKED = ("/health/", "/metrics")


class AccessLog:
    """An ASGI application around another."""

    def __init__(self, app: Any, clock: Callable[[], float]) -> None:
        """`clock` tells a monotonic time in seconds."""
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        level = logging.DEBUG if scope.get("path", "").startswith(_OFTEN_ASKED) else logging.INFO
        if scope["type"] != "http" or not LOGGER.isEnabledFor(level):
            await self._app(scope, receive, send)
            return
        began = self._clock()
        status = 0

        async def heard(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, heard)
        finally:
            query = {"query": REDACTED} if scope.get("query_string") else {}
            took_s = self._clock() - began
            tell(level, "request", method=scope["method"], path=scope["path"], **query, status=status, took_s=took_s)
