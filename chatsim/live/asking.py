"""What a program may ask a chat for, checked before anything comes of it.

Decides what is a name, a body and a token. Rule: what the server would not understand is refused here and at once,
since a server that cannot read a frame cannot say which it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec
from msgspec import Raw

from chatsim.core import frames
from chatsim.core.frames import NESTING_MAX, Fault, Say
from chatsim.errors import MessageTooLargeError, UsageError

NAME_MAX = 128


def check_name(session: object) -> None:
    """Raises ValueError unless this is what a session can be called."""
    if not isinstance(session, str) or not 1 <= len(session) <= NAME_MAX:
        raise ValueError(f"a session's name has 1 to {NAME_MAX} characters")
    if not _is_utf8(session):
        raise ValueError("a session's name is text that UTF-8 can write")


def check_token(token: object) -> str:
    """The token. Raises UsageError where it is none that a header could carry; the text of the error leaves it out."""
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise UsageError("What was given as a token is none: one is text of printable ASCII characters.")
    return token


def say(id_: str, session: str, body: Any, bytes_max: int) -> Say:
    """The frame that says `body` (text, or any JSON value) in at most so many bytes.

    Raises ValueError where the body is no JSON or nested too deep, MessageTooLargeError where it is too long.
    """
    frame = Say(id_, session, Raw(_json_of(body)))
    data = frames.encode(frame)
    if len(data) > bytes_max:
        raise MessageTooLargeError(len(data), bytes_max)
    read = frames.decode_client(data)
    if isinstance(read, Fault):
        raise ValueError(f"the body cannot be said: {read.detail}")
    return frame


def _json_of(body: Any) -> bytes:
    try:
        data = msgspec.json.encode(body)
        # Raw JSON of the caller's own comes out as it went in, and it must be one value.
        msgspec.json.decode(data, type=Raw)
    except RecursionError:
        raise ValueError(f"a body is nested at most {NESTING_MAX - 1} levels deep") from None
    except UnicodeEncodeError:
        raise ValueError("the text of a body is what UTF-8 can write") from None
    except (TypeError, ValueError, OverflowError) as problem:
        raise ValueError(f"a body is text or any JSON value: {problem}") from None
    if b"null" in data and _has_no_number(body):
        raise ValueError("a body is text or any JSON value: JSON has neither inf nor nan")
    return data


def _has_no_number(body: Any) -> bool:
    """Whether there is an inf or nan in it, which would be written as null."""
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, float):
            if not isfinite(value):
                return True
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple, set, frozenset)):
            waiting.extend(value)
    return False


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
