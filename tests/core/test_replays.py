"""Invariant: whoever resumes is sent each message once, in order and before anything live, and never more of it at a
time than half of her outbound limits."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Effect
from chatsim.core.frames import Joined, Message, Undelivered
from chatsim.core.replays import FRAME_BYTES
from tests.core.world import World, sends

SMALL = HandlerConfig(outbound_frames=8, rate_limit=10_000, frame_limit=100_000)


def away(count: int, config: HandlerConfig = SMALL, **settings_: Any) -> World:
    """Bob was there, and so many messages of Ann's were missed since."""
    world = World(config, **settings_)
    world.arrive("ann", "bob")
    world.gone("bob")
    for number in range(count):
        world.say("ann", f"{number}")
    world.connect("bob2")
    world.slow.add("bob2")
    world.done.clear()
    return world


def seqs(effects: list[Effect], conn: str = "bob2") -> list[int]:
    return [message.seq for to, message in sends(effects, Message) if conn in to]


def test_a_short_replay_goes_at_once_and_nobody_is_watched() -> None:
    world = away(4)
    assert seqs(world.join("bob2", last_seq=0)) == [1, 2, 3, 4]
    assert world.watched == []
    assert seqs(world.say("ann", "live")) == [5]


def test_a_long_one_goes_in_parts_and_what_is_live_stands_behind_it() -> None:
    world = away(10)
    effects = world.join("bob2", last_seq=0)
    [(_, joined)] = sends(effects, Joined)
    assert (joined.recovered, joined.replayed) == (True, 10)
    assert seqs(effects) == [1, 2, 3, 4]
    effects = world.say("ann", "live")
    assert seqs(effects) == []
    assert [seqs(world.relieve("bob2")) for _ in range(3)] == [[5, 6, 7, 8], [9, 10, 11], []]
    assert seqs(world.say("ann", "live 2")) == [12]
    assert world.watched == ["bob2"] * 2


def test_a_part_is_bounded_in_bytes_and_is_one_message_at_least() -> None:
    body = b'"' + b"x" * 998 + b'"'
    world = away(0, HandlerConfig(outbound_bytes=2 * 2 * (1000 + FRAME_BYTES)))
    for number in range(5):
        world.say("ann", f"{number}", body=body)
    assert seqs(world.join("bob2", last_seq=0)) == [1, 2]
    assert [seqs(world.relieve("bob2")) for _ in range(3)] == [[3, 4], [5], []]
    tight = away(0, HandlerConfig(outbound_bytes=100))
    for number in range(2):
        tight.say("ann", f"{number}", body=body)
    assert seqs(tight.join("bob2", last_seq=0)) == [1]
    assert seqs(tight.relieve("bob2")) == [2]


def test_who_goes_while_behind_in_one_session_is_behind_in_none() -> None:
    world = away(10)
    world.connect("bob3", sessions=("s", "t"))
    world.slow.add("bob3")
    assert [joined.session for _, joined in sends(world.join("bob3", "t"), Joined)] == ["t"]
    world.join("bob3", last_seq=0)
    world.gone("bob3")
    world.balance()
    world.connect("bob4")
    world.slow.add("bob4")
    assert seqs(world.join("bob4", last_seq=4), "bob4") == [5, 6, 7, 8]


def test_several_sessions_share_what_a_connection_may_be_sent_at_once() -> None:
    world = World(SMALL)
    for session in ("s", "t"):
        world.connect(f"ann{session}", user="ann", sessions=(session,))
        world.join(f"ann{session}", session)
        for number in range(3):
            world.say(f"ann{session}", f"{number}", session)
    world.connect("bob2", sessions=("s", "t"))
    world.slow.add("bob2")
    assert seqs(world.join("bob2", "s", last_seq=0)) == [1, 2, 3]
    effects = world.join("bob2", "t", last_seq=0)
    assert [(m.session, m.seq) for _, m in sends(effects, Message)] == [("t", 1)]
    assert seqs(world.say("anns", "live", "s")) == [4], "in s she has caught up"
    assert seqs(world.relieve("bob2")) == [2, 3]


def test_a_small_replay_now_and_then_is_no_reason_to_watch() -> None:
    world = away(3)
    for _ in range(2):
        world.join("bob2", last_seq=0)
        world.relieve("bob2")
    assert world.watched == []


def test_no_retry_overtakes_the_replay() -> None:
    world = away(10)
    world.join("bob2", last_seq=0)
    world.until(29)
    assert world.heard("bob2", Message) == world.heard("bob2", Message)[:4]
    world.until(200)
    assert {message.seq for message in world.heard("bob2", Message)} == {1, 2, 3, 4}
    assert world.heard("ann", Undelivered)[0].reason == "no_ack"
    effects = world.relieve("bob2")
    assert seqs(effects) == [5, 6, 7, 8]
    world.balance()
    # The three retries of those begin now.
    world.until(235)
    assert sorted({m.seq for at, m in world.dated("bob2", Message) if at > 201}) == [5, 6, 7, 8]


