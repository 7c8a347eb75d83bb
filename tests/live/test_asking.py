"""What the server would not understand is refused at once, and all else becomes a frame that it reads."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from chatsim.core import frames
from chatsim.core.frames import NESTING_MAX, Say
from chatsim.errors import MessageTooLargeError, UsageError
from chatsim.live import asking
from tests.live.test_news import JSON


def nested(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels - 1):
        made = [made]
    return made


@pytest.mark.parametrize("name", ["", "x" * 129, "\ud800", "a\udfff", None, b"room"])
def test_what_is_no_name(name: Any) -> None:
    with pytest.raises(ValueError, match="session's name"):
        asking.check_name(name)


@given(st.text(min_size=1, max_size=128))
def test_text_is_a_name(name: str) -> None:
    asking.check_name(name)


@pytest.mark.parametrize("token", ["a\r\nX: y", "é", None, b"t"])
def test_what_is_no_token_is_not_quoted(token: Any) -> None:
    with pytest.raises(UsageError, match="given as a token is none"):
        asking.check_token(token)
    assert asking.check_token("a.b.c") == "a.b.c"


@given(JSON)
def test_what_is_sent_can_be_read_or_is_refused(body: Any) -> None:
    try:
        frame = asking.say("i", "s", body, 1_000_000)
    except ValueError:
        return
    read = frames.decode_client(frames.encode(frame))
    assert read == frame
    assert isinstance(read, Say)
    assert msgspec.json.decode(read.body) == body


@pytest.mark.parametrize(
    "body",
    [
        object(), {(1, 2): 3}, "\ud800", ["\ud800"], float("inf"), {"a": (1, [float("nan")])}, 10**5000,
        Raw(b"{"), Raw(b'1,"session":"t"'), Raw(b""), nested(NESTING_MAX), nested(5000),
    ],
    ids=lambda body: type(body).__name__,
)  # fmt: skip
def test_what_is_no_body(body: Any) -> None:
    with pytest.raises(ValueError, match="bod"):
        asking.say("i", "s", body, 1_000_000)


def test_the_deepest_body_and_the_longest() -> None:
    assert asking.say("i", "s", nested(NESTING_MAX - 1), 2000).id == "i"
    size = len(frames.encode(asking.say("i", "s", "x" * 100, 1000)))
    assert asking.say("i", "s", "x" * 100, size).session == "s"
    with pytest.raises(MessageTooLargeError) as large:
        asking.say("i", "s", "x" * 101, size)
    assert isinstance(large.value, ValueError)
    assert large.value.code == "too_large"
