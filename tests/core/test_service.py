"""Sessions by order: opened, joined, left for good, ended, and what becomes of those who are in them."""

from __future__ import annotations

import pytest
from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Effect, Note
from chatsim.core.facts import Added, Ended, Fact, Made, Removed, Revoked
from chatsim.core.frames import Ack, AckIn, Error, Joined, Left, Message, Participant, Presence, Undelivered
from chatsim.core.service import SERVER, Standing
from chatsim.core.snapshot import SessionState, Snapshot
from chatsim.core.tokens import Claims
from tests.core.world import EPOCH, World, sends

BASELINE = HandlerConfig(reliability="baseline")


def notes(effects: list[Effect]) -> list[Fact]:
    return [effect.fact for effect in effects if isinstance(effect, Note)]


def errors(effects: list[Effect]) -> list[str]:
    return [error.code for _, error in sends(effects, Error)]


def opened(
    *conns: str, config: HandlerConfig | None = None, ttl_s: float | None = None, slow_log: bool = False
) -> World:
    """A world with the session `s` of these, who have joined it with tokens that name no session."""
    world = World(config, slow_log=slow_log)
    world.do("open_session", "s", tuple(dict.fromkeys(conn.rstrip("0123456789") for conn in conns)), ttl_s)
    for conn in conns:
        world.connect(conn, sessions=None)
        assert sends(world.join(conn), Joined)
    world.done.clear()
    return world


# Opening.


def test_an_opened_session_is_joined_by_its_participants_only() -> None:
    world = World()
    assert notes(world.do("open_session", "s", ("ann", "bob", "ann"), None)) == [
        Made("s", ("ann", "bob"), None, 1, lasting=True)
    ]
    assert world.handler.standing("s") == Standing(("ann", "bob"), None, 1, 0)
    for conn in ("ann", "cid"):
        world.connect(conn, sessions=None)
    [(_, joined)] = sends(world.join("ann"), Joined)
    assert joined.participants == (Participant("ann", "online"), Participant("bob", "offline"))
    assert errors(world.join("cid")) == errors(world.say("cid")) == ["not_a_participant"]


def test_a_token_that_names_the_session_adds_its_user() -> None:
    world = opened("ann")
    world.connect("bob", sessions=("s", "t"))
    assert notes(world.join("bob")) == [Added("s", "bob")]
    assert notes(world.join("bob")) == []
    assert notes(world.join("bob", "t")) == [Made("t", ("bob",), None)]


def test_an_order_that_cannot_be_followed_does_nothing() -> None:
    world = World(HandlerConfig(sessions_max=1, participants_max=2))
    assert world.do("open_session", "s", ("a", "b", "c"), None) == []
    assert world.do("open_session", "s", (), None) == []
    assert world.do("open_session", "@ann", ("ann",), None) == []
    assert world.do("open_session", "s", ("a", "b"), None)
    for door, args in [
        ("open_session", ("s", ("x",), None)), ("open_session", ("t", ("x",), None)), ("add_participant", ("s", "c")),
        ("add_participant", ("s", "a")), ("add_participant", ("t", "c")), ("remove_participant", ("s", "c")),
        ("remove_participant", ("t", "a")), ("end_session", ("t",)), ("end_session", ("@a",)),
        ("add_participant", ("@a", "b")), ("remove_participant", ("@a", "a")), ("post", ("ann", "1", Raw(b"1"))),
    ]:  # fmt: skip
        assert world.do(door, *args) == [], door
    assert world.handler.standing("s") == Standing(("a", "b"), None, 1, 0)
    assert world.handler.standing("t") is None


