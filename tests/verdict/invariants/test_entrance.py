"""What is watched of coming in: what is told, which tokens are taken, and how many come how fast."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Close, Effect, Note, Send
from chatsim.core.facts import Revoked
from chatsim.core.frames import Draining, Error, RateLimit, Refreshed
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims
from tests.verdict.invariants.steps import EPOCH, Steps, claims, nothing_seen

# Welcomes.


def welcomed(**told: Any) -> list[str]:
    """What did not hold of a welcome that says something else."""
    steps = Steps()
    steps.now = 5.0
    steps.step("clock_jump", 0.0)
    token = claims("ann", ends_at=60.0)
    steps.step("connect", "a", token, effects=(Send(("a",), replace(steps.welcome("a", token), **told)),))
    return steps.broken


def test_a_welcome_that_says_what_is_so() -> None:
    assert welcomed() == []


@pytest.mark.parametrize(
    "told",
    [
        {"connection": "b"},
        {"user": "bob"},
        {"server_time": EPOCH},
        {"expires_in_s": 60.0},
        {"expires_in_s": 80.0},
        {"ping_interval_s": 3.0},
        {"pong_timeout_s": 3.0},
        {"message_bytes_max": 3},
        {"rate_limit": RateLimit(60, 30.0)},
    ],
)
def test_one_that_does_not(told: dict[str, Any]) -> None:
    assert welcomed(**told) == ["welcome"]


def test_after_a_jump_of_the_clock_a_token_has_less_left() -> None:
    steps = Steps()
    steps.step("clock_jump", 20.0)
    token = claims("ann", ends_at=60.0)
    right = replace(steps.welcome("a", token), server_time=EPOCH + 20.0, expires_in_s=40.0)
    steps.step("connect", "a", token, effects=(Send(("a",), right),))
    assert steps.broken == []


# New tokens.

GOOD = claims("ann", ends_at=600.0, iat=5.0, jti="t2")
TAKEN = Send(("a",), Refreshed(expires_in_s=590.0))


def refreshed(door: str, what: Any, *effects: Effect, revoked: str | None = None, user: str | None = None) -> list[str]:
    """What did not hold of an answer to a new token, at 10 s; one token, or all of a user's, were revoked before."""
    steps = Steps(forged={"forged"})
    if revoked is not None or user is not None:
        steps.step("revoke", revoked, user, effects=(Note(Revoked(revoked, user, EPOCH)),))
    steps.now = 8.0
    steps.connect("a", "ann", claims("ann", iat=8.0))
    steps.now = 10.0
    steps.step(door, "a", what, effects=effects)
    return steps.broken


def test_a_good_one_is_taken_and_its_time_told() -> None:
    assert refreshed("refresh", GOOD, TAKEN) == []
    assert refreshed("refresh", GOOD, TAKEN, revoked="t1") == []
    assert refreshed("refresh", GOOD, Send(("a",), Refreshed(expires_in_s=600.0))) == ["refresh"]
    assert refreshed("refresh", GOOD) == ["refresh"]


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, exp=EPOCH + 9.9),
        replace(GOOD, nbf=EPOCH + 10.1),
        replace(GOOD, iat=EPOCH + 11.1),
        replace(GOOD, jti="forged"),
    ],
)
def test_one_that_is_no_good_is_not_taken(bad: Claims) -> None:
    assert refreshed("refresh", bad, Send(("a",), Refreshed(expires_in_s=bad.exp - EPOCH - 10.0))) == ["refresh"]


def test_another_users_ends_the_connection() -> None:
    assert refreshed("refresh", claims("bob"), Close("a", 4500, "")) == []
    assert refreshed("refresh", claims("bob"), Send(("a",), Refreshed(expires_in_s=3590.0))) == ["refresh"]
    assert refreshed("refresh", GOOD, Close("a", 4500, "")) == ["refresh", "close_code"]


