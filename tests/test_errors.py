"""Invariant: each kind of error has its exit code, and is of the one family."""

from __future__ import annotations

import pickle

import pytest

from chatsim.errors import (
    BrokenPromiseError,
    ChatClosedError,
    ChatError,
    ChatsimError,
    HarnessError,
    JoinRefusedError,
    MessageRefusedError,
    MessageTooLargeError,
    RateLimitedError,
    TargetError,
    TokenRefusedError,
    UndeliveredError,
    UnreachableError,
    UsageError,
)
from chatsim.scenario.faults import FaultsError
from chatsim.scenario.load import Problem, ScenarioErrors


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


@pytest.mark.parametrize(
    "error",
    [
        UsageError("x"),
        TargetError("x", 3),
        JoinRefusedError("x", "room", "not_a_participant"),
        MessageTooLargeError(5, 3),
        RateLimitedError("x", "rate_limited", 1.5),
        UndeliveredError(2, "it broke"),
        FaultsError([(("groups", 0), "is missing")]),
        ScenarioErrors([Problem("a.yaml", 3, 1, "groups", "is missing")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_it_comes_out_of_another_process_as_it_is(error: ChatsimError) -> None:
    # A scenario that another process found wrong had the pool broken, and said nothing of what was wrong.
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)
