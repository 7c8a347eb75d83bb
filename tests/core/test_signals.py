"""Typing and presence, rule by rule (protocol.md, `typing, presence`)."""

from __future__ import annotations

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Tell
from chatsim.core.frames import Error, Joined, Presence, PresenceIn, Typing
from tests.core.world import EPOCH, World, sends


def states(world: World, conn: str) -> list[tuple[float, str, str]]:
    return [(at, frame.user, frame.state) for at, frame in world.dated(conn, Presence)]


def typings(world: World, conn: str) -> list[tuple[float, bool]]:
    return [(at, frame.active) for at, frame in world.dated(conn, Typing)]


# Presence.


def test_the_others_hear_online_when_the_first_connection_joins() -> None:
    world = World()
    world.arrive("ann1", "bob")
    world.until(4)
    world.connect("cid1")
    assert world.heard("bob", Presence) == []
    world.join("cid1")
    world.connect("cid2")
    world.join("cid2")
    world.join("cid1")
    assert world.heard("bob", Presence) == [Presence("cid", "online", EPOCH + 4)]
    assert world.heard("cid1", Presence) == []


def test_offline_comes_15_s_after_the_last_connection_is_gone() -> None:
    world = World()
    world.arrive("ann1", "ann2", "bob")
    world.gone("ann1")
    world.until(10)
    world.gone("ann2")
    world.until(24.9)
    assert states(world, "bob") == []
    world.until(100)
    assert states(world, "bob") == [(25, "ann", "offline")]
    assert world.heard("bob", Presence)[0].at == EPOCH + 25


def test_a_reconnection_within_the_grace_makes_no_event() -> None:
    world = World()
    world.arrive("ann1", "bob")
    for number in range(1, 8):
        world.until(14.0 * number)
        world.gone(f"ann{number}")
        world.until(14.0 * number + 13)
        world.connect(f"ann{number + 1}")
        world.join(f"ann{number + 1}")
    assert states(world, "bob") == []
    world.until(300)
    assert states(world, "bob") == []


def test_the_grace_counts_from_the_last_going() -> None:
    world = World()
    world.arrive("ann1", "bob")
    world.gone("ann1")
    world.until(10)
    world.connect("ann2")
    world.join("ann2")
    world.until(12)
    world.gone("ann2")
    world.until(200)
    assert states(world, "bob") == [(27, "ann", "offline")]


def test_coming_back_after_the_grace_is_online_again() -> None:
    world = World()
    world.arrive("ann1", "bob")
    world.gone("ann1")
    world.until(20)
    world.connect("ann2")
    world.join("ann2")
    assert states(world, "bob") == [(15, "ann", "offline"), (20, "ann", "online")]


def test_a_connection_that_did_not_join_keeps_nobody_online() -> None:
    world = World()
    world.arrive("ann1", "bob")
    world.connect("ann2")
    world.gone("ann1")
    world.until(20)
    assert states(world, "bob") == [(15, "ann", "offline")]


def test_away_and_back_when_the_user_says_so() -> None:
    world = World()
    world.arrive("ann1", "ann2", "bob")
    for state in ("away", "away", "online"):
        world.receive("ann1", PresenceIn(state))
    assert states(world, "bob") == [(0, "ann", "away"), (0, "ann", "online")]
    assert world.heard("ann2", Presence) == []
    world.receive("ann2", PresenceIn("away"))
    world.connect("cid")
    [(_, joined)] = sends(world.join("cid"), Joined)
    assert ("ann", "away") in {(p.user, p.state) for p in joined.participants}


def test_who_was_away_is_still_away_when_she_reconnects_within_the_grace() -> None:
    world = World()
    world.arrive("ann1", "bob")
    world.receive("ann1", PresenceIn("away"))
    world.until(29)
    world.gone("ann1")
    world.until(33)
    world.connect("ann2")
    world.join("ann2")
    assert states(world, "bob") == [(0, "ann", "away")]
    [(_, joined)] = sends(world.join("bob"), Joined)
    assert ("ann", "away") in {(p.user, p.state) for p in joined.participants}
    world.receive("ann2", PresenceIn("online"))
    assert states(world, "bob")[1:] == [(33, "ann", "online")]


def test_who_says_within_the_grace_that_she_is_away_is_said_to_be_so_when_she_joins() -> None:
    # Found by exploring (seed 14720: away-in-the-grace.yaml): the others went on believing that she was online.
    world = World()
    world.arrive("ann1", "bob")
    world.gone("ann1")
    world.until(5)
    world.connect("ann2")
    world.receive("ann2", PresenceIn("away"))
    world.arrive("cid")
    [told] = [frame for _, frame in sends(world.join("bob"), Joined)]
    assert {one.user: one.state for one in told.participants} == {"ann": "online", "bob": "online", "cid": "online"}
    world.join("ann2")
    assert states(world, "bob") == [(5, "ann", "away")]


def test_who_was_away_and_went_comes_back_online() -> None:
    world = World()
    world.arrive("ann1", "bob")
    world.receive("ann1", PresenceIn("away"))
    world.gone("ann1")
    world.until(16)
    world.connect("ann2")
    world.join("ann2")
    assert [state for _, _, state in states(world, "bob")] == ["away", "offline", "online"]


