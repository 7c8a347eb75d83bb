"""Acks from receivers, retries, giving up, retention and resume (protocol.md, section 2)."""

from __future__ import annotations

import sys
from itertools import product
from math import inf, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.core.delivery import GONE_STARTS_MAX
from chatsim.core.effects import Append, Note, Send
from chatsim.core.frames import AckIn, Delivered, Joined, Message, Undelivered
from chatsim.core.kept_log import KeptLog
from chatsim.core.snapshot import Snapshot
from tests.core.world import EPOCH, World, sends
from tests.thorough import examples

BASELINE = HandlerConfig(reliability="baseline")


def attempts(world: World, conn: str) -> list[tuple[float, int]]:
    return [(at, message.attempt) for at, message in world.dated(conn, Message)]


# A receiving user has it when one of the user's connections acks.


def test_an_ack_settles_and_the_sender_hears_delivered() -> None:
    world = World()
    world.arrive("ann", "bob1", "bob2")
    world.say("ann")
    [message] = world.heard("bob1", Message)
    [(to, notice)] = sends(world.ack("bob2", 1), Delivered)
    assert to == ("ann",)
    assert notice == Delivered(session="s", user="bob", message_ids=(message.message_id,))
    assert (world.handler.ledger.delivered, world.handler.ledger.waiting) == (1, 0)
    world.until(200)
    assert len(world.heard("bob1", Message)) == 1


def test_a_cumulative_ack_is_one_notice() -> None:
    world = World()
    world.arrive("ann", "bob")
    for number in range(5):
        world.say("ann", str(number))
    [(_, notice)] = sends(world.ack("bob", 4), Delivered)
    assert len(notice.message_ids) == 4
    assert world.handler.ledger.waiting == 1
    assert world.ack("bob", 4) == []


def test_each_sender_hears_of_her_own_messages() -> None:
    world = World()
    world.arrive("ann", "bob", "cid")
    world.say("ann", "1")
    world.say("bob", "2")
    assert [to for to, _ in sends(world.ack("cid", 2), Delivered)] == [("ann",), ("bob",)]


def test_an_ack_may_name_one_message() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.say("ann", "1")
    world.say("ann", "2")
    second = world.heard("bob", Message)[1].message_id
    [(_, notice)] = sends(world.receive("bob", AckIn(message_id=second)), Delivered)
    assert notice.message_ids == (second,)
    assert world.receive("bob", AckIn(message_id=second)) == []
    [(_, rest)] = sends(world.ack("bob", 2), Delivered)
    assert rest.message_ids == (world.heard("bob", Message)[0].message_id,)


def test_the_other_connections_of_the_sender_owe_nothing() -> None:
    world = World()
    world.arrive("ann1", "ann2")
    world.say("ann1")
    assert len(world.heard("ann2", Message)) == 1
    assert world.handler.ledger.owed == 0
    world.until(200)
    assert len(world.heard("ann2", Message)) == 1


def test_who_joined_later_is_no_receiver() -> None:
    world = World()
    world.arrive("ann")
    world.say("ann")
    world.arrive("bob")
    assert world.handler.ledger.owed == 0


def test_what_only_one_of_many_has_not_acked_takes_as_little_as_if_there_were_few() -> None:
    world = World()
    many = [f"u{number}x" for number in range(1000)]
    world.arrive("ann", "bob", *many)
    world.say("ann")
    [outgoing] = world.handler.ledger._by_id.values()
    for count, name in enumerate(many):
        world.ack(name, 1)
        assert sys.getsizeof(outgoing.waiting) < 10_000 + 500 * (1000 - count)
    assert world.handler.ledger.waiting == 1
    assert sys.getsizeof(outgoing.waiting) < 5000
    assert world.handler.ledger.pairs() == [(outgoing.message.message_id, "bob")]
    world.until(200)
    assert [attempt for _, attempt in attempts(world, "bob")] == [1, 2, 3, 4]


# Retries and giving up.


