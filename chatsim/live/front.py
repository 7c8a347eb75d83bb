"""The first thing that a connection meets: who asks for a WebSocket goes straight to it, everybody else to HTTP.

Decides by the first bytes only, and holds nobody: a whole, plain request for `/ws` is parsed once, by the WebSocket
library; whatever looks different in the least is uvicorn's, which upgrades those that it finds to be WebSockets after
all. Rule: nobody stays who sends no whole request in time, counted from the moment of the accept (a TLS handshake costs
of that time), nor who does not read an answer.
Whether the request is a good one is left to `chatsim.live.protocol` and to uvicorn.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from chatsim.live.gate import Denial, denial_bytes
from chatsim.live.protocol import HANDSHAKE_TIMEOUT_S, PATH

HEAD_BYTES_MAX = 16 * 1024
"""Request line and headers; the WebSocket's own limits are tighter (8 KiB a line, 128 headers)."""

READ_TIMEOUT_S = 30.0
"""How long an answer may wait to be read before its reader is dropped."""

_BEGINNINGS = (f"GET {PATH}?".encode(), f"GET {PATH} ".encode())
_HEAD_END = b"\r\n\r\n"


class _Deadline:
    """A moment at which a transport is dropped, unless it is stopped before; started again while it runs it stays."""

    __slots__ = ("_loop", "_timer", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.BaseTransport) -> None:
        self._loop = loop
        self._transport = cast(asyncio.Transport, transport)
        self._timer: asyncio.TimerHandle | None = None

    def start(self, at: float) -> None:
        """Drop it at that time of the loop (s)."""
        if self._timer is None:
            self._timer = self._loop.call_at(at, self._transport.abort)

    def stop(self) -> None:
        """Never mind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TimedHttp(H11Protocol):
    """uvicorn's HTTP protocol with deadlines: for each whole request, body and all, and for taking the answer.

    Not the quicker one that uvicorn prefers where it is installed: that bounds no header.
    """

    deadline_at: float
    """When the first request must be whole (the loop's time, s); set before the connection is handed over."""

    patience_s: float
    """How long a later request may take from its first byte on; set likewise."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._request, self._answer = _Deadline(self.loop, transport), _Deadline(self.loop, transport)
        self._request.start(self.deadline_at)

    def data_received(self, data: bytes) -> None:
        # The parser bounds what it has to keep of an unfinished head, and none that comes in one piece.
        if len(data) > HEAD_BYTES_MAX and self.conn.their_state is h11.IDLE and _HEAD_END not in data[:HEAD_BYTES_MAX]:
            self._refuse("the head of a request is too long")
            return
        super().data_received(data)
        # After an upgrade the transport has another protocol, with a deadline of its own.
        if self.transport.get_protocol() is not self or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._request.stop()
        else:
            self._request.start(self.loop.time() + self.patience_s)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer.start(self.loop.time() + READ_TIMEOUT_S)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answer.stop()

    def send_400_response(self, msg: str) -> None:
        self._refuse("not a request in HTTP")

    def _refuse(self, why: str) -> None:
        """In the words of every other refusal; nothing more is read."""
        self.transport.write(denial_bytes(Denial(400, "bad_request", why)))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._request.stop()
        self._answer.stop()
        super().connection_lost(exc)


class Front(asyncio.Protocol):
    """Reads the first bytes of a connection, and hands them and the connection on."""

    http: ClassVar[type[TimedHttp]] = TimedHttp

    patience_s: ClassVar[float] = HANDSHAKE_TIMEOUT_S
    """How long a peer may take from the accept to a whole request (s)."""

    __slots__ = ("_accepted_at", "_app_state", "_config", "_deadline", "_loop", "_state", "_transport")

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
        # A loop makes the protocol when it accepts, and under TLS tells it of the connection only after the handshake.
        self._accepted_at = self._loop.time()
        self._deadline: asyncio.TimerHandle
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._deadline = self._loop.call_at(self._accepted_at + self.patience_s, self._transport.abort)
        # uvicorn's set is typed for its own protocols; what it asks of a member is `shutdown`.
        self._state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        self._leave()
        kind = self._config.ws_protocol_class if asks_for_websocket(data) else self.http
        assert kind is not None
        protocol = kind(self._config, self._state, self._app_state, self._loop)  # type: ignore[call-arg]
        if isinstance(protocol, TimedHttp):
            # The first byte buys no more time.
            protocol.deadline_at, protocol.patience_s = self._deadline.when(), self.patience_s
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


def front_for(patience: float) -> type[Front]:
    """The first protocol of a server whose peers have so long (s) for a whole request, for uvicorn's `http`."""

    class Bound(Front):
        __slots__ = ()
        patience_s = patience

    return Bound


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
