"""Who may be in a session and who is: joining, leaving, the own session (protocol.md, sections 1 and 2)."""

from __future__ import annotations

import pytest
from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Close, Note, Record, Send
from chatsim.core.facts import Position
from chatsim.core.frames import (
    Error,
    Heartbeat,
    HeartbeatIn,
    Joined,
    Left,
    Message,
    Participant,
    PresenceIn,
)
from chatsim.core.snapshot import Snapshot
from tests.core.world import World, sends

# Joining.


def test_a_session_named_in_the_token_is_made_at_the_first_join() -> None:
    world = World()
    world.connect("ann", sessions=("s",))
    [(to, joined)] = sends(world.join("ann"), Joined)
    assert to == ("ann",)
    assert joined == Joined(
        session="s", epoch=1, seq=0, recovered=False, replayed=0, participants=(Participant("ann", "online"),)
    )


def test_a_connection_that_joins_again_is_told_the_same() -> None:
    world = World()
    world.arrive("ann", "bob")
    [(_, first)], [(_, again)] = (sends(world.join("bob"), Joined) for _ in range(2))
    assert first == again


def test_joined_lists_every_participant_and_her_state() -> None:
    world = World()
    world.arrive("ann", "bob", "cid")
    world.leave("cid")
    world.say("ann")
    world.connect("dan")
    [(_, joined)] = sends(world.join("dan"), Joined)
    assert {(p.user, p.state) for p in joined.participants} == {
        ("ann", "online"), ("bob", "online"), ("cid", "offline"), ("dan", "online"),
    }  # fmt: skip
    assert joined.seq == 1


def test_a_second_join_is_answered_again_and_changes_nothing() -> None:
    world = World()
    world.arrive("ann", "bob")
    effects = world.join("bob")
    assert [type(e.message) for e in effects if isinstance(e, Send)] == [Joined]
    assert [to for to, _ in sends(world.say("ann"), Message)] == [("bob",)]


@pytest.mark.parametrize("sessions", [("t",), (), None])
def test_an_unknown_session_is_no_such_session(sessions: tuple[str, ...] | None) -> None:
    world = World()
    world.connect("ann", sessions=sessions)
    [(_, error)] = sends(world.join("ann"), Error)
    assert error.code == "no_such_session"


@pytest.mark.parametrize("sessions", [("t",), (), None])
def test_who_may_not_join_is_not_a_participant(sessions: tuple[str, ...] | None) -> None:
    world = World()
    world.arrive("bob")
    world.connect("ann", sessions=sessions)
    [(to, error)] = sends(world.join("ann"), Error)
    assert (to, error.code) == (("ann",), "not_a_participant")
    assert sends(world.say("bob"), Message) == []


def test_a_token_without_sessions_joins_where_its_user_is_a_participant() -> None:
    world = World()
    world.arrive("ann1")
    world.connect("ann2", sessions=None)
    assert sends(world.join("ann2"), Joined)
    world.connect("ann3", sessions=("t",))
    assert sends(world.join("ann3"), Error)[0][1].code == "not_a_participant"


def test_a_connection_joins_a_limited_number_of_sessions() -> None:
    world = World(HandlerConfig(sessions_per_connection=2))
    world.connect("ann", sessions=("s", "t", "u"))
    assert sends(world.join("ann", "s"), Joined)
    assert sends(world.join("ann", "t"), Joined)
    assert sends(world.join("ann", "u"), Error)
    assert sends(world.join("ann", "t"), Joined)


def test_her_own_session_takes_no_room_of_another() -> None:
    # Found by exploring (seed 9: joined-beside-her-own.yaml): whoever was written to by the server could
    # not come back to the one session that she may be in.
    world = World(HandlerConfig(sessions_per_connection=1))
    world.connect("ann", sessions=("s", "t"))
    world.do("post", "ann", "p1", Raw(b"1"))
    assert sends(world.join("ann", "s"), Joined)
    assert sends(world.join("ann", "@ann"), Joined)
    assert sends(world.join("ann", "t"), Error)


def test_a_session_has_a_limited_number_of_participants() -> None:
    world = World(HandlerConfig(participants_max=2))
    world.arrive("ann", "bob1")
    world.connect("cid")
    assert sends(world.join("cid"), Error)
    world.connect("bob2")
    assert sends(world.join("bob2"), Joined)


def test_a_server_holds_a_limited_number_of_sessions() -> None:
    world = World(HandlerConfig(sessions_max=1))
    world.arrive("ann", session="s")
    world.connect("bob", sessions=("s", "t"))
    [(to, error)] = sends(world.join("bob", "t"), Error)
    assert (to, error.code) == (("bob",), "unavailable")
    [(to, error)] = sends(world.say("bob", "1", "@bob"), Error)
    assert (to, error.code, error.id) == (("bob",), "unavailable", "1")
    assert sends(world.join("bob", "s"), Joined)


def test_replaces_closes_the_former_connection_at_once() -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.connect("bob2")
    effects = world.join("bob2", replaces="bob1")
    assert [(e.to, e.code) for e in effects if isinstance(e, Close)] == [("bob1", 4502)]
    assert [to for to, _ in sends(world.say("ann"), Message)] == [("bob2",)]


@pytest.mark.parametrize("former", ["ann", "bob2", "never"])
def test_replaces_touches_nobody_else(former: str) -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.connect("bob2")
    effects = world.join("bob2", replaces=former)
    assert not any(isinstance(e, Close) for e in effects)
    assert sends(effects, Joined)


# Leaving.