@pytest.mark.parametrize("config", [HandlerConfig(), BASELINE], ids=["hardened", "baseline"])
def test_three_retries_30_s_apart_then_it_is_given_up(config: HandlerConfig) -> None:
    world = World(config)
    world.arrive("ann", "bob")
    world.until(7.0)
    world.say("ann")
    world.until(126.9)
    assert attempts(world, "bob") == [(7, 1), (37, 2), (67, 3), (97, 4)]
    assert world.heard("ann", Undelivered) == []
    world.until(127.0)
    [notice] = world.heard("ann", Undelivered)
    assert (notice.session, notice.user, notice.reason) == ("s", "bob", "no_ack")
    assert notice.message_id == world.heard("bob", Message)[0].message_id
    world.until(600)
    assert len(attempts(world, "bob")) == 4
    ledger = world.handler.ledger
    assert (ledger.retries, ledger.gave_up, ledger.undelivered, ledger.waiting) == (3, 1, 1, 0)


def test_a_retry_goes_to_who_has_not_acked_only() -> None:
    world = World()
    world.arrive("ann", "bob1", "bob2", "cid")
    world.say("ann")
    world.ack("cid", 1)
    world.until(30)
    assert [len(world.heard(conn, Message)) for conn in ("bob1", "bob2", "cid", "ann")] == [2, 2, 1, 0]


def test_an_ack_between_retries_ends_them() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.say("ann")
    world.until(65)
    world.ack("bob", 1)
    world.until(300)
    assert attempts(world, "bob") == [(0, 1), (30, 2), (60, 3)]
    assert world.heard("ann", Undelivered) == []


def test_notices_go_to_every_connection_of_the_sender_of_that_moment() -> None:
    world = World()
    world.arrive("ann1", "bob")
    world.say("ann1")
    world.gone("ann1")
    world.connect("ann2")
    [(to, _)] = sends(world.ack("bob", 1), Delivered)
    assert to == ("ann2",)


def test_baseline_gives_up_though_nobody_is_there() -> None:
    world = World(BASELINE)
    world.arrive("ann", "bob")
    world.gone("bob")
    world.until(5)
    world.say("ann")
    world.until(124.9)
    assert world.heard("ann", Undelivered) == []
    world.until(125)
    assert [notice.reason for notice in world.heard("ann", Undelivered)] == ["no_ack"]


def test_baseline_gives_up_what_was_sent_late_in_an_absence_too() -> None:
    world = World(BASELINE)
    world.arrive("ann", "bob")
    world.gone("bob")
    world.until(250)
    world.say("ann")
    world.until(370)
    assert world.handler.ledger.gave_up == 1
    [(at, notice)] = world.dated("ann", Undelivered)
    assert (at, notice.reason) == (370, "no_ack")


# Hardened: what waits for an absent user.


def test_hardened_spends_no_retry_on_nobody_and_ends_with_retention() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.until(1)
    world.say("ann")
    world.gone("bob")
    world.until(300.9)
    assert world.heard("ann", Undelivered) == []
    assert world.handler.ledger.retries == 0
    world.until(301)
    assert [notice.reason for notice in world.heard("ann", Undelivered)] == ["expired"]
    assert world.handler.ledger.waiting == 0


def late() -> World:
    """Bob is away for longer than retention, and was written to just before."""
    world = World()
    world.arrive("ann", "bob")
    world.gone("bob")
    world.until(299)
    world.say("ann", "1")
    world.until(301)
    return world


def test_who_was_there_within_retention_is_a_receiver() -> None:
    world = late()
    assert world.handler.ledger.owed == 1
    world.say("ann", "2")
    assert world.handler.ledger.owed == 1, "she is a receiver no more"
    world.until(598.9)
    assert world.heard("ann", Undelivered) == [], "what she was owed waits as long as it is kept"
    world.until(599)
    assert [notice.reason for notice in world.heard("ann", Undelivered)] == ["expired"]


def test_who_comes_back_late_is_still_owed_what_is_kept() -> None:
    world = late()
    world.say("ann", "2")
    world.connect("bob2")
    world.join("bob2", last_seq=0)
    assert [frame.seq for frame in world.heard("bob2", Message)] == [1, 2]
    world.say("ann", "3")
    world.ack("bob2", 3)
    assert world.handler.ledger.delivered == 2, "the second was not for her, and she has it all the same"
    assert world.handler.ledger.waiting == 0
    world.balance()


