"""The HTTP routes as a table, and the shapes of what goes in and out: the one source of the application and of its
OpenAPI document.

Rule: a route that is not here is not served. What each does is left to `http` and `sessions`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw

from chatsim.core.frames import Name

TTL_S_DEFAULT = 3600.0
TTL_S_MAX = 366 * 86_400.0

PAGE_DEFAULT = 100
PAGE_MAX = 500
"""Messages on one page of history (protocol.md, section 4)."""

PAGE_BYTES_MAX = 1024 * 1024
"""Bodies on one page, unless its first message alone has more."""

Life: TypeAlias = Annotated[float, Meta(gt=0, le=TTL_S_MAX, description="Seconds from now.")]
Wall: TypeAlias = Annotated[float, Meta(description="Seconds since the Unix epoch.")]
Auth: TypeAlias = Literal["nobody", "user", "admin", "either"]


class Refused(msgspec.Struct, rename={"code": "error"}):
    """Every refusal: a code for programs, and a sentence for people."""

    code: str
    message: str


class TokenOrder(msgspec.Struct):
    """What a token is to say."""

    user: Name
    ttl_s: Life = TTL_S_DEFAULT
    sessions: tuple[Name, ...] | None = None


class Token(msgspec.Struct):
    """A new token."""

    token: str
    expires_at: Wall
    jti: str


class SessionOrder(msgspec.Struct):
    """Who takes part in a new session beside the caller; without `ttl_s` it lasts until it is ended."""

    participants: tuple[Name, ...] = ()
    ttl_s: Life | None = None


class SessionMade(msgspec.Struct):
    """A new session."""

    session: Name
    expires_at: Wall | None


class ParticipantOrder(msgspec.Struct):
    """Who is to take part."""

    user: Name


class SessionView(msgspec.Struct):
    """A session as its participants see it: `seq` is that of its newest message, within `epoch`."""

    session: Name
    participants: tuple[Name, ...]
    expires_at: Wall | None
    epoch: int
    seq: int


class Post(msgspec.Struct):
    """A message of the server: any JSON value."""

    body: Raw


class Posted(msgspec.Struct):
    """The log has the message."""

    message_id: str
    seq: int


class PastMessage(msgspec.Struct):
    """One stored message."""

    message_id: str
    session: Name
    epoch: int
    seq: int
    sender: Annotated[str, Meta(description="A user, or `@server`.")] = msgspec.field(name="from")
    body: Raw
    sent_at: Wall


class History(msgspec.Struct):
    """Messages oldest first; `epoch` and `seq` are where the session is now."""

    messages: list[PastMessage]
    epoch: int
    seq: int


class Health(msgspec.Struct):
    """It is well."""

    status: Literal["live", "ready"]


class Operation(msgspec.Struct, frozen=True):
    """One method of one path. `errors` maps a status to its codes; a refusal of `auth` comes by itself.

    `name` is that of the function which answers; `query` maps a parameter to its JSON schema. A parameter
    `{x:path}` may have slashes in it, encoded or, as some proxies pass them on, plain.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    name: str
    summary: str
    auth: Auth = "nobody"
    body: type[msgspec.Struct] | None = None
    status: int = 200
    answer: type[msgspec.Struct] | str | None = None
    errors: dict[int, tuple[str, ...]] = {}
    query: dict[str, dict[str, Any]] = {}


_ONE = "/api/sessions/{session}"
_BODY: dict[int, tuple[str, ...]] = {400: ("bad_request",), 413: ("too_large",)}
_MEMBER: dict[int, tuple[str, ...]] = {403: ("not_a_participant",), 404: ("no_such_session",)}
_UNSTORED: dict[int, tuple[str, ...]] = {503: ("unavailable",)}
"""The log could not take it: what was ordered is in force, and may be gone after a restart."""

_PAGE: dict[str, dict[str, Any]] = {
    "after": {"type": "integer", "minimum": 0, "default": 0, "description": "Only messages with a seq above this."},
    "limit": {
        "type": "integer", "minimum": 1, "default": PAGE_DEFAULT,
        "description": f"At most so many; more than {PAGE_MAX}, or {PAGE_BYTES_MAX} bytes, are never given at once.",
    },
}  # fmt: skip

OPERATIONS = (
    Operation("GET", "/health/live", "live", "Whether the process is alive.", answer=Health),
    Operation(
        "GET", "/health/ready", "ready", "Whether it takes more connections.", answer=Health,
        errors={503: ("draining", "overloaded")},
    ),
    Operation("GET", "/metrics", "metrics", "What Prometheus scrapes.", answer="text/plain"),
    Operation("GET", "/openapi.json", "openapi", "This document.", answer="application/json"),
    Operation(
        "POST", "/api/tokens", "make_token", "Make a token.", "admin", TokenOrder, 201, Token,
        errors=_BODY | {503: ("unavailable",)},
    ),
    Operation(
        "DELETE", "/api/tokens/{jti:path}", "revoke_token", "Revoke a token, close its connections.", "admin",
        status=204, errors={400: ("bad_request",), 503: ("overloaded", "unavailable")},
    ),
    Operation(
        "DELETE", "/api/users/{user}/tokens", "revoke_user",
        "Revoke all tokens of a user that do not say that they were issued from now on, close her connections.",
        "admin", status=204, errors={400: ("bad_request",), 503: ("overloaded", "unavailable")},
    ),
    Operation(
        "POST", "/api/sessions", "open_session", "Open a session. The caller takes part in it.", "either", SessionOrder,
        201, SessionMade,
        errors=_BODY | {409: ("session_full",), 429: ("too_many_sessions",), 503: ("unavailable",)},
    ),
    Operation(
        "GET", _ONE, "show_session", "What a session is.", "user", None, 200, SessionView,
        errors=_MEMBER,
    ),
    Operation(
        "DELETE", _ONE, "end_session", "End a session, and with it its history.", "either", None, 204,
        errors=_MEMBER | _UNSTORED | {400: ("bad_request",)},
    ),
    Operation(
        "POST", _ONE + "/participants", "add_participant", "Let a user take part.", "either", ParticipantOrder, 204,
        errors=_BODY | _MEMBER | _UNSTORED | {409: ("session_full",)},
    ),
    Operation(
        "DELETE", _ONE + "/participants/{user}", "remove_participant",
        "Let a user take part no more; the session ends with its last participant.", "either", None, 204,
        errors=_MEMBER | _UNSTORED | {400: ("bad_request",)},
    ),
    Operation(
        "GET", _ONE + "/messages", "history", "What was said, oldest first.", "user", None, 200, History,
        errors=_MEMBER | {400: ("bad_request",)}, query=_PAGE,
    ),
    Operation(
        "POST", "/api/users/{user}/messages", "post", "Send a message of the server to all connections of a user.",
        "admin", Post, 202, Posted, errors=_BODY | {503: ("unavailable",)},
    ),
)  # fmt: skip
