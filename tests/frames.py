"""Frames as a server sends them to ann, who is in the session `s` with bob; for tests of whoever receives them."""

from __future__ import annotations

from msgspec import Raw

from chatsim.core.frames import Ack, Joined, Message, RateLimit, Welcome

BODY = Raw(b'"hi"')


def welcome(connection: str = "c1", user: str = "ann", *, expires_in_s: float = 900.0) -> Welcome:
    """The first frame of a connection, with the limits of the protocol."""
    return Welcome(
        connection=connection,
        user=user,
        server_time=0.0,
        ping_interval_s=30.0,
        pong_timeout_s=10.0,
        expires_in_s=expires_in_s,
        message_bytes_max=65536,
        rate_limit=RateLimit(60, 60.0),
    )


def joined(seq: int = 0, *, recovered: bool = False, epoch: int = 1, session: str = "s") -> Joined:
    """The answer to a join."""
    return Joined(session=session, epoch=epoch, seq=seq, recovered=recovered, replayed=0, participants=())


def message(seq: int, *, sender: str = "bob", epoch: int = 1, session: str = "s", attempt: int = 1) -> Message:
    """A message, whose id follows from its place."""
    return Message(f"{session}{epoch}-{seq}", session, epoch, seq, sender, BODY, 0.0, attempt)


def acked(id_: str, seq: int = 1, *, duplicate: bool = False) -> Ack:
    """The server has stored what was sent with this id."""
    return Ack(id_, f"s1-{seq}", "s", 1, seq, duplicate)