def test_nobody_is_held_for_longer_than_what_waits_for_her() -> None:
    world = late()
    assert list(world.handler._sessions.by_name["s"].members) == ["ann", "bob"]
    world.until(601)
    assert list(world.handler._sessions.by_name["s"].members) == ["ann"]


def test_one_who_is_away_for_so_long_may_write_without_coming_in() -> None:
    world = late()
    world.connect("bob2")
    world.say("bob2", "2")
    assert world.handler.ledger.owed == 2, "ann's is the other's"


def test_the_257th_message_pushes_the_first_out_of_retention() -> None:
    world = World(HandlerConfig(rate_limit=1000))
    world.arrive("ann", "bob")
    world.gone("bob")
    for number in range(256):
        world.say("ann", str(number))
    assert world.heard("ann", Undelivered) == []
    world.say("ann", "256")
    assert [notice.reason for notice in world.heard("ann", Undelivered)] == ["expired"]
    world.connect("bob2")
    [(_, joined)] = sends(world.join("bob2", last_seq=0, epoch=1), Joined)
    assert (joined.recovered, joined.replayed) == (False, 0)


def test_a_mebibyte_of_bodies_is_kept() -> None:
    world = World(HandlerConfig(retention_bytes=1000))
    world.arrive("ann", "bob")
    world.gone("bob")
    for number in range(10):
        world.say("ann", str(number), body=b'"' + b"x" * 98 + b'"')
    assert world.heard("ann", Undelivered) == []
    world.say("ann", "10", body=b"1")
    assert len(world.heard("ann", Undelivered)) == 1


def test_what_retention_ended_early_for_is_not_held_until_its_time_would_have_come() -> None:
    world = World(HandlerConfig(rate_limit=10_000, retention_messages=10))
    world.arrive("ann", "bob")
    for number in range(1000):
        world.say("ann", str(number))
        world.ack("bob", number + 1)
    assert len(world.handler.ledger._kept) + len(world.handler.ledger._settled) < 200


def test_who_is_there_keeps_her_retries_when_retention_ends_early() -> None:
    world = World(HandlerConfig(retention_messages=1))
    world.arrive("ann", "bob")
    world.say("ann", "1")
    world.say("ann", "2")
    world.until(30)
    assert [m.attempt for m in world.heard("bob", Message)] == [1, 1, 2, 2]


def test_an_absence_after_retention_ended_early_expires_at_the_next_retry() -> None:
    world = World(HandlerConfig(retention_messages=1))
    world.arrive("ann", "bob")
    world.say("ann", "1")
    world.say("ann", "2")
    world.gone("bob")
    world.until(30)
    assert [notice.reason for notice in world.heard("ann", Undelivered)] == ["expired"]


# Resume.


def test_a_resume_replays_what_was_missed_in_order_with_one_more_attempt() -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.say("ann", "1")
    world.ack("bob1", 1)
    world.say("ann", "2")
    world.gone("bob1")
    world.say("ann", "3")
    world.until(50)
    world.connect("bob2")
    effects = world.join("bob2", last_seq=1, epoch=1)
    [(_, joined)] = sends(effects, Joined)
    assert (joined.recovered, joined.replayed, joined.seq) == (True, 2, 3)
    assert [(m.seq, m.attempt) for _, m in sends(effects, Message)] == [(2, 2), (3, 2)]
    order = [type(effect.message) for effect in effects if isinstance(effect, Send)]
    assert order.index(Joined) < order.index(Message)
    world.ack("bob2", 3)
    assert world.handler.ledger.waiting == 0


def test_a_replayed_message_has_its_three_retries_anew() -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.say("ann")
    world.until(65)
    world.gone("bob1")
    world.until(100)
    world.connect("bob2")
    world.join("bob2", last_seq=0, epoch=1)
    world.until(219.9)
    assert attempts(world, "bob1") == [(0, 1), (30, 2), (60, 3)]
    assert attempts(world, "bob2") == [(100, 4), (130, 5), (160, 6), (190, 7)]
    world.until(220)
    assert [notice.reason for notice in world.heard("ann", Undelivered)] == ["no_ack"]


