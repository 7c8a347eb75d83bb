"""What is watched of typing and presence."""

from __future__ import annotations

import pytest

from chatsim.core.effects import Close, Effect, Note, Send, Tell, Watch
from chatsim.core.facts import Ended
from chatsim.core.frames import (
    Error,
    Joined,
    Participant,
    Presence,
    PresenceIn,
    PresenceState,
    StatusIn,
    Typing,
    TypingIn,
)
from chatsim.core.snapshot import SessionState, Snapshot
from tests.verdict.invariants.steps import EPOCH, Steps


def two() -> Steps:
    steps = Steps()
    steps.arrive("a", "ann")
    steps.arrive("b", "bob")
    return steps


def tell(steps: Steps, door: str, frame: Typing | Presence, at: float) -> None:
    steps.now = at
    steps.step("pong", "a")
    steps.step(door, effects=(Tell("s", frame),))


def test_typing_is_told_once_an_interval_and_lapses() -> None:
    steps = two()
    tell(steps, "wake", Typing("s", "ann", True), 0.0)
    tell(steps, "wake", Typing("s", "ann", True), 3.0)
    tell(steps, "wake", Typing("s", "ann", False), 13.0)
    tell(steps, "wake", Typing("s", "ann", True), 16.0)
    assert steps.broken == []
    tell(steps, "wake", Typing("s", "ann", True), 18.0)
    assert steps.broken == ["typing"]


def test_who_types_still_is_not_said_to_have_stopped() -> None:
    steps = two()
    tell(steps, "wake", Typing("s", "ann", True), 0.0)
    tell(steps, "wake", Typing("s", "ann", False), 9.9)
    assert steps.broken == ["typing"]


def test_a_stop_is_not_told_before_the_interval_is_over() -> None:
    steps = two()
    tell(steps, "wake", Typing("s", "ann", True), 0.0)
    steps.step("receive", "a", TypingIn("s", False))
    tell(steps, "wake", Typing("s", "ann", False), 2.9)
    assert steps.broken == ["typing"]


def test_typing_is_told_at_once_unless_it_was_within_the_interval() -> None:
    steps = two()
    told = Tell("s", Typing("s", "ann", True))
    steps.step("receive", "a", TypingIn("s", True), effects=(told,))
    steps.now = 2.0
    steps.step("receive", "a", TypingIn("s", True))
    steps.now = 4.0
    steps.step("receive", "a", TypingIn("s", True), effects=(told,))
    assert steps.broken == []
    steps.now = 8.0
    steps.step("receive", "a", TypingIn("s", True))
    assert steps.broken == ["typing"]


def test_typing_where_she_is_not_is_told_to_nobody() -> None:
    steps = two()
    steps.step("receive", "a", TypingIn("elsewhere", True))
    assert steps.broken == []


@pytest.mark.parametrize(("renewed", "broken"), [(True, []), (False, ["typing"])])
def test_typing_that_is_not_renewed_ends(renewed: bool, broken: list[str]) -> None:
    steps = two()
    tell(steps, "wake", Typing("s", "ann", True), 0.0)
    steps.now = 9.0
    if renewed:
        steps.step("receive", "a", TypingIn("s", True), effects=(Tell("s", Typing("s", "ann", True)),))
    steps.step("pong", "b")
    steps.now = 11.5
    steps.step("wake")
    assert steps.broken == broken


def test_who_is_gone_is_offline_after_the_grace() -> None:
    steps = two()
    steps.step("disconnect", "b")
    tell(steps, "wake", Presence("bob", "offline", EPOCH + 15.0), 15.0)
    assert steps.broken == []


@pytest.mark.parametrize(("state", "at"), [("offline", 3.0), ("online", 3.0)])
def test_nothing_else_is_told_of_her(state: PresenceState, at: float) -> None:
    steps = two()
    steps.step("disconnect", "b")
    tell(steps, "wake", Presence("bob", state, EPOCH + at), at)
    assert steps.broken == ["presence"]


def test_who_is_there_is_not_offline() -> None:
    steps = two()
    tell(steps, "wake", Presence("bob", "offline", EPOCH), 0.0)
    assert steps.broken == ["presence"]


