"""What a log knows when a handler begins: the sessions, who has what in them, and which tokens are good no more.

Decides the shape. Rule: plain data; moments are wall time in seconds since the Unix epoch. A journal's header holds it,
so that a run that went on from an earlier one replays like any other.
"""

from __future__ import annotations

import msgspec

from chatsim.core.effects import Record
from chatsim.core.facts import Revoked, Starts


class SessionState(msgspec.Struct, array_like=True, gc=False):
    """One session as the log has it.

    `positions` are (user, seq) of its receivers; `records` are the stored messages that may still be replayed or
    repeated, in order of seq; `starts` are (user, connections that began behind something that waits).
    """

    name: str
    epoch: int
    seq: int
    participants: tuple[str, ...]
    expires_at: float | None
    positions: tuple[tuple[str, int], ...]
    records: tuple[Record, ...]
    lasting: bool = False
    opener: str | None = None
    starts: tuple[tuple[str, Starts], ...] = ()


class Snapshot(msgspec.Struct, array_like=True, gc=False):
    """What the log knew when the handler began.

    `said` is what users had stored within the last window of the limiter, whatever has become of its session since:
    (user, sent_at), ascending by `sent_at`.
    """

    sessions: tuple[SessionState, ...] = ()
    revoked: tuple[Revoked, ...] = ()
    said: tuple[tuple[str, float], ...] = ()
