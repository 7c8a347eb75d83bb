"""Tokens in the course of a connection: warned of, refreshed, ended, revoked, and a wall clock that jumps."""

from __future__ import annotations

import pytest
from msgspec import UNSET, Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.credentials import DEAD_MAX
from chatsim.core.frames import (
    Error,
    Heartbeat,
    HeartbeatIn,
    Joined,
    Message,
    Refreshed,
    Say,
    StatusIn,
    TokenExpiring,
)
from chatsim.core.tokens import Claims
from tests.core.world import EPOCH, World, sends

# Ends.


def test_a_token_is_warned_of_then_refused_then_closed() -> None:
    world = World()
    world.connect("ann", ttl_s=300)
    world.until(239.9)
    assert world.heard("ann", TokenExpiring) == []
    world.until(299.9)
    assert world.dated("ann", TokenExpiring) == [(240, TokenExpiring(expires_in_s=60))]
    assert sends(world.receive("ann", HeartbeatIn()), Heartbeat)
    world.until(300)
    frames = (HeartbeatIn(), StatusIn("join", "s"), Say("x", "@ann", Raw(b"1")))
    errors = [error for frame in frames for _, error in sends(world.receive("ann", frame), Error)]
    assert [(error.code, error.id) for error in errors] == [
        ("token_expired", UNSET), ("token_expired", UNSET), ("token_expired", "x"),
    ]  # fmt: skip
    world.until(324.9)
    assert world.closes() == []
    world.until(325)
    assert world.closes() == [(325, "ann", 4002)]
    assert world.handler.counters.token_expired == 1


def test_a_short_token_is_warned_of_at_once() -> None:
    world = World()
    world.connect("ann", ttl_s=20)
    world.until(0)
    assert world.heard("ann", TokenExpiring) == [TokenExpiring(expires_in_s=20)]
    world.until(50)
    assert world.closes() == [(45, "ann", 4002)]


@pytest.mark.parametrize("at", [10.0, 250.0, 310.0])
def test_a_refresh_begins_anew(at: float) -> None:
    world = World()
    world.connect("ann", ttl_s=300)
    world.until(at)
    [(_, refreshed)] = sends(world.do("refresh", "ann", Claims("ann", EPOCH + 1000, sessions=("s",))), Refreshed)
    assert refreshed.expires_in_s == 1000 - at
    assert sends(world.join("ann"), Joined)
    world.until(1100)
    assert world.dated("ann", TokenExpiring)[-1][0] == 940
    assert world.closes() == [(1025, "ann", 4002)]


@pytest.mark.parametrize(("left_s", "warned_at"), [(40.0, 30.0), (100.0, 60.0), (200.0, 150.0)])
def test_a_new_token_is_not_warned_of_before_half_its_life(left_s: float, warned_at: float) -> None:
    """Or a client that renews when it is warned, with tokens shorter than the warning, would do nothing else."""
    world = World()
    world.connect("ann", ttl_s=20)
    world.until(10)
    world.do("refresh", "ann", Claims("ann", EPOCH + 10 + left_s))
    world.until(400)
    assert world.dated("ann", TokenExpiring)[1:] == [(warned_at, TokenExpiring(expires_in_s=10 + left_s - warned_at))]
    assert [(at, code) for at, _, code in world.closes()] == [(10 + left_s + 25.0, 4002)]


def test_a_jump_ahead_warns_of_a_new_token_as_of_any_other() -> None:
    world = World()
    world.connect("ann", ttl_s=20)
    world.until(10)
    world.do("refresh", "ann", Claims("ann", EPOCH + 110))
    world.do("clock_jump", 45.0)
    world.until(11)
    assert world.dated("ann", TokenExpiring)[1:] == [(10, TokenExpiring(expires_in_s=55.0))]


def test_a_refresh_with_another_users_token_is_closed_4500() -> None:
    world = World()
    world.connect("ann")
    world.do("refresh", "ann", Claims("bob", EPOCH + 1000))
    assert [code for _, _, code in world.closes()] == [4500]


@pytest.mark.parametrize(
    ("code", "close"), [("token_invalid", [4500]), ("token_revoked", [4501]), ("token_expired", [])]
)
def test_a_refused_refresh(code: str, close: list[int]) -> None:
    world = World()
    world.connect("ann")
    world.do("refuse_refresh", "ann", code)
    assert [code for _, _, code in world.closes()] == close
    assert world.handler.knows("ann") is not bool(close)


def test_a_revoked_token_closes_its_connections_at_once() -> None:
    world = World()
    world.connect("ann1", jti="a")
    world.connect("ann2", jti="b")
    world.connect("bob", jti="c")
    world.do("revoke", "a", None)
    assert world.closes() == [(0, "ann1", 4501)]
    assert world.handler.revoked(Claims("ann", EPOCH + 9, jti="a"))
    world.connect("ann3", jti="a")
    assert world.closes()[1:] == [(0, "ann3", 4501)]
    world.do("revoke", None, "ann")
    assert world.closes()[2:] == [(0, "ann2", 4501)]
    world.do("refresh", "bob", Claims("bob", EPOCH + 9, jti="a"))
    assert world.closes()[3:] == [(0, "bob", 4501)]


