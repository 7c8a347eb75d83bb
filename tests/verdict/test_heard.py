"""What clients can tell of a server: who was to have what, what became of it, and what nobody can know."""

from __future__ import annotations

from math import inf, nan

import pytest
from msgspec import Raw

from chatsim.core import frames as f
from chatsim.journal.record import DELIVERED, FORGOTTEN, RunRecord, Sent
from chatsim.scenario.expectations import parse_expectation
from chatsim.verdict.heard import UNSEEN, UNTOLD, Heard
from chatsim.verdict.judge import judge

RETENTION_S = 300.0
ANN, BOB, EVE = 1, 2, 3
NAMES = {ANN: "ann", BOB: "bob", EVE: "eve"}
MEANT = {"0": 1.0, "1": 2.0, "2": 3.0}


def joined(seq: int = 0, *, recovered: bool = False, replayed: int = 0) -> f.Joined:
    return f.Joined(session="s", epoch=1, seq=seq, recovered=recovered, replayed=replayed, participants=())


def ack(id_: str, seq: int, *, duplicate: bool = False) -> f.Ack:
    return f.Ack(id_, f"m{seq}", "s", 1, seq, duplicate)


def message(seq: int, *, attempt: int = 1, name: str = "", sender: str = "ann") -> f.Message:
    return f.Message(name or f"m{seq}", "s", 1, seq, sender, Raw(b'"x"'), 0.0, attempt)


def hall(*devices: int, at: float = 0.0) -> Heard:
    """Everybody is in the session before anybody writes."""
    heard = Heard(MEANT.get)
    for device in devices or (ANN, BOB):
        heard.opened(device, NAMES[device])
        heard.read(at, device, joined())
    return heard


def record(heard: Heard, receipts: dict[str, dict[str, float]], deaf: dict[str, float] | None = None) -> RunRecord:
    owed = heard.owed(receipts, deaf or {}, RETENTION_S)
    sent = [Sent("ann", "g", "s", id_, at, nan, "") for id_, at in MEANT.items()]
    accepted = {(told.user, f"{place}"): told.message_id for place, told in enumerate(heard.acked)}
    return RunRecord(sent, accepted, receipts, owed, {}, [], [], [], [], [], [], {}, 10.0, 0.0)


def bounds(heard: Heard, name: str, receipts: dict[str, dict[str, float]] | None = None) -> tuple[float, float]:
    found = heard.outside(record(heard, receipts or {}), 0).bounds[name]
    return found.low, found.high


def test_who_was_there_and_did_not_see_it_has_lost_it() -> None:
    heard = hall()
    heard.read(1.1, ANN, ack("0", 1))
    heard.read(2.1, ANN, ack("1", 2))
    receipts = {"m1": {"bob": 1.2}}
    assert heard.owed(receipts, {}, RETENTION_S) == {"m1": {"bob": DELIVERED}, "m2": {"bob": FORGOTTEN}}
    assert bounds(heard, "lost", receipts) == (1, 1)
    (judged,) = judge([parse_expectation("max(delivery_latency) <= 1s")], record(heard, receipts))
    assert judged.observed == inf


def test_a_server_that_numbers_a_join_too_high_still_owes_what_was_written_after_it() -> None:
    heard = Heard(MEANT.get)
    for device in (ANN, BOB):
        heard.opened(device, NAMES[device])
        heard.read(0.0, device, joined(seq=1000))
    heard.read(1.1, ANN, ack("0", 1))
    assert bounds(heard, "lost") == (1, 1)


def test_who_came_later_is_owed_nothing_from_before_and_what_the_server_put_behind_her_join() -> None:
    heard = hall(ANN)
    heard.read(1.1, ANN, ack("0", 1))
    heard.read(2.1, ANN, ack("1", 2))
    heard.opened(BOB, "bob")
    heard.read(2.2, BOB, joined(seq=1))
    assert heard.owed({}, {}, RETENTION_S) == {"m1": {}, "m2": {"bob": FORGOTTEN}}


