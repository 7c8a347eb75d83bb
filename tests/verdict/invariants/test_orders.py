"""What is watched of authors, orders, evictions, and of when to try again."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Close, Effect, Note, Record, Send
from chatsim.core.facts import Ended, Made, Removed, Revoked
from chatsim.core.frames import Ack, Error, Heartbeat, HeartbeatIn, Left, Say, StatusIn, TokenExpiring, Undelivered
from chatsim.core.service import SERVER
from tests.verdict.invariants.steps import BODY, EPOCH, Steps, claims, message, record


def two(**words: Any) -> Steps:
    """Ann and Bob are in "s", and Cid is in none."""
    steps = Steps(HandlerConfig(**words))
    steps.arrive("a", "ann")
    steps.arrive("b", "bob")
    steps.connect("c", "cid")
    return steps


def left(*to: str, reason: str = "ended") -> Send:
    return Send(to, Left(session="s", reason=reason))


@pytest.mark.parametrize(
    ("conn", "sender", "session", "broken"),
    [
        ("a", "ann", "s", []),
        ("a", "ann", "@ann", []),
        ("", SERVER, "@ann", []),
        ("c", "cid", "s", ["author"]),
        ("c", "cid", "@ann", ["author"]),
        ("c", "cid", "nowhere", ["author"]),
        ("", SERVER, "s", ["author"]),
    ],
)
def test_who_writes_takes_part(conn: str, sender: str, session: str, broken: list[str]) -> None:
    steps = two()
    record = Record(session, sender, conn, "1", BODY, EPOCH, 1)
    steps.step("receive", conn, Say("1", session, BODY), effects=(Append(record),))
    assert steps.broken == broken


def test_a_token_that_does_not_name_the_session_lets_nobody_write() -> None:
    steps = two()
    steps.step("wake", effects=(Note(Made("t", ("ann",), None, 1)),))
    steps.step("receive", "a", Say("1", "t", BODY), effects=(Append(Record("t", "ann", "a", "1", BODY, EPOCH, 1)),))
    assert steps.broken == ["author"]


@pytest.mark.parametrize(
    ("effects", "broken"),
    [
        ((Note(Ended("s")), left("a", "b")), []),
        ((Note(Ended("s")), left("a")), ["ordered"]),
        ((left("a", "b"),), ["ordered"]),
        ((), ["ordered"]),
    ],
)
def test_a_session_that_is_ended_ends_for_all(effects: tuple[Effect, ...], broken: list[str]) -> None:
    steps = two()
    steps.step("end_session", "s", effects=effects)
    assert steps.broken == broken


def test_what_is_not_there_and_what_is_somebodys_own_does_not_end() -> None:
    steps = two()
    steps.step("end_session", "nowhere")
    steps.step("end_session", "@ann")
    steps.step("remove_participant", "s", "cid")
    assert steps.broken == []


@pytest.mark.parametrize(
    ("effects", "broken"),
    [
        ((Note(Removed("s", "bob")), left("b", reason="removed")), []),
        ((Note(Ended("s")), left("a", "b", reason="removed")), []),
        ((Note(Removed("s", "bob")),), ["ordered"]),
        ((left("b", reason="removed"),), ["ordered"]),
    ],
)
def test_who_is_removed_is_told_and_is_out(effects: tuple[Effect, ...], broken: list[str]) -> None:
    steps = two()
    steps.step("remove_participant", "s", "bob", effects=effects)
    assert steps.broken == broken


@pytest.mark.parametrize(("victim", "broken"), [("a", []), ("a2", ["eviction"])])
def test_the_oldest_connection_makes_room(victim: str, broken: list[str]) -> None:
    steps = two(connections_per_user=2)
    steps.connect("a2", "ann")
    steps.connect("a3", "ann", None, Close(victim, 4502, "connection limit"))
    assert steps.broken == broken


def test_nobody_goes_where_there_is_room() -> None:
    steps = two(connections_per_user=2)
    steps.connect("a2", "ann", None, Close("a", 4502, "connection limit"))
    assert steps.broken == ["eviction"]


@pytest.mark.parametrize(("user", "broken"), [("bob", []), ("cid", ["given_up"])])
def test_who_has_left_has_nothing_given_up_for_her_later(user: str, broken: list[str]) -> None:
    steps = two(retention_messages=1)
    steps.stored(1, "a", "b")
    steps.stored(2, "a", "b")
    notice = Undelivered(message_id="m1", session="s", user=user, reason="expired")
    steps.step("wake", effects=(Send(("a",), notice),))
    assert [name for name in steps.broken if name == "given_up"] == broken


LEAVES = StatusIn("leave", "s")


@pytest.mark.parametrize(
    ("reason", "door", "args", "before", "broken"),
    [
        ("left", "receive", ("b", LEAVES), (left("b", reason="left"),), []),
        # She is in it still; the order is another's; it is another session; she has said something else; nobody asked.
        ("left", "receive", ("b", LEAVES), (), ["given_up"]),
        ("left", "receive", ("a", LEAVES), (left("b", reason="left"),), ["given_up"]),
        ("left", "receive", ("b", StatusIn("leave", "t")), (left("b", reason="left"),), ["given_up"]),
        ("left", "receive", ("b", StatusIn("join", "s")), (left("b", reason="left"),), ["given_up"]),
        ("left", "receive", ("b", HeartbeatIn()), (left("b", reason="left"),), ["given_up"]),
        ("left", "drain", (), (), ["given_up"]),
        ("ended", "end_session", ("s",), (Note(Ended("s")), left("a", "b")), []),
        ("ended", "drain", (), (), ["given_up"]),
        ("removed", "remove_participant", ("s", "bob"), (Note(Removed("s", "bob")), left("b", reason="removed")), []),
        ("left", "remove_participant", ("s", "bob"), (Note(Removed("s", "bob")), left("b")), ["given_up"]),
        ("removed", "remove_participant", ("s", "ann"), (Note(Removed("s", "ann")), left("a")), ["given_up"]),
        ("removed", "drain", (), (), ["given_up"]),
        ("revoked", "revoke", (None, "bob"), (Close("b", 4501, ""), Note(Revoked(None, "bob", EPOCH))), []),
        ("revoked", "revoke", (None, "cid"), (Close("c", 4501, ""), Note(Revoked(None, "cid", EPOCH))), ["given_up"]),
        ("drained", "drain", (), (), ["given_up"]),
    ],
)
def test_what_is_given_up_is_so_for_the_cause_that_is_told(
    reason: str, door: str, args: tuple[Any, ...], before: tuple[Effect, ...], broken: list[str]
) -> None:
    steps = two()
    steps.stored(1, "b")
    notice = Undelivered(message_id="m1", session="s", user="bob", reason=reason)
    steps.step(door, *args, effects=(*before, Send(("a",), notice)))
    assert [name for name in steps.broken if name == "given_up"] == broken


def test_who_has_gone_without_a_word_has_not_left() -> None:
    steps = two()
    steps.stored(1, "b")
    notice = Undelivered(message_id="m1", session="s", user="bob", reason="left")
    steps.step("disconnect", "b", effects=(Send(("a",), notice),))
    assert steps.broken == ["given_up"]


def test_what_ended_before_is_no_cause_of_what_is_given_up_now() -> None:
    steps = two()
    steps.stored(1, "b")
    steps.step("end_session", "s", effects=(Note(Ended("s")), left("a", "b")))
    notice = Undelivered(message_id="m1", session="s", user="bob", reason="ended")
    steps.step("wake", effects=(Send(("a",), notice),))
    assert steps.broken == ["given_up"]


@pytest.mark.parametrize(("reason", "door"), [("no_ack", "pong"), ("expired", "drain"), ("no_ack", "appended")])
def test_what_comes_of_time_is_told_when_time_passes(reason: str, door: str) -> None:
    steps = two(reliability="baseline")
    steps.stored(1, "b")
    steps.now = 1000.0
    notice = Undelivered(message_id="m1", session="s", user="bob", reason=reason)
    args = {"pong": ("a",), "drain": (), "appended": (record(2),)}[door]
    more = (Send(("b",), message(2)),) if door == "appended" else ()
    steps.step(door, *args, effects=(*more, Send(("a",), notice)))
    assert "given_up" in steps.broken


def refused(steps: Steps, told: Any, code: Any = "rate_limited") -> None:
    frame = Say("x", "s", BODY) if code == "rate_limited" else HeartbeatIn()
    steps.step("receive", "a", frame, effects=(Send(("a",), Error(code, "", "x", told)),))


@pytest.mark.parametrize(("told", "broken"), [(50_000, []), (50_001, []), (49_000, ["retry_after"]), (UNSET, None)])
def test_who_is_limited_is_told_when_the_window_is_free(told: Any, broken: list[str] | None) -> None:
    steps = two(rate_limit=2)
    for seq, at in enumerate((0.0, 4.0), 1):
        steps.now = at
        steps.say(seq)
        steps.stored(seq, "b")
    steps.now = 10.0
    refused(steps, told)
    assert steps.broken == (["retry_after"] if broken is None else broken)


@pytest.mark.parametrize(("told", "broken"), [(10_000, []), (20_000, ["retry_after"])])
def test_a_fixed_window_is_free_at_its_edge(told: int, broken: list[str]) -> None:
    steps = two(rate_algorithm="fixed", rate_window_s=20.0, rate_limit=1)
    steps.now = 30.0
    steps.say(1)
    steps.stored(1, "b")
    refused(steps, told)
    assert steps.broken == broken


@pytest.mark.parametrize(("told", "broken"), [(1, []), (1000, []), (1100, ["retry_after"])])
def test_a_bucket_has_a_token_soon(told: int, broken: list[str]) -> None:
    steps = two(rate_algorithm="token_bucket", rate_window_s=1.0, rate_limit=1)
    steps.say(1)
    steps.stored(1, "b")
    refused(steps, told)
    assert steps.broken == broken


@pytest.mark.parametrize(("told", "broken"), [(58_000, []), (60_000, ["retry_after"]), (UNSET, [])])
def test_a_frame_too_many_is_told_when_one_is_let_through(told: Any, broken: list[str]) -> None:
    # Those of 6 s and of 8 s count.
    steps = two(frame_limit=2)
    for at in (4.0, 6.0):
        steps.now = at
        steps.step("receive", "a", HeartbeatIn())
    steps.now = 8.0
    refused(steps, told, "frame_rate")
    assert steps.broken == broken


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        (Heartbeat(EPOCH, {"@ann": 0, "s": 1}, 7), []),
        (Heartbeat(EPOCH, {"@ann": 0, "s": 0}, 7), ["heartbeat"]),
        (Heartbeat(EPOCH, {"@ann": 0}, 7), ["heartbeat"]),
        (Heartbeat(EPOCH, {"@ann": 0, "s": 1}), ["heartbeat"]),
        (Heartbeat(0.0, {"@ann": 0, "s": 1}, 7), ["heartbeat"]),
        (Heartbeat(EPOCH + 1.0, {"@ann": 0, "s": 1}, 7), ["heartbeat"]),
    ],
)
def test_a_heartbeat_is_answered_with_what_it_brought_and_the_numbers(answer: Heartbeat, broken: list[str]) -> None:
    steps = two()
    steps.say(1)
    steps.stored(1, "b", more=(Send(("a",), Ack("id1", "m1", "s", 1, 1, False)),))
    steps.sent("receive", ("a",), answer, "a", HeartbeatIn(7))
    assert steps.broken == broken


@pytest.mark.parametrize(("told", "broken"), [(EPOCH + 25.0, []), (EPOCH + 5.0, ["heartbeat"])])
def test_the_time_of_a_heartbeat_follows_the_clock_of_the_node(told: float, broken: list[str]) -> None:
    steps = two()
    steps.now = 5.0
    steps.step("clock_jump", 20.0)
    steps.sent("receive", ("a",), Heartbeat(told, {"@ann": 0, "s": 0}, 7), "a", HeartbeatIn(7))
    assert steps.broken == broken


@pytest.mark.parametrize("duplicate", [True, False])
def test_who_repeats_an_id_is_told_so(duplicate: bool) -> None:
    steps = two()
    steps.say(1)
    steps.stored(1, "b", more=(Send(("a",), Ack("id1", "m1", "s", 1, 1, False)),))
    steps.sent("receive", ("a",), Ack("id1", "m1", "s", 1, 1, duplicate), "a", Say("id1", "s", BODY))
    assert steps.broken == ([] if duplicate else ["duplicate"])


@pytest.mark.parametrize(("left_s", "broken"), [(50.0, []), (0.0, ["warning"])])
def test_who_is_warned_is_told_how_long_her_token_is_good(left_s: float, broken: list[str]) -> None:
    steps = Steps()
    steps.connect("a", "ann", claims("ann", ends_at=50.0))
    steps.sent("wake", ("a",), TokenExpiring(expires_in_s=left_s))
    assert steps.broken == broken
