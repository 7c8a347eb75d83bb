"""What a frame says, in the few words that fit on its arrow.

Decides the words and the tone of each frame, in either direction. Rule: a message is named by its session and number
(`lobby #12`) as soon as the log has numbered it, so that a reader finds it again in every row.
Which rows there are is left to `story`, how a tone looks to who draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import UNSET

from chatsim.core.frames import (
    Ack,
    AckIn,
    ClientFrame,
    Delivered,
    Draining,
    Error,
    Heartbeat,
    HeartbeatIn,
    Joined,
    Left,
    Message,
    Presence,
    PresenceIn,
    Refreshed,
    Say,
    ServerFrame,
    StatusIn,
    TokenExpiring,
    Typing,
    TypingIn,
    Undelivered,
    Welcome,
)

Tone: TypeAlias = Literal["plain", "quiet", "good", "retry", "close", "error"]
Numbers: TypeAlias = Mapping[str, int]
"""The number of each message in its session, by message id."""

Said: TypeAlias = tuple[str, Tone, str]
"""The words, their tone, and the session that they are about ("" where none is)."""


def of_client(frame: ClientFrame, numbers: Numbers) -> Said:
    """A frame from a client."""
    words: str
    tone: Tone = "plain"
    session = getattr(frame, "session", UNSET)
    if isinstance(frame, Say):
        words = f"message {frame.id}, {frame.session}"
    elif isinstance(frame, AckIn):
        words = (
            f"ack {_numbered(frame.message_id, numbers)}"
            if isinstance(frame.message_id, str)
            else f"ack {frame.session} up to #{frame.up_to}"
        )
        tone = "good"
    elif isinstance(frame, TypingIn):
        words, tone = f"typing{'' if frame.active else ' ends'}, {frame.session}", "quiet"
    elif isinstance(frame, PresenceIn):
        words, tone = f"presence {frame.state}", "quiet"
    elif isinstance(frame, HeartbeatIn):
        words, tone = "heartbeat", "quiet"
    else:
        words = _asked(frame)
    return words, tone, session if isinstance(session, str) else ""


def of_server(frame: ServerFrame, numbers: Numbers) -> Said:
    """A frame to a client."""
    words, tone = _SERVER[type(frame)](frame, numbers)
    return words, tone, getattr(frame, "session", "")


def _asked(frame: StatusIn) -> str:
    words: str = frame.action
    if isinstance(frame.session, str):
        words += f" {frame.session}"
    if isinstance(frame.last_seq, int):
        words += f" after #{frame.last_seq}"
    if isinstance(frame.replaces, str):
        words += f", replaces {frame.replaces}"
    return words


def _numbered(message_id: str, numbers: Numbers) -> str:
    number = numbers.get(message_id)
    return message_id if number is None else f"#{number}"


def _message(frame: Message, numbers: Numbers) -> tuple[str, Tone]:
    which = f"{frame.session} #{frame.seq} of {frame.sender}"
    return (f"message {which}", "plain") if frame.attempt == 1 else (f"attempt {frame.attempt}: {which}", "retry")


def _ack(frame: Ack, numbers: Numbers) -> tuple[str, Tone]:
    return f"ack {frame.id} = {frame.session} #{frame.seq}{', a duplicate' if frame.duplicate else ''}", "good"


def _typing(frame: Typing, numbers: Numbers) -> tuple[str, Tone]:
    return f"{frame.user} {'types' if frame.active else 'types no more'}", "quiet"


def _presence(frame: Presence, numbers: Numbers) -> tuple[str, Tone]:
    return f"{frame.user} is {frame.state}", "quiet"


def _heartbeat(frame: Heartbeat, numbers: Numbers) -> tuple[str, Tone]:
    return "heartbeat", "quiet"


def _error(frame: Error, numbers: Numbers) -> tuple[str, Tone]:
    words = f"error {frame.code}"
    if isinstance(frame.id, str):
        words += f", message {frame.id}"
    if isinstance(frame.retry_after_ms, int):
        words += f", again in {frame.retry_after_ms} ms"
    return words, "error"


def _welcome(frame: Welcome, numbers: Numbers) -> tuple[str, Tone]:
    return f"welcome {frame.connection}", "plain"


def _joined(frame: Joined, numbers: Numbers) -> tuple[str, Tone]:
    words = f"joined {frame.session} at #{frame.seq}"
    return (f"{words}, {frame.replayed} replayed" if frame.recovered else words), "plain"


def _left(frame: Left, numbers: Numbers) -> tuple[str, Tone]:
    return f"left {frame.session}: {frame.reason}", "close"


def _refreshed(frame: Refreshed, numbers: Numbers) -> tuple[str, Tone]:
    return f"refreshed, {frame.expires_in_s:g} s left", "good"


def _delivered(frame: Delivered, numbers: Numbers) -> tuple[str, Tone]:
    ids = frame.message_ids
    shown = _numbered(ids[0], numbers) if ids else "nothing"
    if len(ids) > 1:
        shown += f"..{_numbered(ids[-1], numbers)}"
    return f"delivered {shown} to {frame.user}", "good"


def _undelivered(frame: Undelivered, numbers: Numbers) -> tuple[str, Tone]:
    return f"UNDELIVERED {_numbered(frame.message_id, numbers)} to {frame.user}: {frame.reason}", "error"


def _expiring(frame: TokenExpiring, numbers: Numbers) -> tuple[str, Tone]:
    return f"token ends in {frame.expires_in_s:g} s", "retry"


def _draining(frame: Draining, numbers: Numbers) -> tuple[str, Tone]:
    return f"draining, back in {frame.reconnect_after_ms} ms", "close"


_SERVER: dict[type, Callable[[Any, Numbers], tuple[str, Tone]]] = {
    Message: _message,
    Ack: _ack,
    Typing: _typing,
    Presence: _presence,
    Heartbeat: _heartbeat,
    Error: _error,
    Welcome: _welcome,
    Joined: _joined,
    Left: _left,
    Refreshed: _refreshed,
    Delivered: _delivered,
    Undelivered: _undelivered,
    TokenExpiring: _expiring,
    Draining: _draining,
}