@pytest.mark.parametrize(("away_s", "owed"), [(100.0, True), (301.0, False)])
def test_who_lost_her_connection_is_a_receiver_for_as_long_as_retention(away_s: float, owed: bool) -> None:
    heard = Heard(lambda id_: away_s)
    for device in (ANN, BOB):
        heard.opened(device, NAMES[device])
        heard.read(0.0, device, joined())
    heard.closed(0.0, BOB, 1006)
    heard.read(away_s, ANN, ack("0", 1))
    assert bool(heard.receivers(heard.acked[0], RETENTION_S)) is owed


def test_who_left_by_herself_is_owed_nothing_more() -> None:
    heard = hall()
    heard.wrote(0.5, BOB, f.StatusIn("leave", "s"))
    heard.read(0.6, BOB, f.Left(session="s", reason="left"))
    heard.read(1.1, ANN, ack("0", 1))
    assert heard.owed({}, {}, RETENTION_S) == {"m1": {}}


def test_who_was_revoked_is_owed_nothing_more() -> None:
    heard = hall()
    heard.closed(0.5, BOB, 4501)
    heard.read(1.1, ANN, ack("0", 1))
    assert heard.owed({}, {}, RETENTION_S) == {"m1": {}}


def test_who_has_seen_it_was_to_have_it_whatever_else_is_known() -> None:
    heard = hall(ANN)
    heard.read(1.1, ANN, ack("0", 1))
    assert heard.owed({"m1": {"eve": 1.2}}, {}, RETENTION_S) == {"m1": {"eve": DELIVERED}}


def test_what_was_given_up_is_not_lost_and_what_was_called_delivered_and_never_seen_is() -> None:
    heard = hall()
    heard.read(1.1, ANN, ack("0", 1))
    heard.read(2.1, ANN, ack("1", 2))
    for _ in range(2):
        heard.read(3.0, ANN, f.Undelivered(message_id="m1", session="s", user="bob", reason="no_ack"))
    heard.read(3.0, ANN, f.Delivered(session="s", user="bob", message_ids=("m2",)))
    assert bounds(heard, "lost") == (1, 1)
    assert bounds(heard, "undelivered") == bounds(heard, "delivered") == bounds(heard, "gave_up") == (1, 1)


def test_a_sender_who_was_away_may_have_missed_that_it_was_given_up() -> None:
    heard = hall()
    heard.read(1.1, ANN, ack("0", 1))
    heard.read(2.1, ANN, ack("1", 2))
    run = record(heard, {}, deaf={"ann": 2.0})
    assert run.owed == {"m1": {"bob": UNTOLD}, "m2": {"bob": FORGOTTEN}}
    found = heard.outside(run, 0)
    assert found.bounds["lost"][:2] == (1, 2)
    verdicts = [judge([parse_expectation(text)], run, found)[0].verdict for text in ("lost == 0", "lost <= 1")]
    assert verdicts == ["fail", "skipped"]


def test_a_server_that_tells_no_sender_anything_has_not_said_that_nothing_was_given_up() -> None:
    heard = hall()
    heard.read(1.1, ANN, ack("0", 1))
    receipts = {"m1": {"bob": 1.2}}
    assert bounds(heard, "undelivered", receipts) == (0, 1)
    run = record(heard, receipts)
    (judged,) = judge([parse_expectation("undelivered == 0")], run, heard.outside(run, 0))
    assert judged.verdict == "skipped"
    assert "1 of 1 pairs" in judged.why


def test_what_was_never_answered_may_have_been_taken_and_lost() -> None:
    heard = hall()
    run = record(heard, {})
    run.unanswered = {("ann", "1")}
    found = heard.outside(run, 1)
    assert found.bounds["accepted"][:2] == found.bounds["lost"][:2] == (0, 1)
    assert found.bounds["undelivered"].high == inf
    slow, lost = judge([parse_expectation("p99(ack_latency) <= 1s"), parse_expectation("lost == 0")], run, found)
    assert (slow.observed, slow.verdict, lost.verdict) == (inf, "fail", "skipped")


