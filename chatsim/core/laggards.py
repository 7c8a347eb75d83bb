"""Who reads too slowly to be told of typing and presence, and what she is told of them once she has caught up.

Decides who lags: above half of an outbound limit, and for as long as something that she was spared has not been told.
Rule: of what she was spared the newest about each person and session is told, the oldest of them first, as soon as
there is room for it; so she ends with the picture that the others have. Who was spared more than a few parts of it is
closed as too slow, since a join tells it in one frame.
How much waits in the network is the shell's to report.
"""

from __future__ import annotations

from collections.abc import Mapping

from chatsim.core.config import HandlerConfig
from chatsim.core.counters import Counters
from chatsim.core.effects import Conn, Effect, Send, Watch
from chatsim.core.frames import Presence, Typing
from chatsim.core.pool import Connection

SIGNAL_BYTES = 128
"""About what such a frame weighs beside its names, whose letters have four bytes at most."""
PARTS_MAX = 16
"""Of how many parts, each a quarter of the outbound limits, what one connection is spared may consist."""


class Laggards:
    """The lagging connections of one handler."""

    def __init__(self, config: HandlerConfig, connections: Mapping[Conn, Connection], counters: Counters) -> None:
        self._frames_max = config.outbound_frames
        self._bytes_max = config.outbound_bytes
        self._part_frames = max(config.outbound_frames // 4, 1)
        self._part_bytes = config.outbound_bytes // 4
        self._connections = connections
        self._counters = counters
        # How many connections lag; the handler asks for each signal whether any does.
        self.count = 0

    def pressed(self, connection: Connection, queued_bytes: int, queued_frames: int) -> list[Effect]:
        """So much waits to be written to the connection: what it is told now of what it was spared."""
        if 2 * queued_bytes > self._bytes_max or 2 * queued_frames > self._frames_max:
            if connection.spared is None:
                connection.spared = {}
                self.count += 1
            return []
        if connection.spared is None:
            return []
        effects = self._part(connection, connection.spared)
        if connection.spared:
            effects.append(Watch(connection.name))
        else:
            self.drop(connection)
        return effects

    def _part(self, connection: Connection, spared: dict[tuple[str, str, bool], Typing | Presence]) -> list[Effect]:
        effects: list[Effect] = []
        size = 0
        while spared and len(effects) < self._part_frames:
            key = next(iter(spared))
            session, user, typing = key
            size += SIGNAL_BYTES + 4 * (len(session) + len(user))
            if effects and size > self._part_bytes:
                break
            effects.append(Send((connection.name,), spared.pop(key)))
            self._counters.signalled(1, typing=typing)
        return effects

    def spare(
        self, session: str, message: Typing | Presence, to: tuple[Conn, ...]
    ) -> tuple[tuple[Conn, ...], list[Effect], list[Connection]]:
        """Whom of these a signal goes to now, what is to be reported of the others, and who was spared too much."""
        lagging = [connection for name in to if (connection := self._connections[name]).spared is not None]
        if not lagging:
            return to, [], []
        typing = isinstance(message, Typing)
        kind, dropped = "typing" if typing else "presence", self._counters.dropped
        dropped[kind] = dropped.get(kind, 0) + len(lagging)
        key = session, message.user, typing
        watched: list[Effect] = []
        over = []
        for connection in lagging:
            spared = connection.spared
            assert spared is not None
            if not spared:
                watched.append(Watch(connection.name))
            # The newest is the last.
            spared.pop(key, None)
            spared[key] = message
            if len(spared) > PARTS_MAX * self._part_frames:
                over.append(connection)
        spared_names = {connection.name for connection in lagging}
        return tuple(name for name in to if name not in spared_names), watched, over

    def drop(self, connection: Connection) -> None:
        """The connection lags no more, or is gone."""
        if connection.spared is not None:
            connection.spared = None
            self.count -= 1
