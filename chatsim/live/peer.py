"""One client connection: a WebSocket whose bytes travel over a link, of a scenario's network or one that costs nothing.

Decides when bytes are written and when read bytes count as arrived. Texts are framed and read in
`chatsim.live.framing`, and all else by `websockets`, whose parser need not see what leaves no trace in it.
Rule: each direction keeps its order, whatever the link does. What frames mean is the owner's and the client's affair.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, cast
from urllib.parse import quote

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from chatsim.core.frames import UNREADABLE
from chatsim.live.calendar import Calendar
from chatsim.live.framing import Slicer, masked_text, whole_texts
from chatsim.network.link import HELD_BYTES_MAX, Link

HANDSHAKE_S_MAX = 10.0
CLOSE_S_MAX = 5.0
ABNORMAL = 1006

# `websockets` writes headers, and so tokens, to its log at level DEBUG: its logger here is one that nobody can turn on.
_SILENT = logging.Logger("chatsim.silent", logging.CRITICAL + 1)


Owner = TypeVar("Owner")
Heard = TypeVar("Heard", contravariant=True)


class _Refusal(msgspec.Struct, gc=False):
    """What a refused handshake says in its body."""

    error: str = ""


class Ears(Protocol[Heard]):
    """Who hears what happens to a peer."""

    def opened(self, now: float, peer: Heard) -> None:
        """The server accepted the handshake."""

    def refused(self, now: float, peer: Heard, status: int, retry_after_s: float | None) -> None:
        """It did not: `status` 0 where there was no answer."""

    def text(self, now: float, peer: Heard, data: bytes) -> None:
        """One text frame arrived."""

    def pinged(self, now: float, peer: Heard) -> None:
        """A ping arrived, and was answered."""

    def closed(self, now: float, peer: Heard, code: int) -> None:
        """The connection ended: `code` is 1006 where there was no close frame."""


class Peer(asyncio.Protocol, Generic[Owner]):
    """One connection of `device`, from the dial to its end. `name` is the server's name for it, once welcomed.

    `error` is the code of a refused handshake, `reason` the text of the server's close; `on_lost` is told when the
    transport is gone, `on_hold(now)` when so much is unread that the rest waits at the server.
    """

    def __init__(
        self,
        ears: Ears[Peer[Owner]],
        calendar: Calendar,
        device: Owner,
        url: str,
        token: str | None,
        links: tuple[Link, Link],
    ) -> None:
        self.device = device
        self.up, self.down = links
        self.name = ""
        self.frozen_until = 0.0
        self.vanished = False
        self.open = False
        self.done = False
        self.error = ""
        self.reason = ""
        self.on_lost: Callable[[], None] | None = None
        self.on_hold: Callable[[float], None] | None = None
        self._ears = ears
        self._calendar = calendar
        self._token = token
        self._slicer = Slicer()
        self._parser = ClientProtocol(parse_uri(url), max_size=2**24, logger=_SILENT)
        self._transport: asyncio.Transport | None = None
        self._writing = 0
        self._reading = 0
        self._given_up = False
        self._over = False
        self._held = False
        self._unread_bytes = 0
        # What came while she was frozen, in order; None is the end of the connection.
        self._frozen: deque[tuple[bytes, bool] | None] = deque()
        self._in_parts = False

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        request = self._parser.connect()
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        self._parser.send_request(request)
        self._flush()
        self._calendar.at(self._calendar.now() + HANDSHAKE_S_MAX, self._too_late)

    def data_received(self, data: bytes) -> None:
        if self.vanished or self.done:
            return
        between = self._slicer.between
        if self.down.even:
            texts = whole_texts(data) if between else None
            if texts is None:
                self._slicer.cut(data)
            self._came(data, between, texts)
            return
        # One write may hold many frames, and each has a way of its own.
        for frame in self._slicer.cut(data):
            self._came(frame, between)
            between = True

    def _came(self, data: bytes, between: bool, texts: list[bytes] | None = None) -> None:
        """A piece of what the server sent sets out for the reader; `between` says that a frame begins with it, and
        `texts` what it holds, where that is known."""
        now = self._calendar.now()
        at = self.down.arrival(now, len(data))
        if at <= now and not self._reading and self.frozen_until <= now:
            if not (self.vanished or self.done):
                self._read(now, data, between, texts)
            return
        self._reading += 1
        self._calendar.at(at, self._arrived, data, between)
        waiting = self.down.queued_bytes(now)
        if at < self.frozen_until:
            self._unread_bytes += len(data)
            waiting = max(waiting, self._unread_bytes)
        if not self._held and waiting > HELD_BYTES_MAX:
            if self.on_hold is not None:
                self.on_hold(now)
            self._hold(max(at, self.frozen_until))

    def eof_received(self) -> bool:
        """The server has said its last word: whether the way to it stays open until that has travelled and is read."""
        # Over TLS it is closed in both directions, whatever is answered here.
        tls = self._transport is None or self._transport.get_extra_info("ssl_object") is not None
        if self.vanished or self.done or tls:
            return False
        now = self._calendar.now()
        at = self.down.arrival(now, 0)
        if not self._reading and max(at, self.frozen_until) <= now:
            return False
        self._over = True
        self._calendar.at(max(now, at), self._ended)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.on_lost is not None:
            self.on_lost()
        if self.vanished or self.done or self._over:
            return
        # The end travels like all that came before it.
        now = self._calendar.now()
        at = self.down.arrival(now, 0)
        if self._reading or at > now:
            self._calendar.at(max(now, at), self._ended)
        else:
            self._ended(now)

    # What the owner asks for.

    def send(self, data: bytes, frame: Callable[[bytes, bytes], bytes] = masked_text) -> None:
        """Write one text frame, or one of another form; nothing is written any more once either side is closing."""
        # The parser may have met the server's close already, behind what is being read now.
        if self._parser.state is State.OPEN and not self.vanished and not self.done:
            self._post(frame(data, secrets.token_bytes(4)))

    def close(self, code: int) -> None:
        """Close from our side, politely; nothing is heard of it any more."""
        if self.done:
            return
        self.done = True
        if self._parser.state is State.OPEN and not self.vanished:
            self._parser.send_close(code)
            self._flush()
            self._await_answer(self._calendar.now())
        else:
            self._abort(0.0)

    def drop(self, now: float) -> None:
        """Lose the connection; the server learns of it behind what is on its way there."""
        self.done = True
        at = self.up.arrival(now, 0)
        if self._writing or at > now:
            self._calendar.at(max(now, at), self._end)
        else:
            self._end(now)

    def abort(self) -> None:
        """Cut the connection so that both sides know; nothing is heard of it any more."""
        self.done = True
        self._abort(0.0)

    def vanish(self) -> None:
        """Be gone without a word: the socket stays, and nobody is there."""
        self.vanished = True
        self._pause()

    @property
    def lost(self) -> bool:
        """Whether there is no transport: not yet, or no more."""
        return self._transport is None

    def read_on(self, on: bool) -> None:
        """Read from the socket, or leave what comes to wait at the server."""
        if on and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        elif not on:
            self._pause()

    def freeze(self, now: float, until: float) -> None:
        """Stop reading and answering until then."""
        if self.frozen_until <= now:
            self._unread_bytes = 0
        self.frozen_until = max(self.frozen_until, until)

    # Both directions.

    def _flush(self) -> None:
        data = b"".join(self._parser.data_to_send())
        if data:
            self._post(data)

    def _post(self, data: bytes) -> None:
        now = self._calendar.now()
        at = self.up.arrival(now, len(data))
        if at <= now and not self._writing:
            self._write(data)
        else:
            self._writing += 1
            self._calendar.at(at, self._travelled, data)

    def _travelled(self, now: float, data: bytes, _: Any) -> None:
        # What was under way when its sender vanished arrives all the same.
        self._writing -= 1
        self._write(data)
        if self._given_up and not self._writing:
            self._end(now)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _arrived(self, now: float, data: bytes, between: bool) -> None:
        if not self._waits(now, (data, between)):
            self._reading -= 1
            if not (self.vanished or self.done):
                self._read(now, data, between)

    def _waits(self, now: float, what: tuple[bytes, bool] | None) -> bool:
        """Whether what arrives is read only when she wakes, behind what came before."""
        if self.frozen_until <= now and not self._frozen:
            return False
        if not self._frozen:
            self._calendar.at(self.frozen_until, self._thaw)
        self._frozen.append(what)
        return True

    def _thaw(self, now: float, *_: Any) -> None:
        """She reads what has come while she was frozen, unless she was frozen again meanwhile."""
        if self.frozen_until > now:
            self._calendar.at(self.frozen_until, self._thaw)
            return
        frozen, self._frozen = self._frozen, deque()
        for what in frozen:
            if what is None:
                self._ended(now)
            else:
                self._arrived(now, *what)

    def _hold(self, until: float) -> None:
        self._held = True
        self._pause()
        self._calendar.at(until, self._release)

    def _release(self, now: float, *_: Any) -> None:
        if self.frozen_until > now:
            self._calendar.at(self.frozen_until, self._release)
            return
        self._held = False
        if self._transport is not None and not (self.vanished or self._transport.is_closing()):
            self._transport.resume_reading()

    def _pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _read(self, now: float, data: bytes, between: bool, texts: list[bytes] | None = None) -> None:
        if between and not self._in_parts:
            if texts is None:
                texts = whole_texts(data)
            if texts is not None:
                for text in texts:
                    self._ears.text(now, self, text)
                    if self.done or self.vanished:
                        return
                return
        parser = self._parser
        parser.receive_data(data)
        for event in parser.events_received():
            if self.done or self.vanished:
                return
            if isinstance(event, Frame):
                self._frame(now, event)
            elif isinstance(event, Response):
                self._answered(now, event)
        self._flush()
        if not self.done and (parser.parser_exc or parser.handshake_exc) is not None:
            self._broken(now)

    def _frame(self, now: float, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT:
            # Inside a message of several parts no other may begin, and only the parser knows where it ends.
            self._in_parts = self._in_parts or not frame.fin
            self._ears.text(now, self, bytes(frame.data))
        elif frame.opcode is Opcode.PING:
            self._ears.pinged(now, self)
        elif frame.opcode is Opcode.CLOSE:
            # The parser has the answer ready; the server hangs up when it has that, or reads no more.
            self._flush()
            self.done = True
            self._await_answer(now)
            close = Close.parse(bytes(frame.data))
            self.reason = close.reason
            self._ears.closed(now, self, close.code)

    def _broken(self, now: float) -> None:
        """What came is not what a server says: whatever else it sends, nothing more can be made of it."""
        if not self.open:
            self._abort(now)
            return
        self.done = True
        self.reason = "what came is no WebSocket frame"
        self._calendar.at(now + CLOSE_S_MAX, self._give_up)
        self._ears.closed(now, self, ABNORMAL)

    def _answered(self, now: float, response: Response) -> None:
        if self._parser.handshake_exc is None:
            self.open = True
            self._ears.opened(now, self)
            return
        self.done = True
        self.error = _error_of(response)
        self._abort(now)
        wait = response.headers.get("Retry-After", "")
        known = wait.isascii() and wait.isdigit()
        self._ears.refused(now, self, response.status_code, float(wait) if known else None)

    def _ended(self, now: float, *_: Any) -> None:
        if self.done or self.vanished:
            return
        if self._waits(now, None):
            return
        self.done = True
        if self._over:
            self._calendar.at(max(now, self.up.arrival(now, 0)), self._end)
        if self.open:
            self._ears.closed(now, self, ABNORMAL)
        else:
            self._ears.refused(now, self, 0, None)

    def _too_late(self, now: float, *_: Any) -> None:
        if not (self.open or self.done):
            self._abort(now)

    def _await_answer(self, now: float) -> None:
        """Wait for the server to hang up; where it reads no more, end behind what is on its way to it."""
        if not self._over:
            self._calendar.at(now + CLOSE_S_MAX, self._give_up)
        elif self._writing:
            self._given_up = True
        else:
            self._end(now)

    def _give_up(self, now: float, *_: Any) -> None:
        """Wait for no answer any more: the end travels like all that came before it, and no faster."""
        if self._writing:
            self._given_up = True
        else:
            self._abort(now)

    def _end(self, now: float, *_: Any) -> None:
        if self._transport is not None:
            self._transport.close()

    def _abort(self, now: float, *_: Any) -> None:
        if self._transport is not None:
            self._transport.abort()


def resuming(url: str, former: str) -> str:
    """The address to dial for who had the connection `former` (empty: none), and is let in before strangers."""
    return f"{url}{'&' if '?' in url else '?'}resume={quote(former)}" if former else url


def _error_of(response: Response) -> str:
    """The code in the body of a refusal (protocol.md, section 1); empty where the answer is somebody else's."""
    try:
        return msgspec.json.decode(response.body or b"", type=_Refusal).error
    except UNREADABLE:
        return ""