def test_the_same_attempt_twice_is_a_duplicate_and_a_retry_is_none() -> None:
    heard = hall()
    heard.read(1.0, BOB, message(1))
    heard.read(1.1, BOB, message(1, attempt=2))
    assert (heard.repeated, heard.counts["retries"]) == (0, 1)
    heard.read(1.2, BOB, message(1, attempt=2))
    assert (heard.repeated, heard.counts["retries"]) == (1, 1)


def test_the_same_message_under_another_number_is_a_duplicate_too() -> None:
    heard = hall()
    heard.read(1.0, BOB, message(1))
    heard.read(1.1, BOB, message(2, attempt=2, name="m1"))
    assert heard.repeated == 1


def test_a_first_attempt_behind_a_newer_message_is_out_of_order_and_a_retry_is_not() -> None:
    heard = hall()
    heard.read(1.0, BOB, message(3))
    heard.read(1.1, BOB, message(1, attempt=2))
    assert heard.misplaced == 0
    heard.read(1.2, BOB, message(2))
    assert heard.misplaced == 1


def test_a_replay_is_no_retry_and_a_new_connection_has_seen_nothing() -> None:
    heard = hall()
    heard.read(1.0, BOB, message(1))
    heard.closed(1.5, BOB, 1012)
    heard.opened(BOB, "bob")
    heard.wrote(2.0, BOB, f.StatusIn("join", "s", epoch=1, last_seq=0))
    heard.read(2.1, BOB, joined(1, recovered=True, replayed=1))
    heard.read(2.1, BOB, message(1, attempt=2))
    assert heard.repeated == heard.misplaced == heard.counts["retries"] == 0
    assert [bounds(heard, name) for name in ("resumes", "recovered", "unrecovered")] == [(1, 1), (1, 1), (0, 0)]


def test_a_retry_that_several_devices_of_a_user_hear_is_one() -> None:
    heard = hall()
    heard.opened(EVE, "bob")
    heard.read(0.5, EVE, joined())
    for device in (BOB, EVE):
        heard.read(1.0, device, message(1))
        heard.read(2.0, device, message(1, attempt=2))
    assert (heard.counts["retries"], heard.repeated) == (1, 0)


@pytest.mark.parametrize(("code", "high"), [(1012, 0), (1000, 0), (1006, inf), (4000, inf)])
def test_a_connection_that_was_cut_leaves_open_what_was_on_its_way(code: int, high: float) -> None:
    heard = hall()
    heard.closed(1.0, BOB, code)
    assert bounds(heard, "typing_events") == (0, high)


def test_who_does_not_read_may_miss_anything() -> None:
    heard = hall()
    heard.muffled()
    assert bounds(heard, "no_pong_closed") == (0, inf)


def test_frames_and_closes_are_counted() -> None:
    heard = hall()
    for frame in (
        f.Error("rate_limited", "", "0"),
        f.Error("bad_json", ""),
        f.Typing("s", "bob", True),
        f.Presence("bob", "online", 0.0),
        ack("0", 1),
        ack("0", 1, duplicate=True),
        ack("trespass-1", 2),
    ):
        heard.read(1.0, ANN, frame)
    heard.pinged()
    heard.closed(2.0, ANN, 4002)
    heard.closed(2.0, ANN, 4002)
    for name, count in {
        "errors": 2,
        "rate_limited": 1,
        "typing_events": 1,
        "presence_events": 1,
        "duplicates_suppressed": 1,
        "pings": 1,
        "token_expired": 1,
        "accepted": 1,
        "connections_peak": 2,
    }.items():
        assert bounds(heard, name) == (count, count), name


def test_what_no_client_can_measure_is_never_judged() -> None:
    heard = hall()
    run = record(heard, {})
    outside = heard.outside(run, 0)
    texts = [f"max({name}) <= {'100%' if name == 'utilisation' else '1s'}" for name in UNSEEN]
    assert {j.verdict for j in judge([parse_expectation(text) for text in texts], run, outside)} == {"skipped"}