def test_a_revoked_one_ends_it_too() -> None:
    assert refreshed("refresh", GOOD, Close("a", 4501, ""), revoked="t2") == []
    assert refreshed("refresh", GOOD, TAKEN, revoked="t2") == ["refresh"]
    assert refreshed("refresh", GOOD, Close("a", 4501, "")) == ["refresh", "close_code"]
    # All of hers that are older than the order.
    old = replace(GOOD, iat=EPOCH - 1.0)
    assert refreshed("refresh", old, Close("a", 4501, ""), user="ann") == []
    assert refreshed("refresh", old, TAKEN, user="ann") == ["refresh"]


@pytest.mark.parametrize(("code", "right"), [("token_invalid", 4500), ("token_missing", 4500), ("token_revoked", 4501)])
def test_one_that_is_no_good_ends_it(code: str, right: int) -> None:
    assert refreshed("refuse_refresh", code, Close("a", right, "")) == []
    assert refreshed("refuse_refresh", code, Send(("a",), Error(code, ""))) == ["refresh"]
    assert "refresh" in refreshed("refuse_refresh", code, Close("a", 9501 - right, ""))


def test_one_that_has_ended_changes_nothing() -> None:
    code = "token_expired"
    assert refreshed("refuse_refresh", code, Send(("a",), Error(code, ""))) == []
    assert refreshed("refuse_refresh", code) == ["refresh"]
    assert refreshed("refuse_refresh", code, Close("a", 4500, "")) == ["refresh", "close_code"]


# The doors.


def comes(steps: Steps, conn: str, at: float, user: str = "") -> None:
    steps.now = at
    steps.connect(conn, user or conn)


def over(steps: Steps, shown: dict[str, str], late_s: float = 0.0) -> list[str]:
    steps.watch._entrance.finish(steps.now, shown, late_s)
    return steps.broken


def test_strangers_come_in_at_the_rate_with_a_seconds_worth_at_once() -> None:
    steps = Steps(HandlerConfig(accept_rate_per_s=2.0))
    for place, at in enumerate((0.0, 0.0, 0.5, 1.0)):
        comes(steps, f"c{place}", at)
    shown = {f"c{place}": "" for place in range(5)}
    assert over(steps, shown) == []
    comes(steps, "c4", 1.1)
    assert over(steps, shown) == ["admission"]


def test_a_slow_rate_lets_in_one_at_a_time() -> None:
    for second, found in ((1.0, ["admission"]), (2.0, [])):
        steps = Steps(HandlerConfig(accept_rate_per_s=0.5))
        comes(steps, "a", 0.0)
        comes(steps, "b", second - 0.1)
        assert over(steps, {"a": "", "b": ""}) == found


def test_those_who_come_back_have_a_door_of_their_own() -> None:
    steps = Steps(HandlerConfig(accept_rate_per_s=1.0, resume_rate_per_s=2.0))
    comes(steps, "a", 0.0, "ann")
    comes(steps, "a2", 0.0, "ann")
    comes(steps, "a3", 0.0, "ann")
    assert over(steps, {"a": "", "a2": "a", "a3": "a2"}) == []
    comes(steps, "a4", 0.1, "ann")
    assert over(steps, {"a": "", "a2": "a", "a3": "a2", "a4": "a3"}) == ["admission"]


def test_whoever_may_have_come_by_either_door_counts_at_neither() -> None:
    steps = Steps(HandlerConfig(accept_rate_per_s=1.0, resume_rate_per_s=1.0))
    comes(steps, "a", 0.0, "ann")
    # Nobody knows what the first has shown, and the node may have forgotten the other two.
    for conn in ("x", "y", "z"):
        comes(steps, conn, 0.0)
    assert over(steps, {"a": "", "y": "before", "z": "before"}) == []


