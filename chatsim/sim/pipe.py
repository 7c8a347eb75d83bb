"""One simulated WebSocket: two links, a device at one end, and what each end believes.

Rule: what has been put on a link arrives, in order, unless the peer is gone by then.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any

from chatsim.network.link import Link
from chatsim.people.people import Device
from chatsim.sim.backlog import Backlog
from chatsim.sim.engine import Engine

_NEVER = -inf
"""One float for all: written out, `-inf` is a new object each time, and there are many connections."""


MASK_BYTES = 4


def frame_bytes(payload: int, *, masked: bool) -> int:
    """What a frame with so many bytes of payload weighs; a client's are masked (RFC 6455, section 5.2)."""
    header = 2 if payload < 126 else 4 if payload < 65536 else 10
    return header + payload + (MASK_BYTES if masked else 0)


class Pipe:
    """`server_open` and `client_open` may disagree: that is what a half-open connection is; `hung_up` says that the
    server knows that the peer has gone. Moments in seconds, nan or inf where never.

    `former` is the connection that the device named when it knocked ("": none);
    `deaf` is set while the device does not read at once, because it is frozen, gone or has closed; `backlog` is what
    waits for it at the server (None: nothing has yet). `held` is what a frozen device reads when it wakes: what to
    call, and with what.
    """

    __slots__ = (
        "arrival",
        "backlog",
        "client_open",
        "deaf",
        "departure",
        "down",
        "former",
        "frozen_until",
        "gone_at",
        "held",
        "hung_up",
        "limited",
        "name",
        "number",
        "peer",
        "server_open",
        "turn",
        "up",
        "vanished",
    )

    def __init__(self, number: int, peer: Device, up: Link, down: Link, *, limited: bool) -> None:
        self.number = number
        self.name = f"c{number}"
        self.peer = peer
        self.former = ""
        self.up = up
        self.down = down
        # The two ways as calls: most of a run goes through them.
        self.departure = up.arrival
        self.arrival = down.arrival
        self.limited = limited
        self.server_open = False
        self.client_open = True
        self.hung_up = False
        self.deaf = False
        self.vanished = False
        self.frozen_until = _NEVER
        self.gone_at = nan
        self.turn = -1
        self.backlog: Backlog | None = None
        self.held: list[tuple[Any, Any]] = []

    def queue(self, engine: Engine) -> Backlog:
        """What waits for the device at the server, to be added to."""
        if self.backlog is None:
            self.backlog = Backlog(engine, self.down)
        return self.backlog

    def break_off(self) -> None:
        """The connection has ended: what still waits for it at the server is lost."""
        if self.backlog is not None:
            self.backlog.clear()

    @property
    def queues(self) -> bool:
        """Whether what is written may have to wait for bandwidth, or does: nothing overtakes it."""
        return self.limited or (self.backlog is not None and self.backlog.waits)

    def waits_until(self, now: float) -> float | None:
        """When to look again whether anything waits for the way down; None where nothing does."""
        if self.backlog is None:
            return self.down.leaves_at if self.down.leaves_at > now else None
        again_at = self.backlog.leaves_at(now)
        return again_at if again_at > now or self.backlog.waits else None

    def queued_bytes(self, now: float) -> float:
        """Bytes that wait for the bandwidth of the way down."""
        return self.down.queued_bytes(now) if self.backlog is None else self.backlog.queued_bytes(now)


def lane(what: Any) -> int:
    """What an event of the run belongs to: a connection, a device, or (0) everything else.

    Events of one connection keep their order, whatever happens to others at the same moment.
    """
    if isinstance(what, (list, tuple)):
        what = what[0] if what else None
    if isinstance(what, Pipe):
        return 2 * what.number + 1
    return 2 * what.number + 2 if isinstance(what, Device) else 0
