"""One simulated WebSocket: two links, a device at one end, and what each end believes.

Rule: what has been put on a link arrives, in order, unless the peer is gone by then.
"""

from __future__ import annotations

from math import inf, nan

from chatsim.load.people import Device
from chatsim.network.link import Link

_NEVER = -inf
"""One float for all: written out, `-inf` is a new object each time, and there are many connections."""


class Pipe:
    """`server_open` and `client_open` may disagree: that is what a half-open connection is. Moments in seconds, nan
    or inf where never.

    `deaf` is set while the device does not read at once, because it is frozen, gone or has closed.
    """

    __slots__ = (
        "arrival",
        "client_open",
        "deaf",
        "departure",
        "down",
        "frozen_until",
        "gone_at",
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
        self.up = up
        self.down = down
        # The two ways as calls: most of a run goes through them.
        self.departure = up.arrival
        self.arrival = down.arrival
        self.limited = limited
        self.server_open = False
        self.client_open = True
        self.deaf = False
        self.vanished = False
        self.frozen_until = _NEVER
        self.gone_at = nan
        self.turn = -1