def test_one_user_cannot_take_the_room_of_all() -> None:
    world = World(HandlerConfig(sessions_per_user=2))
    for name in ("s", "t"):
        assert world.do("open_session", name, ("ann", "bob"), None, "ann")
    assert world.do("open_session", "u", ("ann",), None, "ann") == []
    # Whoever takes part is not charged, nor is the administrator, and to leave one's own session frees nothing.
    world.do("remove_participant", "s", "ann")
    assert [world.handler.opened(user) for user in ("ann", "bob")] == [2, 0]
    assert world.do("open_session", "u", ("ann",), None, "ann") == []
    assert world.do("open_session", "u", ("bob",), 5.0, "bob")
    assert world.do("open_session", "v", ("ann",), None)
    world.do("end_session", "s")
    assert world.do("open_session", "s", ("ann",), None, "ann")
    world.until(10.0)
    assert world.handler.opened("bob") == 0


def test_who_opened_a_session_is_known_after_a_restart() -> None:
    state = SessionState("s", 1, 0, ("bob",), None, (), (), True, "ann")
    world = World(HandlerConfig(sessions_per_user=1), snapshot=Snapshot((state,)))
    assert world.do("open_session", "t", ("ann",), None, "ann") == []
    world.do("end_session", "s")
    assert world.do("open_session", "t", ("ann",), None, "ann")


def test_an_added_user_joins_what_she_could_not() -> None:
    world = opened("ann")
    world.connect("bob", sessions=None)
    assert errors(world.join("bob")) == ["not_a_participant"]
    assert notes(world.do("add_participant", "s", "bob")) == [Added("s", "bob")]
    assert sends(world.join("bob"), Joined)[0][1].participants[1] == Participant("bob", "online")


# Removing.


@pytest.mark.parametrize("config", [None, BASELINE])
def test_a_removed_user_has_left_and_is_owed_nothing(config: HandlerConfig | None) -> None:
    world = opened("ann", "bob1", "bob2", config=config)
    world.say("ann")
    effects = world.do("remove_participant", "s", "bob")
    assert notes(effects) == [Removed("s", "bob")]
    assert sends(effects, Left) == [(("bob1", "bob2"), Left(session="s", reason="removed"))]
    assert [(frame.user, frame.reason) for _, frame in sends(effects, Undelivered)] == [("bob", "removed")]
    assert [(to, frame.state) for to, frame in sends(effects, Presence)] == [(("ann",), "offline")]
    assert errors(world.say("bob1", "2")) == errors(world.join("bob2")) == ["not_a_participant"]
    assert sends(world.say("ann", "3"), Message) == []
    world.gone("bob1")
    world.balance()


def test_under_baseline_retries_to_a_removed_user_end_though_she_went_before() -> None:
    world = opened("ann", "bob", config=HandlerConfig(reliability="baseline", retention_s=1.0))
    world.say("ann")
    world.gone("bob")
    world.until(10)
    assert [f.reason for _, f in sends(world.do("remove_participant", "s", "bob"), Undelivered)] == ["removed"]
    world.until(500)
    assert world.heard("ann", Undelivered) == [
        Undelivered(message_id="m1-1", session="s", user="bob", reason="removed")
    ]
    world.balance()


def test_with_the_last_participant_the_session_ends() -> None:
    world = opened("ann")
    assert notes(world.do("remove_participant", "s", "ann")) == [Ended("s")]
    assert world.heard("ann", Left) == [Left(session="s", reason="removed")]
    assert world.handler.standing("s") is None


# Ending.


@pytest.mark.parametrize("config", [None, BASELINE])
def test_an_ended_session_tells_everyone_and_owes_nothing(config: HandlerConfig | None) -> None:
    world = opened("ann", "bob", "cid", config=config)
    world.say("ann")
    world.ack("cid", 1)
    world.gone("cid")
    effects = world.do("end_session", "s")
    assert notes(effects) == [Ended("s")]
    assert sends(effects, Left) == [(("ann", "bob"), Left(session="s", reason="ended"))]
    assert [(to, f.user, f.reason) for to, f in sends(effects, Undelivered)] == [(("ann",), "bob", "ended")]
    assert (
        errors(world.say("ann", "2")) == errors(world.join("bob")) == errors(world.leave("bob")) == ["no_such_session"]
    )
    world.until(1000)
    world.gone("ann")
    world.balance()
    assert world.handler.ledger.waiting == 0


