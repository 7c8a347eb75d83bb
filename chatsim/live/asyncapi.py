"""The protocol of the WebSocket as an AsyncAPI 3 document, for client authors and their generators.

Decides how the message types are put before others. Rule: shapes come from `chatsim.core.frames` and examples are real
frames of these types, so that the document cannot tell of a field that is not on the wire; codes and their meanings
stand here once. The same version of chatsim gives the same bytes.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec

from chatsim.core import frames
from chatsim.core.config import HandlerConfig
from chatsim.live.gate import BEARER_PREFIX
from chatsim.live.protocol import PATH, SUBPROTOCOL

VERSION = "1.0.0"
"""Of the protocol, not of this package."""

CHANNEL = "chat"
AT = 1_700_000_000.0

CLOSE_CODES: tuple[tuple[int, str, str], ...] = (
    (1000, "normal, by the client", "no"),
    (1003, "binary frame", "no"),
    (1007, "bad UTF-8", "no"),
    (1009, "frame too large", "no"),
    (1011, "internal error", "yes"),
    (1012, "the server is going away; a draining status came before", "yes, after reconnect_after_ms"),
    (1013, "overloaded", "yes, with longer backoff"),
    (4000, "too slow a reader", "yes, resume"),
    (4001, "no pong", "yes, resume"),
    (4002, "token expired", "yes, with a new token"),
    (4003, "frame flood", "yes, after retry_after_ms"),
    (4005, "stale", "yes, resume"),
    (4500, "token refused", "no"),
    (4501, "token revoked", "no"),
    (4502, "replaced: connection limit, or resumed by a newer connection", "no"),
    (4503, "protocol violations", "no"),
)
"""Code, meaning, and whether a client comes back (protocol.md, section 3)."""

ERROR_CODES = {
    "bad_json": "The frame is no JSON.",
    "bad_frame": "The frame is no object of a known shape.",
    "unknown_type": "There is no such type of frame.",
    "not_a_participant": "The user is no participant of the session.",
    "no_such_session": "There is no such session.",
    "rate_limited": "Over the user's limit of messages; retry_after_ms says how long.",
    "frame_rate": "Over the connection's limit of frames; going on closes with 4003.",
    "token_expired": "Nothing but refresh is accepted any more.",
    "unavailable": "The log cannot take it: nothing was accepted, try again.",
}

REFUSALS: tuple[tuple[int, str, str], ...] = (
    (401, "token_missing", "no token"),
    (401, "token_invalid", "bad signature, wrong algorithm, malformed, wrong audience or issuer, not yet valid"),
    (401, "token_expired", "its exp has passed"),
    (401, "token_revoked", "it was revoked"),
    (403, "origin_forbidden", "this browser origin is not allowed"),
    (503, "overloaded", "the node is full, or too many come at once; Retry-After says when"),
    (503, "draining", "the server is going away; Retry-After says when"),
)
"""HTTP status, code and meaning of what a handshake may be answered with instead of 101."""

ABOUT = """\
Text frames of UTF-8, one JSON object each; unknown extra fields are ignored. Times are seconds since the Unix epoch.
Messages are numbered 1, 2, 3 ... without gaps within an epoch of their session; a client that comes back joins with
its last_seq, sends again what was not acked, and drops what it has: at least once on the wire, exactly once to the
person. Close codes below 4500 mean come back, from 4500 on do not."""


class _Type(NamedTuple):
    """One message of the document; `narrow` adds to its schema what the struct alone does not say."""

    name: str
    title: str
    example: Any
    narrow: dict[str, Any] | None = None


def _acting(action: str, *required: str) -> dict[str, Any]:
    return {"properties": {"action": {"const": action}}, "required": list(required)}


_TO_SERVER = (
    _Type("clientMessage", "Say something", frames.Say("m-1", "lobby", frames.Body(b'"hello"'))),
    _Type(
        "clientAck",
        "Acknowledge what arrived",
        frames.AckIn(session="lobby", up_to=7),
        {"anyOf": [{"required": ["session", "up_to"]}, {"required": ["message_id"]}]},
    ),
    _Type("clientTyping", "Begin or stop typing", frames.TypingIn("lobby", True)),
    _Type("clientPresence", "Say whether one is there", frames.PresenceIn("away")),
    _Type("clientHeartbeat", "Ask for the newest numbers", frames.HeartbeatIn(12.5)),
    _Type(
        "join",
        "Join a session, or resume it after last_seq",
        frames.StatusIn("join", "lobby", epoch=1, last_seq=7, replaces="c1"),
        _acting("join", "session"),
    ),
    _Type("leave", "Leave a session", frames.StatusIn("leave", "lobby"), _acting("leave", "session")),
    _Type(
        "refresh", "Hand in a new token", frames.StatusIn("refresh", token="HEADER.CLAIMS.SIGNATURE"),
        _acting("refresh", "token"),
    ),
)  # fmt: skip

_TO_CLIENT = (
    _Type(
        "welcome",
        "The first frame of every connection",
        frames.Welcome(
            connection="c1",
            user="ann",
            server_time=AT,
            ping_interval_s=30.0,
            pong_timeout_s=10.0,
            expires_in_s=3600.0,
            message_bytes_max=65_536,
            rate_limit=frames.RateLimit(60, 60.0),
        ),
    ),
    _Type(
        "joined",
        "A session was joined; replayed messages follow",
        frames.Joined(
            session="lobby",
            epoch=1,
            seq=9,
            recovered=True,
            replayed=2,
            participants=(frames.Participant("ann", "online"),),
        ),
    ),
    _Type("left", "A session was left, or ended", frames.Left(session="lobby", reason="left")),
    _Type("refreshed", "The new token was taken", frames.Refreshed(expires_in_s=3600.0)),
    _Type("delivered", "A receiver has messages", frames.Delivered(session="lobby", user="bob", message_ids=("m1-9",))),
    _Type(
        "undelivered",
        "A message was given up for a receiver",
        frames.Undelivered(message_id="m1-9", session="lobby", user="bob", reason="no_ack"),
    ),
    _Type("tokenExpiring", "The token ends soon", frames.TokenExpiring(expires_in_s=60.0)),
    _Type("draining", "The server is going away", frames.Draining(reconnect_after_ms=750)),
    _Type(
        "serverMessage",
        "What somebody said",
        frames.Message("m1-9", "lobby", 1, 9, "ann", frames.Body(b'"hello"'), AT, 1),
    ),
    _Type("serverAck", "The message is stored", frames.Ack("m-1", "m1-9", "lobby", 1, 9, False)),
    _Type("serverTyping", "Somebody types", frames.Typing("lobby", "ann", True)),
    _Type("serverPresence", "Somebody comes, goes or is away", frames.Presence("ann", "online", AT)),
    _Type("serverHeartbeat", "The newest number of each session", frames.Heartbeat(AT, {"lobby": 9}, 12.5)),
    _Type(
        "error",
        "A frame was refused",
        frames.Error("rate_limited", "over 60 messages in 60 s: try again later", "m-1", 1500),
        {"properties": {"code": {"enum": list(ERROR_CODES)}}},
    ),
)

_OPERATIONS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("say", "receive", ("clientMessage",), ("serverAck", "error")),
    ("acknowledge", "receive", ("clientAck",), ()),
    ("type", "receive", ("clientTyping",), ("error",)),
    ("appear", "receive", ("clientPresence",), ()),
    ("beat", "receive", ("clientHeartbeat",), ("serverHeartbeat",)),
    ("join", "receive", ("join",), ("joined", "error")),
    ("leave", "receive", ("leave",), ("left", "error")),
    ("refresh", "receive", ("refresh",), ("refreshed", "error")),
    ("greet", "send", ("welcome",), ()),
    ("deliver", "send", ("serverMessage",), ()),
    ("report", "send", ("delivered", "undelivered"), ()),
    ("relay", "send", ("serverTyping", "serverPresence"), ()),
    ("warn", "send", ("tokenExpiring", "draining"), ()),
    ("end", "send", ("left",), ()),
    ("refuse", "send", ("error",), ()),
)
"""Name, what the server does, the messages, and what they are answered with."""


def document() -> dict[str, Any]:
    """The whole document, as JSON values."""
    types = (*_TO_SERVER, *_TO_CLIENT)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "chatsim", "version": VERSION, "description": ABOUT},
        "defaultContentType": "application/json",
        "servers": {"local": _server()},
        "channels": {CHANNEL: _channel(types)},
        "operations": {name: _operation(act, said, heard) for name, act, said, heard in _OPERATIONS},
        "components": {
            "messages": {kind.name: _message(kind) for kind in types},
            "schemas": _schemas(types),
            "securitySchemes": _security(),
        },
    }


def _server() -> dict[str, Any]:
    schemes = [{"$ref": f"#/components/securitySchemes/{name}"} for name in _security()]
    return {"host": "127.0.0.1:8765", "protocol": "ws", "description": "chatsim serve", "security": schemes}


def _channel(types: tuple[_Type, ...]) -> dict[str, Any]:
    return {
        "address": PATH,
        "description": "One connection of one user; the WebSocket's pings and pongs are its signs of life.",
        "messages": {kind.name: {"$ref": f"#/components/messages/{kind.name}"} for kind in types},
        "bindings": {"ws": _binding()},
        "x-subprotocol": str(SUBPROTOCOL),
        "x-message-bytes-max": HandlerConfig().message_bytes_max,
        "x-close-codes": [{"code": code, "meaning": said, "reconnect": back} for code, said, back in CLOSE_CODES],
        "x-error-codes": ERROR_CODES,
        "x-handshake-refusals": [{"status": status, "error": code, "meaning": said} for status, code, said in REFUSALS],
    }


def _binding() -> dict[str, Any]:
    query = {
        "token": {"type": "string", "description": "The JWT, where no header can be set."},
        "resume": {"type": "string", "description": "The name of the connection that this one takes the place of."},
    }
    return {"method": "GET", "query": {"type": "object", "properties": query}, "bindingVersion": "0.1.0"}


def _security() -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "query": {"type": "httpApiKey", "name": "token", "in": "query"},
        "subprotocol": {
            "type": "httpApiKey",
            "name": "Sec-WebSocket-Protocol",
            "in": "header",
            "description": f"{SUBPROTOCOL}, {BEARER_PREFIX}JWT: for browsers, which can set no other header.",
        },
    }


def _operation(action: str, messages: tuple[str, ...], answers: tuple[str, ...]) -> dict[str, Any]:
    channel = {"$ref": f"#/channels/{CHANNEL}"}
    made: dict[str, Any] = {"action": action, "channel": channel, "messages": _refs(messages)}
    if answers:
        made["reply"] = {"channel": channel, "messages": _refs(answers)}
    return made


def _refs(names: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{CHANNEL}/messages/{name}"} for name in names]


def _message(kind: _Type) -> dict[str, Any]:
    payload: dict[str, Any] = {"$ref": f"#/components/schemas/{type(kind.example).__name__}"}
    if kind.narrow:
        payload = {"allOf": [payload, {"type": "object", **kind.narrow}]}
    return {
        "name": kind.name,
        "title": kind.title,
        "contentType": "application/json",
        "payload": payload,
        "examples": [{"payload": json.loads(frames.encode(kind.example))}],
    }


def _schemas(types: tuple[_Type, ...]) -> dict[str, Any]:
    """The shapes of all frames by the names of their structs, with what the structs refer to."""
    kinds = sorted({type(kind.example) for kind in types}, key=_name_of)
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return {name: _schema(found[name]) for name in sorted(found)}


def _name_of(kind: type) -> str:
    return kind.__name__


def _schema(found: dict[str, Any]) -> dict[str, Any]:
    """A struct's schema for those who do not read the struct: one sentence, and what is always there required."""
    about = {"description": found["description"].partition("\n\n")[0]} if "description" in found else {}
    properties, required = found["properties"], found["required"]
    if "default" in properties.get("status", {}):
        # A frame to a client has its status always; its default saves writing it in the code.
        properties = properties | {"status": {"enum": properties["status"]["enum"]}}
        required = [*required, "status"]
    return {"type": "object", **about, "properties": properties, "required": required}
