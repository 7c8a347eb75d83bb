"""The handler, rule by rule: opening, acks to the sender, limits and refusals (protocol.md, sections 1 to 3).

Who hears what is tested in `test_pool`, retries and resume in `test_delivery`, pings in `test_pulse`, people in
`test_people`.
"""

from __future__ import annotations

import pytest
from msgspec import UNSET

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Close, Send
from chatsim.core.frames import (
    Ack,
    AckIn,
    Draining,
    Error,
    Heartbeat,
    HeartbeatIn,
    Message,
    Presence,
    RateLimit,
    Refreshed,
    StatusIn,
    Typing,
    Welcome,
)
from chatsim.core.tokens import Claims
from tests.core.world import EPOCH, HOUR_S, World, sends

# Opening.


def test_the_first_frame_is_welcome() -> None:
    world = World()
    world.until(5)
    [(to, welcome)] = sends(world.connect("ann1", ttl_s=600), Welcome)
    assert to == ("ann1",)
    assert welcome == Welcome(
        connection="ann1",
        user="ann",
        server_time=EPOCH + 5,
        ping_interval_s=30,
        pong_timeout_s=10,
        expires_in_s=600,
        message_bytes_max=65536,
        rate_limit=RateLimit(60, 60),
    )


def test_the_21st_connection_closes_the_users_oldest() -> None:
    world = World()
    world.connect("bob")
    for number in range(20):
        world.connect(f"ann{number}")
    effects = world.connect("ann20")
    assert [(e.to, e.code) for e in effects if isinstance(e, Close)] == [("ann0", 4502)]
    assert sends(effects, Welcome)
    effects = world.connect("ann21")
    assert [(e.to, e.code) for e in effects if isinstance(e, Close)] == [("ann1", 4502)]
    assert world.handler.knows("bob")


# Accepting a message.


def test_the_ack_comes_after_the_append_and_before_the_fan_out() -> None:
    world = World()
    world.arrive("ann", "bob")
    effects = world.say("ann", "x")
    kinds = [type(e) if isinstance(e, Append) else type(e.message) for e in effects if isinstance(e, Append | Send)]
    assert kinds == [Append, Ack, Message]
    [(to, ack)] = sends(effects, Ack)
    assert to == ("ann",)
    assert ack == Ack("x", world.heard("bob", Message)[0].message_id, "s", 1, 1, False)


def test_nothing_is_acked_or_sent_before_the_log_has_it() -> None:
    world = World(slow_log=True)
    world.arrive("ann", "bob")
    assert [type(e) for e in world.say("ann")] == [Append]
    world.until(5)
    assert world.heard("ann", Ack) == []
    effects = world.log_answers()
    assert len(sends(effects, Ack)) == len(sends(effects, Message)) == 1


def test_the_record_says_who_where_and_when() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.until(12.5)
    [append] = [e for e in world.say("ann", "x", body=b'{"a": 1}') if isinstance(e, Append)]
    record = append.record
    assert (record.session, record.sender, record.conn, record.id) == ("s", "ann", "ann", "x")
    assert (bytes(record.body), record.sent_at) == (b'{"a": 1}', EPOCH + 12.5)
    assert [bytes(m.body) for m in world.heard("bob", Message)] == [b'{"a": 1}']


def test_a_failed_append_is_unavailable_and_the_id_may_be_tried_again() -> None:
    world = World(slow_log=True)
    world.arrive("ann", "bob")
    world.say("ann", "x")
    [(to, error)] = sends(world.log_fails(), Error)
    assert (to, error.code, error.id) == (("ann",), "unavailable", "x")
    world.say("ann", "x")
    [(_, ack)] = sends(world.log_answers(), Ack)
    assert (ack.duplicate, ack.seq) == (False, 1)


def test_what_the_log_refuses_costs_no_budget() -> None:
    world = World(slow_log=True)
    world.arrive("ann", "bob")
    for number in range(60):
        world.say("ann", f"x{number}")
    assert len(sends(world.log_fails(), Error)) == 60
    for number in range(60):
        world.say("ann", f"x{number}")
    assert len(sends(world.log_answers(), Ack)) == 60
    assert [error.code for _, error in sends(world.say("ann", "x60"), Error)] == ["rate_limited"]


def test_what_the_log_refuses_of_somebody_who_is_forgotten_is_told_to_nobody() -> None:
    world = World(HandlerConfig(dedupe_for_s=HOUR_S), slow_log=True)
    world.arrive("ann", "bob")
    world.say("ann")
    world.gone("ann")
    world.pass_s(HOUR_S / 2)
    assert not world.handler.remembers(world.now, "ann", earlier=False)
    assert world.log_fails() == []


