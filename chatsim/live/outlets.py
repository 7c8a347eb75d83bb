"""The way out of every connection: frames are queued, and written in as few calls as they can be.

Decides when bytes are written. One `write` costs more than all the rest of a delivery, so what is said to a connection
in one turn of the loop is one write, and what nobody waits for (that a message was delivered) goes along with the next
frame to that connection, or goes alone when it has waited `LINGER_S`. A lone frame with nothing pending is written
at once, and so are notices while there are few.
Rule: the frames of one connection leave in the order in which they were queued; a reader who does not read holds up
nobody else, and what waits for her is reported.
What is said, and what follows from a slow reader, is left to the driver and the handler.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf

from chatsim.core.notices import EAGER_MAX, LINGER_S
from chatsim.live.framing import close_frame

CLOSE_TIMEOUT_S = 5.0
"""How long a closing connection may take to flush and to answer the close (protocol.md, section 3)."""

WRITE_HIGH_BYTES = 32 * 1024
"""What the transport may hold before it pauses us; it resumes us only when empty, so that what waits can be counted."""

OUTBOUND_FRAMES, OUTBOUND_BYTES = 256, 1024 * 1024
"""What may wait for one connection where nobody says otherwise (protocol.md, section 3)."""

LOOK_FRAMES = 32
"""When a transport holds more frames than this, it is looked at whether it gets rid of them: few beside half of the
usual limit, and more than a healthy reader is usually told in one turn."""


class Outlet:
    """One connection's way out: its transport, and the frames that wait for the next flush."""

    __slots__ = (
        "closing",
        "deadline",
        "dirty",
        "half_close",
        "lingers_until",
        "name",
        "opened_at",
        "paused",
        "pressed",
        "queue",
        "suspect",
        "transport",
        "writes",
    )

    def __init__(self, name: str, transport: asyncio.Transport) -> None:
        self.name = name
        self.transport = transport
        self.opened_at = 0.0
        self.queue: list[bytes] = []
        # What was written and is not known to be gone: frames and bytes of each write, oldest first.
        self.writes: deque[tuple[int, int]] = deque()
        self.suspect = False
        self.dirty = False
        self.lingers_until = inf
        self.paused = False
        self.pressed = False
        self.closing = False
        self.half_close = False
        self.deadline: asyncio.TimerHandle | None = None

    def pending_bytes(self) -> int:
        """Bytes that wait here and in the transport."""
        return sum(map(len, self.queue)) + self.transport.get_write_buffer_size()

    def pending_frames(self) -> int:
        """Frames that wait here, and those that the transport has not got rid of."""
        return len(self.queue) + self.in_transport()

    def in_transport(self) -> int:
        """Frames that the transport has not got rid of; of a write that is half gone, the share of its bytes.

        What a transport does not count (uvloop's TLS: the first 64 KiB behind it) is gone as far as is known here.
        """
        left = self.transport.get_write_buffer_size()
        writes = self.writes
        frames = needed = 0
        for count, size in reversed(writes):
            if left <= 0:
                break
            frames += count if left >= size else -(-count * left // size)
            left -= size
            needed += 1
        for _ in range(len(writes) - needed):
            writes.popleft()
        return frames


class Outlets:
    """The outlets of one driver, and what is to be flushed at the end of this turn of the loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        press: Callable[[Outlet], None],
        *,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
        frames_max: int = OUTBOUND_FRAMES,
        bytes_max: int = OUTBOUND_BYTES,
    ) -> None:
        """`press` is told once a flush of each connection that cannot take what waits for it; who is to close and does
        not within `close_timeout_s` is dropped. Of `frames_max` and `bytes_max`, which may wait for one connection, a
        transport holds no more than half without being looked at."""
        self.by_name: dict[str, Outlet] = {}
        self.frames_out = self.bytes_out = self.flushes = 0
        # When first a notice was one too many to be sent at once (s of the loop, inf: never).
        self.lingered_at = inf
        self._loop = loop
        self._press = press
        self._close_timeout_s = close_timeout_s
        self._look_frames = min(LOOK_FRAMES, frames_max // 2)
        self._high_bytes = min(WRITE_HIGH_BYTES, bytes_max // 2)
        self._dirty: list[Outlet] = []
        self._suspects: list[Outlet] = []
        self._flush_due = False
        self._lingering: deque[tuple[float, Outlet]] = deque()
        self._ring: asyncio.TimerHandle | None = None
        self._ring_at = inf
        self._window_ends = -inf
        self._notices = 0

    def add(self, name: str, transport: asyncio.Transport) -> Outlet:
        """A connection of this name opened."""
        transport.set_write_buffer_limits(high=self._high_bytes, low=0)
        outlet = self.by_name[name] = Outlet(name, transport)
        return outlet

    def remove(self, outlet: Outlet) -> None:
        """The transport is gone, and what waited for it with it."""
        if outlet.deadline is not None:
            outlet.deadline.cancel()
        outlet.queue.clear()
        del self.by_name[outlet.name]

    def paused(self, outlet: Outlet) -> None:
        """The transport holds as much as it should: what follows waits here, and what it holds is reported."""
        outlet.paused = True
        if not outlet.suspect:
            # Else it is looked at anyway.
            self._soil(outlet)

    def resumed(self, outlet: Outlet) -> None:
        """The transport is empty again."""
        outlet.paused = False
        outlet.writes.clear()
        outlet.transport.set_write_buffer_limits(high=self._high_bytes, low=0)
        if outlet.queue:
            self._soil(outlet)

    # What is to be said.

    def send(self, to: tuple[str, ...], payload: bytes) -> None:
        """One frame to each of the connections that are open."""
        self.frames_out += len(to)
        # With nothing pending anywhere, waiting for the end of the turn gains nothing.
        if len(to) == 1 and not self._dirty:
            outlet = self.by_name.get(to[0])
            if outlet is not None and not (outlet.paused or outlet.closing):
                if outlet.queue:
                    outlet.queue.append(payload)
                    self.flush(outlet)
                else:
                    self.bytes_out += len(payload)
                    self._write(outlet, payload, 1)
                return
        self.queue(to, payload)

    def queue(self, to: tuple[str, ...], payload: bytes) -> None:
        """One frame to each of the connections that are open, at the end of this turn."""
        by_name = self.by_name
        dirty = self._dirty
        for name in to:
            outlet = by_name.get(name)
            if outlet is None or outlet.closing:
                continue
            outlet.queue.append(payload)
            if not outlet.dirty:
                outlet.dirty = True
                dirty.append(outlet)
        if dirty and not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def notify(self, now: float, to: tuple[str, ...], payload: bytes) -> None:
        """One frame that nobody waits for, to each of the connections that are open; `send` while there are few.

        `now` is the loop's time (s), which whoever calls has at hand: uvloop asks the system for it each time.
        """
        if now >= self._window_ends:
            self._window_ends = now + LINGER_S
            self._notices = 0
        self._notices += 1
        if self._notices <= EAGER_MAX:
            self.send(to, payload)
            return
        if self.lingered_at == inf:
            self.lingered_at = now
        self.frames_out += len(to)
        by_name = self.by_name
        for name in to:
            outlet = by_name.get(name)
            if outlet is None or outlet.closing:
                continue
            outlet.queue.append(payload)
            if outlet.paused:
                self._soil(outlet)
            elif not outlet.dirty and outlet.lingers_until == inf:
                self._linger(outlet, now + LINGER_S)

    def shut(self, outlet: Outlet, code: int, reason: str) -> None:
        """Queue the close frame behind what waits, and give the peer its time to answer."""
        if outlet.deadline is not None:
            return
        outlet.queue.append(close_frame(code, reason))
        outlet.deadline = self._loop.call_later(self._close_timeout_s, outlet.transport.abort)
        self._soil(outlet)

    # Writing.

    def flush(self, outlet: Outlet) -> None:
        """Write what is queued for one connection, in one call."""
        queue = outlet.queue
        outlet.lingers_until = inf
        if queue and not outlet.transport.is_closing():
            data = queue[0] if len(queue) == 1 else b"".join(queue)
            self.flushes += 1
            self.bytes_out += len(data)
            self._write(outlet, data, len(queue))
        queue.clear()
        if outlet.half_close and not outlet.transport.is_closing():
            outlet.half_close = False
            end_writing(outlet.transport)

    def _write(self, outlet: Outlet, data: bytes, count: int) -> None:
        """Give the transport so many frames, and have it looked at where it may not get rid of them."""
        transport, writes = outlet.transport, outlet.writes
        if not transport.get_write_buffer_size():
            # The usual: all that went before is gone.
            writes.clear()
            waiting = count
        else:
            waiting = outlet.in_transport() + count
        writes.append((count, len(data)))
        transport.write(data)
        if waiting > self._look_frames and not outlet.suspect:
            outlet.suspect = True
            if not self._suspects:
                # A transport may write at the end of the turn: what it still holds in the next, nobody takes.
                self._loop.call_soon(self._look)
            self._suspects.append(outlet)

    def _look(self) -> None:
        """Who has not taken what she was given is paused, so that what follows waits here and is reported."""
        suspects, self._suspects = self._suspects, []
        for outlet in suspects:
            transport = outlet.transport
            over = not outlet.paused and outlet.in_transport() > self._look_frames
            if (over or outlet.paused) and not outlet.closing and not transport.is_closing():
                if over:
                    # Over its limit it pauses us at once, however small its bytes are; when it is empty, it resumes us.
                    transport.set_write_buffer_limits(high=0, low=0)
                self._press(outlet)
            outlet.suspect = False

    def _flush(self) -> None:
        """One write per connection that has something to say; those that cannot take it are reported."""
        dirty, self._dirty = self._dirty, []
        self._flush_due = False
        slow = []
        written = size = 0
        for outlet in dirty:
            outlet.dirty = False
            queue = outlet.queue
            if outlet.paused:
                slow.append(outlet)
            elif outlet.half_close:
                self.flush(outlet)
            elif queue:
                # This is `flush`, once more, without the call: every delivery comes by here.
                outlet.lingers_until = inf
                if not outlet.transport.is_closing():
                    count = len(queue)
                    data = queue[0] if count == 1 else b"".join(queue)
                    written += 1
                    size += len(data)
                    self._write(outlet, data, count)
                queue.clear()
        self.flushes += written
        self.bytes_out += size
        for outlet in slow:
            if outlet.paused and not outlet.closing:
                self._press(outlet)

    def _soil(self, outlet: Outlet) -> None:
        """Have the connection flushed at the end of this turn."""
        if not outlet.dirty:
            outlet.dirty = True
            self._dirty.append(outlet)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _linger(self, outlet: Outlet, until: float) -> None:
        outlet.lingers_until = until
        self._lingering.append((until, outlet))
        if self._ring is None:
            self._ring_at = until
            self._ring = self._loop.call_at(until, self._rung)

    def _rung(self) -> None:
        """Whose frames have waited long enough for company is flushed; what left meanwhile is passed over."""
        # A loop whose clock counts milliseconds rings up to half of one early: what was set for then is due.
        now = max(self._loop.time(), self._ring_at)
        self._ring = None
        lingering = self._lingering
        while lingering:
            until, outlet = lingering[0]
            # Every entry waits equally long, so that the first is the next; a flush since has made it void.
            if outlet.lingers_until == until:
                if until > now:
                    self._ring_at = until
                    self._ring = self._loop.call_at(until, self._rung)
                    return
                outlet.lingers_until = inf
                if outlet.queue:
                    self._soil(outlet)
            lingering.popleft()

    # The end, and what can be seen from outside.

    def waiting(self) -> tuple[int, int]:
        """How many frames and bytes wait, here and in transports that can take no more; one look at each connection."""
        held = [outlet for outlet in self.by_name.values() if outlet.paused or outlet.queue]
        return sum(outlet.pending_frames() for outlet in held), sum(outlet.pending_bytes() for outlet in held)

    def abort(self) -> None:
        """Drop every connection that is left."""
        for outlet in tuple(self.by_name.values()):
            outlet.transport.abort()

    def close(self) -> None:
        """Stop the timer."""
        if self._ring is not None:
            self._ring.cancel()
            self._ring = None


def end_writing(transport: asyncio.Transport) -> None:
    """Say that nothing follows: a half-close where the transport knows it, else a close that still flushes (TLS)."""
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()