def test_a_session_ends_by_itself_by_wall_time() -> None:
    world = opened("ann", ttl_s=100.0)
    assert world.handler.standing("s") == Standing(("ann",), EPOCH + 100, 1, 0)
    world.until(99)
    assert world.heard("ann", Left) == []
    world.until(101)
    assert world.dated("ann", Left) == [(100, Left(session="s", reason="ended"))]
    assert notes([effect for _, effect in world.done]) == [Ended("s")]
    assert errors(world.join("ann")) == ["no_such_session"]


@pytest.mark.parametrize(("by_s", "ends_at"), [(60.0, 40.0), (-60.0, 160.0), (500.0, 10.0)])
def test_a_clock_that_jumps_moves_the_end(by_s: float, ends_at: float) -> None:
    world = opened("ann", ttl_s=100.0)
    world.until(10)
    world.do("clock_jump", by_s)
    world.until(1000)
    assert [at for at, _ in world.dated("ann", Left)] == [ends_at]


def test_the_name_of_an_ended_session_begins_anew() -> None:
    world = opened("ann", "bob")
    world.say("ann", "1")
    world.typing("ann")
    world.gone("bob")
    world.do("end_session", "s")
    world.do("open_session", "s", ("ann", "bob"), None)
    world.connect("bob2", "bob", sessions=None)
    [(_, joined)] = sends(world.join("bob2", last_seq=1, epoch=1), Joined)
    assert (joined.epoch, joined.seq, joined.recovered) == (2, 0, False)
    world.join("ann")
    world.done.clear()
    # The id was used, in another session of this name.
    assert sends(world.say("ann", "1"), Ack)[0][1] == Ack("1", "m1-2", "s", 2, 1, False)
    assert [(frame.epoch, frame.seq) for frame in world.heard("bob2", Message)] == [(2, 1)]
    world.receive("bob2", AckIn("s", 1))
    world.until(500)
    assert world.heard("bob2", Presence) == world.heard("ann", Presence) == []


def test_what_the_log_answers_after_the_end_is_acked_and_goes_to_nobody() -> None:
    world = opened("ann", "bob", slow_log=True)
    world.say("ann", "1")
    world.do("end_session", "s")
    answered = world.log_answers()
    assert [(to, frame.epoch) for to, frame in sends(answered, Ack)] == [(("ann",), 1)]
    # The log has made the session again, to put its message there.
    assert notes(answered) == [Ended("s")]
    world.do("open_session", "s", ("ann", "bob"), None)
    world.join("ann")
    world.say("ann", "2")
    world.gone("ann")
    world.do("end_session", "s")
    world.do("open_session", "s", ("ann", "bob"), None)
    assert world.log_answers() == []
    assert world.handler.standing("s") == Standing(("ann", "bob"), None, 3, 0)
    world.balance()


def test_what_the_log_refuses_after_the_end_frees_no_id_of_the_next_session() -> None:
    world = opened("ann", "bob", slow_log=True)
    world.say("ann", "1")
    late, world.appending = world.appending, []
    world.do("end_session", "s")
    world.do("open_session", "s", ("ann", "bob"), None)
    world.join("ann")
    world.say("ann", "1")
    assert errors(world.do("append_failed", late[0])) == ["unavailable"]
    assert world.say("ann", "1") == []
    assert [(frame.epoch, frame.duplicate) for _, frame in sends(world.log_answers(), Ack)] == [(2, False), (2, True)]


def test_what_the_log_refuses_after_its_sender_was_forgotten_is_forgotten_too() -> None:
    world = opened("ann", "bob", slow_log=True)
    world.say("ann", "1")
    world.leave("ann")
    world.gone("ann")
    world.pass_s(HandlerConfig().retention_s + 2 * HandlerConfig().sweep_interval_s)
    assert world.log_fails() == []
    world.connect("ann2")
    world.join("ann2")
    world.say("ann2", "1")
    assert [frame.duplicate for _, frame in sends(world.log_answers(), Ack)] == [False]
    world.balance()


