"""Invariant: every frame is read back as it was written, and what is none is named so and raises nothing else.

Frames are drawn from the types of their fields, so that a new one is tried without a word here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw
from msgspec import inspect as shapes

from chatsim.core.frames import (
    UNREADABLE,
    ClientFrame,
    Fault,
    ServerFrame,
    decode_client,
    decode_server,
    encode,
)

# JSON has no other numbers that every reader keeps, and no half of a surrogate pair.
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _object(kind: type) -> st.SearchStrategy[Any]:
    """Every struct of this kind, its fields whatever their types allow."""
    shape = shapes.type_info(kind)
    assert isinstance(shape, shapes.StructType)
    return st.builds(kind, **{field.name: _field(field) for field in shape.fields})


def _field(field: shapes.Field) -> st.SearchStrategy[Any]:
    return st.just(UNSET) | _value(field.type) if field.default is UNSET else _value(field.type)


_VALUES: dict[type, Callable[[Any], st.SearchStrategy[Any]]] = {
    shapes.StrType: lambda shape: st.text(
        st.characters(exclude_categories=["Cs"]),
        min_size=shape.min_length or 0,
        max_size=min(shape.max_length or 20, 20),
    ),
    shapes.IntType: lambda shape: st.integers(shape.ge if shape.ge is not None else -(2**63), 2**63 - 1),
    shapes.FloatType: lambda _: NUMBERS,
    shapes.BoolType: lambda _: st.booleans(),
    shapes.LiteralType: lambda shape: st.sampled_from(shape.values),
    shapes.RawType: lambda _: JSON.map(lambda value: Raw(msgspec.json.encode(value))),
    shapes.VarTupleType: lambda shape: st.lists(_value(shape.item_type), max_size=3).map(tuple),
    shapes.DictType: lambda shape: st.dictionaries(_value(shape.key_type), _value(shape.value_type), max_size=3),
    shapes.StructType: lambda shape: _object(shape.cls),
    shapes.UnionType: lambda shape: st.one_of(*map(_value, shape.types)),
}


def _value(shape: shapes.Type) -> st.SearchStrategy[Any]:
    return _VALUES[type(shape)](shape)


CLIENT = st.one_of(*map(_object, get_args(ClientFrame)))
SERVER = st.one_of(*map(_object, get_args(ServerFrame)))
DAMAGE = st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3))


def damaged(data: bytes, damage: tuple[int, int, bytes]) -> bytes:
    """The same with some bytes cut out, and others in their place."""
    at, size, instead = damage
    at %= len(data) + 1
    return data[:at] + instead + data[at + size :]


@given(CLIENT)
def test_what_a_client_writes_is_read_as_it_was_written(frame: ClientFrame) -> None:
    assert decode_client(encode(frame)) == frame


@given(SERVER)
def test_what_a_server_writes_is_read_as_it_was_written(frame: ServerFrame) -> None:
    assert decode_server(encode(frame)) == frame


@given(SERVER)
def test_what_is_written_is_json_and_one_line(frame: ServerFrame) -> None:
    assert b"\n" not in encode(frame)
    found = json.loads(encode(frame))
    assert found["type"] in ("message", "ack", "typing", "presence", "heartbeat", "status", "error")


@given(CLIENT.map(encode) | SERVER.map(encode) | JSON.map(msgspec.json.encode) | st.binary(max_size=60), DAMAGE)
def test_no_bytes_raise_anything_else(data: bytes, damage: tuple[int, int, bytes]) -> None:
    for one in (data, damaged(data, damage)):
        found = decode_client(one)
        if isinstance(found, Fault):
            assert found.code in ("bad_json", "bad_frame", "unknown_type")
        else:
            assert decode_client(encode(found)) == found
        try:
            frame = decode_server(one)
        except UNREADABLE:
            continue
        assert decode_server(encode(frame)) == frame


@given(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"":', b"}]")]), st.integers(1, 50_000), st.booleans())
def test_no_depth_raises_anything_else(brackets: tuple[bytes, bytes], depth: int, whole: bool) -> None:
    opening, closing = brackets
    inner = opening * depth + (b"1" + closing * depth + b"}" if whole else b"")
    for head in (b'{"type":"message","id":"1","session":"s","body":', b'{"type":"status","status":"welcome","x":'):
        found = decode_client(head + inner)
        if not isinstance(found, Fault):
            assert decode_client(encode(found)) == found
        with contextlib.suppress(*UNREADABLE):
            decode_server(head + inner)
