"""How many frames a connection sends, of whatever kind: a guard against floods, beside the limit on messages.

Decides which frame is one too many. Rule: never more than `frame_limit` in any half-open window of `frame_window_s`,
the refused ones counted too, since it is the sending that is a flood; one frame costs one append.
What is answered to a flood, and when it ends the connection, is left to the handler.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from math import inf

from chatsim.core.config import HandlerConfig
from chatsim.core.pool import Connection


class FrameRate:
    """Counts the frames of each connection; moments and durations in seconds."""

    def __init__(self, config: HandlerConfig) -> None:
        self.limit = config.frame_limit
        self.window_s = config.frame_window_s

    def excess_s(self, now: float, connection: Connection) -> float:
        """Count one frame: 0 if it is within the limit, else how long until one would be (s, above 0)."""
        moments = connection.frames
        if moments is None:
            # Numbers and not objects: eight bytes a frame, where a float in a list takes 32.
            moments = connection.frames = array("d")
        moments.append(now)
        count = len(moments)
        if count <= self.limit:
            # Once in 16 frames what is over is forgotten: a connection keeps that many more than it needs.
            if not count & 15:
                del moments[: bisect_right(moments, now - self.window_s)]
            return 0.0
        del moments[: bisect_right(moments, now - self.window_s)]
        if len(moments) <= self.limit:
            connection.flooding_from = inf
            return 0.0
        # The newest of them say all: one that is let through has at most `limit - 1` of them in its window.
        del moments[: len(moments) - self.limit - 1]
        return max(moments[1] + self.window_s - now, 1e-9) if self.limit else self.window_s