def test_all_that_a_user_had_is_revoked_and_what_she_gets_later_is_not() -> None:
    world = World()
    world.until(10)
    world.do("revoke", None, "ann")
    revoked = world.handler.revoked
    assert revoked(Claims("ann", EPOCH + 900))
    assert revoked(Claims("ann", EPOCH + 900, iat=EPOCH + 9.9))
    assert not revoked(Claims("ann", EPOCH + 900, iat=EPOCH + 10))
    assert not revoked(Claims("bob", EPOCH + 900))
    world.do("connect", "ann1", Claims("ann", EPOCH + 900, iat=EPOCH + 11))
    assert world.closes() == []
    world.do("refresh", "ann1", Claims("ann", EPOCH + 900, iat=EPOCH))
    assert world.closes() == [(10, "ann1", 4501)]


def test_a_revocation_is_forgotten_only_for_room_and_only_after_the_tokens_end() -> None:
    world = World(HandlerConfig(revocations_max=2))
    world.connect("ann", jti="a", ttl_s=100)
    world.do("revoke", "a", None)
    world.do("revoke", "b", None)
    handler = world.handler
    assert not handler.revocable(0, "c", None)
    assert handler.revocable(0, "a", None)
    assert world.do("revoke", "c", None) == world.do("revoke", None, "ann") == []
    assert not handler.revoked(Claims("cid", EPOCH + 900, jti="c"))
    world.until(101)
    assert handler.revoked(Claims("ann", EPOCH + 100, jti="a"))
    assert not handler.revocable(101, "c", "ann")
    assert world.do("revoke", None, "cid")
    assert [handler.revoked(Claims("x", EPOCH + 900, jti=jti)) for jti in "abc"] == [False, True, False]
    world.until(1e6)
    assert world.do("revoke", "d", None) == [], "nobody knows how long those of a user live"


# No more is kept than there are connections.


def test_refreshes_and_connections_that_are_gone_leave_little_behind() -> None:
    world = World(HandlerConfig(connections_per_user=1, frame_limit=1_000_000))
    ends = world.handler._credentials._ends
    for number in range(400):
        world.pass_s(1)
        # Everyone but the newest is gone, and each token is a little shorter than the one before.
        world.connect(f"ann{number}", ttl_s=1e4 - number)
        for _ in range(3):
            world.do("refresh", f"ann{number}", Claims("ann", EPOCH + 2e4 - 2 * number))
        assert len(ends) <= 1 + 2 * DEAD_MAX
    world.until(2e4)
    assert [(conn, code) for _, conn, code in world.closes()][-1] == ("ann399", 4002)


def test_a_token_that_ends_before_the_one_it_follows_ends_in_time() -> None:
    world = World()
    world.connect("ann", ttl_s=1000)
    world.until(10)
    world.do("refresh", "ann", Claims("ann", EPOCH + 400))
    world.until(2000)
    assert [at for at, _ in world.dated("ann", TokenExpiring)] == [340.0]
    assert [(at, code) for at, _, code in world.closes()] == [(425.0, 4002)]


def test_a_revocation_that_is_over_makes_no_room_for_itself() -> None:
    world = World(HandlerConfig(revocations_max=2))
    world.connect("ann", ttl_s=50, jti="j")
    world.do("revoke", "j", "bob")
    world.until(100)
    assert world.do("revoke", "j", "cid") == []
    assert world.do("revoke", None, "cid"), "that of the token is over"


# A clock that jumps.


def test_a_jump_ahead_ends_a_token_so_much_sooner() -> None:
    world = World()
    world.connect("ann", ttl_s=1000.0)
    world.until(10)
    world.do("clock_jump", 600.0)
    world.until(2000)
    assert world.dated("ann", TokenExpiring) == [(340.0, TokenExpiring(expires_in_s=60.0))]
    assert [(at, code) for at, _, code in world.closes()] == [(425.0, 4002)]


def test_a_jump_past_the_end_warns_and_closes_after_the_grace() -> None:
    world = World()
    world.connect("ann", ttl_s=1000.0)
    world.until(10)
    world.do("clock_jump", 1000.0)
    [(_, error)] = sends(world.receive("ann", HeartbeatIn()), Error)
    assert error.code == "token_expired"
    world.until(100)
    assert world.dated("ann", TokenExpiring) == [(10.0, TokenExpiring(expires_in_s=0.0))]
    assert [(at, code) for at, _, code in world.closes()] == [(25.0, 4002)]


def test_a_jump_back_warns_once_more() -> None:
    world = World()
    world.connect("ann", ttl_s=100.0)
    world.until(50)
    world.do("clock_jump", -100.0)
    world.until(1000)
    warned = [(at, frame.expires_in_s) for at, frame in world.dated("ann", TokenExpiring)]
    assert warned == [(40.0, 60.0), (140.0, 60.0)]
    assert [(at, code) for at, _, code in world.closes()] == [(225.0, 4002)]


def test_a_jump_moves_what_is_dated_and_no_interval() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.say("ann", "1")
    world.until(5)
    world.do("clock_jump", 3600.0)
    [(_, frame)] = sends(world.receive("ann", HeartbeatIn()), Heartbeat)
    assert frame.server_time == world.handler.wall(5) == EPOCH + 3605.0
    world.until(31)
    retries = [(at, frame.attempt, frame.sent_at) for at, frame in world.dated("bob", Message)]
    assert retries == [(0.0, 1, EPOCH), (30.0, 2, EPOCH)]