def test_who_has_gone_meanwhile_gets_no_ack() -> None:
    world = World(slow_log=True)
    world.arrive("ann", "bob")
    world.say("ann", "x")
    world.gone("ann")
    effects = world.log_answers()
    assert sends(effects, Ack) == []
    assert len(sends(effects, Message)) == 1


@pytest.mark.parametrize(("session", "code"), [("s", "not_a_participant"), ("nowhere", "no_such_session")])
def test_a_stranger_writes_nothing(session: str, code: str) -> None:
    world = World()
    world.arrive("ann")
    world.connect("eve", sessions=())
    effects = world.say("eve", "x", session)
    assert [type(e) for e in effects] == [Send]
    [(to, error)] = sends(effects, Error)
    assert (to, error.code, error.id) == (("eve",), code, "x")


def test_a_token_for_other_sessions_writes_nothing_here() -> None:
    world = World()
    world.arrive("ann1", "bob")
    world.connect("ann2", sessions=("t",))
    [(_, error)] = sends(world.say("ann2", "x"), Error)
    assert error.code == "not_a_participant"
    assert sends(world.say("ann2", "y", "@ann"), Ack)


# Repeating an id.


def test_a_repeated_id_is_acked_again_and_sent_once() -> None:
    world = World()
    world.arrive("ann1", "ann2", "bob")
    world.say("ann1", "x")
    for conn in ("ann1", "ann2"):
        effects = world.say(conn, "x", body=b"2")
        [(to, ack)] = sends(effects, Ack)
        assert (to, ack.duplicate, ack.seq, ack.id) == ((conn,), True, 1, "x")
        assert len(effects) == 1
    assert len(world.heard("bob", Message)) == 1
    assert world.handler.counters.duplicates_suppressed == 2


def test_a_repeated_id_waits_for_the_append_under_way() -> None:
    world = World(slow_log=True)
    world.arrive("ann1", "ann2", "bob")
    world.say("ann1", "x")
    assert world.say("ann2", "x") == []
    assert world.say("ann2", "x") == []
    assert len(world.appending) == 1
    acks = sends(world.log_answers(), Ack)
    assert [(to, ack.duplicate) for to, ack in acks] == [(("ann1",), False), (("ann2",), True)]


def test_a_failed_append_answers_who_repeated_the_id() -> None:
    world = World(slow_log=True)
    world.arrive("ann1", "ann2")
    world.say("ann1", "x")
    world.say("ann2", "x")
    assert [to for to, _ in sends(world.log_fails(), Error)] == [("ann1", "ann2")]


def test_ids_are_per_user_and_session() -> None:
    world = World()
    world.connect("ann", sessions=("s", "t"))
    world.connect("bob")
    for conn, session in (("ann", "s"), ("ann", "t"), ("bob", "s")):
        world.join(conn, session)
        assert not sends(world.say(conn, "x", session), Ack)[0][1].duplicate


def test_an_id_is_remembered_for_300_s() -> None:
    world = World()
    world.arrive("ann")
    world.until(10)
    world.say("ann", "x")
    world.until(309.9)
    assert sends(world.say("ann", "x"), Ack)[0][1].duplicate
    world.until(310)
    assert not sends(world.say("ann", "x"), Ack)[0][1].duplicate


def test_an_earlier_failure_does_not_shorten_the_memory() -> None:
    world = World(slow_log=True)
    world.arrive("ann")
    world.say("ann", "x")
    world.log_fails()
    world.until(100)
    world.say("ann", "x")
    world.log_answers()
    world.until(350)
    [(_, ack)] = sends(world.say("ann", "x"), Ack)
    assert ack.duplicate


# The rate limit.


def test_the_61st_message_in_60_s_is_refused_over_all_connections() -> None:
    world = World()
    world.arrive("ann1", "ann2", "bob")
    for number in range(60):
        world.until(number / 4)
        world.say(f"ann{1 + number % 2}", str(number))
    world.until(20)
    effects = world.say("ann2", "late")
    [(to, error)] = sends(effects, Error)
    assert (to, error.code, error.id, error.retry_after_ms) == (("ann2",), "rate_limited", "late", 40_000)
    assert len(effects) == 1
    assert sends(world.say("bob", "1"), Ack)
    world.until(59.999)
    assert sends(world.say("ann1", "late"), Error)
    world.until(60)
    assert sends(world.say("ann1", "late"), Ack)
    assert world.handler.counters.rate_limited == 2


def test_a_repeated_id_costs_no_budget_and_a_new_connection_brings_none() -> None:
    world = World()
    world.arrive("ann1", "ann2")
    for number in range(60):
        world.say("ann1", str(number))
    assert sends(world.say("ann1", "7"), Ack)[0][1].duplicate
    world.gone("ann1")
    world.gone("ann2")
    world.until(45)
    world.connect("ann3")
    assert sends(world.say("ann3", "new"), Error)[0][1].code == "rate_limited"


