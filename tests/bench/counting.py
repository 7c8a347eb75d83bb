"""The crowd of the live bench: one process of raw connections that count frames, so that the server is what is
measured.

Decides how much is in flight: a room has a fixed number of messages outstanding, and one more is said, by the next
speaker in turn, for every message that has reached all the others; or, at a fixed pace, one room after the other says
something at its intended moment, whatever the server does. Rule: no more work per frame than its header and one
byte of its payload; acks are cumulative and at most every 200 ms. It works for both servers: with a secret it makes
tokens, joins and acks, without one the path names the room and nothing is owed.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from chatsim.core.tokens import issue
from chatsim.errors import HarnessError

ACK_INTERVAL_S = 0.2
ACK_SLICES = 20
"""Acks are spread over the interval: each connection has its turn once in it."""

PACE_TICK_S = 0.001
"""How often the crowd looks what is due at a fixed pace."""

OPENING_AT_ONCE = 64
SETTLE_S = 0.5
WARM_CONNECTIONS = 100
"""Connections that are open before memory is first read, so that what the first ones load is not counted."""

_KIND_AT, _MESSAGE = len(b'{"type":"'), ord("m")
_TALK = b'{"type":"message","id":"%08d","session":"%b","body":"thirty-two bytes of conversation"}'


class Spec(msgspec.Struct, kw_only=True):
    """What one crowd does to the server `pid` at `url`. `secret` is empty for the server that checks nothing.

    `pace_per_s` messages a second are said by the whole crowd; at 0 each room has `outstanding` of them on their way.
    """

    url: str
    pid: int
    core: int | None
    secret: str
    task: Literal["talk", "idle", "handshakes"]
    connections: int
    room_size: int
    speakers: int
    outstanding: int
    pace_per_s: float = 0.0
    warm_s: float
    measure_s: float


class Figures(msgspec.Struct, kw_only=True):
    """What was seen: deliveries or handshakes, over which seconds, and the server's growth in bytes.

    `reached_s` is, at a fixed pace, within how many seconds of its intended moment 99 of 100 messages had reached all.
    """

    count: int
    wall_s: float
    server_cpu_s: float
    crowd_cpu_s: float
    grown_bytes: int
    reached_s: float = 0.0


class Room:
    """The connections of one room, whose turn it is, and how far the message under way has come."""

    __slots__ = ("arrived", "fan", "members", "name", "paced", "reached", "said_at", "speakers", "total", "turn")

    def __init__(self, name: bytes, size: int, speakers: int, *, paced: bool) -> None:
        self.name = name
        self.fan = size - 1
        self.speakers = speakers
        self.paced = paced
        self.said_at: deque[float] = deque()
        self.reached: list[float] = []
        self.members: list[Reader] = []
        self.turn = 0
        self.arrived = 0
        self.total = 0

    def heard(self, count: int) -> None:
        """`count` messages have reached somebody: unless paced, as many are said as have reached everybody."""
        self.total += count
        self.arrived += count
        while self.arrived >= self.fan:
            self.arrived -= self.fan
            if self.paced:
                self.reached.append(time.perf_counter() - self.said_at.popleft())
            else:
                self.speak()

    def speak(self) -> None:
        """The next speaker says one thing."""
        self.turn = (self.turn + 1) % self.speakers
        self.members[self.turn].say()


class Reader(asyncio.Protocol):
    """One connection: opens, joins if there is a room to join by frame, then counts the messages that come."""

    __slots__ = (
        "_greeting",
        "_newest",
        "_newest_at",
        "_request",
        "_rest",
        "_said",
        "_transport",
        "join",
        "opened",
        "room",
    )

    def __init__(self, room: Room, request: bytes, *, greeting: bytes, join: bool) -> None:
        """`greeting` is what must have come after the head until it is open (nothing: the head is enough)."""
        self.room = room
        self.join = join
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._greeting = greeting
        self._rest = b""
        self._newest: bytes | None = None
        self._newest_at = 0
        self._said = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(HarnessError(f"A connection ended before it was open: {self._rest[:120]!r}"))

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self._opening(data)
            return
        if self._rest:
            data = self._rest + data
        count, last, at = _messages(data)
        self._rest = data[at:]
        if count:
            self._newest, self._newest_at = data, last
            self.room.heard(count)

    def say(self) -> None:
        """One message, whose id is new for this connection."""
        self._said += 1
        self._transport.write(frame(_TALK % (self._said, self.room.name)))

    def ack(self) -> None:
        """Ack everything that has come, if anything new has."""
        data, self._newest = self._newest, None
        if data is not None:
            start = data.index(b'"seq":', self._newest_at) + 6
            seq = data[start : data.index(b",", start)]
            self._transport.write(frame(b'{"type":"ack","session":"%b","up_to":%b}' % (self.room.name, seq)))

    def close(self) -> None:
        """Gone, without a word."""
        self._transport.abort()

    @property
    def lost(self) -> bool:
        """Whether the server, or somebody, has ended it."""
        return self._transport.is_closing()

    def _opening(self, data: bytes) -> None:
        self._rest += data
        if self._request:
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self.opened.set_exception(HarnessError(f"The server refused a connection: {self._rest[:200]!r}"))
                return
            self._request, self._rest = b"", rest
        if self._greeting not in self._rest:
            return
        if self.join:
            self.join, self._greeting = False, b'"status":"joined"'
            self._transport.write(frame(b'{"type":"status","action":"join","session":"%b"}' % self.room.name))
            return
        self.opened.set_result(None)


def _messages(data: bytes) -> tuple[int, int, int]:
    """How many `message` frames are whole, where the last one's payload starts, and where the whole frames end."""
    count, last, at, size = 0, 0, 0, len(data)
    while size - at >= 2:
        length, start = data[at + 1], at + 2
        if length == 126:
            start = at + 4
            length = int.from_bytes(data[at + 2 : start], "big")
        elif length == 127:
            start = at + 10
            length = int.from_bytes(data[at + 2 : start], "big")
        end = start + length
        # A header that is cut short says less than its real length, but then its own end is beyond the data.
        if end > size or start > size:
            break
        if length > _KIND_AT and data[start + _KIND_AT] == _MESSAGE:
            count += 1
            last = start
        at = end
    return count, last, at


