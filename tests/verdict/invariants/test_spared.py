"""What is watched of slow readers: what they are spared, and what they are told of it."""

from __future__ import annotations

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Note, Send, Watch
from chatsim.core.facts import Ended
from chatsim.core.frames import Left, Typing
from tests.verdict.invariants.steps import Steps

ANN = Typing("s", "ann", True)
CID = Typing("s", "cid", True)


def lagging(config: HandlerConfig | None = None) -> Steps:
    """Bob lags, and is spared that ann types and that cid does, in that order."""
    steps = Steps(config)
    for conn, user in (("a", "ann"), ("b", "bob"), ("c", "cid")):
        steps.arrive(conn, user)
    steps.step("pressure", "b", 600 * 1024)
    steps.step("told", "s", ANN, effects=(Send(("c",), ANN), Watch("b")))
    steps.step("told", "s", CID, effects=(Send(("a",), CID),))
    assert steps.broken == []
    return steps


def test_what_is_spared_is_told_in_order_and_all_of_it() -> None:
    steps = lagging()
    steps.step("pressure", "b", 0, 0, effects=(Send(("b",), ANN), Watch("b")))
    steps.step("pressure", "b", 0, 0, effects=(Send(("b",), CID),))
    steps.step("told", "s", ANN, effects=(Send(("c", "b"), ANN),))
    steps.watch.rest(3, 3)
    assert steps.broken == []


@pytest.mark.parametrize(
    "effects",
    [
        (),
        (Watch("b"),),
        (Send(("b",), ANN),),
        (Send(("b",), CID), Watch("b")),
        (Send(("b",), Typing("s", "ann", False)), Watch("b")),
        (Send(("b", "c"), ANN), Watch("b")),
        (Send(("b",), ANN), Send(("b",), CID), Send(("b",), CID)),
    ],
    ids=["nothing", "later", "no more", "the newest first", "something else", "too many", "twice"],
)
def test_anything_else_is_told(effects: tuple[Send | Watch, ...]) -> None:
    steps = lagging()
    steps.step("pressure", "b", 0, 0, effects=effects)
    assert steps.broken == ["spared"]


def test_who_still_lags_is_told_nothing() -> None:
    steps = lagging()
    steps.step("pressure", "b", 600 * 1024, effects=(Send(("b",), ANN),))
    assert steps.broken == ["spared"]


def test_somebody_must_say_when_there_is_room() -> None:
    steps = Steps()
    steps.arrive("a", "ann")
    steps.arrive("b", "bob")
    steps.step("pressure", "b", 600 * 1024)
    steps.step("told", "s", ANN)
    assert steps.broken == ["spared"]


def test_at_rest_nothing_is_left_to_be_told() -> None:
    steps = lagging()
    steps.watch.rest(3, 3)
    assert steps.broken == ["spared"]


def test_who_is_gone_or_out_of_it_is_told_nothing_more() -> None:
    steps = lagging()
    steps.step("disconnect", "b")
    steps.watch.rest(2, 2)
    assert steps.broken == []
    steps = lagging()
    steps.step("end_session", "s", effects=(Note(Ended("s")), Send(("a", "b", "c"), Left(session="s", reason="ended"))))
    steps.step("pressure", "b", 0, 0)
    steps.watch.rest(3, 3)
    assert steps.broken == []


def test_only_so_much_may_be_spared() -> None:
    steps = lagging(HandlerConfig(outbound_frames=4))
    for number in range(14):
        steps.step("told", "s", Typing("s", f"u{number}", True), effects=(Send(("a", "c"), Typing("s", "x", True)),))
    assert "bounded" not in steps.broken
    steps.step("told", "s", Typing("s", "u14", True), effects=(Send(("a", "c"), Typing("s", "x", True)),))
    assert "bounded" in steps.broken
