"""Each fault of a scenario strikes as its word says, heals, and reports whom it touched."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import pytest

from chatsim.core.effects import Send
from chatsim.core.frames import Joined, Left
from chatsim.journal.replay import replay
from chatsim.journal.steps import Step
from chatsim.people.script import EPOCH, SETTLE_S
from chatsim.people.tokens import LAST_MOMENT_S
from tests.sim.worlds import (
    closes,
    counted,
    errors,
    everyone_has_everything_once,
    play,
    quiet_run,
    steps,
    worst,
)

QUIET = {"messages": None}
"""People who say nothing: only pings tell whether they live."""


def test_drop_loses_nothing_and_everyone_is_back() -> None:
    record = play({"at": "1min", "do": "drop"})
    found = counted(record)
    assert everyone_has_everything_once(record)
    assert found["resumes"] == found["recovered"] == 4
    assert sorted(outage.user for outage in record.outages) == [f"g-{n:04d}" for n in range(1, 5)]
    for outage in record.outages:
        assert outage.lost_at == 60.0
        # The first backoff is 0.5 s and up to 0.5 s of jitter; then come the handshake, the join and its answer.
        assert 0.5 < outage.joined_at - outage.lost_at <= 1.0 + 8 * 0.005


def test_what_is_written_while_away_arrives_on_the_return(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "drop", "count": 1}, group={"messages": MANY})
    assert everyone_has_everything_once(record)
    (outage,) = record.outages
    late = [
        row for row in record.sent if outage.lost_at < row.intended_at < outage.joined_at and row.user == outage.user
    ]
    assert late
    assert all(row.acked_at > outage.joined_at for row in late)
    assert closes(found) == []


MANY = {"arrivals": "periodic", "rate": "55/min"}


def test_drop_of_a_share_and_of_a_count() -> None:
    record = play({"at": "1min", "do": "drop", "share": "50%"}, {"at": "90s", "do": "drop", "count": 1})
    assert [(fired.do, fired.at, len(fired.users)) for fired in record.fired] == [("drop", 60.0, 2), ("drop", 90.0, 1)]
    assert {outage.user for outage in record.outages if outage.lost_at == 60.0} == set(record.fired[0].users)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_vanished_peer_is_found_by_the_next_ping(seed: int) -> None:
    record = play(
        {"at": "70s", "do": "vanish"},
        group=QUIET | {"users": 30, "arrive_over": "30s"},
        seed=seed,
    )
    waits = [row.closed_at - row.gone_at for row in record.detections]
    assert len(waits) == 30
    assert counted(record)["no_pong_closed"] == 30
    # A ping on its way when the peer goes was sent up to 5 ms before; a slot of the wheel is 30/512 s.
    assert min(waits) > 10.0 - 0.005
    assert max(waits) <= 40.0 + 30 / 512
    assert max(waits) - min(waits) > 15.0


def test_in_baseline_only_the_sweep_finds_a_vanished_peer() -> None:
    record = play(
        {"at": "70s", "do": "vanish"},
        group=QUIET | {"users": 12, "arrive_over": "30s", "heartbeat": "1s"},
        handler={"reliability": "baseline", "stale_after": "5min", "sweep_interval": "30s"},
    )
    waits = [row.closed_at - row.gone_at for row in record.detections]
    assert len(waits) == 12
    assert counted(record)["stale_closed"] == 12
    assert counted(record)["no_pong_closed"] == 0
    # Silent since the last heartbeat, which is at most 1 s older than the disappearance.
    assert min(waits) > 300.0 - 1.0
    assert max(waits) <= 330.0


def test_who_vanished_for_a_while_comes_back_and_has_everything() -> None:
    record = play({"at": "1min", "do": "vanish", "count": 2, "for": "20s"})
    assert everyone_has_everything_once(record)
    assert counted(record)["recovered"] == 2
    assert all(80.0 < row.closed_at < 82.0 for row in record.detections), "the return replaces the dead connection"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_of_100_vanishes_for_250_s_and_gets_all_60_messages_once(seed: int) -> None:
    """Sixty messages in 200 s meet a peer that is gone: beyond the retries (120 s), within the retention (300 s)."""
    record = play(
        {"at": "1s", "do": "vanish", "group": "g", "count": 1, "for": "250s"},
        group={"users": 100, "session_size": 2, "messages": {"arrivals": "periodic", "rate": "18/min"}},
        duration="203s",
        seed=seed,
    )
    [detection] = record.detections
    assert 11.0 < detection.closed_at <= 41.0 + 30 / 512
    meant = [key for key, receivers in record.owed.items() if detection.user in receivers]
    assert len(meant) >= 60
    assert all(detection.user in record.receipts[key] for key in meant)
    # What she meant to say meanwhile comes all at once, and more than 60 of it in a minute is refused.
    found = counted(record)
    wrongs = ("gave_up", "undelivered", "lost", "duplicates", "out_of_order", "unrecovered")
    assert [found[wrong] for wrong in wrongs] == [0] * len(wrongs)


def test_who_vanished_for_good_leaves_what_was_meant_for_her_undelivered() -> None:
    record = play({"at": "1min", "do": "vanish", "count": 1})
    found = counted(record)
    assert found["lost"] == 0
    assert found["undelivered"] > 0
    assert found["delivered"] + found["undelivered"] == sum(map(len, record.owed.values()))
    assert worst(record, "delivery_latency") == inf
    assert record.outages == [], "she does not want to be there"


def test_a_freeze_that_ends_in_time_is_nobodys_business() -> None:
    record = play({"at": "1min", "do": "freeze", "for": "5s", "count": 2})
    assert record.detections == []
    assert record.outages == []
    assert everyone_has_everything_once(record)
    assert 4.0 < worst(record, "delivery_latency") < 5.1


def test_a_long_freeze_is_found_as_a_dead_peer_is() -> None:
    record = play({"at": "1min", "do": "freeze", "for": "100s", "count": 2}, group=QUIET, duration="4min")
    assert [10.0 < row.closed_at - row.gone_at <= 40.1 for row in record.detections] == [True, True]
    assert counted(record)["no_pong_closed"] == 2
    assert len(record.outages) == 2
    assert all(outage.joined_at > 160.0 for outage in record.outages), "the close is read when the client wakes"


def test_withheld_acks_run_the_retries_through() -> None:
    record = play({"at": "1min", "do": "withhold_acks", "for": "5min", "count": 1})
    found = counted(record)
    assert found["gave_up"] == found["undelivered"] > 0
    assert found["retries"] == 3 * found["gave_up"]
    assert found["no_pong_closed"] == found["duplicates"] == found["lost"] == 0


def test_withheld_acks_that_come_in_time_are_counted() -> None:
    record = play({"at": "1min", "do": "withhold_acks", "for": "20s", "count": 1})
    assert everyone_has_everything_once(record)


@pytest.mark.parametrize("second", [{"at": "80s", "for": "5s"}, {"at": "85s", "for": "20s"}])
@pytest.mark.parametrize(
    "words",
    [
        {"do": "withhold_acks"},
        {"do": "loss", "rate": "40%"},
        {"do": "slow_reader", "bandwidth": "1kbit/s"},
        {"do": "latency", "factor": 30},
        {"do": "partition"},
    ],
    ids=lambda words: str(words["do"]),
)
def test_faults_that_overlap_heal_all_the_same(words: dict[str, Any], second: dict[str, str]) -> None:
    handler = {"ping_interval": "100s", "retry_interval": "20min", "retention": "90min"}
    first = {"at": "70s", "for": "20s", "count": 1}
    record = play(words | first, words | second | {"count": 4}, duration="5min", handler=handler)
    assert everyone_has_everything_once(record)
    (victim,) = record.fired[0].users
    waits = [
        at - row.intended_at
        for row in record.sent
        for user, at in record.receipts[row.message_id].items()
        if victim in (user, row.user) and row.intended_at > 200.0
    ]
    assert len(waits) > 20
    assert max(waits) == pytest.approx(0.010)


def test_a_slow_reader_is_closed_and_delays_nobody(tmp_path: Path) -> None:
    group = {"users": 6, "session_size": 6, "body_bytes": {"constant": "16KiB"}, "messages": MANY}
    event = {"at": "1min", "do": "slow_reader", "for": "50s", "count": 1, "bandwidth": "400kbit/s"}
    record, found = steps(tmp_path, event, group=group)
    assert [code for _, code in closes(found)] == [4000]
    assert counted(record)["slow_closed"] == 1
    (victim,) = record.fired[0].users
    latencies = [
        at - row.intended_at
        for row in record.sent
        for user, at in record.receipts[row.message_id].items()
        if victim not in (user, row.user)
    ]
    assert len(latencies) > 1000
    assert max(latencies) == pytest.approx(0.010)
    assert [outage.user for outage in record.outages] == [victim]


@pytest.mark.parametrize(
    ("fault", "least_s"),
    [
        ({"do": "latency", "factor": 20, "for": "20s"}, 0.19),
        ({"do": "loss", "rate": "40%", "for": "20s"}, 0.2),
        ({"do": "partition", "for": "6s"}, 5.0),
    ],
)
def test_faults_of_the_network_delay_and_lose_nothing(fault: dict[str, Any], least_s: float) -> None:
    before = worst(quiet_run().record, "delivery_latency")
    record = play({"at": "1min"} | fault)
    assert everyone_has_everything_once(record)
    assert before == pytest.approx(0.010)
    assert worst(record, "delivery_latency") > least_s
    after = [row.acked_at - row.intended_at for row in record.sent if row.intended_at > 100.0]
    assert max(after) == pytest.approx(0.010), "it has healed"


def test_a_flood_meets_the_limiter() -> None:
    record = play({"at": "1min", "do": "flood", "rate": "10/s", "for": "20s", "count": 1})
    found = counted(record)
    (flooder,) = record.fired[0].users
    own = [row for row in record.sent if row.user == flooder and row.message_id]
    assert found["sent"] == counted(quiet_run().record)["sent"] + 200
    assert found["rate_limited"] == found["sent"] - found["accepted"] > 100
    for row in own:
        window = [other for other in own if row.intended_at <= other.intended_at < row.intended_at + 60.0]
        assert len(window) <= 60
    assert max(sum(r.intended_at <= o.intended_at < r.intended_at + 60.0 for o in own) for r in own) == 60
    assert all(row.message_id for row in record.sent if row.user != flooder)


def test_a_flood_stops_when_the_sending_stops() -> None:
    record = play({"at": "110s", "do": "flood", "rate": "2/s", "for": "1min", "count": 1})
    assert counted(record)["sent"] == counted(quiet_run().record)["sent"] + 20
    assert max(row.intended_at for row in record.sent) < 120.0


def test_bad_frames_stop_when_the_sending_stops(tmp_path: Path) -> None:
    _, found = steps(tmp_path, {"at": "115s", "do": "bad_frames", "rate": "1/s", "for": "1min", "count": 1})
    told = errors(found)
    assert len(told) == 5
    assert max(at for at, _ in told) < 120.0


def test_bad_frames_close_for_good(tmp_path: Path) -> None:
    event = {"at": "1min", "do": "bad_frames", "rate": "2/s", "for": "20s", "count": 1}
    record, found = steps(tmp_path, event)
    assert [code for _, code in closes(found)] == [4503]
    assert [code for _, code in errors(found)] == ["bad_json"] * 10
    # The eleventh within a minute is one too many: 5 s after the first, and 5 ms of network.
    assert closes(found)[0][0] == pytest.approx(65.005)
    assert record.outages == [], "she may not come back"


@pytest.mark.parametrize(
    ("kind", "told", "closed"),
    [
        ("bad_json", ["bad_json"] * 3, []),
        ("bad_frame", ["bad_frame"] * 3, []),
        ("unknown_type", ["unknown_type"] * 3, []),
        ("binary", [], [1003]),
        ("bad_utf8", [], [1007]),
    ],
)
def test_bad_frames_are_bad_in_the_way_that_they_say(
    tmp_path: Path, kind: str, told: list[str], closed: list[int]
) -> None:
    event = {"at": "1min", "do": "bad_frames", "kind": kind, "rate": "1/s", "for": "3s", "count": 1}
    record, found = steps(tmp_path, event)
    assert ([code for _, code in errors(found)], [code for _, code in closes(found)]) == (told, closed)
    assert record.outages == [], "she may not come back"


@pytest.mark.parametrize("of", ["tokens", "user"])
def test_revoked_tokens_close_at_once_and_for_good(tmp_path: Path, of: str) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "revoke", "of": of, "count": 2})
    assert closes(found) == [(60.0, 4501), (60.0, 4501)]
    assert record.outages == []
    users = record.fired[0].users
    assert len(users) == 2
    orders = [step.args for step in found if step.door == "revoke"]
    if of == "user":
        assert orders == [(None, user) for user in users]
    else:
        shown = {step.args[1].jti for step in found if step.door == "connect" and step.args[1].sub in users}
        assert {jti for jti, _ in orders} == shown
        assert len(orders) == 2


def test_a_token_that_is_revoked_on_its_way_is_refused_at_the_door(tmp_path: Path) -> None:
    latency = {"latency": {"constant": "100ms"}}
    group = {"users": 1, "session_size": 1, "connections_per_user": 2, "network": latency}
    dropped = {"at": "50s", "do": "drop"}
    (tmp_path / "before").mkdir()
    _, found = steps(tmp_path / "before", dropped, group=group)
    first, second = (step.now for step in found if step.door == "connect" and step.now > 50.0)
    assert second - first > 0.15, "one device is back when the other knocks"
    # The order comes when the request of the other has half of its way behind it.
    record, found = steps(tmp_path, dropped, {"at": f"{second - 0.05:g}s", "do": "revoke"}, group=group)
    assert counted(record)["auth_refused"] == 1
    assert [step.now for step in found if step.door == "connect" and step.now > 50.0] == [first]
    assert [code for _, code in closes(found)] == [4501]


def test_expired_tokens_are_renewed_by_those_who_live(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "expire_tokens", "count": 1})
    renewals = [(step.now, step.args[1].exp) for step in found if step.door == "refresh"]
    assert len(renewals) == 2
    (struck_at, struck_exp), (renewed_at, renewed_exp) = renewals
    assert struck_at == pytest.approx(60.005)
    assert struck_exp - EPOCH == pytest.approx(60.0 + LAST_MOMENT_S)
    # She is warned when half of that is left, 5 ms away in either direction.
    assert renewed_at == pytest.approx((60.005 + 60.2) / 2 + 0.01)
    assert renewed_exp - struck_exp == pytest.approx(3600.0, abs=0.1)
    assert closes(found) == []
    assert everyone_has_everything_once(record)


@pytest.mark.parametrize(
    ("token", "door", "code"),
    [
        ("good", "refresh", None),
        ("expired", "refuse_refresh", None),
        ("forged", "refuse_refresh", 4500),
        ("foreign", "refresh", 4500),
        ("revoked", "refuse_refresh", 4501),
    ],
)
def test_a_token_that_is_handed_in_is_taken_or_ends_its_connection(
    tmp_path: Path, token: str, door: str, code: int | None
) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "refresh_token", "token": token, "count": 1})
    (struck,) = [step for step in found if step.door in ("refresh", "refuse_refresh")]
    assert struck.door == door
    assert struck.now == pytest.approx(60.005)
    assert closes(found) == ([] if code is None else [(struck.now, code)])
    assert errors(found) == ([(struck.now, "token_expired")] if token == "expired" else [])
    # Whoever is told not to come back does not.
    assert record.outages == []


def test_expired_tokens_of_who_does_not_renew_close_after_the_grace(tmp_path: Path) -> None:
    record, found = steps(
        tmp_path,
        {"at": "59s", "do": "freeze", "for": "60s", "count": 1},
        {"at": "1min", "do": "expire_tokens"},
        handler={"ping_interval": "100s"},
    )
    ((closed_at, code),) = closes(found)
    assert code == 4002
    assert closed_at == pytest.approx(60.0 + LAST_MOMENT_S + 25.0)
    assert counted(record)["token_expired"] == 1


def test_a_log_outage_is_unavailable_and_passes(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "log_outage", "for": "20s"})
    told = errors(found)
    # Four people write every five seconds: sixteen messages in twenty, and each is tried again until it is taken.
    assert {code for _, code in told} == {"unavailable"}
    assert len(told) >= 16
    assert all(60.0 <= at < 80.0 for at, _ in told)
    late = [row for row in record.sent if row.acked_at - row.intended_at > 0.5]
    assert len(late) >= 16
    assert all(row.acked_at >= 80.0 for row in late)
    assert all(row.message_id for row in record.sent)
    assert counted(record)["lost"] == 0
    assert (record.fired[0].users, record.fired[0].vain) == ((), False)


def renewed(found: Sequence[Step]) -> list[float]:
    """Moments at which the node took a new token (s)."""
    return [step.now for step in found if step.door == "refresh"]


ONE = {"users": 1, "session_size": 1, "token_ttl": "10min"}
"""Somebody who came at 0 s with a token of ten minutes."""


def test_a_clock_that_jumps_ahead_ends_tokens_so_much_sooner(tmp_path: Path) -> None:
    event = {"at": "1min", "do": "clock_jump", "by": "440s"}
    record, found = steps(tmp_path, event, group=ONE, duration="4min")
    # 600 s from the first request, which left after two ways of 5 ms: warned of 60 s before, that is 440 s sooner.
    assert renewed(found)[0] == pytest.approx(100.0 + 0.010 + 0.010)
    # The new token has 160 s left by this clock; it is renewed 60 s before its end, and so the next.
    assert renewed(found)[1] == pytest.approx(200.0 + 0.015 + 4 * 0.005, abs=0.02)
    assert (record.fired[0].users, record.fired[0].vain) == ((), False)
    assert replay(tmp_path / "journal.jsonl") is None
    assert closes(found) == []
    assert counted(record)["accepted"] == counted(record)["sent"] > 20


def test_a_jump_past_a_tokens_end_closes_and_a_fresh_one_opens(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "clock_jump", "by": "570s"}, group=ONE)
    # 30 s after its end, the grace of 25 s is over; a fresh token has 30 s left by this clock, and comes in.
    assert closes(found) == [(60.0, 4002)]
    (outage,) = record.outages
    assert outage.joined_at < 62.0
    # It is warned of at once, and what follows at half of what each has left: not as fast as the network can.
    gaps = [later - earlier for earlier, later in pairwise(renewed(found))]
    assert renewed(found)[0] < 62.0
    assert gaps
    assert all(gap == pytest.approx(15.0, abs=0.1) for gap in gaps)
    assert counted(record)["auth_refused"] == 0
    assert counted(record)["accepted"] == counted(record)["sent"] > 20


def test_a_jump_into_the_grace_is_mended_by_a_fresh_token(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "61s", "do": "clock_jump", "by": "550s"}, group=ONE)
    assert renewed(found)[0] == pytest.approx(61.0 + 0.010)
    assert closes(found) == []
    assert counted(record)["accepted"] == counted(record)["sent"] > 20


def test_a_clock_ahead_by_more_than_a_tokens_life_lets_nobody_in(tmp_path: Path) -> None:
    """The issuer's clock is right, so each token that it makes has expired by the node's: one warns, gives up, and is
    refused at the door."""
    record, found = steps(tmp_path, {"at": "10s", "do": "clock_jump", "by": "610s"}, group=ONE)
    (refused,) = (step for step in found if step.door == "refuse_refresh")
    assert refused.args[1] == "token_expired"
    assert refused.now == pytest.approx(10.010)
    ((closed_at, code),) = closes(found)
    assert code == 4002
    assert closed_at == pytest.approx(15.0 + 0.010), "20 s past its end at the jump, and 5 s of grace left"
    assert counted(record)["auth_refused"] == 1
    assert [outage.joined_at for outage in record.outages] == [inf]
    assert replay(tmp_path / "journal.jsonl") is None


def test_a_clock_that_jumps_back_ends_tokens_later_and_does_not_know_fresh_ones(tmp_path: Path) -> None:
    events = {"at": "20s", "do": "clock_jump", "by": "-5s"}, {"at": "30s", "do": "drop", "count": 1}
    record, found = steps(tmp_path, *events, group={"users": 2, "session_size": 1, "token_ttl": "90s"})
    # Who is dropped finds that her new token is not valid yet, and so does, at 90 - 60 + 5 s, who renews.
    assert counted(record)["auth_refused"] == 1
    (refused,) = (step for step in found if step.door == "refuse_refresh")
    assert refused.args[1] == "token_invalid"
    assert refused.now == pytest.approx(35.020)
    assert [code for _, code in closes(found)] == [4500]
    assert renewed(found) == []


def test_a_clock_a_little_behind_is_forgiven() -> None:
    events = {"at": "20s", "do": "clock_jump", "by": "-900ms"}, {"at": "30s", "do": "drop"}
    record = play(*events, group={"token_ttl": "90s"})
    assert counted(record)["auth_refused"] == counted(record)["token_expired"] == 0
    assert everyone_has_everything_once(record)


def test_tokens_expire_by_the_nodes_clock_and_keep_their_sessions(tmp_path: Path) -> None:
    events = {"at": "20s", "do": "clock_jump", "by": "-900ms"}, {"at": "1min", "do": "expire_tokens"}
    record, found = steps(tmp_path, *events, group={"users": 1, "session_size": 1})
    struck = next(step for step in found if step.door == "refresh")
    assert struck.args[1].sessions == ("g-s0001",)
    (refreshed,) = (effect.message for effect in struck.effects if isinstance(effect, Send))
    assert refreshed.expires_in_s == pytest.approx(0.9 + LAST_MOMENT_S - 0.005)  # type: ignore[union-attr]
    assert renewed(found) == [pytest.approx(60.005), pytest.approx((60.005 + 61.1) / 2 + 0.01)]
    assert counted(record)["accepted"] == counted(record)["sent"] > 20


def test_more_people_arrive() -> None:
    record = play({"at": "1min", "do": "arrive", "users": 4})
    assert counted(record)["connections_peak"] == 8
    assert record.fired[0].users == ("g-0005", "g-0006", "g-0007", "g-0008")
    assert everyone_has_everything_once(record)


def test_a_fault_without_anybody_there_reports_nobody() -> None:
    record = play({"at": "1s", "do": "drop"}, group={"credentials": "forged"})
    assert [fired.users for fired in record.fired] == [()]


def test_who_is_frozen_twice_reads_what_came_in_its_order() -> None:
    # Found by exploring (frozen-twice.yaml): what came during the first freeze was read behind what came during the
    # second.
    record = play(
        {"at": "20s", "do": "freeze", "for": "8s", "share": "100%"},
        {"at": "26s", "do": "freeze", "for": "8s", "share": "100%"},
        duration="60s",
    )
    assert everyone_has_everything_once(record)


def _lefts(found: Sequence[Step]) -> list[tuple[float, str, int]]:
    """Moment (s), reason and number of those told that they are in a session no more."""
    sent = [(step.now, effect) for step in found for effect in step.effects if isinstance(effect, Send)]
    return [(now, e.message.reason, len(e.to)) for now, e in sent if isinstance(e.message, Left)]


def _joins(found: Sequence[Step], after: float) -> int:
    sent = [effect for step in found if step.now > after for effect in step.effects if isinstance(effect, Send)]
    return sum(isinstance(effect.message, Joined) for effect in sent)


@pytest.mark.parametrize("back", [{}, {"for": "20s"}])
def test_who_leaves_hears_no_more_until_she_is_back(back: dict[str, Any], tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "leave", "count": 1, **back})
    assert [(round(now, 3), reason, count) for now, reason, count in _lefts(found)] == [(60.005, "left", 1)]
    assert _joins(found, 60.0) == len(back)
    (victim,) = record.fired[0].users
    heard = [at for seen in record.receipts.values() for user, at in seen.items() if user == victim]
    assert [at for at in heard if 60.02 < at < 80.0] == []
    assert any(at > 80.0 for at in heard) == bool(back)


@pytest.mark.parametrize("back", [{}, {"for": "20s"}])
def test_who_is_removed_may_not_write_until_she_takes_part_again(back: dict[str, Any], tmp_path: Path) -> None:
    _, found = steps(tmp_path, {"at": "1min", "do": "remove_participant", "count": 1, **back})
    assert _lefts(found) == [(60.0, "removed", 1)]
    refused = [now for now, code in errors(found) if code == "not_a_participant"]
    # She writes every five seconds.
    assert len(refused) == (4 if back else 12)
    assert [step.door for step in found if step.door in ("remove_participant", "add_participant")] == [
        "remove_participant",
        "add_participant",
    ][: 1 + len(back)]
    assert _joins(found, 60.0) == len(back)


def test_a_session_ends_for_all_and_begins_anew_with_those_who_are_back(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "end_session", "count": 1, "for": "20s"})
    assert _lefts(found) == [(60.0, "ended", 2)]
    epochs = {
        effect.message.epoch
        for step in found
        if step.now > 60.0
        for effect in step.effects
        if isinstance(effect, Send) and isinstance(effect.message, Joined)
    }
    assert epochs == {2}
    assert {code for _, code in errors(found)} == {"no_such_session"}
    assert counted(record)["out_of_order"] == counted(record)["duplicates"] == 0


def test_the_server_writes_to_all_devices_of_a_user(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "post", "count": 1}, group=QUIET | {"connections_per_user": 2})
    (victim,) = record.fired[0].users
    (posted,) = [step for step in found if step.door == "post"]
    assert posted.args[:2] == (victim, "p1")
    (seen,) = record.receipts.values()
    assert seen == {victim: pytest.approx(60.005)}
    assert record.owed == {"m1-1": {victim: "delivered"}}


def test_an_order_waits_for_a_node_that_is_down(tmp_path: Path) -> None:
    away = {"at": "59s", "do": "vanish"}
    _, found = steps(tmp_path, away, {"at": "59s", "do": "crash_node", "down": "3s"}, {"at": "60s", "do": "post"})
    (began,) = [step.now for step in found if step.door == "begin"]
    posted = [step.now for step in found if step.door == "post"]
    assert began == 62.0
    assert len(posted) == 4
    assert all(began <= now <= began + SETTLE_S for now in posted)


def test_nobody_gets_into_what_is_not_hers(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "1min", "do": "trespass", "count": 1})
    # Somebody else's own session, one that others share, and one that there is not: not to be joined, nor written to.
    codes = [code for _, code in errors(found)]
    assert sorted(codes) == ["no_such_session"] * 4 + ["not_a_participant"] * 2
    assert everyone_has_everything_once(record)


@pytest.mark.parametrize(("size", "closed"), [(900, 0), (1024, 4)])
def test_who_writes_more_than_a_message_may_have_is_closed(size: int, closed: int, tmp_path: Path) -> None:
    _, found = steps(tmp_path, group={"body_bytes": size}, handler={"message_bytes_max": "1KiB"})
    assert [code for _, code in closes(found)] == [1009] * closed


@pytest.mark.parametrize("costs", [0, {"frame": "20ms", "ping": "0s"}])
def test_a_drain_waits_for_nobody_who_has_hung_up(costs: Any, tmp_path: Path) -> None:
    # Dropped when she was being closed, she answers no close: the node waited 5 s for that, and was away meanwhile.
    record, found = steps(
        tmp_path,
        {"at": "1s", "do": "restart_node", "down": "100ms"},
        {"at": "1500ms", "do": "drop"},
        group=QUIET | {"users": 12, "network": {"latency": {"constant": "250ms"}}},
        duration="20s",
        costs=costs,
    )
    [back_at] = [step.now for step in found if step.door == "begin"]
    assert 1.5 < back_at < 2.5
    assert [(fired.do, fired.vain) for fired in record.fired] == [("restart_node", False), ("drop", False)]