def test_a_new_life_begins_with_full_buckets_and_a_late_node_has_let_in_some_before() -> None:
    steps = Steps(HandlerConfig(accept_rate_per_s=1.0))
    comes(steps, "a", 0.0)
    steps.step("begin", Snapshot(), EPOCH, 1, 2)
    comes(steps, "b", 0.0)
    assert over(steps, {"a": "", "b": ""}) == []
    comes(steps, "c", 0.0)
    assert over(steps, {"a": "", "b": "", "c": ""}, late_s=1.0) == []
    assert over(steps, {"a": "", "b": "", "c": ""}) == ["admission"]


def test_the_end_of_a_run_asks_for_it() -> None:
    steps = Steps(HandlerConfig(accept_rate_per_s=1.0))
    comes(steps, "a", 0.0)
    comes(steps, "b", 0.0)
    assert steps.watch.finish(1.0, nothing_seen()) == []
    (found,) = steps.watch.finish(1.0, nothing_seen(), shown={"a": "", "b": ""})
    assert found.name == "admission"


def knock(steps: Steps, at: float, answer: str, user: str = "new", former: str = "") -> None:
    steps.watch.knocks(at, user, former, answer)


@pytest.mark.parametrize(
    ("answers", "broken"),
    [
        # Two are let in at once, and one in each half of a second that follows.
        ([(0.0, ""), (0.0, ""), (0.0, "overloaded"), (0.4, "overloaded"), (0.6, "")], []),
        ([(0.0, ""), (0.0, "overloaded")], ["admission"]),
        ([(0.0, ""), (0.0, ""), (0.6, "overloaded")], ["admission"]),
        ([(0.0, ""), (0.0, ""), (0.4, "")], ["admission"]),
        ([(0.0, ""), (9.0, ""), (9.0, ""), (9.0, "overloaded"), (9.0, "")], ["admission"]),
        ([(0.0, "draining")], ["admission"]),
    ],
)
def test_nobody_is_refused_at_the_door_while_there_is_room(answers: list[tuple[float, str]], broken: list[str]) -> None:
    steps = Steps(HandlerConfig(accept_rate_per_s=2.0, resume_rate_per_s=1.0))
    for at, answer in answers:
        knock(steps, at, answer)
    assert steps.broken == broken


def test_who_comes_back_knocks_at_another_door_and_who_may_have_at_either() -> None:
    steps = Steps(HandlerConfig(accept_rate_per_s=1.0, resume_rate_per_s=1.0))
    comes(steps, "a", 0.0, "ann")
    knock(steps, 0.0, "")
    knock(steps, 0.0, "", "ann", "a")
    knock(steps, 0.0, "overloaded", "ann", "a")
    assert steps.broken == []
    # Nobody knows whether the node knows her: she may have taken the room of either.
    knock(steps, 1.0, "", "bob", "b")
    knock(steps, 1.0, "overloaded")
    knock(steps, 1.0, "overloaded", "ann", "a")
    knock(steps, 1.0, "overloaded", "bob", "b")
    assert steps.broken == []
    knock(steps, 2.1, "overloaded", "ann", "a")
    assert steps.broken == ["admission"]


@pytest.mark.parametrize(("closed_at", "broken"), [(0.0, []), (-0.2, ["admission"])])
def test_a_node_is_full_with_those_who_have_not_answered_their_close_yet(closed_at: float, broken: list[str]) -> None:
    steps = Steps(HandlerConfig(connections_max=2))
    steps.now = closed_at
    steps.connect("a", "ann")
    steps.connect("b", "bob")
    steps.sent("drain", ("b",), Draining(reconnect_after_ms=0))
    steps.step("wake", effects=(Close("b", 1012, ""),))
    knock(steps, 5.9, "overloaded")
    assert [name for name in steps.broken if name == "admission"] == broken


def test_a_node_that_drains_may_say_so() -> None:
    steps = Steps()
    steps.step("drain")
    knock(steps, 0.0, "draining")
    assert steps.broken == []
