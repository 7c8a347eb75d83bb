"""What is looked at inside a handler: a sound one shows nothing, and one that is bent shows where."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chatsim.core.handler import ChatHandler
from chatsim.core.limiter import make_limiter
from chatsim.verdict.invariants.insides import problems, states
from tests.core.world import World


def world() -> World:
    """Ann has written to Bob, who was there, and to Cid, who is away."""
    made = World()
    for name in ("ann", "bob", "cid"):
        made.arrive(name)
    made.do("disconnect", "cid")
    made.say("ann", "1")
    return made


def found(handler: ChatHandler, now: float) -> set[str]:
    return {name for name, _ in problems(handler, now, None, 1.0)}


def test_a_sound_handler_shows_nothing() -> None:
    made = world()
    assert found(made.handler, made.now) == set()
    made.until(400.0)
    assert found(made.handler, made.now) == set()


def test_who_is_gone_for_good_is_forgotten() -> None:
    made = world()
    made.until(400.0)
    assert "cid" not in made.handler._users
    assert found(made.handler, made.now) == set()
    made.handler._users["cid"] = made.handler._users["ann"].__class__("cid", make_limiter(made.handler.config))
    made.handler._users["cid"].gone_at = 0.0
    assert found(made.handler, made.now) == {"leftovers"}


def test_the_node_and_its_handler_agree() -> None:
    made = world()
    assert [name for name, _ in problems(made.handler, 0.0, ["ann", "bob"], 1.0)] == []
    assert [name for name, _ in problems(made.handler, 0.0, ["ann"], 1.0)] == ["pool"]


def bend_names(handler: ChatHandler) -> None:
    handler._users["ann"].names = ()


def bend_connections(handler: ChatHandler) -> None:
    del handler._connections["bob"]


def bend_member(handler: ChatHandler) -> None:
    handler._sessions.by_name["s"].members["bob"].connections.clear()


def bend_room(handler: ChatHandler) -> None:
    handler._connections["bob"].member_of.clear()


def bend_laggards(handler: ChatHandler) -> None:
    handler._laggards.count = 3


def bend_pings(handler: ChatHandler) -> None:
    handler._pulse._slot_of.pop("bob")


def bend_bytes(handler: ChatHandler) -> None:
    handler._sessions.by_name["s"].retained_bytes += 1


def bend_ledger(handler: ChatHandler) -> None:
    handler.ledger.delivered += 1


def bend_owed(handler: ChatHandler) -> None:
    handler._sessions.by_name["s"].members["bob"].owed.clear()


def bend_participants(handler: ChatHandler) -> None:
    handler._sessions.by_name["s"].participants.clear()


def bend_questions(handler: ChatHandler) -> None:
    handler._ids._asked["x", "y", "z"] = ("c",)


def bend_participants_max(handler: ChatHandler) -> None:
    handler._sessions.by_name["s"].participants.update((f"u{n}", None) for n in range(handler.config.participants_max))


def bend_retained(handler: ChatHandler) -> None:
    session = handler._sessions.by_name["s"]
    session.retained.extend([session.retained[0]] * handler.config.retention_messages)


def bend_violations(handler: ChatHandler) -> None:
    handler._connections["bob"].violations = [0.0] * (handler.config.violation_limit + 1)


@pytest.mark.parametrize(
    ("bend", "name"),
    [
        (bend_names, "pool"),
        (bend_connections, "pool"),
        (bend_member, "pool"),
        (bend_room, "pool"),
        (bend_laggards, "pool"),
        (bend_pings, "pool"),
        (bend_bytes, "ledger"),
        (bend_ledger, "ledger"),
        (bend_owed, "ledger"),
        (bend_participants, "participant"),
        (bend_questions, "leftovers"),
        (bend_participants_max, "bounded"),
        (bend_retained, "bounded"),
        (bend_violations, "bounded"),
    ],
)
def test_a_bent_one_shows_where(bend: Callable[[ChatHandler], None], name: str) -> None:
    made = world()
    bend(made.handler)
    assert name in found(made.handler, made.now)


def test_a_timer_that_is_long_due_is_told() -> None:
    made = world()
    assert "leftovers" in found(made.handler, 10_000.0)


def test_who_is_joined_and_as_what() -> None:
    assert sorted(states(world().handler)) == [("s", "ann", "online"), ("s", "bob", "online")]
