"""Any bytes from a peer give a frame or a fault and never raise; every frame survives the wire."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from chatsim.core.frames import (
    NESTING_MAX,
    UNREADABLE,
    Ack,
    AckIn,
    ClientFrame,
    Delivered,
    Draining,
    Error,
    Fault,
    Heartbeat,
    HeartbeatIn,
    Joined,
    Left,
    Message,
    Participant,
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
    decode_client,
    decode_server,
    encode,
    too_deep,
)
from tests.frames import welcome

CLIENT: list[tuple[str, ClientFrame]] = [
    ('{"type":"message","id":"i","session":"s","body":{"a":[1]}}', Say("i", "s", Raw(b'{"a":[1]}'))),
    ('{"type":"ack","session":"s","up_to":3}', AckIn("s", 3)),
    ('{"type":"ack","message_id":"m"}', AckIn(message_id="m")),
    ('{"type":"typing","session":"s","active":true}', TypingIn("s", True)),
    ('{"type":"presence","state":"away"}', PresenceIn("away")),
    ('{"type":"heartbeat"}', HeartbeatIn()),
    ('{"type":"heartbeat","t":1.5}', HeartbeatIn(1.5)),
    ('{"type":"status","action":"join","session":"s"}', StatusIn("join", "s")),
    (
        '{"type":"status","action":"join","session":"s","epoch":1,"last_seq":0,"replaces":"c"}',
        StatusIn("join", "s", 1, 0, "c"),
    ),
    ('{"type":"status","action":"refresh","token":"t"}', StatusIn("refresh", token="t")),
]

SERVER: list[ServerFrame] = [
    Message("m", "s", 1, 2, "ann", Raw(b'"hi"'), 1.5, 1),
    Ack("i", "m", "s", 1, 2, False),
    Typing("s", "ann", True),
    Presence("ann", "offline", 1.5),
    Heartbeat(1.5, {"s": 2}, 7),
    Error("rate_limited", "slow down", "i", 1200),
    welcome(),
    Joined(session="s", epoch=1, seq=2, recovered=True, replayed=1, participants=(Participant("ann", "away"),)),
    Left(session="s", reason="ended"),
    Refreshed(expires_in_s=9.0),
    Delivered(session="s", user="bob", message_ids=("m", "n")),
    Undelivered(message_id="m", session="s", user="bob", reason="no_ack"),
    TokenExpiring(expires_in_s=60.0),
    Draining(reconnect_after_ms=10),
]


@pytest.mark.parametrize(("text", "frame"), CLIENT, ids=[text for text, _ in CLIENT])
def test_a_client_frame_is_read(text: str, frame: ClientFrame) -> None:
    assert decode_client(text.encode()) == frame
    assert decode_client(encode(frame)) == frame


@pytest.mark.parametrize("frame", SERVER, ids=lambda f: type(f).__name__)
def test_a_server_frame_survives_the_wire(frame: ServerFrame) -> None:
    assert decode_server(encode(frame)) == frame


def test_the_sender_is_called_from_on_the_wire() -> None:
    assert json.loads(encode(SERVER[0])) == {
        "type": "message", "message_id": "m", "session": "s", "epoch": 1, "seq": 2, "from": "ann",
        "body": "hi", "sent_at": 1.5, "attempt": 1,
    }  # fmt: skip


def test_what_is_not_set_is_not_written() -> None:
    assert json.loads(encode(Error("bad_json", "not JSON"))) == {
        "type": "error", "code": "bad_json", "message": "not JSON",
    }  # fmt: skip
    assert json.loads(encode(Heartbeat(1.0, {}))) == {"type": "heartbeat", "server_time": 1.0, "seqs": {}}


def test_a_state_that_begins_as_the_most_common_one_is_looked_at_all_the_same() -> None:
    data = encode(Delivered(session="s", user="bob", message_ids=("m", "n")))
    assert data.startswith(b'{"type":"status","status":"delivered",')
    for found in (data, msgspec.Raw(data), b" " + data):
        assert decode_server(found) == Delivered(session="s", user="bob", message_ids=("m", "n"))
    for broken in (data[:-1], data.replace(b'"bob"', b"3"), data.replace(b'"session"', b'"sessions"'), data + b"x"):
        with pytest.raises(UNREADABLE):
            decode_server(broken)


def test_unknown_fields_are_ignored() -> None:
    assert decode_client(b'{"type":"presence","state":"online","mood":"good"}') == PresenceIn("online")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_json"),
        (b"hello", "bad_json"),
        (b'{"type":', "bad_json"),
        (b'{"type":"x","a":' + b"[" * 100_000, "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (b"[]", "bad_frame"),
        (b"null", "bad_frame"),
        (b"{}", "bad_frame"),
        (b'{"type":3}', "bad_frame"),
        (b'{"type":"message"}', "bad_frame"),
        (b'{"type":"message","id":"","session":"s","body":1}', "bad_frame"),
        (b'{"type":"error","code":"x","message":"y"}', "bad_frame"),
        (b'{"type":"status","action":"dance"}', "bad_frame"),
        (b'{"type":"ack","session":"s","up_to":-1}', "bad_frame"),
        (b'{"type":"presence","state":"offline"}', "bad_frame"),
        (b'{"type":"shout"}', "unknown_type"),
    ],
)
def test_a_fault_has_its_code(data: bytes, code: str) -> None:
    found = decode_client(data)
    assert isinstance(found, Fault)
    assert found.code == code
    assert found.detail


@pytest.mark.parametrize(("length", "fits"), [(1, True), (64, True), (65, False), (0, False)])
def test_an_id_has_1_to_64_characters(length: int, fits: bool) -> None:
    data = encode(Say("ä" * length, "s", Raw(b"1")))
    assert isinstance(decode_client(data), Say) is fits


@pytest.mark.parametrize(("length", "fits"), [(1, True), (128, True), (129, False), (0, False)])
def test_a_session_id_has_1_to_128_characters(length: int, fits: bool) -> None:
    assert isinstance(decode_client(encode(TypingIn("x" * length, True))), TypingIn) is fits


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    decode_client(data)


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["type", "id", "session", "body", "up_to", "active", "state", "action", "t", "epoch", "last_seq", "token"]
)


@settings(deadline=None)
@given(
    st.dictionaries(KEYS, JSON_VALUE, max_size=6),
    st.sampled_from(["message", "ack", "typing", "presence", "heartbeat", "status", "error", "x"]),
)
def test_no_json_object_raises(frame: dict[str, Any], kind: str) -> None:
    found = decode_client(json.dumps(frame | {"type": kind}).encode())
    if kind == "x":
        assert isinstance(found, Fault)
        assert found.code == "unknown_type"


@settings(deadline=None)
@given(JSON_VALUE)
def test_a_body_comes_out_as_it_went_in(body: Any) -> None:
    frame = decode_client(json.dumps({"type": "message", "id": "i", "session": "s", "body": body}).encode())
    assert isinstance(frame, Say)
    assert json.loads(bytes(frame.body)) == body
    message = Message("m", "s", 1, 1, "ann", frame.body, 0.0, 1)
    assert json.loads(encode(message))["body"] == body


def test_a_server_that_speaks_nonsense_is_an_error() -> None:
    for data in (b"{}", b'{"type":"status","status":"sing"}', b'{"type":"message"}', b"x"):
        with pytest.raises(msgspec.DecodeError):
            decode_server(data)


def test_an_absent_field_is_unset_and_not_none() -> None:
    frame = decode_client(b'{"type":"ack","message_id":"m"}')
    assert isinstance(frame, AckIn)
    assert frame.session is UNSET
    assert frame.up_to is UNSET


def nested(levels: int, inside: bytes = b"") -> bytes:
    return b"[" * levels + inside + b"]" * levels


def said(body: bytes) -> bytes:
    return b'{"type":"message","id":"i","session":"s","body":' + body + b"}"


@pytest.mark.parametrize("inside", [b"", b"1", b'"]]]\\"]]]"', b"[],[],{}"])
def test_levels_are_counted_outside_of_strings(inside: bytes) -> None:
    levels = 10 + (b"[]" in inside)
    assert not too_deep(nested(10, inside), levels)
    assert too_deep(nested(10, inside), levels - 1)
    assert not too_deep(b'"' + b"[" * 99 + b'"', 0)


def test_a_frame_is_nested_so_deep_and_no_deeper() -> None:
    deepest = nested(NESTING_MAX - 1)
    assert decode_client(said(deepest)) == Say("i", "s", Raw(deepest))
    for levels in (NESTING_MAX, 990, 100_000):
        assert decode_client(said(nested(levels))) == Fault("bad_json", "nested deeper than 512 levels")
    many = b"[" + b"[]," * NESTING_MAX + b"[]]"
    assert decode_client(said(many)) == Say("i", "s", Raw(many))
