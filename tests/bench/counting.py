"""The crowd of the live bench: one process of raw connections that count frames, so that the server is what is
measured.

Decides how much is in flight: a room has a fixed number of messages outstanding, and one more is said, by the next
speaker in turn, for every message that has reached all the others; or, at a fixed pace, one room after the other says
something at its intended moment, whatever the server does; or everyone says one more for every ack.
Rule: no more work per frame than its header and one byte of its payload; acks are cumulative and at most every 200 ms.
It works for both servers: with a secret it makes tokens, joins and acks, without one the path names the room and
nothing is owed.
"""

from __future__ import annotations

import asyncio
import os
import socket
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

NARROW_BYTES = 4096
"""Receive buffer of who stops reading, so that what she leaves waits at the server and not in the kernel."""

CLOSED_S_MAX = 10.0
"""How long a reader who has stopped may still be connected when all is over."""

_KIND_AT, _MESSAGE, _ACK = len(b'{"type":"'), ord("m"), ord("a")
_TALK = b'{"type":"message","id":"%08d","session":"%b","body":"%b"}'
_WORDS = b"thirty-two bytes of conversation"


class Spec(msgspec.Struct, kw_only=True):
    """What one crowd does to the server `pid` at `url`. `secret` is empty for the server that checks nothing.

    `pace_per_s` messages a second are said by the whole crowd; at 0 each room has `outstanding` of them on their way
    (each connection, where the task is to `append`). Where one speaker a room talks at a pace, each delivery is timed;
    `stops` has the last connection read nothing more once it is warm.
    """

    url: str
    pid: int
    core: int | None
    secret: str
    task: Literal["talk", "append", "idle", "handshakes"]
    connections: int
    room_size: int
    speakers: int
    outstanding: int
    pace_per_s: float = 0.0
    body_bytes: int = len(_WORDS)
    stops: bool = False
    opening_s_max: float = 30.0
    warm_s: float
    measure_s: float


class Figures(msgspec.Struct, kw_only=True):
    """What was seen: deliveries, acks or handshakes, over which seconds, and the server's growth in bytes.

    At a fixed pace, `reached_s` is within how many seconds of its intended moment 99 of 100 messages had reached all,
    and `delivered_s`, where one speaks, within how many 99 of 100 deliveries had come.
    """

    count: int
    wall_s: float
    server_cpu_s: float
    crowd_cpu_s: float
    grown_bytes: int
    reached_s: float = 0.0
    delivered_s: float = 0.0


