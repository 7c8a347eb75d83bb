"""The first thing that a connection meets: who asks for a WebSocket goes straight to it, everybody else to HTTP.

Decides by the first bytes only, and holds nobody: a whole, plain request for `/ws` is parsed once, by the WebSocket
library; whatever looks different in the least is uvicorn's, which upgrades those that it finds to be WebSockets after
all. Rule: nobody who sends no whole request in time stays.
Whether the request is a good one is left to `chatsim.live.protocol` and to uvicorn.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from chatsim.live.protocol import HANDSHAKE_TIMEOUT_S, PATH

_BEGINNINGS = (f"GET {PATH}?".encode(), f"GET {PATH} ".encode())
_HEAD_END = b"\r\n\r\n"


class TimedHttp(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol, which drops a peer that has not sent one whole request in time."""

    deadline_at: float
    """When the request must be whole (the loop's time, s); set before the connection is handed over."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        kept = cast(asyncio.Transport, transport)
        self._handshake = asyncio.get_running_loop().call_at(self.deadline_at, self._too_late, kept)

    def _too_late(self, transport: asyncio.Transport) -> None:
        # `cycle` is there from the first whole request on; after an upgrade the transport has another protocol.
        if transport.get_protocol() is self and getattr(self, "cycle", None) is None:
            transport.abort()

    def handle_websocket_upgrade(self, *event: Any) -> None:
        self._handshake.cancel()
        super().handle_websocket_upgrade(*event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._handshake.cancel()
        super().connection_lost(exc)


class Front(asyncio.Protocol):
    """Reads the first bytes of a connection, and hands them and the connection on."""

    http: ClassVar[type[TimedHttp]] = TimedHttp
    patience_s: ClassVar[float] = HANDSHAKE_TIMEOUT_S

    __slots__ = ("_app_state", "_config", "_deadline", "_loop", "_state", "_transport")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """The arguments are those that uvicorn gives, for the protocols that come after."""
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._deadline: asyncio.TimerHandle
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._deadline = self._loop.call_later(self.patience_s, self._transport.abort)
        # uvicorn's set is typed for its own protocols; what it asks of a member is `shutdown`.
        self._state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        self._leave()
        kind = self._config.ws_protocol_class if asks_for_websocket(data) else self.http
        assert kind is not None
        protocol = kind(self._config, self._state, self._app_state, self._loop)  # type: ignore[call-arg]
        if isinstance(protocol, TimedHttp):
            # The first byte buys no more time.
            protocol.deadline_at = self._deadline.when()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    def shutdown(self) -> None:
        """uvicorn is ending, and this peer has not said a thing."""
        self._transport.close()

    def _leave(self) -> None:
        self._deadline.cancel()
        self._state.connections.discard(self)


def asks_for_websocket(data: bytes) -> bool:
    """Whether these bytes are one whole request to open a WebSocket, as clients write it; False where in doubt."""
    if not data.startswith(_BEGINNINGS) or data.find(_HEAD_END) != len(data) - len(_HEAD_END):
        return False
    request, *lines = data.lower().split(b"\r\n")
    return (
        request.endswith(b" http/1.1")
        and b"upgrade: websocket" in lines
        and any(line.startswith(b"connection:") and b"upgrade" in line for line in lines)
        and sum(line.startswith(b"host:") for line in lines) == 1
    )