def frame(payload: bytes) -> bytes:
    """A text frame of a client. Its mask is four zero bytes, which the server has to apply like any other."""
    size = len(payload)
    assert size < 126, "what the crowd says is short"
    return bytes((0x81, 0x80 | size, 0, 0, 0, 0)) + payload


class Crowd:
    """All the connections of one measurement."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.address = urlsplit(spec.url)
        assert self.address.hostname is not None
        assert self.address.port is not None
        self.host, self.port = self.address.hostname, self.address.port
        self.readers: list[Reader] = []
        rooms = -(-(spec.connections + WARM_CONNECTIONS) // spec.room_size)
        paced = spec.pace_per_s > 0
        self.rooms = [Room(b"r%d" % n, spec.room_size, spec.speakers, paced=paced) for n in range(rooms)]
        self._tls = self._trust()

    def _trust(self) -> ssl.SSLContext | None:
        if self.address.scheme != "wss":
            return None
        pem = ssl.get_server_certificate((self.host, self.port), timeout=10.0)
        return ssl.create_default_context(cadata=pem)

    def requests(self, count: int) -> list[bytes]:
        """The upgrade requests of the next `count` connections, tokens included: made before anything is timed."""
        wall, made = time.time(), []
        for number in range(len(self.readers), len(self.readers) + count):
            room = self.rooms[number // self.spec.room_size].name.decode()
            query = f"room={room}"
            if self.spec.secret:
                key, sub = self.spec.secret.encode(), f"u{number}"
                query = "token=" + issue(
                    key, "HS256", sub=sub, exp=wall + 3600.0, wall=wall, jti=f"t{number}", sessions=(room,)
                )
            made.append(
                f"GET {self.address.path}?{query} HTTP/1.1\r\nHost: {self.address.netloc}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n".encode()
            )
        return made

    async def open(self, requests: Sequence[bytes], *, join: bool) -> None:
        """Open so many connections more, a few at a time; raises HarnessError where one is refused."""
        gate, loop = asyncio.Semaphore(OPENING_AT_ONCE), asyncio.get_running_loop()
        greeting = b'"status":"welcome"' if self.spec.secret else b""
        joining = join and bool(self.spec.secret)

        async def one(room: Room, request: bytes) -> None:
            async with gate:
                reader = Reader(room, request, greeting=greeting, join=joining)
                room.members.append(reader)
                self.readers.append(reader)
                await loop.create_connection(lambda: reader, self.host, self.port, ssl=self._tls)
                await reader.opened

        first, size = len(self.readers), self.spec.room_size
        async with asyncio.timeout(30.0):
            await asyncio.gather(*(one(self.rooms[(first + n) // size], text) for n, text in enumerate(requests)))

    async def talk(self) -> Figures:
        """Open all, talk until warm, then count for a while."""
        await self.open(self.requests(self.spec.connections), join=True)
        await asyncio.sleep(SETTLE_S)
        tasks = [asyncio.ensure_future(self._ack())] if self.spec.secret else []
        talking = [room for room in self.rooms if room.members]
        if self.spec.pace_per_s:
            tasks.append(asyncio.ensure_future(self._pace(talking)))
        for _ in range(self.spec.outstanding):
            for room in talking:
                room.speak()
        await asyncio.sleep(self.spec.warm_s)
        for room in talking:
            room.reached.clear()
        before = self._figures()
        await asyncio.sleep(self.spec.measure_s)
        after = self._figures()
        for task in tasks:
            task.cancel()
        lost = sum(reader.lost for reader in self.readers)
        if lost or after.count == before.count:
            raise HarnessError(f"{lost} connections were lost, {after.count - before.count} messages came")
        seen = _between(before, after)
        if self.spec.pace_per_s:
            seen.reached_s = statistics.quantiles((s for room in talking for s in room.reached), n=100)[98]
        return seen

    async def _pace(self, rooms: Sequence[Room]) -> None:
        """One room after the other speaks, each at its moment; what is late is said at once, and counts as late."""
        start_at, said = time.perf_counter(), 0
        while True:
            now = time.perf_counter()
            while (due_at := start_at + said / self.spec.pace_per_s) <= now:
                room = rooms[said % len(rooms)]
                room.said_at.append(due_at)
                room.speak()
                said += 1
            await asyncio.sleep(PACE_TICK_S)

    async def _ack(self) -> None:
        while True:
            for part in range(ACK_SLICES):
                for reader in self.readers[part::ACK_SLICES]:
                    reader.ack()
                await asyncio.sleep(ACK_INTERVAL_S / ACK_SLICES)

    async def idle(self) -> Figures:
        """What the server's memory grows by for connections that have joined and say nothing."""
        await self.open(self.requests(WARM_CONNECTIONS), join=True)
        await asyncio.sleep(SETTLE_S)
        before = self._figures()
        await self.open(self.requests(self.spec.connections), join=True)
        await asyncio.sleep(SETTLE_S)
        return _between(before, self._figures())

    async def handshakes(self) -> Figures:
        """How long it takes until all have been let in."""
        requests = self.requests(self.spec.connections)
        before = self._figures()
        await self.open(requests, join=False)
        after = self._figures()
        after.count = before.count + len(requests)
        return _between(before, after)

    def close(self) -> None:
        """Everybody leaves."""
        for reader in self.readers:
            reader.close()

    def _figures(self) -> Figures:
        pid = self.spec.pid
        return Figures(
            count=sum(room.total for room in self.rooms),
            wall_s=time.perf_counter(),
            server_cpu_s=cpu_s(pid),
            crowd_cpu_s=time.process_time(),
            grown_bytes=int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        )


def cpu_s(pid: int) -> float:
    """CPU time of another process in seconds; Linux makes the clock's number from the process's
    (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def _between(before: Figures, after: Figures) -> Figures:
    pairs = zip(msgspec.structs.astuple(before), msgspec.structs.astuple(after), strict=True)
    return Figures(**dict(zip(Figures.__struct_fields__, (b - a for a, b in pairs), strict=True)))


async def run(spec: Spec) -> Figures:
    """Do what the spec says."""
    crowd = Crowd(spec)
    work = {"talk": crowd.talk, "idle": crowd.idle, "handshakes": crowd.handshakes}
    try:
        return await work[spec.task]()
    finally:
        crowd.close()


if __name__ == "__main__":
    told = msgspec.json.decode(sys.argv[1], type=Spec)
    if told.core is not None:
        os.sched_setaffinity(0, {told.core})
    print(msgspec.json.encode(uvloop.run(run(told))).decode())