def test_acks_heartbeats_and_the_rest_do_not_count() -> None:
    world = World()
    world.arrive("ann", "bob")
    for _ in range(100):
        world.receive("ann", HeartbeatIn())
        world.ack("ann", 0)
        world.typing("ann")
    assert sends(world.say("ann"), Ack)


# Frame flood and violations.


def test_the_601st_frame_in_60_s_gets_frame_rate() -> None:
    world = World()
    world.arrive("ann")
    for _ in range(599):
        world.receive("ann", HeartbeatIn())
    assert world.heard("ann", Error) == []
    world.receive("ann", HeartbeatIn())
    [error] = world.heard("ann", Error)
    assert (error.code, error.retry_after_ms) == ("frame_rate", 60_000)
    [(_, refused)] = sends(world.say("ann", "x"), Error)
    assert (refused.code, refused.id) == ("frame_rate", "x")
    assert world.closes() == []
    world.until(60)
    assert sends(world.say("ann", "x"), Ack)


def test_frames_of_an_earlier_minute_do_not_hide_a_flood() -> None:
    world = World()
    world.connect("ann")
    for _ in range(300):
        world.receive("ann", HeartbeatIn())
    world.until(100)
    for _ in range(601):
        world.receive("ann", HeartbeatIn())
    assert [error.code for error in world.heard("ann", Error)] == ["frame_rate"]


def test_a_flood_that_goes_on_for_another_minute_is_closed_4003() -> None:
    world = World()
    world.connect("ann")
    frames = 0
    while not world.closes():
        world.until(frames / 20)
        world.receive("ann", HeartbeatIn())
        frames += 1
        assert frames < 4000
    [(at, conn, code)] = world.closes()
    assert (conn, code) == ("ann", 4003)
    [(first_at, _), (last_at, last)] = world.dated("ann", Error)
    assert (first_at, last_at) == (30.0, at)
    assert at - first_at == pytest.approx(60, abs=0.1)
    # One more would be let through when 599 are left of the last minute: the last frame before the close says so.
    assert last.retry_after_ms == pytest.approx(1000 * (120.05 - at), abs=1)


def test_a_flood_that_stops_is_forgiven() -> None:
    world = World()
    world.connect("ann")
    for minute in (0, 130, 260):
        world.until(minute)
        for _ in range(601):
            world.receive("ann", HeartbeatIn())
    assert len(world.heard("ann", Error)) == 3
    assert world.closes() == []


def test_the_11th_violation_in_a_minute_closes_with_4503() -> None:
    world = World()
    world.connect("ann")
    for number, code in enumerate(["bad_json", "bad_frame", "unknown_type", "bad_json", "bad_json"] * 2):
        world.until(number)
        [(to, error)] = sends(world.do("malformed", "ann", code, "what is wrong"), Error)
        assert (to, error.code, error.message) == (("ann",), code, "what is wrong")
    world.until(59.9)
    world.do("malformed", "ann", "bad_json", "")
    assert [(conn, code) for _, conn, code in world.closes()] == [("ann", 4503)]


def test_ten_violations_a_minute_are_borne() -> None:
    world = World()
    world.connect("ann")
    for number in range(60):
        world.until(6 * number)
        world.do("malformed", "ann", "bad_json", "")
    assert world.closes() == []


@pytest.mark.parametrize(("code", "close"), [("binary", 1003), ("bad_utf8", 1007), ("too_large", 1009)])
def test_what_is_no_text_frame_closes_at_once(code: str, close: int) -> None:
    world = World()
    world.connect("ann")
    world.do("malformed", "ann", code, "")
    assert [(conn, code) for _, conn, code in world.closes()] == [("ann", close)]


@pytest.mark.parametrize(
    "frame", [AckIn(), AckIn("s"), AckIn(up_to=3), StatusIn("join"), StatusIn("leave"), StatusIn("refresh", "s")]
)
def test_a_frame_that_says_too_little_is_a_bad_frame(frame: AckIn | StatusIn) -> None:
    world = World()
    world.arrive("ann")
    for _ in range(10):
        [(_, error)] = sends(world.receive("ann", frame), Error)
        assert error.code == "bad_frame"
    world.receive("ann", frame)
    assert [(conn, code) for _, conn, code in world.closes()] == [("ann", 4503)]


def test_a_heartbeat_is_answered_with_its_t() -> None:
    world = World()
    world.arrive("ann")
    world.until(2)
    [(_, beat)] = sends(world.receive("ann", HeartbeatIn(1.25)), Heartbeat)
    assert (beat.t, beat.server_time) == (1.25, EPOCH + 2)
    assert sends(world.receive("ann", HeartbeatIn()), Heartbeat)[0][1].t is UNSET


