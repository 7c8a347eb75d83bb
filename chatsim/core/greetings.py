"""The first and the last that a connection hears of a node: who it is here, and when to come back.

Decides what a welcome says, and how the end of a node is spread: each client is told a moment of its own, and closes
are spread over the same window (protocol.md, section 3).
"""

from __future__ import annotations

from collections.abc import Collection

from chatsim.core.chance import Dice
from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Send
from chatsim.core.frames import Draining, RateLimit, Welcome
from chatsim.core.pool import Connection
from chatsim.core.timers import Heap

CLOSES_PER_S = 500.0
"""How fast a draining node closes: the window is as long as that takes, within 1 s and `drain_window`."""


def welcome(config: HandlerConfig, connection: Connection, now: float, wall: float) -> Send:
    """First frame of a connection, at the wall time of `now` (s)."""
    frame = Welcome(
        connection=connection.name,
        user=connection.user.name,
        server_time=wall,
        ping_interval_s=config.ping_interval_s,
        pong_timeout_s=config.pong_timeout_s,
        expires_in_s=connection.exp_at - now,
        message_bytes_max=config.message_bytes_max,
        rate_limit=RateLimit(config.rate_limit, config.rate_window_s),
    )
    return Send((connection.name,), frame)


def farewell(
    config: HandlerConfig, now: float, connections: Collection[Connection], dice: Dice, closings: Heap[Connection]
) -> tuple[Send, ...]:
    """Tell everybody when to come back, and put each close on the line."""
    window_s = min(max(len(connections) / CLOSES_PER_S, 1.0), config.drain_window_s)
    sends = []
    for place, connection in enumerate(connections):
        after_ms = int(1000 * window_s * dice.uniform())
        sends.append(Send((connection.name,), Draining(reconnect_after_ms=after_ms)))
        closings.add(now + window_s * place / len(connections), connection)
    return tuple(sends)
