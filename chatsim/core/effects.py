"""What the core asks its shell to do, in order.

Rule: an effect is immutable by agreement and shares no mutable state with the core; the shell performs the effects of
one input in the order given.
Every effect is an array-like `msgspec` struct, so that a journal line encodes in one call and decodes back to equal
effects.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chatsim.core.facts import Fact
from chatsim.core.frames import ClientFrame, ServerFrame

Conn: TypeAlias = str
"""Name of one connection, given by the shell and unique in the run; clients see it as `connection`."""


class Record(msgspec.Struct, array_like=True, gc=False):
    """A message on its way into the log, and out of it again.

    The handler fills the first six fields, the log the last three: `seq` counts 1, 2, 3 ... without gaps within an
    `epoch` of the session.
    `body` is raw JSON. `sent_at` is wall time in seconds since the Unix epoch. `conn` is the connection that wrote it
    ("" for a server route).
    """

    session: str
    sender: str
    conn: Conn
    id: str
    body: msgspec.Raw
    sent_at: float
    epoch: int = 0
    seq: int = 0
    message_id: str = ""

    def placed(self, epoch: int, seq: int, message_id: str) -> Record:
        """The same message at its place in the log."""
        return Record(self.session, self.sender, self.conn, self.id, self.body, self.sent_at, epoch, seq, message_id)


class Send(msgspec.Struct, array_like=True, tag="send", gc=False):
    """Send one frame to each of the connections (one effect per fan-out; encode it once)."""

    to: tuple[Conn, ...]
    message: ServerFrame


class Ping(msgspec.Struct, array_like=True, tag="ping", gc=False):
    """Send a WebSocket ping to each of the connections."""

    to: tuple[Conn, ...]


class Close(msgspec.Struct, array_like=True, tag="close", gc=False):
    """Flush what is queued for the connection, then close it with this code. The handler has forgotten it already."""

    to: Conn
    code: int
    reason: str


class Append(msgspec.Struct, array_like=True, tag="append", gc=False):
    """Store the record; the log answers with `handler.appended` or `handler.append_failed`."""

    record: Record


class Tell(msgspec.Struct, array_like=True, tag="tell", gc=False):
    """Relay a frame that is not stored (typing, presence) to every node, this one included: `handler.told`."""

    session: str
    message: ServerFrame


class Note(msgspec.Struct, array_like=True, tag="note", gc=False):
    """Store a fact that is no message, behind what was appended before it; nobody waits for it."""

    fact: Fact


class Watch(msgspec.Struct, array_like=True, tag="watch", gc=False):
    """Report by `handler.pressure` (0, 0) as soon as nothing waits to be written to the connection any more."""

    to: Conn


class Dial(msgspec.Struct, array_like=True, tag="dial", gc=False):
    """Client only: open a connection `after_s` seconds from now (a later `Dial` replaces an earlier one)."""

    after_s: float


class Transmit(msgspec.Struct, array_like=True, tag="transmit", gc=False):
    """Client only: write one frame to the server."""

    message: ClientFrame


class Renew(msgspec.Struct, array_like=True, tag="renew", gc=False):
    """Client only: fetch a new token `after_s` seconds from now, and say how it went: `client.renewed`, or
    `client.renewal_failed`."""

    after_s: float


class HangUp(msgspec.Struct, array_like=True, tag="hang_up", gc=False):
    """Client only: close the connection with this code."""

    code: int
    reason: str


class Show(msgspec.Struct, array_like=True, tag="show", gc=False):
    """Client only: something for the person: a message seen for the first time and in order, an ack, a notice, an
    error."""

    message: ServerFrame


Effect: TypeAlias = Send | Ping | Close | Append | Tell | Note | Watch
Effects: TypeAlias = tuple[Effect, ...]
ClientEffect: TypeAlias = Transmit | HangUp | Dial | Renew | Show
ClientEffects: TypeAlias = tuple[ClientEffect, ...]

NOTHING: tuple[()] = ()
"""Nothing to do: the one shared empty tuple."""
