"""What is watched of sessions that are opened for a time."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.core.effects import Effect, Note, Send
from chatsim.core.facts import Ended, Made
from chatsim.core.frames import Left
from chatsim.core.snapshot import SessionState, Snapshot
from chatsim.verdict.invariants.watch import Watch
from tests.verdict.invariants.steps import EPOCH, Steps

ENDED = Note(Ended("s"))
PEOPLE = ("ann", "bob")


def opened(ttl_s: float | None = 20.0, *, told_s: float | None = 20.0, joined: bool = True) -> Steps:
    """At 10 s a session is opened for so long, and is said to be there for `told_s`; Ann and Bob are in it."""
    steps = Steps()
    steps.connect("a", "ann")
    steps.connect("b", "bob")
    steps.now = 10.0
    made = Made("s", PEOPLE, None if told_s is None else EPOCH + 10.0 + told_s, 1, lasting=True)
    steps.step("open_session", "s", PEOPLE, ttl_s, effects=(Note(made),))
    steps._made = True
    for conn, user in (("a", "ann"), ("b", "bob")) if joined else ():
        steps.join(conn, user, participants=tuple(steps.people(user)))
    return steps


def left(*to: str) -> Send:
    return Send(to, Left(session="s", reason="ended"))


def ends(steps: Steps, at: float, *effects: Effect, door: str = "wake", args: tuple[Any, ...] = ()) -> list[str]:
    steps.now = at
    steps.step(door, *args, effects=effects or (ENDED, left("a", "b")))
    return steps.broken


def test_it_ends_when_its_time_is_over() -> None:
    assert ends(opened(), 30.0) == []


def test_what_is_opened_without_an_end_has_none() -> None:
    steps = opened(None, told_s=None)
    steps.watch._lasting.sweep(1000.0, 1.0)
    assert ends(steps, 31.1, door="end_session", args=("s",)) == []
    assert ends(opened(None, told_s=None), 30.0) == ["session_ends"]


@pytest.mark.parametrize(("ttl_s", "told_s"), [(20.0, 10.0), (20.0, None), (None, 20.0)])
def test_it_is_there_for_as_long_as_it_was_ordered(ttl_s: float | None, told_s: float | None) -> None:
    assert opened(ttl_s, told_s=told_s, joined=False).broken == ["session_ends"]


@pytest.mark.parametrize(("at", "broken"), [(29.9, ["session_ends"]), (30.9, []), (31.1, ["session_ends"])])
def test_it_ends_neither_before_nor_after(at: float, broken: list[str]) -> None:
    assert ends(opened(), at) == broken


def test_one_that_does_not_end_is_told() -> None:
    steps = opened()
    for at, broken in ((30.9, []), (31.1, ["session_ends"])):
        steps.watch._lasting.sweep(at, 1.0)
        assert steps.broken == broken


def test_all_who_are_in_it_hear_of_its_end() -> None:
    assert ends(opened(), 30.0, ENDED, left("a")) == ["session_ends"]
    assert ends(opened(), 30.0, ENDED) == ["session_ends"]
    assert ends(opened(joined=False), 30.0, ENDED) == []


def test_an_order_about_it_ends_it_before_its_time_and_nothing_else_does() -> None:
    assert ends(opened(), 15.0, door="end_session", args=("s",)) == []
    assert ends(opened(), 15.0, door="remove_participant", args=("s", "ann")) == []
    assert ends(opened(), 15.0, door="end_session", args=("t",)) == ["session_ends"]
    assert ends(opened(), 15.0, door="pong", args=("a",)) == ["session_ends"]


@pytest.mark.parametrize(
    ("door", "args", "joined", "broken"),
    [
        ("end_session", ("s",), True, []),
        ("remove_participant", ("s", "ann"), True, []),
        # Room is made for another, where nobody is left in it.
        ("open_session", ("t", PEOPLE, None), False, []),
        ("open_session", ("t", PEOPLE, None), True, ["session_ends"]),
        ("end_session", ("t",), False, ["session_ends"]),
        ("disconnect", ("c",), False, ["session_ends"]),
        ("drain", (), True, ["session_ends"]),
    ],
)
def test_one_without_an_end_is_ended_by_order_or_is_forgotten_when_it_is_empty(
    door: str, args: tuple[Any, ...], joined: bool, broken: list[str]
) -> None:
    steps = opened(None, told_s=None, joined=joined)
    assert ends(steps, 15.0, *(() if joined else (ENDED,)), door=door, args=args) == broken


@pytest.mark.parametrize(
    ("by_s", "at", "broken"),
    [
        (5.0, 25.0, []),
        (5.0, 27.0, ["session_ends"]),
        (5.0, 24.0, ["session_ends"]),
        (-5.0, 35.0, []),
        # What is over when the clock is set is over at once.
        (60.0, 20.0, []),
        (60.0, 22.0, ["session_ends"]),
    ],
)
def test_its_end_is_by_the_clock_of_the_node(by_s: float, at: float, broken: list[str]) -> None:
    steps = opened()
    steps.now = 20.0
    steps.step("clock_jump", by_s)
    assert ends(steps, at) == broken


def kept(expires_at: float | None, epoch: int = 1) -> Snapshot:
    return Snapshot((SessionState("s", epoch, 0, PEOPLE, expires_at, (), (), lasting=True),))


@pytest.mark.parametrize(
    ("expires_at", "epoch", "broken"),
    [
        (EPOCH + 30.0, 1, []),
        (None, 1, ["session_ends"]),
        (EPOCH + 40.0, 1, ["session_ends"]),
        # Another session of that name.
        (None, 2, []),
    ],
)
def test_a_node_that_begins_again_knows_its_end(expires_at: float | None, epoch: int, broken: list[str]) -> None:
    steps = opened()
    steps.now = 20.0
    steps.step("begin", kept(expires_at, epoch), EPOCH, 1, 2)
    assert steps.broken == broken


@pytest.mark.parametrize(("at", "broken"), [(60.5, []), (61.5, ["session_ends"])])
def test_one_whose_time_was_over_while_no_node_was_there_ends_at_once(at: float, broken: list[str]) -> None:
    steps = opened()
    steps.now = 60.0
    steps.step("begin", kept(EPOCH + 30.0), EPOCH, 1, 2)
    assert ends(steps, at, ENDED) == broken


def test_what_an_earlier_run_has_opened_ends_too() -> None:
    steps = Steps()
    steps.watch = Watch(steps.config, EPOCH, kept(EPOCH + 30.0))
    assert ends(steps, 30.0, ENDED) == []
    steps = Steps()
    steps.watch = Watch(steps.config, EPOCH, kept(EPOCH + 30.0))
    assert ends(steps, 20.0, ENDED) == ["session_ends"]
