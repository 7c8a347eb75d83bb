"""The frames of the wire, version 1: their shapes, and the codec between bytes and structs.

Rule: one struct per shape, so that what the simulation passes by reference is what the sockets pass as bytes.
Times are seconds since the Unix epoch; ids of sessions and users are 1-128 characters, a client's `id` 1-64.
What a frame means is left to the handler and the client.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
ClientId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Body: TypeAlias = Raw
PresenceState: TypeAlias = Literal["online", "away", "offline"]

NESTING_MAX = 512
"""How deep arrays and objects may lie in each other in a client's frame, which itself is the first. Who reads them
spends stack on each, so the limit leaves every reader room: clients, and whoever reads a journal."""

TYPES = ("message", "typing", "status", "error", "presence", "ack", "heartbeat")


class _Frame(Struct, tag_field="type", gc=False):
    """Base of all frames: a JSON object whose `type` tells the shape; unknown extra fields are ignored."""


# Client to server.


class Say(_Frame, tag="message"):
    """`message` from a client: `id` is the client's own, `body` any JSON value, kept as raw bytes."""

    id: ClientId
    session: Name
    body: Raw


class AckIn(_Frame, tag="ack"):
    """`ack` from a client: either cumulative (`session`, `up_to`) or of one message (`message_id`)."""

    session: Name | UnsetType = UNSET
    up_to: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    message_id: Name | UnsetType = UNSET


class TypingIn(_Frame, tag="typing"):
    """`typing` from a client."""

    session: Name
    active: bool


class PresenceIn(_Frame, tag="presence"):
    """`presence` from a client: what the person says of herself."""

    state: Literal["online", "away"]


class HeartbeatIn(_Frame, tag="heartbeat"):
    """`heartbeat` from a client; `t`, any number, comes back."""

    t: float | int | UnsetType = UNSET


class StatusIn(_Frame, tag="status"):
    """`status` from a client: `join`, `leave` or `refresh`.

    The token of a `refresh` never reaches the handler: the shell verifies it and calls `handler.refresh` with the
    claims.
    """

    action: Literal["join", "leave", "refresh"]
    session: Name | UnsetType = UNSET
    epoch: int | UnsetType = UNSET
    last_seq: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    replaces: Name | UnsetType = UNSET
    token: str | UnsetType = UNSET


ClientFrame: TypeAlias = Say | AckIn | TypingIn | PresenceIn | HeartbeatIn | StatusIn


# Server to client.


class Message(_Frame, tag="message"):
    """`message` to a client. `attempt` is 1 for the first send; `body` is raw JSON."""

    message_id: str
    session: str
    epoch: int
    seq: int
    sender: str = msgspec.field(name="from")
    body: Raw
    sent_at: float
    attempt: int


class Ack(_Frame, tag="ack"):
    """`ack` to the sender: the server has accepted and stored the message."""

    id: str
    message_id: str
    session: str
    epoch: int
    seq: int
    duplicate: bool


class Typing(_Frame, tag="typing"):
    """`typing` to the others of a session."""

    session: str
    user: str
    active: bool


class Presence(_Frame, tag="presence"):
    """`presence` to the others of a session; `at` is wall time."""

    user: str
    state: PresenceState
    at: float


class Heartbeat(_Frame, tag="heartbeat"):
    """`heartbeat` to a client: `t` echoed, `seqs` the newest seq of each joined session."""

    server_time: float
    seqs: dict[str, int]
    t: float | int | UnsetType = UNSET


class Error(_Frame, tag="error"):
    """`error` to a client; `id` is that of the message it refuses."""

    code: str
    message: str
    id: str | UnsetType = UNSET
    retry_after_ms: int | UnsetType = UNSET


class RateLimit(Struct, gc=False):
    """The limit told in `welcome`: `messages` per `per_s` seconds."""

    messages: int
    per_s: float


class Participant(Struct, gc=False):
    """One participant of a session, as told in `joined`."""

    user: str
    state: PresenceState


class _Status(_Frame, tag="status"):
    """Base of the `status` frames to a client: `status` tells which."""


class Welcome(_Status, kw_only=True):
    """First frame of every connection."""

    status: Literal["welcome"] = "welcome"
    connection: str
    user: str
    server_time: float
    ping_interval_s: float
    pong_timeout_s: float
    expires_in_s: float
    message_bytes_max: int
    rate_limit: RateLimit


class Joined(_Status, kw_only=True):
    """Answer to `join`: `seq` is the newest of the session, `replayed` how many missed messages follow."""

    status: Literal["joined"] = "joined"
    session: str
    epoch: int
    seq: int
    recovered: bool
    replayed: int
    participants: tuple[Participant, ...]


class Left(_Status, kw_only=True):
    """The connection is no longer joined: it left, or the session ended."""

    status: Literal["left"] = "left"
    session: str
    reason: str


class Refreshed(_Status, kw_only=True):
    """The new token was taken."""

    status: Literal["refreshed"] = "refreshed"
    expires_in_s: float


