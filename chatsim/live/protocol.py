"""One WebSocket of the server: handshake, inbound frames, and the end of it, as a plain asyncio protocol.

Decides how bytes become inputs of the driver: short whole texts are read here and now, all else by the parser of
`websockets`. Where compression was agreed, a message is unpacked when it is whole, and only as far as it may be.
Rule: nothing that a peer sends raises, and a token goes no further than the gate: never into a log or a journal.
Who may come in is left to the gate, what frames mean to the handler, and when bytes are written to the driver.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Sequence
from math import inf
from typing import Any, ClassVar, cast

from msgspec import UNSET
from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import ServerExtensionFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from chatsim.core.codes import FLOOD
from chatsim.core.frames import Fault, StatusIn, decode_client
from chatsim.core.tokens import Claims, Refusal
from chatsim.live.deflate import UNPACKED_MAX, Deflate, Packed, unpack
from chatsim.live.driver import ABNORMAL
from chatsim.live.framing import SHORT_BYTES_MAX, Edge, short_text
from chatsim.live.gate import PHRASES, Denial, Gate, denial_bytes
from chatsim.live.outlets import Outlet

PATH = "/ws"
SUBPROTOCOL = Subprotocol("chatsim.v1")

HANDSHAKE_TIMEOUT_S = 10.0
"""How long a peer may take from the first byte to a complete request."""

_HEAD_END = b"\r\n\r\n"
_CLOSE_HEAD = bytes((0x80 | Opcode.CLOSE,))
"""What every close frame begins with (RFC 6455, 5.2): it is never in fragments."""
_INTERNAL_ERROR, _PROTOCOL_ERROR, _GOING_AWAY = 1011, 1002, 1012

# `websockets` writes headers, and so tokens, to its log at level DEBUG: its logger here is one that nobody can turn on.
_SILENT = logging.Logger("chatsim.silent", logging.CRITICAL + 1)


def _offer(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


_HANDSHAKE_CODES = {405: "method_not_allowed", 426: "upgrade_required"}


class ChatProtocol(asyncio.Protocol):
    """One connection from its upgrade request to its end. uvicorn makes it, and hands the request over as bytes."""

    __slots__ = (
        "_buffer",
        "_deadline",
        "_edge",
        "_empty",
        "_empty_from",
        "_flooding",
        "_loop",
        "_outlet",
        "_parser",
        "_state",
        "_transport",
    )

    gate: ClassVar[Gate]
    """Set by `protocol_for`, since uvicorn makes the protocols."""

    short_max: ClassVar[int]
    """The longest text in bytes that is read without the parser."""

    extensions: ClassVar[tuple[ServerExtensionFactory, ...]] = ()
    """What is agreed to where a client offers it; all other offers are declined."""

    def __init__(
        self,
        config: Config | None = None,
        server_state: ServerState | None = None,
        app_state: dict[str, Any] | None = None,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """The arguments are those that uvicorn gives; none of them is needed on another loop."""
        self._state = server_state
        self._loop = _loop or self.gate.driver.loop
        self._parser: ServerProtocol | None = ServerProtocol(
            select_subprotocol=_offer,
            max_size=self.gate.config.message_bytes_max,
            logger=_SILENT,
            extensions=self.extensions,
        )
        self._outlet: Outlet | None = None
        self._buffer: bytearray | None = None
        self._edge: Edge | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._empty = 0
        self._empty_from = -inf
        self._flooding = False
        self._transport: asyncio.Transport

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of `asyncio.Transport`, and are none by class.
        self._transport = cast(asyncio.Transport, transport)
        self._deadline = self._loop.call_later(HANDSHAKE_TIMEOUT_S, self._transport.abort)
        if self._state is not None:
            # uvicorn's set is typed for its own protocols; what it asks of a member is `shutdown`.
            self._state.connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self._done_waiting()
        self._forget()
        if self._state is not None:
            self._state.connections.discard(self)
        if self._outlet is not None:
            self.gate.driver.lost(self._outlet)

    def pause_writing(self) -> None:
        if self._outlet is not None:
            self.gate.driver.paused(self._outlet)

    def resume_writing(self) -> None:
        if self._outlet is not None:
            self.gate.driver.resumed(self._outlet)

    def data_received(self, data: bytes) -> None:
        edge = self._edge
        # Between two frames, and not inside a message of several: here a text frame may be read without the parser.
        if edge is not None and self._buffer is None and edge.reached:
            data, several = self._short_texts(data)
            if several:
                try:
                    if data:
                        self._parse(data)
                finally:
                    self.gate.driver.release()
                return
            if not data:
                return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Take what the parser makes of these bytes."""
        edge, parser = self._edge, self._parser
        if parser is None:
            return
        if edge is not None:
            edge.passes(data)
        opening = self._outlet is None
        parser.receive_data(data)
        events = parser.events_received()
        self.gate.driver.heard(len(events), len(data))
        # What is taken may be the last word of this peer: then nothing is left of the parser.
        if self._take(events) and self._parser is not None:
            if parser.parser_exc is not None:
                self._broken(parser.parser_exc)
            elif parser.handshake_exc is not None and self._outlet is None and not self._transport.is_closing():
                self._deny(Denial(400, "bad_request", "not a WebSocket handshake"))

        # A client waits for the answer before it sends a frame; who does not has all its frames parsed.
        if opening and self._outlet is not None and self._parser is not None and data.endswith(_HEAD_END):
            self._edge = Edge()

    def _take(self, events: list[Event]) -> bool:
        """What the parser has found in one read, which is one turn; False where a fault of ours has ended it."""
        several = len(events) > 1
        if several:
            self.gate.driver.hold()
        try:
            for event in events:
                if isinstance(event, Frame):
                    self._frame(event)
                else:
                    assert isinstance(event, Request)
                    self._request(event)
        except Exception as problem:
            self._crashed(problem)
            return False
        finally:
            if several:
                self.gate.driver.release()
        return True

    def _short_texts(self, data: bytes) -> tuple[bytes, bool]:
        """Take the short texts that these bytes begin with; what is left is the parser's, which has missed nothing.

        Where more follows in the same read, the driver holds its turn open, and the answer says so.

        A whole text frame leaves no trace in the parser, so that it need not see it.
        """
        outlet = self._outlet
        assert outlet is not None
        at = count = 0
        several = False
        try:
            while not outlet.closing:
                found = short_text(data, at, self.short_max)
                if found is None:
                    break
                payload, at = found
                count += 1
                if at < len(data) and not several:
                    several = True
                    self.gate.driver.hold()
                self._text(outlet, payload)
        except Exception as problem:
            self._crashed(problem)
        if at:
            self.gate.driver.heard(count, at)
        return (data[at:] if at else data), several

    def shutdown(self) -> None:
        """uvicorn is ending: whoever is still here is told to come back later."""
        if self._outlet is None:
            self._transport.close()
        else:
            self.gate.driver.hang_up(self._outlet, _GOING_AWAY, "the server is going away")

    # Opening.

    def _request(self, request: Request) -> None:
        assert self._parser is not None
        if request.path.partition("?")[0] != PATH:
            self._deny(Denial(404, "not_found", f"WebSockets are served at {PATH} only"))
            return
        response = self._parser.accept(request)
        if response.status_code != 101:
            code = _HANDSHAKE_CODES.get(response.status_code, "bad_request")
            status = response.status_code if response.status_code in PHRASES else 400
            self._deny(Denial(status, code, "not a WebSocket handshake of version 13"))
            return
        found = self.gate.enter(request)
        if isinstance(found, Denial):
            self._deny(found)
            return
        self._open(response, found)

    def _open(self, response: Response, claims: Claims) -> None:
        assert self._parser is not None
        self._done_waiting()
        self._parser.send_response(response)
        self._transport.write(b"".join(self._parser.data_to_send()))
        self._outlet = self.gate.driver.connect(self._transport, claims, packs=bool(self._parser.extensions))

    def _deny(self, denial: Denial) -> None:
        self._done_waiting()
        driver, peer = self.gate.driver, self._transport.get_extra_info("peername")
        said = {"status": denial.status} | ({"peer": f"{peer[0]}"} if isinstance(peer, tuple) and peer else {})
        driver.often.tell(driver.now(), logging.INFO, "handshake refused", denial.code, **said)
        self._forget()
        self._transport.write(denial_bytes(denial))
        self._transport.close()

    def _forget(self) -> None:
        """No more is parsed. A parser and its generator hold each other, and what it has raised holds both: taken
        apart, they are gone at once, and nothing of a connection that has ended waits for a collector."""
        parser, self._parser, self._edge = self._parser, None, None
        if parser is None:
            return
        fault: BaseException | None = parser.parser_exc or parser.handshake_exc
        while fault is not None:
            fault.__traceback__ = None
            fault = fault.__context__
        vars(parser).clear()

    def _done_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # Open.

    def _frame(self, frame: Frame) -> None:
        outlet = self._outlet
        if outlet is None:
            return
        opcode = frame.opcode
        if opcode is Opcode.CLOSE:
            self._closed(outlet)
        elif outlet.closing:
            return
        elif opcode is Opcode.TEXT:
            if frame.fin:
                self._text(outlet, bytes(frame.data))
            else:
                self._buffer = bytearray(frame.data)
        elif opcode is Opcode.CONT:
            self._continued(outlet, frame)
        elif opcode is Opcode.BINARY:
            self.gate.driver.violated(outlet, "binary", "frames are text")
        else:
            self._control(outlet, opcode)

    def _text(self, outlet: Outlet, data: bytes) -> None:
        """One whole text message: the way that almost everything takes."""
        driver = self.gate.driver
        # The decoder checks the texts that it makes, and the body is none of them: it stays raw.
        if not data.isascii() and not _is_utf8(data):
            driver.violated(outlet, "bad_utf8", "text is UTF-8")
            return
        frame = decode_client(data)
        if isinstance(frame, Fault):
            driver.malformed(outlet, frame)
        elif type(frame) is StatusIn:
            self._status(outlet, frame)
        else:
            driver.receive(outlet, frame)

    def _status(self, outlet: Outlet, frame: StatusIn) -> None:
        if frame.action == "refresh":
            self._refresh(outlet, frame)
            return
        # Whatever else a token is shown with: it goes no further than here.
        frame.token = UNSET
        self.gate.driver.receive(outlet, frame)

    def _continued(self, outlet: Outlet, frame: Frame) -> None:
        """A further fragment; the parser bounds the sum, and refuses one that nothing went before."""
        if self._buffer is None:
            return
        self._buffer += frame.data
        if not frame.data and not frame.fin:
            self._says_nothing(outlet)
        if frame.fin:
            data = bytes(self._buffer)
            self._buffer = None
            self._text(outlet, data)

    def _control(self, outlet: Outlet, opcode: Opcode) -> None:
        """A ping, which the parser has answered, or a pong: both are signs of life."""
        assert self._parser is not None
        # It may have given up further on in the same read, and then says so by itself: who closes, and when, is ours.
        answer = b"".join(data for data in self._parser.data_to_send() if not data.startswith(_CLOSE_HEAD))
        # A peer that pings without reading gets no answers to hoard.
        if answer and not outlet.paused:
            self.gate.driver.reply(outlet, answer)
        self.gate.driver.pong(outlet)
        self._says_nothing(outlet)

    def _says_nothing(self, outlet: Outlet) -> None:
        """Count a ping, a pong, or an empty fragment, which the handler hears nothing of: who floods us with them for
        one window and then the next is closed as for any other flood (protocol.md, section 2)."""
        config, now = self.gate.config, self.gate.driver.now()
        # As many pongs again as we have asked for.
        most = config.frame_limit + config.frame_window_s / config.ping_interval_s
        if now - self._empty_from >= config.frame_window_s:
            again = now - self._empty_from < 2 * config.frame_window_s
            self._flooding = again and self._empty > most
            self._empty, self._empty_from = 0, now
        self._empty += 1
        if self._flooding and self._empty > most:
            self.gate.driver.hang_up(outlet, FLOOD, "frame flood")

    def _refresh(self, outlet: Outlet, frame: StatusIn) -> None:
        found = self.gate.verify(frame.token) if isinstance(frame.token, str) else Refusal("token_missing", "")
        if isinstance(found, Claims):
            self.gate.driver.refresh(outlet, found)
        else:
            self.gate.driver.refuse_refresh(outlet, found.code)

    # Ending.

    def _closed(self, outlet: Outlet) -> None:
        """The peer's close frame: the answer to ours, or to be answered with the same code."""
        assert self._parser is not None
        answer = b"".join(self._parser.data_to_send())
        said = self._parser.close_rcvd
        self._forget()
        driver = self.gate.driver
        if outlet.deadline is None:
            driver.leave(outlet, ABNORMAL if said is None else said.code)
            driver.flush(outlet)
            self._transport.write(answer)
        else:
            driver.flush(outlet)
        self._transport.close()

    def _broken(self, problem: Exception) -> None:
        """The parser has given up: no more is read from this peer, and our close is the last word."""
        self._forget()
        outlet = self._outlet
        if outlet is None:
            self._transport.close()
            return
        outlet.half_close = True
        driver = self.gate.driver
        if outlet.closing:
            driver.flush(outlet)
        elif isinstance(problem, PayloadTooBig):
            limit = self.gate.config.message_bytes_max
            driver.violated(outlet, "too_large", f"a message has at most {limit} bytes")
        elif isinstance(problem, UnicodeDecodeError):
            driver.violated(outlet, "bad_utf8", "text is UTF-8")
        else:
            driver.hang_up(outlet, _PROTOCOL_ERROR, "not the WebSocket protocol")

    def _crashed(self, problem: Exception) -> None:
        """A fault of ours, met while serving this peer: it costs this connection and no other."""
        self._loop.call_exception_handler({"message": "the handler failed", "exception": problem, "protocol": self})
        if self._outlet is None:
            self._transport.abort()
        else:
            self.gate.driver.hang_up(self._outlet, _INTERNAL_ERROR, "internal error")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class PackingProtocol(ChatProtocol):
    """The same on a server that compresses: a message may be packed, whole or in fragments."""

    __slots__ = ("_packed",)

    extensions = (Deflate(),)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._packed = False

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT:
            self._packed = isinstance(frame, Packed)
        super()._frame(frame)

    def _text(self, outlet: Outlet, data: bytes) -> None:
        if not self._packed:
            super()._text(outlet, data)
            return
        self._packed = False
        limit = UNPACKED_MAX * self.gate.config.message_bytes_max
        try:
            text = unpack(data, limit)
        except zlib.error:
            self._broken(ProtocolError("not packed as was agreed"))
            return
        if text is None:
            self.gate.driver.violated(outlet, "too_large", f"a message has at most {limit} bytes unpacked")
        else:
            super()._text(outlet, text)


def protocol_for(made_gate: Gate) -> type[ChatProtocol]:
    """The protocol class of one server, for uvicorn's `ws`."""
    kind = PackingProtocol if made_gate.config.compression else ChatProtocol

    class Bound(kind):  # type: ignore[misc, valid-type]
        __slots__ = ()
        gate = made_gate
        short_max = min(SHORT_BYTES_MAX, made_gate.config.message_bytes_max)

    return Bound
