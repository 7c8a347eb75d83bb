"""What a chat tells its person: messages, and what became of her own words and of the connection.

Decides what a body is in Python. Rule: every message can be shown, whatever its body; what Python cannot hold is handed
over as it was written. How it got here is left to `chatsim.live.chat`.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import msgspec

from chatsim.core import frames
from chatsim.core.frames import (
    Delivered,
    Draining,
    Error,
    Joined,
    Left,
    Presence,
    Refreshed,
    TokenExpiring,
    Typing,
    Undelivered,
)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message of somebody else, or of another device of the same user. `sent_at` is in seconds since the Unix
    epoch; `body` is the JSON value that was said.

    JSON can say more than Python holds: a number like 1e999 becomes `inf`. Where nothing becomes of it (an integer of
    5,000 digits, a list nested as deep as the stack), `decoded` is False and `body` the JSON text, a str.
    """

    message_id: str
    session: str
    epoch: int
    seq: int
    sender: str
    body: Any
    sent_at: float
    attempt: int
    decoded: bool = True


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The server has the message, under this id and at this place of the session."""

    message_id: str
    session: str
    epoch: int
    seq: int


class Connected(msgspec.Struct, frozen=True):
    """There is a connection, the first or a new one, under the server's name for it."""

    connection: str


class Disconnected(msgspec.Struct, frozen=True):
    """The connection is gone; a new one is on its way, unless the chat is over."""

    code: int
    reason: str


class RenewalFailed(msgspec.Struct, frozen=True):
    """A new token could not be fetched; that is tried again."""

    problem: Exception


Notice: TypeAlias = (
    Delivered | Undelivered | Typing | Presence | Joined | Left | Draining | TokenExpiring | Refreshed | Error
)
Event: TypeAlias = Notice | Connected | Disconnected | RenewalFailed
"""What is told beside messages: frames of the server as they came, and what became of the connection."""


def message_of(frame: frames.Message) -> Message:
    """The message of a frame; never raises, whatever its body."""
    body, decoded = _value_of(frame.body)
    return Message(
        message_id=frame.message_id,
        session=frame.session,
        epoch=frame.epoch,
        seq=frame.seq,
        sender=frame.sender,
        body=body,
        sent_at=frame.sent_at,
        attempt=frame.attempt,
        decoded=decoded,
    )


def _value_of(body: frames.Body) -> tuple[Any, bool]:
    """The value of this JSON and True, or its text and False."""
    try:
        return msgspec.json.decode(body), True
    except (ValueError, RecursionError):
        text = bytes(body).decode(errors="replace")
    try:
        return json.loads(text), True
    except (ValueError, RecursionError):
        return text, False