def test_the_own_session_is_joined_before_anybody_writes_to_it() -> None:
    world = World()
    world.connect("ann")
    for seq in (0, 1):
        [(_, beat)] = sends(world.receive("ann", HeartbeatIn()), Heartbeat)
        assert beat.seqs == {"@ann": seq}
        assert sends(world.typing("ann", session="@ann"), Typing) == []
        assert [error.code for _, error in sends(world.leave("ann", "@ann"), Error)] == ["not_a_participant"]
        world.say("ann", session="@ann")


# Pressure and draining.


def test_a_slow_reader_is_spared_first_and_closed_then() -> None:
    world = World()
    world.arrive("ann", "bob", "cid")
    world.slow.add("bob")
    world.do("pressure", "bob", 2**19 + 1)
    assert [to for to, _ in sends(world.typing("ann"), Typing)] == [("cid",)]
    assert set(sends(world.say("ann"), Message)[0][0]) == {"bob", "cid"}
    world.do("pressure", "bob", 2**19)
    world.arrive("dan")
    world.pass_s(4)
    assert "bob" in sends(world.typing("ann"), Typing)[0][0]
    world.do("pressure", "bob", 0, 129)
    world.connect("eve")
    assert "bob" not in sends(world.join("eve"), Presence)[0][0]
    world.do("pressure", "bob", 2**20, 256)
    assert world.closes() == []
    world.do("pressure", "bob", 2**20 + 1, 0)
    world.do("pressure", "cid", 0, 257)
    assert [(conn, code) for _, conn, code in world.closes()] == [("bob", 4000), ("cid", 4000)]
    assert world.handler.counters.slow_closed == 2


def test_draining_tells_everyone_when_to_come_back_and_spreads_the_closes() -> None:
    world = World()
    for number in range(1000):
        world.connect(f"c{number}", f"u{number}")
    delays = [notice.reconnect_after_ms for _, notice in sends(world.do("drain"), Draining)]
    assert len(delays) == 1000
    assert 0 <= min(delays) < 50
    assert 1950 < max(delays) <= 2000
    world.until(1.0)
    assert 490 < len(world.closes()) < 510
    world.until(2.0)
    assert {(conn, code) for _, conn, code in world.closes()} == {(f"c{n}", 1012) for n in range(1000)}


def test_an_order_to_drain_is_given_once() -> None:
    world = World()
    world.connect("ann")
    assert sends(world.do("drain"), Draining)
    assert world.do("drain") == []


def test_who_may_be_coming_back_is_remembered_as_long_as_she_is_a_receiver() -> None:
    world = World()
    world.arrive("ann")
    assert world.handler.remembers(0, "ann", earlier=False)
    assert not world.handler.remembers(0, "bob", earlier=False)
    world.gone("ann")
    world.until(299)
    assert world.handler.remembers(299, "ann", earlier=False)
    assert world.handler.remembers(299, "bob", earlier=True), "an earlier life may have known her"
    world.until(400)
    assert not world.handler.remembers(400, "ann", earlier=False)
    assert not world.handler.remembers(400, "bob", earlier=True)


def test_retention_shorter_than_a_retry_still_wakes_in_time() -> None:
    world = World(HandlerConfig(retention_s=5))
    world.arrive("ann", "bob")
    world.say("ann")
    assert world.handler.wake_at() <= 5


def test_refreshes_count_as_frames_and_a_flood_of_them_changes_no_token() -> None:
    world = World(HandlerConfig(frame_limit=2))
    world.connect("ann", ttl_s=600)
    claims = Claims(sub="ann", exp=EPOCH + 9000, sessions=("s",))
    for _ in range(2):
        assert [refreshed for _, refreshed in sends(world.do("refresh", "ann", claims), Refreshed)] == [
            Refreshed(expires_in_s=9000)
        ]
    later = Claims(sub="ann", exp=EPOCH + 9900, sessions=("s",))
    [(to, error)] = sends(world.do("refresh", "ann", later), Error)
    assert (to, error.code) == (("ann",), "frame_rate")
    assert world.do("refresh", "nobody", later) == []


def test_who_is_there_is_counted_by_connections_and_by_people() -> None:
    world = World()
    for conn in ("ann1", "ann2", "bob1"):
        world.connect(conn)
    assert (world.handler.present(), world.handler.connected) == ((3, 2), 3)
    world.do("disconnect", "ann1")
    assert (world.handler.present(), world.handler.connected) == ((2, 2), 3)
    world.do("disconnect", "bob1")
    assert (world.handler.present(), world.handler.connected) == ((1, 1), 3)


def test_what_is_told_of_a_session_that_is_gone_reaches_nobody() -> None:
    world = World()
    world.connect("ann")
    assert world.do("told", "never-opened", Typing("never-opened", "ann", True)) == []
    assert world.handler.counters.typing_events == 0