def test_what_is_live_and_waits_too_long_is_retried_like_a_replay() -> None:
    world = away(5)
    world.join("bob2", last_seq=0)
    world.say("ann", "live")
    world.until(40)
    # Nobody was there to have it when its own retry fell due: what it is sent now has a retry of its own.
    world.relieve("bob2")
    world.until(80)
    assert [(at, m.attempt) for at, m in world.dated("bob2", Message) if m.seq == 6] == [(40, 2), (70, 3)]
    world.ack("bob2", 6)
    assert world.handler.ledger.waiting == 0
    world.balance()


def test_another_device_of_hers_is_sent_everything_at_once() -> None:
    world = away(10)
    world.connect("bob3")
    world.join("bob3")
    world.join("bob2", last_seq=0)
    assert seqs(world.say("ann", "live"), "bob3") == [11]


def test_a_second_resume_takes_the_place_of_the_first() -> None:
    world = away(10)
    world.join("bob2", last_seq=0)
    effects = world.join("bob2", last_seq=8)
    assert seqs(effects) == []
    assert seqs(world.relieve("bob2")) == [9, 10]
    assert seqs(world.say("ann", "live")) == [11]


def test_leaving_and_the_end_of_a_session_end_a_replay() -> None:
    for end in ("leave", "end", "gone"):
        world = away(10)
        world.join("bob2", last_seq=0)
        if end == "leave":
            world.leave("bob2")
        elif end == "end":
            world.do("end_session", "s")
        else:
            world.gone("bob2")
        assert seqs(world.relieve("bob2")) == []
        assert not world.handler._replays.behind


def test_too_much_that_is_live_behind_a_replay_closes_a_slow_reader() -> None:
    world = away(10)
    world.join("bob2", last_seq=0)
    for number in range(8):
        world.say("ann", f"live {number}")
    assert world.closes() == []
    world.say("ann", "live 8")
    assert [(conn, code) for _, conn, code in world.closes()] == [("bob2", 4000)]
    assert not world.handler._replays.behind
    assert world.handler.counters.slow_closed == 1


class Reader:
    """Bob's client: what he has seen, by the rule that drops what is not above the newest, and how it came."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: list[int] = []
        self.attempts: dict[int, int] = {}
        self.since_relief = 0

    def hear(self, effects: list[Effect]) -> None:
        for to, message in sends(effects, Message):
            if "bob2" in to:
                self.since_relief += 1
                assert message.attempt > self.attempts.get(message.seq, 0)
                self.attempts[message.seq] = message.attempt
                if not self.seen or message.seq > self.seen[-1]:
                    self.seen.append(message.seq)

    def resume(self) -> None:
        self.attempts.clear()
        self.hear(self.world.join("bob2", last_seq=self.seen[-1] if self.seen else 0))

    def relieve(self) -> None:
        self.since_relief = 0
        self.hear(self.world.relieve("bob2"))
        assert self.since_relief <= 4

    def ack(self) -> None:
        self.world.ack("bob2", self.seen[-1] if self.seen else 0)


@settings(deadline=None)
@given(
    missed=st.integers(0, 30),
    steps=st.lists(st.sampled_from(["say", "own", "relieve", "ack", "resume", "wait"]), max_size=40),
)
def test_everything_arrives_once_and_in_order(missed: int, steps: list[str]) -> None:
    world = away(missed)
    bob = Reader(world)
    said, own = missed, set()
    bob.resume()
    assert bob.since_relief <= 4
    for number, step in enumerate(steps):
        if step == "say":
            said += 1
            bob.hear(world.say("ann", f"live {number}"))
        elif step == "own":
            said += 1
            own.add(said)
            world.say("bob2", f"own {number}")
        elif step == "wait":
            world.pass_s(1.0)
        else:
            getattr(bob, step)()
        if world.closes():
            return
    while world.handler._replays.behind:
        bob.relieve()
    assert bob.seen == sorted(set(bob.seen))
    assert set(range(1, said + 1)) - own <= set(bob.seen)
    bob.ack()
    # What Bob wrote is owed to Ann, who acks nothing here; to Bob nothing is.
    assert world.handler.ledger.waiting == len(own)
    world.balance()


def test_who_comes_back_to_two_sessions_and_leaves_one_hears_the_rest_of_the_other() -> None:
    world = World(SMALL)
    for session in ("s", "t"):
        for conn, user in (("ann", "ann"), ("bob", "bob")):
            if session == "s":
                world.connect(conn, user, sessions=("s", "t"))
            world.join(conn, session)
    world.gone("bob")
    for number in range(10):
        world.say("ann", f"s{number}", "s")
        world.say("ann", f"t{number}", "t")
    world.connect("bob2", sessions=("s", "t"))
    world.slow.add("bob2")
    world.done.clear()
    for session in ("s", "t"):
        world.join("bob2", session, last_seq=0)
    world.leave("bob2", "s")
    world.slow.discard("bob2")
    for _ in range(20):
        world.relieve("bob2")
    heard = [(message.session, message.seq) for message in world.heard("bob2", Message)]
    assert [seq for session, seq in heard if session == "t"] == list(range(1, 11))
    assert len(heard) == len(set(heard)) < 20
    assert seqs(world.say("ann", "live", "t")) == [11]
