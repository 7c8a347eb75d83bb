"""What a run has come through, told from the steps alone."""

from __future__ import annotations

from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Append, Close, Effect, Record, Send, Tell
from chatsim.core.frames import Ack, Error, HeartbeatIn, Joined, Message, Presence, StatusIn, Typing, Undelivered
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims
from chatsim.journal.record import Fired
from chatsim.verdict.sometimes import SOMETIMES, Reached

EPOCH = 1_000_000.0
RECORD = Record("s", "ann", "a", "1", Raw(b"1"), EPOCH, 1)


def reached(
    *steps: tuple[float, str, tuple[object, ...], tuple[Effect, ...]], fired: tuple[Fired, ...] = (), **words: object
) -> set[str]:
    made = Reached(HandlerConfig(**words), EPOCH)  # type: ignore[arg-type]
    for now, door, args, effects in steps:
        made.step(now, door, args, effects)
    made.finish(fired)
    assert made.names <= SOMETIMES.keys()
    return made.names


def answered(frame: object, door: str = "receive", args: tuple[object, ...] = ("a", HeartbeatIn())) -> set[str]:
    return reached((0.0, door, args, (Send(("a",), frame),)))  # type: ignore[arg-type]


def connect(conn: str, at: float = 0.0) -> tuple[float, str, tuple[object, ...], tuple[Effect, ...]]:
    return at, "connect", (conn, Claims(sub="ann", exp=EPOCH + 100.0)), NOTHING


def test_frames_that_refuse() -> None:
    assert answered(Error("rate_limited", "")) == {"limiter_refuses"}
    assert answered(Error("frame_rate", "")) == {"frame_rate_refuses"}
    assert answered(Error("token_expired", "")) == {"token_expired"}


def test_messages_that_come_again() -> None:
    message = Message("m1", "s", 1, 1, "ann", Raw(b"1"), EPOCH, 4)
    assert answered(message, "wake", ()) == {"retried", "last_retry"}
    assert answered(message) == {"replayed", "absent_receiver"}
    assert answered(message, "pressure", ("a", 0, 0)) == {"replayed_in_parts"}
    given_up = Undelivered(message_id="m1", session="s", user="bob", reason="no_ack")
    assert answered(given_up, "wake", ()) == {"given_up"}


def test_resumes() -> None:
    joined = Joined(session="s", epoch=1, seq=3, recovered=False, replayed=0, participants=())
    asked = StatusIn("join", "s", epoch=1, last_seq=1)
    assert answered(joined, args=("a", asked)) == {"unrecovered"}
    assert answered(joined, args=("a", StatusIn("join", "s"))) == set()


def test_what_is_said_while_a_replay_is_under_way() -> None:
    asked = StatusIn("join", "s", epoch=1, last_seq=1)
    joined = Joined(session="s", epoch=1, seq=3, recovered=True, replayed=2, participants=())
    began = (0.0, "receive", ("a", asked), (Send(("a",), joined),))

    def sent(seq: int) -> tuple[float, str, tuple[object, ...], tuple[Effect, ...]]:
        return 1.0, "pressure", ("a", 0, 0), (Send(("a",), Message("m", "s", 1, seq, "ann", Raw(b"1"), EPOCH, 1)),)

    assert reached(began, sent(3)) == {"replayed_in_parts"}
    assert reached(began, sent(3), sent(4)) == {"replayed_in_parts", "held_back"}


def test_closes_by_their_codes() -> None:
    for code, name in ((4000, "slow_reader_closed"), (4001, "no_pong"), (4005, "stale"), (4503, "violations_closed")):
        assert reached((0.0, "wake", (), (Close("a", code, ""),))) == {name}
    evicted = Close("a", 4502, "connection limit")
    assert reached((0.0, "connect", ("b", Claims(sub="ann", exp=0.0)), (evicted,))) == {"evicted"}


def test_appends_that_fail_and_are_tried_again() -> None:
    failed = (0.0, "append_failed", (RECORD,), NOTHING)
    assert reached(failed, (1.0, "appended", (RECORD,), NOTHING)) == {"append_failed", "append_retried"}


def test_ends_with_something_under_way() -> None:
    begin = (9.0, "begin", (Snapshot(), EPOCH, 1, 2), NOTHING)
    under_way = (1.0, "receive", ("a", HeartbeatIn()), (Append(RECORD),))
    drain = (2.0, "drain", (), NOTHING)
    assert reached(connect("a"), under_way, drain, begin) == {"append_lost", "began_again"}
    assert "drained" in reached(connect("a"), drain, (3.0, "disconnect", ("a",), NOTHING), begin)


def test_a_drain_is_cut_off_by_a_crash_and_by_nothing_else() -> None:
    drained = (connect("a"), (2.0, "drain", (), NOTHING), (9.0, "begin", (Snapshot(), EPOCH, 1, 2), NOTHING))

    def struck(do: str, at: float, *, vain: bool = False) -> set[str]:
        return reached(*drained, fired=(Fired(do, at, ("ann",), vain),)) - {"began_again"}

    assert struck("crash_node", 3.0) == struck("crash_node", 2.0) == {"drain_cut_off"}
    assert struck("drain_node", 2.0) == set(), "its patience came to an end"
    assert struck("crash_node", 3.0, vain=True) == set(), "it had ended before"
    assert struck("crash_node", 1.0) == struck("crash_node", 9.0) == set()


def test_somebody_is_back_within_the_grace() -> None:
    gone = (5.0, "disconnect", ("a",), NOTHING)
    assert "back_in_grace" in reached(connect("a"), gone, connect("b", 10.0))
    assert "back_in_grace" not in reached(connect("a"), gone, connect("b", 50.0))


def test_the_clock_jumps_past_the_end_of_a_token() -> None:
    assert "clock_jumped_past_end" in reached(connect("a"), (1.0, "clock_jump", (200.0,), NOTHING))
    assert "clock_jumped_past_end" not in reached(connect("a"), (1.0, "clock_jump", (50.0,), NOTHING))


def test_what_the_others_hear() -> None:
    assert reached((0.0, "wake", (), (Tell("s", Typing("s", "ann", False)),))) == {"typing_lapsed"}
    assert reached((0.0, "wake", (), (Tell("s", Presence("ann", "away", EPOCH)),))) == {"away"}


def test_repeated_ids_and_one_instant() -> None:
    ack = Ack("1", "m1", "s", 1, 1, True)
    assert answered(ack) == {"duplicate"}
    assert answered(ack, "appended", (RECORD,)) == {"duplicate_under_way"}
    assert "one_instant" in reached(connect("a", 1.0), connect("b", 1.0))


def test_lag_and_the_first_rules() -> None:
    assert reached((0.0, "pressure", ("a", 60, 0), NOTHING), outbound_bytes=100) == {"shedding"}
    assert reached(reliability="baseline") == {"baseline"}
