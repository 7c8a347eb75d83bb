"""One raw connection of the calibrating crowd, on a plain socket without an event loop of its own.

Decides how a frame is sent and how what comes back is counted. Rule: as little work a frame as can be, so that the
server is what is measured; what comes is counted whole frame by whole frame, and a ping is answered.
When what is sent is left to the crowd.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

from chatsim.errors import HarnessError

PATIENCE_S = 10.0
"""How long the server may take for one answer while a connection is opened."""

READ_BYTES = 256 * 1024
_PONG = b"\x8a\x80\0\0\0\0"
_PING, _CLOSE = 0x89, 0x88
_MESSAGE, _SEQ = b'{"type":"message"', b'"seq":'


class Address(NamedTuple):
    """Where a server listens, and how it is trusted (None: plain text)."""

    host: str
    port: int
    trust: ssl.SSLContext | None = None


def request(address: Address, token: str) -> bytes:
    """The upgrade request that shows this token; an empty one is none."""
    query = f"?token={token}" if token else ""
    return (
        f"GET /ws{query} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame(payload: bytes) -> bytes:
    """A text frame of a client. Its mask is four zero bytes, which the server has to apply like any other."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size, 0, 0, 0, 0)) + payload
    return b"\x81\xfe" + size.to_bytes(2, "big") + b"\0\0\0\0" + payload


def ack(session: bytes, seq: int) -> bytes:
    """The frame that acks a session's messages up to this one."""
    return frame(b'{"type":"ack","session":"%b","up_to":%d}' % (session, seq))


def whole_frames(data: bytes) -> Iterator[tuple[int, int, int]]:
    """First byte, start of the payload and end of each whole frame of a server that these bytes begin with."""
    at, size = 0, len(data)
    while size - at >= 2:
        length, start = data[at + 1], at + 2
        if length == 126:
            start = at + 4
            length = int.from_bytes(data[at + 2 : start], "big")
        elif length == 127:
            start = at + 10
            length = int.from_bytes(data[at + 2 : start], "big")
        end = start + length
        if start > size or end > size:
            return
        yield data[at], start, end
        at = end


def knock(address: Address, token: str) -> tuple[socket.socket, bytes]:
    """A socket on which the upgrade was asked for, and the head of the answer with whatever came behind it."""
    made: socket.socket = socket.create_connection((address.host, address.port), timeout=PATIENCE_S)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.trust is not None:
            made = address.trust.wrap_socket(made, server_hostname=address.host)
        made.sendall(request(address, token))
        came = b""
        while b"\r\n\r\n" not in came:
            piece = made.recv(READ_BYTES)
            if not piece:
                raise HarnessError(f"The server ended a handshake with {came[:120]!r}.")
            came += piece
    except (OSError, HarnessError) as problem:
        made.close()
        if isinstance(problem, HarnessError):
            raise
        raise HarnessError(f"The server did not answer a handshake: {problem}.") from problem
    return made, came


class Line:
    """An open connection that has its `welcome`; `seq` is that of the last message that it was told.

    Where `acks` names a session, what is read is acked up to `seq` as soon as that is `settles` messages, and `acked`
    counts these acks. `away` is the presence that was said last.
    """

    __slots__ = ("_rest", "_settled", "_socket", "acked", "acks", "away", "pinged", "seq", "settles")

    def __init__(self, address: Address, token: str) -> None:
        """Open it. Raises HarnessError where the server does not let it in."""
        self.pinged = self.seq = self.acked = self._settled = 0
        self.settles = 1
        self.acks = b""
        self.away = False
        self._socket, came = knock(address, token)
        head, _, self._rest = came.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            self.close()
            raise HarnessError(f"The server refused a connection of the calibration: {head[:120]!r}.")
        self.wait_for(b'"status":"welcome"')

    def fileno(self) -> int:
        """For epoll."""
        return self._socket.fileno()

    def wait_for(self, words: bytes) -> None:
        """Read until a frame with these words has come; raises HarnessError where it does not. Reads at once then."""
        self._socket.settimeout(PATIENCE_S)
        try:
            while True:
                frames = list(whole_frames(self._rest))
                found = any(words in self._rest[start:end] for _, start, end in frames)
                self._rest = self._rest[frames[-1][2] :] if frames else self._rest
                if found:
                    break
                piece = self._socket.recv(READ_BYTES)
                if not piece:
                    raise HarnessError(f"The server ended a connection that waited for {words!r}.")
                self._rest += piece
        except OSError as problem:
            raise HarnessError(f"The server did not answer with {words!r}: {problem}.") from problem
        self._socket.setblocking(False)

    def join(self, session: str) -> None:
        """Join the session, and wait for the answer."""
        self.send(frame(b'{"type":"status","action":"join","session":"%b"}' % session.encode()))
        self.wait_for(b'"status":"joined"')

    def send(self, data: bytes) -> None:
        """Send it whole, in one call."""
        try:
            sent = self._socket.send(data)
        except OSError as problem:
            raise HarnessError(f"The server took no more of a connection of the calibration: {problem}.") from problem
        if sent != len(data):
            raise HarnessError("The server did not read as fast as it was told: calibrate on a quieter machine.")

    def read(self) -> int:
        """How many frames of text have come whole; pings are answered. Raises HarnessError at the server's close."""
        heard = 0
        while True:
            try:
                data = self._socket.recv(READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                return heard
            except OSError as problem:
                raise HarnessError(f"The server broke off a connection of the calibration: {problem}.") from problem
            if not data:
                raise HarnessError("The server ended a connection of the calibration.")
            heard += self._count(self._rest + data if self._rest else data)
            if len(data) < READ_BYTES and not isinstance(self._socket, ssl.SSLSocket):
                return heard

    def _count(self, data: bytes) -> int:
        heard = at = 0
        for first, start, end in whole_frames(data):
            at = end
            if first == _PING:
                self.pinged += 1
                self.send(_PONG)
            elif first == _CLOSE:
                raise HarnessError(f"The server closed a connection of the calibration: {data[start:end][2:]!r}.")
            else:
                heard += 1
                if data.startswith(_MESSAGE, start):
                    told = data[start:end]
                    self.seq = int(told[told.index(_SEQ) + len(_SEQ) :].partition(b",")[0])
        self._rest = data[at:]
        if self.acks and self.seq >= self._settled + self.settles:
            self.send(ack(self.acks, self.seq))
            self._settled = self.seq
            self.acked += 1
        return heard

    def close(self) -> None:
        """Gone, without a word."""
        self._socket.close()