def test_a_resume_is_answered_from_what_was_acked_too() -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.say("ann")
    world.ack("bob1", 1)
    world.connect("bob2")
    effects = world.join("bob2", last_seq=0, epoch=1)
    assert [(m.seq, m.attempt) for _, m in sends(effects, Message)] == [(1, 1)]


@pytest.mark.parametrize(("last_seq", "epoch"), [(1, 2), (0, 2), (3, 1)])
def test_another_epoch_or_a_position_ahead_is_not_recovered(last_seq: int, epoch: int) -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.say("ann", "1")
    world.say("ann", "2")
    world.gone("bob1")
    world.connect("bob2")
    effects = world.join("bob2", last_seq=last_seq, epoch=epoch)
    [(_, joined)] = sends(effects, Joined)
    assert (joined.recovered, joined.replayed, joined.seq, joined.epoch) == (False, 0, 2, 1)
    assert sends(effects, Message) == []
    assert world.handler.counters.unrecovered == 1


def test_a_resume_after_retention_replays_nothing() -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.say("ann", "1")
    world.until(100)
    world.say("ann", "2")
    world.gone("bob1")
    world.until(301)
    world.connect("bob2")
    effects = world.join("bob2", last_seq=0, epoch=1)
    assert not sends(effects, Joined)[0][1].recovered
    assert sends(effects, Message) == []


def test_a_resume_with_nothing_missed_is_recovered() -> None:
    world = World()
    world.arrive("ann")
    [(_, joined)] = sends(world.join("ann", last_seq=0, epoch=1), Joined)
    assert (joined.recovered, joined.replayed) == (True, 0)


def test_baseline_replays_nothing() -> None:
    world = World(BASELINE)
    world.arrive("ann", "bob1")
    world.gone("bob1")
    world.say("ann")
    world.connect("bob2")
    effects = world.join("bob2", last_seq=0, epoch=1)
    assert not sends(effects, Joined)[0][1].recovered
    assert sends(effects, Message) == []


def test_a_new_device_leaves_waiting_what_waits_for_another() -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.gone("bob1")
    world.say("ann", "1")
    world.connect("bob2")
    world.join("bob2")
    world.say("ann", "2")
    [(_, notice)] = sends(world.ack("bob2", 2), Delivered)
    assert len(notice.message_ids) == 1
    world.until(100)
    assert [m.seq for m in world.heard("bob2", Message)] == [2]
    world.connect("bob3")
    world.join("bob3", last_seq=0, epoch=1)
    assert [m.seq for m in world.heard("bob3", Message)] == [1, 2]
    world.ack("bob3", 2)
    assert world.handler.ledger.waiting == 0


def test_what_two_devices_ack_out_of_order_is_held_by_neither() -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.say("ann", "1")
    world.connect("bob2")
    world.join("bob2")
    for body in "23":
        world.say("ann", body)
    world.ack("bob2", 2)
    world.ack("bob1", 1)
    member = world.handler._sessions.by_name["s"].members["bob"]
    assert [outgoing.message.seq for outgoing in member.owed] == [3]


def test_what_waits_beside_a_new_device_ends_with_retention() -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.gone("bob1")
    world.say("ann")
    world.connect("bob2")
    world.join("bob2")
    world.until(299)
    assert world.heard("ann", Undelivered) == []
    world.until(300)
    assert [notice.reason for notice in world.heard("ann", Undelivered)] == ["expired"]


def test_what_a_resumed_client_claims_to_have_but_never_acked_ends_with_retention() -> None:
    world = World()
    world.arrive("ann", "bob1")
    world.say("ann")
    world.gone("bob1")
    world.until(60)
    world.connect("bob2")
    world.join("bob2", last_seq=1, epoch=1)
    world.until(400)
    assert [notice.reason for notice in world.heard("ann", Undelivered)] == ["expired"]
    assert world.handler.ledger.waiting == 0


# Leaving.


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_who_leaves_ends_all_that_she_was_owed(count: int) -> None:
    world = World()
    world.arrive("ann", "bob")
    for number in range(count):
        world.say("ann", str(number))
    world.leave("bob")
    assert [(notice.user, notice.reason) for notice in world.heard("ann", Undelivered)] == [("bob", "left")] * count
    assert world.handler.ledger.waiting == 0
    world.balance()
    world.until(400)
    assert world.handler.ledger.undelivered == count