def test_leave_is_answered_left_and_ends_the_stream() -> None:
    world = World()
    world.arrive("ann", "bob")
    assert sends(world.leave("bob"), Left) == [(("bob",), Left(session="s", reason="left"))]
    assert sends(world.say("ann"), Message) == []
    assert sends(world.leave("bob"), Error)[0][1].code == "not_a_participant"
    assert sends(world.leave("bob", "nowhere"), Error)[0][1].code == "no_such_session"


# The own session.


def test_what_is_written_to_the_own_session_reaches_the_users_connections() -> None:
    world = World()
    world.connect("ann1")
    world.connect("ann2")
    world.connect("bob")
    [(to, message)] = sends(world.say("ann1", session="@ann"), Message)
    assert to == ("ann2",)
    assert (message.session, message.seq, message.sender) == ("@ann", 1, "ann")
    world.connect("ann3")
    [(to, message)] = sends(world.say("ann1", "2", session="@ann"), Message)
    assert (set(to), message.seq) == ({"ann2", "ann3"}, 2)


def test_nobody_else_writes_to_or_joins_an_own_session() -> None:
    world = World()
    world.connect("ann")
    world.connect("bob", sessions=("@ann",))
    for _ in range(2):
        assert sends(world.say("bob", session="@ann"), Message) == []
        assert sends(world.join("bob", "@ann"), Joined) == []
        world.say("ann", session="@ann")
    assert {error.code for error in world.heard("bob", Error)} == {"no_such_session", "not_a_participant"}


def test_a_message_from_the_server_is_owed_by_the_user() -> None:
    world = World()
    world.connect("ann1")
    world.connect("ann2")
    effects = world.do("appended", world.log.append(Record("@ann", "", "", "x", Raw(b"1"), 0.0)))
    assert [set(to) for to, _ in sends(effects, Message)] == [{"ann1", "ann2"}]
    assert world.handler.ledger.owed == 1
    world.ack("ann1", 1, "@ann")
    assert world.handler.ledger.delivered == 1


def test_a_new_device_does_not_ack_what_the_own_session_owes_to_another() -> None:
    """Or what only the other was sent, which may be dead, would count as delivered, and nobody would have it."""
    world = World()
    world.connect("ann1")
    world.do("post", "ann", "p1", Raw(b"1"))
    world.connect("ann2")
    world.do("post", "ann", "p2", Raw(b"2"))
    world.ack("ann2", 2, "@ann")
    assert world.handler.ledger.pairs() == [("m1-1", "ann")]
    effects = world.join("ann2", "@ann", last_seq=0, epoch=1)
    assert [(m.seq, m.attempt) for _, m in sends(effects, Message)] == [(1, 2), (2, 1)]
    world.ack("ann2", 2, "@ann")
    assert world.handler.ledger.waiting == 0


def test_the_own_session_is_resumed_like_any_other() -> None:
    world = World()
    world.connect("ann1")
    world.connect("bob")
    world.say("ann1", "1", "@ann")
    world.gone("ann1")
    world.connect("ann2")
    effects = world.join("ann2", "@ann", last_seq=0, epoch=1)
    assert [m.seq for _, m in sends(effects, Message)] == [1]


def test_a_heartbeat_tells_the_newest_seq_of_each_joined_session() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.say("ann", "1")
    world.say("ann", "2")
    world.say("ann", "1", "@ann")
    [(_, beat)] = sends(world.receive("ann", HeartbeatIn(4)), Heartbeat)
    assert (beat.t, beat.seqs) == (4, {"s": 2, "@ann": 1})


def test_the_log_hears_who_is_a_receiver_in_her_own_session() -> None:
    """Or what the server wrote to her would be owed to nobody after a crash."""
    world = World(snapshot=Snapshot())
    world.connect("ann")
    effects = world.do("post", "ann", "p1", Raw(b'"hello"'))
    assert effects[:1] == [Note(Position("@ann", "ann", 0))]
    assert world.handler.ledger.waiting == 1
    assert Note(Position("@ann", "ann", 1)) not in world.connect("ann2")
    world.gone("ann")
    world.gone("ann2")
    world.until(301)
    assert Note(Position("@ann", "ann", 1)) in world.connect("ann3")


def test_a_second_device_is_told_of_the_same_people_and_so_is_who_comes_after_a_change() -> None:
    world = World()
    world.connect("ann1")
    world.connect("ann2")
    [(_, first)] = sends(world.join("ann1"), Joined)
    [(_, second)] = sends(world.join("ann2"), Joined)
    assert second.participants == first.participants
    # The list is made once for all who come while nothing changes, as many do at once after a restart.
    [(_, again)] = sends(world.join("ann2"), Joined)
    assert again.participants is second.participants
    world.connect("bob1")
    [(_, third)] = sends(world.join("bob1"), Joined)
    assert {who.user for who in third.participants} == {"ann", "bob"}


@pytest.mark.parametrize("over", [False, True], ids=["in the grace", "after it"])
def test_who_comes_is_told_of_everybody_as_the_others_know_them(over: bool) -> None:
    """Whatever happened since the list was last made: who went, left, or was put out, and what somebody says she is."""
    world = World()
    world.arrive("ann", "bob", "cid", "dan", "eve")
    world.gone("bob")
    world.leave("cid")
    world.do("remove_participant", "s", "dan")
    world.receive("eve", PresenceIn("away"))
    world.pass_s(20.0 if over else 1.0)
    [(_, joined)] = sends(world.join("ann"), Joined)
    assert {who.user: who.state for who in joined.participants} == {
        "ann": "online", "bob": "offline" if over else "online", "cid": "offline", "eve": "away",
    }  # fmt: skip