class Delivered(_Status, kw_only=True):
    """To the sender: `user` has these messages."""

    status: Literal["delivered"] = "delivered"
    session: str
    user: str
    message_ids: tuple[str, ...]


class Undelivered(_Status, kw_only=True):
    """To the sender: the message was given up for `user`."""

    status: Literal["undelivered"] = "undelivered"
    message_id: str
    session: str
    user: str
    reason: str


class TokenExpiring(_Status, kw_only=True):
    """The token ends in `expires_in_s` seconds: refresh it."""

    status: Literal["token_expiring"] = "token_expiring"
    expires_in_s: float


class Draining(_Status, kw_only=True):
    """The server is going away; come back after `reconnect_after_ms`."""

    status: Literal["draining"] = "draining"
    reconnect_after_ms: int


StatusFrame: TypeAlias = Welcome | Joined | Left | Refreshed | Delivered | Undelivered | TokenExpiring | Draining
ServerFrame: TypeAlias = Message | Ack | Typing | Presence | Heartbeat | Error | StatusFrame


class Fault(Struct, gc=False):
    """Bytes from a peer that are no frame: which error code, and one sentence about it."""

    code: Literal["bad_json", "bad_frame", "unknown_type"]
    detail: str


_TOO_DEEP = Fault("bad_json", f"nested deeper than {NESTING_MAX} levels")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_OPEN = frozenset(b"[{")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def too_deep(data: bytes, levels: int) -> bool:
    """Whether this JSON, which must be valid, has arrays and objects in more than so many levels. Needs no stack."""
    if data.count(b"[") + data.count(b"{") <= levels:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", data).translate(None, _NO_BRACKETS):
        if bracket not in _OPEN:
            depth -= 1
        elif depth == levels:
            return True
        else:
            depth += 1
    return False


class _StatusHead(_Frame, tag="status"):
    """Just enough of a `status` frame to know which struct it wants."""

    status: str


_STATUS: dict[str, type[StatusFrame]] = {
    "welcome": Welcome,
    "joined": Joined,
    "left": Left,
    "refreshed": Refreshed,
    "delivered": Delivered,
    "undelivered": Undelivered,
    "token_expiring": TokenExpiring,
    "draining": Draining,
}

_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame)
_server_decoder: msgspec.json.Decoder[Message | Ack | Typing | Presence | Heartbeat | Error | _StatusHead] = (
    msgspec.json.Decoder(Message | Ack | Typing | Presence | Heartbeat | Error | _StatusHead)
)
_status_decoders: dict[str, msgspec.json.Decoder[StatusFrame]] = {
    name: msgspec.json.Decoder(kind) for name, kind in _STATUS.items()
}
_delivered_decoder: msgspec.json.Decoder[Delivered] = msgspec.json.Decoder(Delivered)
_DELIVERED_HEAD = b'{"type":"status","status":"delivered",'
_any_object = msgspec.json.Decoder(dict[str, Any])

UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What bytes that are no frame raise in a decoder."""

encode = _encoder.encode
"""Bytes of a frame: UTF-8 JSON, one object."""


def decode_client(data: bytes) -> ClientFrame | Fault:
    """A frame from a client, or the fault in it; never raises, whatever the bytes.

    `data` is the payload of one text frame. A fault is `bad_json` (no JSON), `unknown_type` or `bad_frame` (no known
    shape).
    """
    try:
        frame = _client_decoder.decode(data)
        # As many levels take twice as many bytes, so that what is short need not be looked at.
        if len(data) > 2 * NESTING_MAX and too_deep(data, NESTING_MAX):
            return _TOO_DEEP
        return frame
    except UNREADABLE as problem:
        return _fault(data, problem)


def _fault(data: bytes, problem: Exception) -> Fault:
    if isinstance(problem, RecursionError):
        return _TOO_DEEP
    try:
        frame = _any_object.decode(data)
    except msgspec.ValidationError:
        return Fault("bad_frame", "a frame is a JSON object")
    except UNREADABLE:
        return Fault("bad_json", "not JSON")
    kind = frame.get("type")
    if isinstance(kind, str) and kind not in TYPES:
        return Fault("unknown_type", f"no such type: one of {' '.join(TYPES)}")
    return Fault("bad_frame", str(problem))


def decode_server(data: bytes | Raw) -> ServerFrame:
    """A frame from the server. Raises what is in `UNREADABLE` where it is none: a server that speaks so is broken."""
    if type(data) is bytes and data.startswith(_DELIVERED_HEAD):
        # By far the most common of the states: as this server writes it, one look is enough.
        return _delivered_decoder.decode(data)
    frame = _server_decoder.decode(data)
    if isinstance(frame, _StatusHead):
        decoder = _status_decoders.get(frame.status)
        if decoder is None:
            raise msgspec.ValidationError(f"unknown status {frame.status!r}")
        return decoder.decode(data)
    return frame
