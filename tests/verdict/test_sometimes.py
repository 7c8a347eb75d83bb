"""What a run has come through, told from the steps alone: each property is reached by its own story, and by no other
that is nearly the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import pytest
from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Append, Close, Effect, Note, Record, Send, Tell
from chatsim.core.facts import Added, Ended, Made, Removed
from chatsim.core.frames import (
    Ack,
    Error,
    HeartbeatIn,
    Joined,
    Left,
    Message,
    Presence,
    Refreshed,
    Say,
    ServerFrame,
    StatusIn,
    TokenExpiring,
    Typing,
    Undelivered,
)
from chatsim.core.service import SERVER
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims
from chatsim.journal.record import Fired
from chatsim.verdict.sometimes import SOMETIMES, Reached
from tests.verdict.invariants.steps import nothing_seen

EPOCH = 1_000_000.0
BODY = Raw(b"1")
RECORD = Record("s", "ann", "a", "1", BODY, EPOCH, 1)

Step: TypeAlias = tuple[float, str, tuple[object, ...], tuple[Effect, ...]]
Told: TypeAlias = Callable[[], set[str]]


def reached(*steps: Step, turned_away: int = 0, fired: Sequence[Fired] = (), **words: object) -> set[str]:
    made = Reached(HandlerConfig(**words), EPOCH)  # type: ignore[arg-type]
    for now, door, args, effects in steps:
        made.step(now, door, args, effects)
    record = nothing_seen()
    record.counters["turned_away"] = turned_away
    record.fired.extend(fired)
    made.finish(record)
    assert made.names <= SOMETIMES.keys()
    return made.names


def run(*steps: Step, **words: Any) -> Told:
    return partial(reached, *steps, **words)


def step(door: str, *args: object, at: float = 0.0, effects: tuple[Effect, ...] = NOTHING) -> Step:
    return at, door, args, effects


def asked(frame: object, *answers: ServerFrame, at: float = 0.0) -> Step:
    """Connection "a" sends this, and is answered so."""
    return step("receive", "a", frame, at=at, effects=tuple(Send(("a",), answer) for answer in answers))


def answered(frame: ServerFrame) -> Told:
    return run(asked(HeartbeatIn(), frame))


def woken(*effects: Effect) -> Told:
    return run(step("wake", effects=effects))


def connect(conn: str = "a", user: str = "ann", at: float = 0.0, *effects: Effect) -> Step:
    return step("connect", conn, Claims(sub=user, exp=EPOCH + 100.0), at=at, effects=effects)


def message(seq: int = 1, attempt: int = 1, sender: str = "ann") -> Message:
    return Message("m1", "s", 1, seq, sender, BODY, EPOCH, attempt)


def sent(frame: ServerFrame) -> Send:
    return Send(("a",), frame)


def undelivered(reason: str) -> Undelivered:
    return Undelivered(message_id="m1", session="s", user="bob", reason=reason)


def joined(seq: int = 3, *, recovered: bool = True, replayed: int = 0, epoch: int = 1) -> Joined:
    return Joined(session="s", epoch=epoch, seq=seq, recovered=recovered, replayed=replayed, participants=())


def error(code: str) -> Error:
    return Error(code, "")


def closed(code: int, reason: str = "") -> Told:
    return woken(Close("a", code, reason))


def said(user: str = "ann", at: float = 0.0) -> Step:
    """A message of the user is on its way to the log."""
    record = Record("s", user, "a", "1", BODY, EPOCH, 1)
    return step("receive", "a", Say("1", "s", BODY), at=at, effects=(Append(record),))


JOIN = StatusIn("join", "s")
RESUME = StatusIn("join", "s", epoch=1, last_seq=1)
LEAVE = StatusIn("leave", "s")
BEGIN = step("begin", Snapshot(), EPOCH, 1, 2, at=9.0)
DRAIN = step("drain", at=2.0)
GONE = step("disconnect", "a", at=5.0)
REPLAY = asked(RESUME, joined(3, replayed=2))
LIMITED = asked(Say("1", "s", BODY), error("rate_limited"))
LEFT = Left(session="s", reason="left")
POSTED = step("appended", Record("@ann", SERVER, "", "p1", BODY, EPOCH, 1))


def relieved(seq: int) -> Step:
    """Nothing waits for "a" any more, and the next of its line goes out."""
    return step("pressure", "a", 0, 0, at=1.0, effects=(sent(message(seq)),))


def noted(*facts: Any) -> Told:
    return run(*(step("wake", effects=(Note(fact),)) for fact in facts))


MADE = Made("s", ("ann",), None, 2)

CASES: dict[str, tuple[Told, Told]] = {
    "limiter_refuses": (run(LIMITED), answered(error("frame_rate"))),
    "limiter_relents": (run(connect(), LIMITED, said()), run(connect(), LIMITED, said("bob"))),
    "frame_rate_refuses": (answered(error("frame_rate")), run(LIMITED)),
    "flood_closed": (closed(4003), closed(4000)),
    "violations_closed": (closed(4503), closed(4502)),
    "retried": (woken(sent(message(1, 2))), answered(message(1, 2))),
    "last_retry": (woken(sent(message(1, 4))), woken(sent(message(1, 3)))),
    "given_up": (woken(sent(undelivered("no_ack"))), woken(sent(undelivered("expired")))),
    "expired": (woken(sent(undelivered("expired"))), woken(sent(undelivered("no_ack")))),
    "resumed_before_death": (closed(4502, "resumed by a newer connection"), closed(4502, "connection limit")),
    "replayed": (answered(message()), woken(sent(message()))),
    "replayed_in_parts": (run(REPLAY, relieved(3)), answered(message())),
    "held_back": (run(REPLAY, relieved(4)), run(REPLAY, relieved(3))),
    "recovered_nothing": (run(asked(RESUME, joined())), run(REPLAY)),
    "unrecovered": (
        run(asked(RESUME, joined(recovered=False))),
        run(
            asked(RESUME, joined(recovered=False, epoch=2)),
            asked(RESUME, joined(0, recovered=False)),
            asked(JOIN, joined(recovered=False)),
        ),
    ),
    "no_pong": (closed(4001), closed(4005)),
    "stale": (closed(4005), closed(4001)),
    "slow_reader_closed": (closed(4000), closed(4001)),
    "shedding": (
        run(step("pressure", "a", 60, 0), outbound_bytes=100),
        run(step("pressure", "a", 50, 0), outbound_bytes=100),
    ),
    "token_warned": (
        woken(sent(TokenExpiring(expires_in_s=60.0))),
        answered(Refreshed(expires_in_s=60.0)),
    ),
    "token_refreshed": (
        answered(Refreshed(expires_in_s=60.0)),
        woken(sent(TokenExpiring(expires_in_s=60.0))),
    ),
    "refresh_refused": (closed(4500), closed(4501)),
    "token_expired": (
        answered(error("token_expired")),
        # The new token that was handed in has ended, and not the one that is held.
        run(step("refuse_refresh", "a", "token_expired", effects=(sent(error("token_expired")),))),
    ),
    "token_closed": (closed(4002), closed(4501)),
    "clock_jumped_past_end": (
        run(connect(), step("clock_jump", 200.0, at=1.0)),
        run(connect(), step("clock_jump", 50.0, at=1.0)),
    ),
    "revoked": (closed(4501), closed(4500)),
    "evicted": (closed(4502, "connection limit"), closed(4502, "resumed by a newer connection")),
    "duplicate": (answered(Ack("1", "m1", "s", 1, 1, True)), answered(Ack("1", "m1", "s", 1, 1, False))),
    "duplicate_under_way": (
        run(step("appended", RECORD, effects=(sent(Ack("1", "m1", "s", 1, 1, True)),))),
        answered(Ack("1", "m1", "s", 1, 1, True)),
    ),
    "append_failed": (run(step("append_failed", RECORD)), run(step("appended", RECORD))),
    "append_retried": (
        run(step("append_failed", RECORD), step("appended", RECORD, at=1.0)),
        run(step("appended", RECORD)),
    ),
    "append_lost": (run(connect(), said(), BEGIN), run(connect(), said(), step("appended", RECORD), BEGIN)),
    "one_instant": (run(connect("a", at=1.0), connect("b", at=1.0)), run(connect("a", at=1.0), connect("b", at=2.0))),
    "offline": (
        woken(Tell("s", Presence("ann", "offline", EPOCH))),
        woken(Tell("s", Presence("ann", "away", EPOCH)), Tell("s", Presence("ann", "online", EPOCH))),
    ),
    "back_in_grace": (run(connect(), GONE, connect("b", at=10.0)), run(connect(), GONE, connect("b", at=50.0))),
    "away": (
        woken(Tell("s", Presence("ann", "away", EPOCH))),
        woken(Tell("s", Presence("ann", "offline", EPOCH)), Tell("s", Presence("ann", "online", EPOCH))),
    ),
    "typing_lapsed": (
        woken(Tell("s", Typing("s", "ann", False))),
        run(
            step("receive", "a", HeartbeatIn(), effects=(Tell("s", Typing("s", "ann", False)),)),
            step("wake", effects=(Tell("s", Typing("s", "ann", True)),)),
        ),
    ),
    "drained": (run(connect(), DRAIN, GONE, BEGIN), run(connect(), DRAIN, BEGIN)),
    "drain_cut_off": (run(connect(), DRAIN, BEGIN, fired=[Fired("crash_node", 3.0, ())]), run(connect(), DRAIN, BEGIN)),
    "began_again": (run(BEGIN), run(connect(), DRAIN, GONE)),
    "absent_receiver": (answered(message(1, 2)), answered(message(1, 1))),
    "ended_owing": (woken(sent(undelivered("ended"))), woken(sent(undelivered("left")))),
    "session_over": (noted(Ended("s")), run(step("end_session", "s", effects=(Note(Ended("s")),)))),
    "began_anew": (noted(Ended("s"), MADE), noted(MADE, Ended("s"), Made("t", ("ann",), None, 2))),
    "removed": (
        run(step("remove_participant", "s", "ann", effects=(sent(Left(session="s", reason="removed")),))),
        run(asked(LEAVE, LEFT)),
    ),
    "added_again": (
        noted(Removed("s", "ann"), Added("s", "ann")),
        noted(Added("s", "ann"), Removed("s", "ann"), Added("s", "bob"), Added("t", "ann")),
    ),
    "left_owing": (run(asked(LEAVE, LEFT, undelivered("left"))), run(asked(LEAVE, LEFT, undelivered("no_ack")))),
    "left_and_back": (
        run(asked(LEAVE, LEFT), asked(JOIN, joined(), at=1.0)),
        run(asked(JOIN, joined()), asked(LEAVE, LEFT), BEGIN, asked(JOIN, joined(), at=9.0)),
    ),
    "posted": (woken(sent(message(sender=SERVER))), woken(sent(message()))),
    "posted_absent": (run(POSTED), run(connect(), POSTED)),
    "post_had_waited": (
        run(connect("a", "ann", 0.0, sent(message(sender=SERVER)))),
        run(connect(), asked(RESUME, message(sender=SERVER))),
    ),
    "trespass_refused": (
        run(asked(JOIN, error("not_a_participant"))),
        run(asked(LEAVE, error("not_a_participant")), asked(Say("1", "s", BODY), error("no_such_session"))),
    ),
    "written_elsewhere": (
        run(asked(Say("1", "s", BODY), error("no_such_session"))),
        run(asked(JOIN, error("no_such_session")), LIMITED),
    ),
    "too_large": (closed(1009), closed(1003)),
    "binary_closed": (closed(1003), closed(1007)),
    "bad_utf8_closed": (closed(1007), closed(1009)),
    "turned_away": (run(turned_away=1), run(turned_away=0)),
    "baseline": (run(reliability="baseline"), run()),
}
"""For each property a story that reaches it, and one that is near and does not."""


def test_every_property_has_its_stories() -> None:
    assert list(CASES) == list(SOMETIMES)


@pytest.mark.parametrize("name", SOMETIMES)
def test_it_is_reached_by_the_one_and_not_by_the_other(name: str) -> None:
    reaches, misses = CASES[name]
    assert name in reaches()
    assert name not in misses()


def test_a_story_reaches_nothing_beside_what_it_tells() -> None:
    assert CASES["no_pong"][0]() == {"no_pong"}
    assert CASES["last_retry"][0]() == {"retried", "last_retry"}
    assert CASES["absent_receiver"][0]() == {"replayed", "absent_receiver"}
    assert CASES["held_back"][0]() == {"replayed_in_parts", "held_back"}
    assert CASES["append_retried"][0]() == {"append_failed", "append_retried"}
    assert CASES["trespass_refused"][0]() == {"trespass_refused"}


def test_a_drain_is_cut_off_by_a_crash_and_by_nothing_else() -> None:
    def struck(do: str, at: float, *, vain: bool = False) -> bool:
        return "drain_cut_off" in reached(connect(), DRAIN, BEGIN, fired=[Fired(do, at, ("ann",), vain)])

    assert struck("crash_node", 3.0)
    assert struck("crash_node", 2.0)
    assert not struck("drain_node", 2.0), "its patience came to an end"
    assert not struck("crash_node", 3.0, vain=True), "it had ended before"
    assert not struck("crash_node", 1.0)
    assert not struck("crash_node", 9.0)


def test_what_nothing_retains_has_not_left_retention() -> None:
    refused = asked(RESUME, joined(recovered=False))
    assert "unrecovered" in reached(refused)
    assert "unrecovered" not in reached(refused, reliability="baseline")
