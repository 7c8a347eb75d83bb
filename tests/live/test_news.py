"""Every message can be shown, whatever its body."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from chatsim.core import frames
from chatsim.live.news import message_of

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def body_of(data: bytes) -> tuple[Any, bool]:
    """What is shown of a body, and whether it was decoded."""
    message = message_of(frames.Message("m", "s", 1, 2, "ann", Raw(data), 1.5, 3))
    assert (message.message_id, message.session, message.epoch, message.seq) == ("m", "s", 1, 2)
    assert (message.sender, message.sent_at, message.attempt) == ("ann", 1.5, 3)
    return message.body, message.decoded


@pytest.mark.parametrize(
    ("data", "body"),
    [(b'"hi"', "hi"), (b"1e999", inf), (b"[-1e999]", [-inf]), (b"9" * 4000, 10**4000 - 1), (b"null", None)],
    ids=repr,
)
def test_what_python_can_hold_is_a_value(data: bytes, body: Any) -> None:
    assert body_of(data) == (body, True)


@pytest.mark.parametrize("data", [b"9" * 5000, b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000])
def test_what_it_cannot_is_the_text(data: bytes) -> None:
    assert body_of(data) == (data.decode(), False)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises(data: bytes) -> None:
    _, decoded = body_of(data)
    assert decoded or body_of(data)[0] == data.decode(errors="replace")
