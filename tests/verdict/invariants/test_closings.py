"""What is watched of closes: each has its cause, and each cause its close."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Close, Effect, Note, Send
from chatsim.core.facts import Revoked
from chatsim.core.frames import AckIn, ClientFrame, Draining, Error, HeartbeatIn, Presence, StatusIn
from chatsim.core.snapshot import Snapshot
from tests.verdict.invariants.steps import EPOCH, Steps, claims

TOO_MANY = Send(("a",), Error("frame_rate", ""))
FLOOD = Close("a", 4003, "frame flood")


def one(**words: Any) -> Steps:
    steps = Steps(HandlerConfig(**words))
    steps.connect("a", "ann")
    return steps


# Floods.


def beats(steps: Steps, at: float, *effects: Effect) -> None:
    steps.now = at
    steps.step("receive", "a", HeartbeatIn(), effects=effects)


def flooding(until: float) -> Steps:
    """One frame in 10 s is allowed, and one a second comes from 1 s on."""
    steps = one(frame_limit=1, frame_window_s=10.0, ping_interval_s=1000.0)
    beats(steps, 0.0)
    at = 1.0
    while at < until:
        beats(steps, at, TOO_MANY)
        at += 1.0
    return steps


def test_a_flood_is_closed_when_it_has_gone_on_for_a_window() -> None:
    steps = flooding(11.0)
    beats(steps, 11.0, TOO_MANY, FLOOD)
    assert steps.broken == []


@pytest.mark.parametrize("at", [1.0, 2.0, 10.0])
def test_it_is_not_closed_before(at: float) -> None:
    steps = flooding(at)
    beats(steps, at, TOO_MANY, FLOOD)
    assert steps.broken == ["flood"]


def test_one_that_is_never_closed_is_told() -> None:
    steps = flooding(11.0)
    beats(steps, 11.0, TOO_MANY)
    assert steps.broken == ["flood"]


def test_one_that_stops_and_begins_again_has_a_window_anew() -> None:
    steps = flooding(5.0)
    beats(steps, 14.5)
    beats(steps, 15.0, TOO_MANY)
    assert steps.broken == []
    beats(steps, 16.0, TOO_MANY, FLOOD)
    assert steps.broken == ["flood"]


def test_nobody_is_closed_for_a_flood_who_has_not_sent_too_much() -> None:
    steps = one()
    beats(steps, 1.0, FLOOD)
    assert steps.broken == ["close_code"]


# What is no frame.

NOT_JSON = ("a", "bad_json", "")
ANSWER = Send(("a",), Error("bad_json", ""))
VIOLATIONS = Close("a", 4503, "")


def broken(steps: Steps, *moments: float, then: Effect = VIOLATIONS) -> list[str]:
    """What did not hold after so much that was no frame: answered each time, and `then` at the last."""
    for place, at in enumerate(moments, 1):
        steps.now = at
        steps.step("malformed", *NOT_JSON, effects=(then if place == len(moments) else ANSWER,))
    return steps.broken


def test_the_first_violation_above_the_limit_of_a_window_closes() -> None:
    assert broken(one(violation_limit=2, violation_window_s=10.0), 1.0, 2.0, 3.0) == []
    assert broken(one(violation_limit=2, violation_window_s=10.0), 1.0, 2.0, 11.0, 11.5) == []
    assert broken(one(violation_limit=2, violation_window_s=10.0), 1.0, 2.0, 11.0, then=ANSWER) == []


@pytest.mark.parametrize(
    ("moments", "then"),
    [
        ((1.0,), VIOLATIONS),
        ((1.0, 2.0), VIOLATIONS),
        ((1.0, 2.0, 11.0), VIOLATIONS),
        ((1.0, 2.0, 3.0), ANSWER),
        ((1.0, 2.0, 3.0), Close("a", 4003, "")),
        ((1.0,), Send(("a",), Error("bad_frame", ""))),
    ],
)
def test_none_closes_earlier_or_later_or_is_left_without_an_answer(moments: tuple[float, ...], then: Effect) -> None:
    assert "violations" in broken(one(violation_limit=2, violation_window_s=10.0), *moments, then=then)


@pytest.mark.parametrize(("code", "right"), [("binary", 1003), ("bad_utf8", 1007), ("too_large", 1009)])
def test_what_cannot_be_answered_closes_at_once(code: str, right: int) -> None:
    for closed, found in ((right, []), (1000, ["violations", "close_code"])):
        steps = one()
        steps.step("malformed", "a", code, "", effects=(Close("a", closed, ""),))
        assert steps.broken == found
    steps = one()
    steps.step("malformed", "a", code, "", effects=(Send(("a",), Error(code, "")),))
    assert steps.broken == ["violations"]


@pytest.mark.parametrize(
    "frame", [AckIn(), AckIn("s"), AckIn(up_to=3), StatusIn("join"), StatusIn("leave"), StatusIn("refresh", "s")]
)
def test_a_frame_that_does_not_say_what_it_is_about_counts_as_none(frame: ClientFrame) -> None:
    for last, found in ((VIOLATIONS, []), (Send(("a",), Error("bad_frame", "")), ["violations"])):
        steps = one(violation_limit=1)
        steps.step("receive", "a", frame, effects=(Send(("a",), Error("bad_frame", "")),))
        steps.step("receive", "a", frame, effects=(last,))
        assert steps.broken == found


@pytest.mark.parametrize("frame", [AckIn("s", 3), AckIn(message_id="m1"), StatusIn("leave", "s"), HeartbeatIn()])
def test_one_that_does_is_no_violation(frame: ClientFrame) -> None:
    steps = one(violation_limit=0)
    steps.step("receive", "a", frame, effects=(VIOLATIONS,))
    assert steps.broken == ["close_code"]


# Causes of the other closes.


@pytest.mark.parametrize("code", [1000, 1011, 1013, 4000, 4003, 4500, 4501, 4502, 4503])
def test_no_close_comes_out_of_nothing(code: int) -> None:
    for door, args in (("wake", ()), ("receive", ("a", HeartbeatIn()))):
        steps = one()
        steps.step(door, *args, effects=(Close("a", code, ""),))
        assert steps.broken == ["close_code"]


@pytest.mark.parametrize(
    ("queued", "found"), [((101, 0), []), ((0, 5), []), ((100, 4), ["close_code"]), ((51, 3), ["close_code"])]
)
def test_who_is_too_slow_is_one_for_whom_more_waits_than_may(queued: tuple[int, int], found: list[str]) -> None:
    steps = one(outbound_bytes=100, outbound_frames=4)
    steps.step("pressure", "a", *queued, effects=(Close("a", 4000, ""),))
    assert steps.broken == found


def test_who_has_been_spared_much_less_than_she_may_is_not_too_slow() -> None:
    steps = one(outbound_frames=4)
    steps.join("a", "ann")
    steps.arrive("b", "bob")
    steps.step("pressure", "a", 0, 3)
    steps.step("told", "s", Presence("bob", "away", EPOCH), effects=(Close("a", 4000, ""),))
    assert steps.broken == ["close_code"]


def test_a_revocation_closes_those_whom_it_is_about() -> None:
    note = Note(Revoked(None, "ann", EPOCH))
    for user, found in (("ann", []), ("bob", ["close_code"])):
        steps = one()
        steps.step("revoke", None, user, effects=(note, Close("a", 4501, "")))
        assert steps.broken == found


def test_a_token_that_is_named_closes_its_connection() -> None:
    for held, found in (("t1", []), ("t2", ["close_code"])):
        steps = Steps()
        steps.connect("a", "ann", claims("ann", jti=held))
        steps.step("revoke", "t1", None, effects=(Note(Revoked("t1", None, EPOCH)), Close("a", 4501, "")))
        assert steps.broken == found


def resumes(steps: Steps, replaces: str, *before: Effect) -> list[str]:
    """Ann joins on a second connection in place of another."""
    steps.connect("a2", "ann")
    steps.step("receive", "a2", StatusIn("join", "s", replaces=replaces), effects=before)
    return steps.broken


def test_who_resumes_replaces_the_connection_that_she_names() -> None:
    assert resumes(one(), "a", Close("a", 4502, "")) == []
    assert resumes(one(), "a1", Close("a", 4502, "")) == ["close_code"]


@pytest.mark.parametrize(("replaces", "found"), [("a", ["replaced"]), ("b", []), ("gone", [])])
def test_the_connection_that_is_replaced_does_not_stay(replaces: str, found: list[str]) -> None:
    steps = Steps()
    steps.arrive("a", "ann")
    steps.connect("b", "bob")
    steps.connect("a2", "ann")
    steps.join("a2", "ann", asks=StatusIn("join", "s", replaces=replaces))
    assert steps.broken == found


# Draining.


def drains(steps: Steps, after_ms: int = 500) -> None:
    goodbyes = tuple(Send((conn,), Draining(reconnect_after_ms=after_ms)) for conn in ("a",))
    steps.step("drain", effects=goodbyes)


def test_a_drain_is_over_when_its_window_is() -> None:
    steps = one(ping_interval_s=1000.0)
    drains(steps)
    steps.now = 1.9
    steps.watch._closings.sweep(steps.now, 1.0)
    assert steps.broken == []
    steps.watch._closings.sweep(2.1, 1.0)
    assert steps.broken == ["drained"]


def test_who_was_closed_in_time_is_not_missed() -> None:
    steps = one()
    drains(steps)
    steps.now = 1.0
    steps.step("wake", effects=(Close("a", 1012, ""),))
    steps.now = 30.0
    steps.step("wake")
    assert steps.broken == []


def test_a_node_that_drains_lets_nobody_in_and_the_next_one_does() -> None:
    steps = one()
    drains(steps)
    steps.step("begin", Snapshot(), EPOCH, 1, 2)
    steps.connect("b", "bob")
    assert steps.broken == []
    steps.step("drain", effects=(Send(("b",), Draining(reconnect_after_ms=0)),))
    steps.connect("c", "cid")
    assert steps.broken == ["drained"]


def test_nobody_is_told_to_be_back_after_the_window() -> None:
    steps = one()
    drains(steps, 1001)
    assert steps.broken == ["farewell"]


def crowd(count: int, **words: Any) -> Steps:
    steps = Steps(HandlerConfig(ping_interval_s=1000.0, **words))
    for place in range(count):
        steps.connect(f"c{place}", f"u{place}")
    return steps


def told(steps: Steps, *after_ms: int) -> list[str]:
    goodbyes = (Send((f"c{place}",), Draining(reconnect_after_ms=ms)) for place, ms in enumerate(after_ms))
    steps.step("drain", effects=tuple(goodbyes))
    return steps.broken


@pytest.mark.parametrize(
    ("after_ms", "found"),
    [
        ((100, 900, 300, 500, 20), []),
        ((500,) * 5, ["farewell"]),
        ((500, 501, 500, 500, 501), ["farewell"]),
        # Of a few it may be luck.
        ((500,) * 4, []),
        ((500, 500, 500, 500, 510), []),
        (tuple(range(0, 500, 12)), ["farewell"]),
        (tuple(range(0, 1000, 24)), []),
        ((1001, 100, 900, 300, 500), ["farewell"]),
    ],
)
def test_each_is_told_a_moment_of_her_own_within_the_window(after_ms: tuple[int, ...], found: list[str]) -> None:
    assert told(crowd(len(after_ms)), *after_ms) == found


def test_a_window_of_nothing_has_no_moments_to_choose_from() -> None:
    assert told(crowd(6, drain_window_s=0.0), *(0,) * 6) == []


@pytest.mark.parametrize(
    ("moments", "found"),
    [
        ((0.0, 0.25, 0.5, 0.75), []),
        ((0.3, 0.3, 0.6, 0.9), []),
        ((0.0, 0.0, 0.0, 0.0), ["drained"]),
        ((0.0, 0.2, 0.5, 0.75), ["drained"]),
    ],
)
def test_they_are_closed_one_after_the_other(moments: tuple[float, ...], found: list[str]) -> None:
    steps = crowd(4)
    steps.now = 5.0
    told(steps, 100, 900, 300, 500)
    for place, after_s in enumerate(moments):
        steps.now = 5.0 + after_s
        steps.step("wake", effects=(Close(f"c{place}", 1012, ""),))
    assert steps.broken == found