def test_somebody_is_told_when_she_stays_away() -> None:
    steps = two()
    steps.step("disconnect", "b")
    for at in (10.0, 20.5):
        steps.now = at
        steps.step("pong", "a")
    assert steps.broken == ["presence"]


@pytest.mark.parametrize(
    ("to", "broken"), [(("b",), []), (("a", "b"), ["others"]), ((), ["others"]), (("d",), ["others"])]
)
def test_the_others_hear_it(to: tuple[str, ...], broken: list[str]) -> None:
    steps = two()
    steps.connect("d", "dan")
    frame = Typing("s", "ann", True)
    steps.step("told", "s", frame, effects=(Send(to, frame),))
    assert steps.broken == broken


def test_they_hear_what_was_told_and_nothing_else() -> None:
    for at, broken in ((EPOCH, []), (EPOCH + 1.0, ["others"])):
        steps = two()
        heard = Send(("b",), Presence("ann", "away", at))
        steps.step("told", "s", Presence("ann", "away", EPOCH), effects=(heard,))
        assert steps.broken == broken


@pytest.mark.parametrize(("to", "broken"), [((), ["others"]), (("c",), []), (("b", "c"), ["others"])])
def test_who_lags_is_spared_and_nobody_else(to: tuple[str, ...], broken: list[str]) -> None:
    steps = two()
    steps.arrive("c", "cid")
    steps.step("pressure", "b", 600 * 1024)
    frame = Typing("s", "ann", True)
    steps.step("told", "s", frame, effects=(*((Send(to, frame),) if to else ()), Watch("b")))
    assert steps.broken == broken


def test_where_all_others_lag_nobody_hears_it() -> None:
    steps = two()
    steps.step("pressure", "b", 600 * 1024)
    steps.step("told", "s", Typing("s", "ann", True), effects=(Watch("b"),))
    assert steps.broken == []


def test_at_the_end_everybody_is_said_to_be_what_she_is() -> None:
    steps = two()
    rules = steps.watch._signals
    rules.check_states(1.0, [("s", "ann", "online"), ("@ann", "ann", "away")])
    assert steps.broken == []
    rules.check_states(1.0, [("s", "ann", "away")])
    assert steps.broken == ["presence"]


def shows(steps: Steps, *effects: Effect) -> list[str]:
    steps.step("receive", "a", PresenceIn("away"), effects=effects)
    return steps.broken


def test_what_somebody_says_of_herself_is_told_at_once() -> None:
    assert shows(two(), Tell("s", Presence("ann", "away", EPOCH))) == []
    assert shows(two()) == ["presence"]
    assert shows(two(), Tell("s", Presence("ann", "online", EPOCH))) == ["presence"]


@pytest.mark.parametrize(
    ("gone_s", "state", "broken"),
    [
        (14.9, "away", []),
        (14.9, "online", ["presence"]),
        (15.0, "online", []),
        # Whoever was gone for longer than the grace begins anew.
        (15.0, "away", ["presence"]),
    ],
)
@pytest.mark.parametrize("door", ["disconnect", "wake"])
def test_who_comes_back_is_what_she_was_within_the_grace(
    door: str, gone_s: float, state: PresenceState, broken: list[str]
) -> None:
    steps = two()
    shows(steps, Tell("s", Presence("ann", "away", EPOCH)))
    for at, conn in ((20.0, "a"), (20.0, "b"), (40.0, "b")):
        steps.now = at
        steps.step("pong", conn)
    if door == "wake":
        steps.step(door, effects=(Close("a", 4001, ""),))
    else:
        steps.step(door, "a")
    if gone_s >= 15.0:
        steps.now = 55.0
        steps.step("wake", effects=(Tell("s", Presence("ann", "offline", EPOCH + 55.0)),))
    steps.now = 40.0 + gone_s
    steps.connect("a2", "ann")
    comes(steps, "a2", state)
    assert steps.broken == broken


def comes(steps: Steps, conn: str, state: PresenceState) -> None:
    """Ann joins once more, and is said to be so."""
    room = steps.watch._roster.rooms["s"]
    there = {user: room.presence.get(user, "offline") for user in room.participants} | {"ann": state}
    people = tuple(Participant(user, shown) for user, shown in there.items())  # type: ignore[arg-type]
    joined = Joined(session="s", epoch=1, seq=0, recovered=False, replayed=0, participants=people)
    news = Tell("s", Presence("ann", state, EPOCH + steps.now))
    steps.step("receive", conn, StatusIn("join", "s"), effects=(Send((conn,), joined), news))


