"""Invariant: each kind of error has its exit code, and is of the one family."""

from __future__ import annotations

import pytest

from chatsim.errors import (
    BrokenPromiseError,
    ChatClosedError,
    ChatError,
    ChatsimError,
    HarnessError,
    JoinRefusedError,
    MessageRefusedError,
    RateLimitedError,
    TokenRefusedError,
    UnreachableError,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 3),
        (HarnessError("x"), 4),
        (BrokenPromiseError("x"), 1),
        (UnreachableError("x"), 4),
        (TokenRefusedError("x", "token_expired"), 3),
        (JoinRefusedError("x", "room", "not_a_participant"), 3),
        (MessageRefusedError("x", "too_large"), 4),
        (RateLimitedError("x", "rate_limited", 1.5), 4),
        (ChatClosedError("x", 4502), 4),
    ],
)
def test_each_kind_has_its_exit_code(error: ChatsimError, code: int) -> None:
    assert error.exit_code == code
    assert str(error) == "x"


def test_what_a_chat_raises_can_be_caught_at_once() -> None:
    assert issubclass(RateLimitedError, MessageRefusedError)
    for kind in (ChatClosedError, JoinRefusedError, MessageRefusedError, TokenRefusedError, UnreachableError):
        assert issubclass(kind, ChatError)