def test_sessions_that_were_ended_early_leave_no_timers_behind() -> None:
    world = World()
    for _ in range(100):
        world.do("open_session", "s", ("ann",), 1e6)
        world.do("end_session", "s")
    assert len(world.handler._sessions._ends) <= 2


# Sessions that nobody opened.


def test_the_longest_empty_session_makes_room() -> None:
    world = World(HandlerConfig(sessions_max=2, retention_s=100.0))
    world.connect("ann", sessions=("s", "t", "u", "v"))
    for name in ("s", "t"):
        world.join("ann", name)
    world.say("ann", "1", "s")
    assert errors(world.join("ann", "u")) == ["unavailable"]
    world.leave("ann", "s")
    assert errors(world.join("ann", "u")) == ["unavailable"], "what was said there may be replayed yet"
    world.until(150)
    effects = world.join("ann", "u")
    assert notes(effects) == [Ended("s"), Made("u", ("ann",), None, 2)]
    world.leave("ann", "t")
    [(_, joined)] = sends(world.join("ann", "s"), Joined)
    assert (joined.epoch, joined.seq) == (2, 0)
    assert sends(world.say("ann", "1", "s"), Ack)[0][1].seq == 1


def test_an_empty_session_goes_on_where_it_was_as_long_as_there_is_room() -> None:
    world = World()
    world.arrive("ann")
    world.say("ann")
    world.leave("ann")
    world.until(1e5)
    assert sends(world.join("ann"), Joined)[0][1].seq == 1


# The server's own word.


def test_a_post_reaches_every_connection_of_its_user() -> None:
    world = World()
    world.connect("ann1")
    world.connect("ann2")
    effects = world.do("post", "ann", "p1", Raw(b'{"a": 1}'))
    assert isinstance(effects[0], Append)
    [(to, message)] = sends(effects, Message)
    assert (to, message.session, message.sender, message.seq) == (("ann1", "ann2"), "@ann", SERVER, 1)
    assert sends(effects, Ack) == []
    world.until(31)
    assert [frame.attempt for frame in world.heard("ann1", Message)] == [1, 2]
    world.ack("ann2", 1, "@ann")
    world.balance()
    assert world.handler.standing("@ann") == Standing(("ann",), None, 1, 1)
    assert world.handler.standing("@bob") == Standing(("bob",), None, 1, 0)


def test_a_post_to_nobody_waits_in_the_session() -> None:
    world = World()
    world.do("post", "ann", "p1", Raw(b"1"))
    world.connect("ann")
    [(_, joined)] = sends(world.join("ann", "@ann", last_seq=0), Joined)
    assert (joined.seq, joined.replayed) == (1, 1)


# Revoked.


@pytest.mark.parametrize("config", [None, BASELINE])
def test_a_revoked_user_is_no_receiver_any_more(config: HandlerConfig | None) -> None:
    world = opened("ann", "bob", "cid", config=config)
    world.say("ann")
    world.gone("bob")
    world.until(5)
    effects = world.do("revoke", None, "bob")
    assert notes(effects) == [Revoked(None, "bob", EPOCH + 5)]
    assert [(f.user, f.reason) for _, f in sends(effects, Undelivered)] == [("bob", "revoked")]
    world.say("ann", "2")
    assert {user for _, user in world.handler.ledger.pairs()} == {"cid"}
    world.do("connect", "bob2", Claims("bob", EPOCH + 900, iat=EPOCH + 6))
    assert world.closes() == []
    assert sends(world.join("bob2"), Joined)
    world.balance()


def test_who_loses_one_token_stays_a_receiver() -> None:
    world = opened("ann")
    world.do("add_participant", "s", "bob")
    world.connect("bob", sessions=None, jti="b")
    world.join("bob")
    world.say("ann")
    assert sends(world.do("revoke", "b", None), Undelivered) == []
    world.connect("bob2", sessions=None, jti="c")
    [(_, joined)] = sends(world.join("bob2", last_seq=0, epoch=1), Joined)
    assert joined.replayed == 1