class Room:
    """The connections of one room, whose turn it is, and how far the message under way has come."""

    __slots__ = (
        "arrived",
        "body",
        "due_at",
        "fan",
        "late_s",
        "members",
        "name",
        "paced",
        "reached",
        "said_at",
        "speakers",
        "timed",
        "total",
        "turn",
    )

    def __init__(self, name: bytes, spec: Spec) -> None:
        self.name = name
        self.fan = spec.room_size - 1
        self.speakers = spec.speakers
        self.paced = spec.pace_per_s > 0
        self.timed = self.paced and spec.speakers == 1
        self.body = (_WORDS * (spec.body_bytes // len(_WORDS) + 1))[: spec.body_bytes]
        self.said_at: deque[float] = deque()
        self.reached: list[float] = []
        # Of timed rooms: when each message was due, and how late each delivery of it was.
        self.due_at: list[float] = []
        self.late_s: list[float] = []
        self.members: list[Reader] = []
        self.turn = 0
        self.arrived = 0
        self.total = 0

    def heard(self, count: int) -> None:
        """`count` messages have reached somebody: unless paced, as many are said as have reached everybody."""
        self.total += count
        if self.timed:
            return
        self.arrived += count
        while self.arrived >= self.fan:
            self.arrived -= self.fan
            if self.paced:
                self.reached.append(time.perf_counter() - self.said_at.popleft())
            else:
                self.speak()

    def due(self, moment: float) -> None:
        """The next message was meant to be said at this moment, and is said now."""
        (self.due_at if self.timed else self.said_at).append(moment)
        self.speak()

    def late(self, first: int, count: int) -> None:
        """So many messages, this one and those after it, have come to somebody now."""
        now, due_at = time.perf_counter(), self.due_at
        self.late_s.extend(now - due_at[place] for place in range(first, first + count))

    def speak(self) -> None:
        """The next speaker says one thing."""
        self.turn = (self.turn + 1) % self.speakers
        self.members[self.turn].say()


class Reader(asyncio.Protocol):
    """One connection: opens, joins if there is a room to join by frame, then counts the messages that come."""

    __slots__ = (
        "_came",
        "_greeting",
        "_newest",
        "_newest_at",
        "_request",
        "_rest",
        "_said",
        "_transport",
        "join",
        "on_lost",
        "opened",
        "room",
    )

    def __init__(self, room: Room, request: bytes, *, greeting: bytes, join: bool) -> None:
        """`greeting` is what must have come after the head until it is open (nothing: the head is enough)."""
        self.room = room
        self.join = join
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_lost: asyncio.Event | None = None
        self._request = request
        self._greeting = greeting
        self._rest = b""
        self._newest: bytes | None = None
        self._newest_at = 0
        self._came = 0
        self._said = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.on_lost is not None:
            self.on_lost.set()
        if not self.opened.done():
            self.opened.set_exception(HarnessError(f"A connection ended before it was open: {self._rest[:120]!r}"))

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self._opening(data)
            return
        if self._rest:
            data = self._rest + data
        self._rest = self.read(data)

    def read(self, data: bytes) -> bytes:
        """Count what has come; the beginning of a frame is given back."""
        count, last, at = _count(data, _MESSAGE)
        if count:
            self._newest, self._newest_at = data, last
            room = self.room
            if room.timed:
                room.late(self._came, count)
                self._came += count
            room.heard(count)
        return data[at:]

    def say(self) -> None:
        """One message, whose id is new for this connection."""
        self._transport.write(self.next_message())

    def next_message(self) -> bytes:
        """The frame of the next message."""
        self._said += 1
        return frame(_TALK % (self._said, self.room.name, self.room.body))

    def stop(self) -> None:
        """Read nothing more."""
        self._transport.pause_reading()

    def read_on(self) -> None:
        """Read again, and so hear of an end that came meanwhile."""
        self._transport.resume_reading()

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


class Sender(Reader):
    """A connection that says one more message for every ack."""

    __slots__ = ()

    def read(self, data: bytes) -> bytes:
        count, _, at = _count(data, _ACK)
        if count:
            self.room.total += count
            self.say_more(count)
        return data[at:]

    def say_more(self, count: int) -> None:
        """So many messages, in one write."""
        self._transport.write(b"".join([self.next_message() for _ in range(count)]))


def _count(data: bytes, kind: int) -> tuple[int, int, int]:
    """How many frames whose type begins so are whole, where the last one's payload starts, and where the whole frames
    end."""
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
        if length > _KIND_AT and data[start + _KIND_AT] == kind:
            count += 1
            last = start
        at = end
    return count, last, at


def frame(payload: bytes) -> bytes:
    """A text frame of a client. Its mask is four zero bytes, which the server has to apply like any other."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size, 0, 0, 0, 0)) + payload
    return b"\x81\xfe" + size.to_bytes(2, "big") + b"\0\0\0\0" + payload


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
        self.rooms = [Room(b"r%d" % n, spec) for n in range(rooms)]
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
        kind = Sender if self.spec.task == "append" else Reader

        async def one(room: Room, request: bytes) -> None:
            async with gate:
                reader = kind(room, request, greeting=greeting, join=joining)
                room.members.append(reader)
                self.readers.append(reader)
                if self.spec.stops and len(self.readers) == self.spec.connections:
                    await loop.create_connection(lambda: reader, sock=await self._narrow(), ssl=self._tls)
                else:
                    await loop.create_connection(lambda: reader, self.host, self.port, ssl=self._tls)
                await reader.opened

        first, size = len(self.readers), self.spec.room_size
        async with asyncio.timeout(self.spec.opening_s_max):
            await asyncio.gather(*(one(self.rooms[(first + n) // size], text) for n, text in enumerate(requests)))

    async def _narrow(self) -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BYTES)
        await asyncio.get_running_loop().sock_connect(made, (self.host, self.port))
        return made

    async def append(self) -> Figures:
        """Open all, have each say one more for every ack until warm, then count the acks of a while."""
        await self.open(self.requests(self.spec.connections), join=True)
        await asyncio.sleep(SETTLE_S)
        for reader in self.readers:
            assert isinstance(reader, Sender)
            reader.say_more(self.spec.outstanding)
        return await self._counted()

    async def _counted(self) -> Figures:
        """What was counted once it was warm; raises HarnessError where somebody was lost, or nothing came."""
        spec, stopped = self.spec, self.readers[-1] if self.spec.stops else None
        await asyncio.sleep(spec.warm_s)
        for room in self.rooms:
            room.reached.clear()
            room.late_s.clear()
        before = self._figures()
        if stopped is not None:
            stopped.stop()
        await asyncio.sleep(spec.measure_s)
        after = self._figures()
        lost = sum(reader.lost for reader in self.readers if reader is not stopped)
        if lost or after.count == before.count:
            raise HarnessError(f"{lost} connections were lost, {after.count - before.count} came")
        return _between(before, after)

    async def _is_rid_of(self, reader: Reader) -> None:
        """Wait until a reader who had stopped finds that the server has closed her; raises HarnessError where not."""
        ended = reader.on_lost = asyncio.Event()
        if reader.lost:
            return
        reader.read_on()
        try:
            async with asyncio.timeout(CLOSED_S_MAX):
                await ended.wait()
        except TimeoutError:
            raise HarnessError("The server still believes in who had stopped reading: measure for longer.") from None

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
        seen = await self._counted()
        if self.spec.pace_per_s:
            timed = [s for room in talking for s in room.late_s]
            # Of rooms whose deliveries are timed one by one nobody asks when all had come.
            reached = timed or [s for room in talking for s in room.reached]
            worst = statistics.quantiles(reached, n=100)[98]
            seen.reached_s, seen.delivered_s = (0.0, worst) if timed else (worst, 0.0)
        for task in tasks:
            task.cancel()
        if self.spec.stops:
            await self._is_rid_of(self.readers[-1])
        return seen

    async def _pace(self, rooms: Sequence[Room]) -> None:
        """One room after the other speaks, each at its moment; what is late is said at once, and counts as late."""
        start_at, said = time.perf_counter(), 0
        while True:
            now = time.perf_counter()
            while (due_at := start_at + said / self.spec.pace_per_s) <= now:
                room = rooms[said % len(rooms)]
                room.due(due_at)
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
    work = {"talk": crowd.talk, "append": crowd.append, "idle": crowd.idle, "handshakes": crowd.handshakes}
    try:
        return await work[spec.task]()
    finally:
        crowd.close()


if __name__ == "__main__":
    told = msgspec.json.decode(sys.argv[1], type=Spec)
    if told.core is not None:
        os.sched_setaffinity(0, {told.core})
    print(msgspec.json.encode(uvloop.run(run(told))).decode())