def test_who_has_another_connection_is_there_all_the_while() -> None:
    steps = two()
    shows(steps, Tell("s", Presence("ann", "away", EPOCH)))
    steps.connect("a2", "ann")
    steps.step("disconnect", "a")
    tell(steps, "wake", Presence("ann", "offline", EPOCH + 15.0), 15.0)
    steps.now = 30.0
    steps.connect("a3", "ann")
    comes(steps, "a3", "away")
    assert steps.broken == []


def test_nobody_is_away_who_has_not_said_so() -> None:
    steps = two()
    tell(steps, "wake", Presence("ann", "away", EPOCH), 0.0)
    assert steps.broken == ["presence"]


def test_a_node_that_begins_again_knows_nobody_to_be_away() -> None:
    for state, broken in (("online", []), ("away", ["presence"])):
        steps = two()
        shows(steps, Tell("s", Presence("ann", "away", EPOCH)))
        kept = SessionState("s", 1, 0, ("ann", "bob"), None, (), ())
        steps.step("begin", Snapshot((kept,)), EPOCH, 1, 2)
        steps.connect("a2", "ann")
        comes(steps, "a2", state)  # type: ignore[arg-type]
        assert steps.broken == broken


@pytest.mark.parametrize("jumped_s", [0.0, 60.0])
def test_each_is_told_with_the_moment_by_the_clock_of_the_node(jumped_s: float) -> None:
    for early_s, broken in ((0.0, []), (30.0, ["presence"]), (-1e9, ["presence"])):
        steps = two()
        steps.now = 10.0
        steps.step("clock_jump", jumped_s)
        assert shows(steps, Tell("s", Presence("ann", "away", EPOCH + 10.0 + jumped_s - early_s))) == broken


def test_who_says_so_again_or_is_nowhere_is_not_told_of() -> None:
    steps = two()
    shows(steps, Tell("s", Presence("ann", "away", EPOCH)))
    assert shows(steps) == []
    alone = Steps()
    alone.connect("a", "ann")
    assert shows(alone) == []


def test_what_is_refused_says_nothing() -> None:
    assert shows(two(), Send(("a",), Error("frame_rate", ""))) == ["frame_limit"]


@pytest.mark.parametrize(("at", "broken"), [(3.0, []), (9.0, ["typing"])])
def test_a_stop_is_told_when_the_interval_allows(at: float, broken: list[str]) -> None:
    steps = two()
    tell(steps, "wake", Typing("s", "ann", True), 0.0)
    steps.step("receive", "a", TypingIn("s", False))
    tell(steps, "wake", Typing("s", "ann", False), at)
    assert steps.broken == broken


def test_a_session_that_is_over_takes_its_typing_along() -> None:
    steps = two()
    tell(steps, "wake", Typing("s", "ann", True), 0.0)
    steps.step("wake", effects=(Note(Ended("s")),))
    steps.join("a", "ann")
    steps.join("b", "bob")
    tell(steps, "wake", Typing("s", "ann", True), 1.0)
    tell(steps, "wake", Typing("s", "ann", False), 11.0)
    steps.now = 20.0
    steps.step("wake")
    assert "typing" not in steps.broken


@pytest.mark.parametrize(
    ("told", "broken"),
    [
        ({"ann": "online", "bob": "online", "cid": "online"}, []),
        ({"ann": "away", "bob": "online", "cid": "online"}, ["presence"]),
        ({"ann": "offline", "bob": "online", "cid": "online"}, ["presence"]),
        ({"ann": "online", "bob": "online", "cid": "offline"}, ["presence"]),
        ({"ann": "online", "cid": "online"}, ["presence"]),
        ({"ann": "online", "bob": "online", "cid": "online", "dan": "offline"}, ["presence"]),
    ],
)
def test_who_joins_is_told_who_takes_part_and_who_is_there(told: dict[str, PresenceState], broken: list[str]) -> None:
    steps = two()
    steps.connect("c", "cid")
    steps.join("c", "cid", participants=tuple(Participant(user, state) for user, state in told.items()))
    assert steps.broken == broken
