"""The crowd on real sockets: the devices of a scenario's people, each with a WebSocket of its own.

It is the `CrowdWire` of the live wire: it dials, writes and hangs up, and tells the people what arrives.
Rule: what a device does is decided by the people and the client, what the network does to it by its links; here is
only how bytes get there. Faults are done by `chatsim.live.mischief`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from array import array
from collections.abc import Callable
from math import inf
from typing import Any
from urllib.parse import urlsplit

import msgspec

from chatsim.core.frames import UNREADABLE, ClientFrame, ServerFrame, StatusIn, Welcome, decode_server, encode
from chatsim.journal.record import Detection
from chatsim.live.calendar import Calendar
from chatsim.live.peer import ABNORMAL, Peer, resuming
from chatsim.network.link import Link
from chatsim.people.people import Device, People

DIAL_S_MAX = 10.0
HANDSHAKE_BYTES = 600
"""About what an upgrade request, its answer, and each flight of a TLS handshake weigh: for links with a bandwidth."""

NARROW_BYTES = 4096
"""Receive buffer of people who will read slowly: what they do not read must wait at the server, not in the kernel."""

FAULTS_MAX = 10


class Gone(msgspec.Struct):
    """A peer that vanished or froze: its name at the server, since when, and until when (inf: for ever)."""

    device: Device
    name: str
    gone_at: float
    until: float
    vanished: bool


class Crowd:
    """All devices of one run.

    `token(device, wall)` mints what a dial shows (None: nothing), `links(number, device)` makes its way up and down.
    `on_frame(now, device, frame)` hears of each frame before its device does; `held_at` is when first somebody had so
    much unread that the rest waits at the server (inf: never).
    """

    def __init__(
        self,
        calendar: Calendar,
        url: str,
        *,
        token: Callable[[Device, float], str | None],
        links: Callable[[int, Device], tuple[Link, Link]],
        tls: ssl.SSLContext | None = None,
        narrow: frozenset[str] = frozenset(),
        time_scale: float = 1.0,
        wall: Callable[[], float] = time.time,
        flights: int | None = None,
    ) -> None:
        """`url` is `ws://` or `wss://` with host, port and path; `narrow` names the groups that will read slowly;
        `wall` is what clocks on walls show (s since 1970); `flights` is how many round trips come before a request
        (None: one for TCP, and one for TLS 1.3 where there is `tls`).

        `time_scale` multiplies what a server that refuses says of when to come back: it can say only whole seconds.
        """
        self.calendar = calendar
        self.wall = wall
        # How late each message was written (s); what is due within the timer's resolution is early, and below 0.
        self.late_s = array("d")
        self.people = People(self)
        self.people.on_say = self._note_lateness
        self.peers: dict[int, Peer[Device]] = {}
        self.gone: list[Gone] = []
        self.faults: list[str] = []
        self.held_at = inf
        self.on_frame: Callable[[float, Device, ServerFrame], None] | None = None
        self.token = token
        self._links = links
        self._url = url
        self._tls = tls
        self._flights = flights if flights is not None else 1 if tls is None else 2
        self._narrow = narrow
        self._time_scale = time_scale
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        self._host, self._port = address.hostname, address.port
        self._serials: dict[int, int] = {}
        self._numbered = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._all: set[Peer[Device]] = set()

    def _note_lateness(self, now: float, intended_at: float) -> None:
        self.late_s.append(self.calendar.reads() - intended_at)

    # What people ask of the wire.

    def dial(self, now: float, device: Device, after_s: float) -> None:
        """Open a connection `after_s` from now; a later call replaces an earlier one."""
        serial = self._serials.get(device.number, 0) + 1
        self._serials[device.number] = serial
        self.calendar.at(now + after_s, self._dial, device, serial)

    def transmit(self, now: float, device: Device, frame: ClientFrame) -> None:
        """Write one frame."""
        peer = self.peers.get(device.number)
        if peer is not None:
            peer.send(encode(frame))

    def refresh(self, now: float, device: Device) -> None:
        """Fetch a new token and hand it in on the open connection."""
        token = self.token(device, self.wall())
        if token is not None:
            self.transmit(now, device, StatusIn("refresh", token=token))

    def hang_up(self, now: float, device: Device, code: int) -> None:
        """Close the device's connection."""
        peer = self.peers.pop(device.number, None)
        if peer is not None:
            peer.close(code)

    def arm(self, now: float, device: Device) -> None:
        """The device's `client.wake_at()` may have moved earlier than `device.armed_at`."""
        device.armed_at = wake_at = device.client.wake_at()
        self.calendar.at(max(wake_at, now), self._wake, device, wake_at)

    def _wake(self, now: float, device: Device, armed_at: float) -> None:
        if armed_at != device.armed_at:
            return
        device.armed_at = inf
        wake_at = device.client.wake_at()
        if wake_at > now:
            # Heard from since: being heard from only stores a moment, and the alarm catches up here.
            if wake_at < inf:
                self.arm(now, device)
            return
        peer = self.peers.get(device.number)
        if peer is not None and peer.vanished:
            return
        if peer is not None and peer.frozen_until > now:
            device.armed_at = peer.frozen_until
            self.calendar.at(peer.frozen_until, self._wake, device, peer.frozen_until)
            return
        self.people.wake(now, device)

    # Opening.

    def _dial(self, now: float, device: Device, serial: int) -> None:
        if self._serials[device.number] != serial or device.client.state != "waiting":
            return
        self._numbered += 1
        up, down = self._links(self._numbered, device)
        # The request's own way is the link's.
        at = down.arrival(up.arrival(now, 0), 0)
        for _ in range(1, self._flights):
            at = down.arrival(up.arrival(at, HANDSHAKE_BYTES), HANDSHAKE_BYTES)
        self.calendar.at(at, self._connect, device, (up, down))

    def _connect(self, now: float, device: Device, links: tuple[Link, Link]) -> None:
        token = self.token(device, self.wall())
        peer = Peer(self, self.calendar, device, resuming(self._url, self.people.knocks(now, device)), token, links)
        peer.on_hold = self._holds
        self._all.add(peer)
        task = self.calendar.loop.create_task(self._open(peer), name=f"the dial of {device.user.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, peer: Peer[Device]) -> None:
        loop = self.calendar.loop
        made: dict[str, Any] = {"host": self._host, "port": self._port}
        if self._tls is not None:
            made["ssl"] = self._tls
        try:
            async with asyncio.timeout(DIAL_S_MAX):
                if peer.device.user.group in self._narrow:
                    made = {"sock": await self._narrow_socket()}
                    if self._tls is not None:
                        made |= {"ssl": self._tls, "server_hostname": self._host}
                await loop.create_connection(lambda: peer, **made)
        except (OSError, TimeoutError):
            if not peer.done:
                peer.done = True
                self.refused(self.calendar.now(), peer, 0, None)

    def _holds(self, now: float) -> None:
        self.held_at = min(self.held_at, now)

    async def _narrow_socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BYTES)
            await self.calendar.loop.sock_connect(made, (self._host, self._port))
        except BaseException:
            made.close()
            raise
        return made

    # What peers hear.

    def opened(self, now: float, peer: Peer[Device]) -> None:
        """The server accepted the handshake."""
        device = peer.device
        if device.client.state != "waiting":
            peer.close(1000)
            return
        self.peers[device.number] = peer
        self.people.opened(now, device)

    def refused(self, now: float, peer: Peer[Device], status: int, retry_after_s: float | None) -> None:
        """The server, or the network, did not."""
        self._all.discard(peer)
        if peer.device.client.state == "waiting":
            after_s = None if retry_after_s is None else retry_after_s * self._time_scale
            self.people.refused(now, peer.device, status, after_s)

    def text(self, now: float, peer: Peer[Device], data: bytes) -> None:
        """One text frame arrived."""
        try:
            frame = decode_server(data)
        except UNREADABLE as problem:
            if len(self.faults) < FAULTS_MAX:
                self.faults.append(f"the server sent what is no frame of the protocol: {problem}")
            return
        if type(frame) is Welcome:
            peer.name = frame.connection
        if self.on_frame is not None:
            self.on_frame(now, peer.device, frame)
        self.people.receive(now, peer.device, frame)

    def pinged(self, now: float, peer: Peer[Device]) -> None:
        """A ping arrived, and was answered."""
        self.people.heard(now, peer.device)

    def closed(self, now: float, peer: Peer[Device], code: int) -> None:
        """The connection ended."""
        self._all.discard(peer)
        self._lose(now, peer, code)

    def _lose(self, now: float, peer: Peer[Device], code: int) -> None:
        device = peer.device
        if self.peers.get(device.number) is peer:
            del self.peers[device.number]
            self.people.closed(now, device, code)

    # What faults do to connections.

    def drop(self, now: float, peer: Peer[Device]) -> None:
        """Both sides lose the connection, and know it."""
        peer.drop(now)
        self._lose(now, peer, ABNORMAL)

    def vanish(self, now: float, peer: Peer[Device], for_s: float | None) -> None:
        """The peer is gone without a word; after `for_s` the person is back on a new connection, with her memory."""
        peer.vanish()
        self._is_gone(now, peer, inf, vanished=True)
        self.people.vanished(now, peer.device, returns=for_s is not None)
        if for_s is not None:
            self.calendar.at(now + for_s, self._returns, peer)

    def _returns(self, now: float, peer: Peer[Device], _: Any) -> None:
        self._lose(now, peer, ABNORMAL)

    def freeze(self, now: float, peer: Peer[Device], for_s: float) -> None:
        """The client stops reading and answering, then goes on."""
        peer.freeze(now, now + for_s)
        self._is_gone(now, peer, now + for_s, vanished=False)
        self.people.frozen(peer.device, now + for_s)

    def _is_gone(self, now: float, peer: Peer[Device], until: float, *, vanished: bool) -> None:
        # Who was gone already is looked for since then.
        for gone in self.gone:
            if (gone.device, gone.name) == (peer.device, peer.name) and gone.until >= now:
                gone.until = max(gone.until, until)
                gone.vanished = gone.vanished or vanished
                return
        self.gone.append(Gone(peer.device, peer.name, now, until, vanished))

    def found(self, closed_at: Callable[[str], float]) -> list[Detection]:
        """For each peer that vanished or froze, when the server closed it; those that woke in time give no row.

        `closed_at` says when the server closed the connection of that name, on the calendar's time line (inf: never).
        """
        rows = []
        for gone in self.gone:
            at = closed_at(gone.name)
            if gone.vanished or at <= gone.until:
                rows.append(Detection(gone.device.user.name, gone.device.user.group, gone.gone_at, at))
        return rows

    # The end.

    def health(self) -> dict[str, float]:
        """What it has found out of itself, by words of a run's health."""
        return {}

    def away(self) -> bool:
        """Whether somebody who wants to be there is on her way back."""
        return any(device.wanted and device.client.state == "waiting" for device in self.people.devices)

    async def end(self) -> None:
        """Cut every connection; nothing happens any more."""
        self.calendar.stop()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        for peer in tuple(self._all):
            peer.abort()
        # One turn for the transports to tell their protocols.
        await asyncio.sleep(0)