def test_leaving_is_offline_at_once_and_once() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.leave("ann")
    world.until(5)
    world.join("ann")
    world.until(400)
    assert states(world, "bob") == [(0, "ann", "offline"), (5, "ann", "online")]


# Typing.


def test_typing_is_relayed_to_the_others_and_not_stored() -> None:
    world = World()
    world.arrive("ann1", "ann2", "bob")
    effects = world.typing("ann1")
    assert [type(e) for e in effects if isinstance(e, Append | Tell)] == [Tell]
    assert world.heard("bob", Typing) == [Typing("s", "ann", True)]
    assert world.heard("ann1", Typing) == world.heard("ann2", Typing) == []


def test_typing_is_relayed_at_most_once_per_3_s() -> None:
    world = World()
    world.arrive("ann1", "ann2", "bob")
    for tick in range(100):
        world.until(tick / 10)
        world.typing(f"ann{1 + tick % 2}")
    assert typings(world, "bob") == [(0, True), (3, True), (6, True), (9, True)]


def test_typing_lapses_10_s_after_the_last_renewal() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.typing("ann")
    world.until(2)
    world.typing("ann")
    world.until(11.9)
    assert typings(world, "bob") == [(0, True)]
    world.until(60)
    assert typings(world, "bob") == [(0, True), (12, False)]


def test_the_end_of_typing_is_told_when_the_interval_allows() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.typing("ann")
    world.until(1)
    world.typing("ann", False)
    world.until(60)
    assert typings(world, "bob") == [(0, True), (3, False)]
    world.typing("ann")
    world.until(65)
    world.typing("ann", False)
    world.typing("ann", False)
    world.until(100)
    assert typings(world, "bob")[2:] == [(60, True), (65, False)]


def test_who_types_on_and_off_leaves_no_moments_behind() -> None:
    world = World()
    world.arrive("ann", "bob")
    for number in range(100):
        world.until(3.1 * number)
        for active in (True, False, True):
            world.typing("ann", active)
        assert len(world.handler._signals._lapses) < 12
    last_at = world.now
    world.until(last_at + 60)
    assert typings(world, "bob")[-1] == (last_at + 10, False)


def test_who_goes_while_typing_stops_typing() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.typing("ann")
    world.gone("ann")
    world.until(11)
    assert typings(world, "bob") == [(0, True), (10, False)]


def test_typing_where_one_has_not_joined_is_refused() -> None:
    world = World()
    world.arrive("bob")
    world.connect("ann")
    assert sends(world.typing("ann"), Error)[0][1].code == "not_a_participant"
    assert sends(world.typing("ann", session="nowhere"), Error)[0][1].code == "no_such_session"


def test_a_grace_that_outlasts_retention_ends_with_it() -> None:
    """Who is forgotten and comes back is somebody new: what was to be told of the other must not be told of her."""
    world = World(HandlerConfig(reliability="baseline", retention_s=5.0, presence_grace_s=60.0))
    world.arrive("ann", "bob")
    world.gone("ann")
    world.until(10)
    world.connect("ann2")
    world.join("ann2")
    world.until(200)
    assert states(world, "bob") == [(5, "ann", "offline"), (10, "ann", "online")]


def test_leaving_and_joining_again_buys_no_typing() -> None:
    world = World()
    world.arrive("ann", "bob")
    for _ in range(5):
        world.typing("ann")
        world.leave("ann")
        world.join("ann")
    assert len(world.heard("bob", Typing)) == 1
    world.until(20)
    assert [(at, frame.active) for at, frame in world.dated("bob", Typing)] == [(0, True), (10, False)]


def test_who_comes_back_typing_is_not_cut_short_by_her_former_lapse() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.typing("ann")
    world.leave("ann")
    world.join("ann")
    for at in (5, 9):
        world.until(at)
        world.typing("ann")
    world.until(40)
    assert [(at, frame.active) for at, frame in world.dated("bob", Typing)] == [
        (0, True), (5, True), (9, True), (19, False),
    ]  # fmt: skip


@pytest.mark.parametrize("order", ["remove_participant", "revoke"])
def test_being_taken_out_and_joining_again_buys_no_typing(order: str) -> None:
    world = World()
    world.arrive("ann", "bob")
    world.typing("ann")
    world.do(order, *(("s", "ann") if order == "remove_participant" else (None, "ann")))
    world.connect("ann2", iat=EPOCH + 1)
    world.join("ann2")
    world.typing("ann2")
    assert typings(world, "bob") == [(0, True)]


def test_who_left_while_typing_does_not_speak_in_the_next_session_of_that_name() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.typing("ann")
    world.leave("ann")
    world.do("end_session", "s")
    world.join("bob")
    world.until(20)
    assert typings(world, "bob") == [(0, True)]


def test_who_leaves_just_after_she_stopped_typing_may_not_begin_again_any_sooner_when_back() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.typing("ann")
    world.until(3.5)
    world.typing("ann", False)
    assert typings(world, "bob") == [(0.0, True), (3.5, False)]
    world.leave("ann")
    world.join("ann")
    world.until(6.4)
    world.typing("ann")
    assert len(typings(world, "bob")) == 2
    world.until(6.5)
    world.typing("ann")
    assert typings(world, "bob")[2:] == [(6.5, True)]
