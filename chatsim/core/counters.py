"""What a handler has counted since its start.

Rule: the words are those of scenario files; a number here only ever grows.
"""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct):
    """What the handler has counted since its start; the words are those of scenario files.

    Beyond them: `replayed` messages, connections `closed` by code, `dropped` frames by type (once for each connection
    that was spared one), and `refused_refreshes` by error code.
    """

    accepted: int = 0
    duplicates_suppressed: int = 0
    rate_limited: int = 0
    resumes: int = 0
    recovered: int = 0
    unrecovered: int = 0
    pings: int = 0
    stale_closed: int = 0
    no_pong_closed: int = 0
    slow_closed: int = 0
    token_expired: int = 0
    presence_events: int = 0
    typing_events: int = 0
    errors: int = 0
    connections_peak: int = 0
    replayed: int = 0
    closed: dict[int, int] = msgspec.field(default_factory=dict)
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    refused_refreshes: dict[str, int] = msgspec.field(default_factory=dict)

    def signalled(self, count: int, *, typing: bool) -> None:
        """A signal goes out to so many connections: of typing, or of presence."""
        if typing:
            self.typing_events += count
        else:
            self.presence_events += count