def test_leaving_on_one_of_two_connections_ends_nothing() -> None:
    world = World()
    world.arrive("ann", "bob1", "bob2")
    world.say("ann")
    world.leave("bob1")
    assert world.heard("ann", Undelivered) == []
    world.until(30)
    assert (len(world.heard("bob1", Message)), len(world.heard("bob2", Message))) == (1, 2)


# Conservation.

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(["ann", "bob1", "cid"])),
        st.tuples(st.just("ack"), st.sampled_from(["bob1", "bob2", "cid"]), st.integers(0, 12)),
        st.tuples(st.just("gone"), st.sampled_from(["bob1", "bob2", "cid"])),
        st.tuples(st.just("back"), st.sampled_from(["bob1", "bob2", "cid"]), st.none() | st.integers(0, 8)),
        st.tuples(st.just("leave"), st.sampled_from(["bob1", "bob2", "cid"])),
        st.tuples(st.just("pass"), st.sampled_from([1.0, 20.0, 31.0, 150.0])),
    ),
    max_size=30,
)


@pytest.mark.parametrize("reliability", ["hardened", "baseline"])
@examples(60)
@given(steps=STEPS)
def test_what_is_owed_is_delivered_undelivered_or_waiting(reliability: str, steps: list[tuple[object, ...]]) -> None:
    small = HandlerConfig(retention_messages=4)
    world = World(small if reliability == "hardened" else BASELINE)
    world.arrive("ann", "bob1", "bob2", "cid")
    for number, (what, *args) in enumerate(steps):
        conn = str(args[0])
        if what == "pass":
            world.pass_s(float(conn))
        elif what == "back":
            if not world.handler.knows(conn):
                world.connect(conn)
            world.join(conn, last_seq=args[1] if isinstance(args[1], int) else None, epoch=1)
        elif what == "say":
            world.say(conn, str(number))
        elif what == "ack":
            assert isinstance(args[1], int)
            world.ack(conn, args[1])
        elif what == "leave":
            world.leave(conn)
        else:
            world.gone(conn)
        world.balance()
    world.pass_s(900)
    world.balance()
    assert world.handler.ledger.waiting == 0
    issued = [e for _, e in world.done if isinstance(e, Send) and isinstance(e.message, Undelivered)]
    assert len(issued) == world.handler.ledger.undelivered


def delay_s(comes_through: tuple[bool, ...]) -> float:
    """How long after it was said (s) a message is delivered, where these of its sends come through with their acks; inf
    where it never is."""
    world = World()
    world.arrive("ann", "bob")
    world.say("ann")
    for attempt, comes in enumerate(comes_through):
        world.until(30.0 * attempt)
        if comes:
            world.ack("bob", 1)
    world.until(200)
    told = [at for at, _ in world.dated("ann", Delivered)]
    assert (len(told), world.handler.ledger.delivered) == (any(comes_through), any(comes_through))
    assert len(attempts(world, "bob")) == (comes_through.index(True) if told else 3) + 1
    return told[0] if told else inf


DELAYS_S = {comes: delay_s(comes) for comes in product((True, False), repeat=4)}


