"""What a log keeps beside messages: facts, told one by one as they become true (`Note`).

Decides their shapes. Rule: plain data, and moments are wall time in seconds since the Unix epoch, since `now` begins
anew with every start. Storing is left to the logs; what they tell a handler that begins again stands in `snapshot`.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Starts: TypeAlias = tuple[tuple[str, int], ...]
"""Connections of one user in one session, and behind which seq each began."""


class Made(msgspec.Struct, array_like=True, tag="made", gc=False):
    """A session came to be; `expires_at` None: it does not end by itself. `lasting` where somebody opened it, and it is
    not to be forgotten as one that a token alone has made; `opener` is the user who did, None for the administrator."""

    session: str
    participants: tuple[str, ...]
    expires_at: float | None
    epoch: int = 1
    lasting: bool = False
    opener: str | None = None


class Added(msgspec.Struct, array_like=True, tag="added", gc=False):
    """A user takes part in the session from now on."""

    session: str
    user: str


class Removed(msgspec.Struct, array_like=True, tag="removed", gc=False):
    """A user takes part in the session no more."""

    session: str
    user: str


class Ended(msgspec.Struct, array_like=True, tag="ended", gc=False):
    """The session is over; its history goes with it."""

    session: str


class Revoked(msgspec.Struct, array_like=True, tag="revoked", gc=False):
    """A token (`jti`), or all tokens of a user issued before `at`, are good no more."""

    jti: str | None
    user: str | None
    at: float


class Position(msgspec.Struct, array_like=True, tag="position", gc=False):
    """The user is a receiver of the session's messages, and has everything up to `seq`.

    `starts` are (connection, seq) of those of hers that began behind that seq while something older waited.
    """

    session: str
    user: str
    seq: int
    starts: Starts = ()


class Parted(msgspec.Struct, array_like=True, tag="parted", gc=False):
    """The user is a receiver no more: nothing is owed to her."""

    session: str
    user: str


Fact: TypeAlias = Made | Added | Removed | Ended | Revoked | Position | Parted
