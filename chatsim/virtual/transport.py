"""Connections in memory: two transports, and what is written to one is read at the other in the loop's next turn.

Decides when bytes arrive and when a writer is paused. Rule: each direction keeps its order, and bytes wait for a reader
who does not read: with the writer, who is told to pause, since there is no kernel in between to swallow them.
How long they travel is the links' affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

HIGH_BYTES = 64 * 1024
"""asyncio's own mark, where nobody sets another."""


class MemoryTransport(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, name: tuple[str, int]) -> None:
        super().__init__({"peername": name, "sockname": name})
        self._loop = loop
        self._protocol = protocol
        self._other: MemoryTransport
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._high, self._low = HIGH_BYTES, HIGH_BYTES // 4
        self._reading = True
        self._writer_paused = False
        self._pumping = False
        self._closing = False
        self._eof_wanted = False
        self._eof_sent = False
        self._lost = False
        self.on_lost: Callable[[MemoryTransport], object] = lambda transport: None
        self.on_write: Callable[[bytes], object] = lambda data: None

    @staticmethod
    def pair(
        loop: asyncio.AbstractEventLoop, client: asyncio.BaseProtocol, server: asyncio.BaseProtocol, port: int
    ) -> tuple[MemoryTransport, MemoryTransport]:
        """Both ends of a new connection, the client's first."""
        here = MemoryTransport(loop, client, ("127.0.0.1", port))
        there = MemoryTransport(loop, server, ("127.0.0.1", port))
        here._other, there._other = there, here
        return here, there

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue the bytes for the other end."""
        if self._closing or self._eof_wanted or not data:
            return
        self.on_write(bytes(data))
        self._queue.append(bytes(data))
        self._queued_bytes += len(data)
        self._pump_soon()
        self._judge()

    def write_eof(self) -> None:
        """Nothing follows what is queued."""
        self._eof_wanted = True
        self._pump_soon()

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def get_write_buffer_size(self) -> int:
        """Bytes that wait because the other end does not read."""
        return 0 if self._other._reading else self._queued_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Marks at which the writer is told to go on, and to pause (bytes)."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As asyncio's: `low` defaults to a quarter of `high`, `high` to 64 KiB."""
        self._high = HIGH_BYTES if high is None else high
        self._low = self._high // 4 if low is None else low
        self._judge()

    def _judge(self) -> None:
        """Pause the writer, or have it go on."""
        waiting = self.get_write_buffer_size()
        if not self._writer_paused and waiting > self._high:
            self._writer_paused = True
            cast(asyncio.Protocol, self._protocol).pause_writing()
        elif self._writer_paused and waiting <= self._low:
            self._writer_paused = False
            cast(asyncio.Protocol, self._protocol).resume_writing()

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Hand over what is queued, in one piece, and then the end where that was asked for."""
        self._pumping = False
        other = self._other
        if self._queue and other._reading and not other._lost:
            data = b"".join(self._queue)
            self._queue.clear()
            self._queued_bytes = 0
            self._judge()
            # Who is closing reads no more; what is sent to her is lost, as on a socket.
            if not other._closing:
                cast(asyncio.Protocol, other._protocol).data_received(data)
        if self._queue and not other._lost:
            return
        # Who does not read learns of the end when she reads again.
        if (self._eof_wanted or self._closing) and not self._eof_sent and other._reading:
            self._eof_sent = True
            other._ended()
        if self._closing:
            self._lose()

    # Reading.

    def is_reading(self) -> bool:
        """Whether bytes are handed to the protocol as they come."""
        return self._reading

    def pause_reading(self) -> None:
        """Leave what comes with the other end."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take what waits, and what comes."""
        self._reading = True
        if self._other._queue or self._other._closing or self._other._eof_wanted:
            self._other._pump_soon()

    def _ended(self) -> None:
        """The other end says that nothing follows: the protocol may keep its own way open."""
        if self._lost or self._closing:
            return
        if not cast(asyncio.Protocol, self._protocol).eof_received():
            self.close()

    # The end.

    def is_closing(self) -> bool:
        """Whether the transport is closed, or about to be."""
        return self._closing

    def close(self) -> None:
        """Write what is queued, then end."""
        if not self._closing:
            self._closing = True
            self._pump_soon()

    def abort(self) -> None:
        """End now; what is queued is lost."""
        self._closing = True
        self._queue.clear()
        self._queued_bytes = 0
        self._pump_soon()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self.on_lost(self)
            self._protocol.connection_lost(None)
            # What the other end still had for us goes nowhere.
            self._other._queue.clear()
            self._other._queued_bytes = 0
            self._other._pump_soon()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who hears what happens here."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have somebody else hear what happens here."""
        self._protocol = protocol


class MemoryServer(asyncio.AbstractServer):
    """A port that is listened on; `factory` makes the protocol of each connection."""

    def __init__(
        self, port: int, factory: Callable[[], asyncio.BaseProtocol], listeners: dict[int, MemoryServer]
    ) -> None:
        self.port = port
        self.factory = factory
        self._listeners = listeners
        self._open: dict[MemoryTransport, None] = {}
        self.on_accept: Callable[[MemoryTransport, MemoryTransport], object] = lambda server, client: None

    def accepted(self, transport: MemoryTransport) -> None:
        """A connection was made; `on_accept` is told both ends, the server's first."""
        self.on_accept(transport, transport._other)
        self._open[transport] = None
        transport.on_lost = self._open.pop

    def kill(self) -> None:
        """The process is gone: it hears nothing more, and every connection that it had is cut."""
        self.close()
        for transport in tuple(self._open):
            transport.set_protocol(asyncio.Protocol())
            transport.abort()

    def close(self) -> None:
        """Take no more connections; those that there are stay."""
        if self._listeners.get(self.port) is self:
            del self._listeners[self.port]

    async def start_serving(self) -> None:
        """It has been taking connections since it was made."""

    async def serve_forever(self) -> None:
        """Nobody needs to stay for connections to be taken."""

    def is_serving(self) -> bool:
        """Whether connections are taken."""
        return self._listeners.get(self.port) is self

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def get_loop(self) -> Any:
        """A server of memory belongs to the loop that made it."""
        return asyncio.get_running_loop()