@pytest.mark.parametrize("lost", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_chance_and_the_delay_of_delivery_follow_from_the_number_of_sends(lost: float) -> None:
    """Each send or its ack is lost with p: four sends deliver 1 - p^4, after 0, 30, 60 and 90 s with geometric weights.

    Exact, over all sixteen patterns of loss, each with its probability.
    """
    weights = dict.fromkeys((0.0, 30.0, 60.0, 90.0, inf), 0.0)
    for comes_through, after_s in DELAYS_S.items():
        weights[after_s] += prod(1.0 - lost if comes else lost for comes in comes_through)
    geometric = {30.0 * sends: lost**sends * (1.0 - lost) for sends in range(4)}
    assert weights == pytest.approx(geometric | {inf: lost**4}, abs=1e-15)
    assert sum(geometric.values()) == pytest.approx(1.0 - lost**4)


def test_who_follows_a_device_that_began_later_has_not_what_came_before() -> None:
    """The position that it comes back with is where the other began: what is older was never sent to it."""
    world = World()
    world.arrive("ann", "bob1")
    world.gone("bob1")
    world.say("ann", "1")
    world.connect("bob2")
    world.join("bob2")
    world.gone("bob2")
    for former, conn in (("bob2", "bob3"), ("bob3", "bob4")):
        world.connect(conn)
        world.join(conn, last_seq=1, epoch=1, replaces=former)
        assert sends(world.ack(conn, 1), Delivered) == []
        assert world.handler.ledger.waiting == 1
        if conn == "bob3":
            world.gone(conn)
    world.say("ann", "2")
    [(_, notice)] = sends(world.ack("bob4", 2), Delivered)
    assert len(notice.message_ids) == 1
    world.connect("bob5")
    assert sends(world.join("bob5", last_seq=0, epoch=1), Message)[0][1].seq == 1
    assert sends(world.ack("bob5", 1), Delivered)
    world.balance()


def began_behind(*devices: str, snapshot: Snapshot | None = None) -> World:
    """Something waits for bob that none of these devices of his was sent: each began behind it, and is gone."""
    world = World(snapshot=snapshot)
    world.arrive("ann", "bob0")
    world.gone("bob0")
    world.say("ann", "1")
    for conn in devices:
        world.connect(conn)
        world.join(conn)
        world.gone(conn)
    return world


def test_who_does_not_say_whom_it_follows_may_have_begun_as_late_as_any() -> None:
    world = began_behind("bob1")
    world.connect("bob2")
    world.join("bob2", last_seq=1, epoch=1)
    assert sends(world.ack("bob2", 1), Delivered) == []
    world.say("ann", "2")
    [(_, notice)] = sends(world.ack("bob2", 2), Delivered)
    assert notice.message_ids == (world.heard("bob2", Message)[0].message_id,)
    assert world.handler.ledger.waiting == 1


def test_who_is_sent_what_waits_may_ack_it_whoever_began_behind_it() -> None:
    world = began_behind("bob1")
    world.connect("bob2")
    assert sends(world.join("bob2", last_seq=0, epoch=1), Message)
    assert sends(world.ack("bob2", 1), Delivered)
    assert world.handler.ledger.waiting == 0


def test_who_resumes_before_where_the_former_began_may_ack_what_lies_between() -> None:
    world = began_behind("bob1")
    world.connect("bob2")
    assert sends(world.join("bob2", last_seq=0, epoch=1, replaces="bob1"), Message)
    assert sends(world.ack("bob2", 1), Delivered)


def test_where_devices_began_is_remembered_of_a_few() -> None:
    world = began_behind(*(f"bob{number}" for number in range(1, 100)))
    member = world.handler._sessions.by_name["s"].members["bob"]
    assert len(member.starts or ()) == GONE_STARTS_MAX + 1
    # Of the others it is known that some began behind what waits.
    world.connect("bob")
    world.join("bob", last_seq=1, epoch=1, replaces="bob1")
    assert sends(world.ack("bob", 1), Delivered) == []
    assert world.handler.ledger.waiting == 1
    assert len(member.starts or ()) == GONE_STARTS_MAX + 2


def test_where_a_device_began_outlives_the_node() -> None:
    log = KeptLog()
    first = began_behind(snapshot=Snapshot())
    for conn in ("bob1", "bob2"):
        first.connect(conn)
        first.join(conn)
    first.gone("bob1")
    for _, effect in first.done:
        if isinstance(effect, Append):
            log.append(effect.record)
        elif isinstance(effect, Note):
            log.note(effect.fact)
    world = World(snapshot=log.snapshot(first.handler.config, EPOCH + first.now))
    world.connect("ann")
    world.join("ann")
    for former, conn in (("bob1", "bob3"), ("bob2", "bob4"), (None, "bob5")):
        world.connect(conn)
        assert sends(world.join(conn, last_seq=1, epoch=1, replaces=former), Joined)[0][1].recovered
        assert sends(world.ack(conn, 1), Delivered) == []
    assert world.handler.ledger.waiting == 1
