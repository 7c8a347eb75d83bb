"""The node ends and begins again, in order or at once: nothing that it acked is lost, and everybody comes back."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chatsim.journal.record import RunRecord
from chatsim.journal.replay import replay
from chatsim.journal.steps import read
from chatsim.sim.run import simulate
from tests.sim.worlds import counted, everyone_has_everything_once, play, scenario, steps, worst

BUSY = {"users": 8, "session_size": 4, "messages": {"arrivals": "poisson", "rate": "60/min"}, "arrive_over": "5s"}


def crash(at: str = "30s", down: str = "3s") -> dict[str, Any]:
    return {"at": at, "do": "crash_node", "down": down}


def nothing_lost(record: RunRecord) -> bool:
    found = counted(record)
    return not (found["lost"] or found["duplicates"] or found["out_of_order"] or found["undelivered"])


def test_a_crash_cuts_everybody_and_everybody_comes_back() -> None:
    record = play(crash())
    assert [(row.lost_at > 30.0, row.joined_at < 60.0) for row in record.outages] == [(True, True)] * 4
    assert min(row.joined_at for row in record.outages) > 33.0
    assert everyone_has_everything_once(record)
    assert record.fired[0].users
    assert not record.fired[0].vain


@pytest.mark.slow
def test_nothing_acked_is_lost_whatever_moment_the_node_is_killed_at() -> None:
    for seed in range(200):
        moment = 5.0 + 0.1 * seed
        record = play(crash(f"{moment}s", "1s"), group=BUSY, duration="40s", seed=seed)
        assert nothing_lost(record), f"seed {seed}"
        assert counted(record)["accepted"] == counted(record)["sent"], f"seed {seed}"


def test_an_append_on_its_way_when_the_node_ends_is_sent_again() -> None:
    # Fewer than the limit of a minute, which a restart does not begin anew.
    group = BUSY | {"messages": {"arrivals": "poisson", "rate": "40/min"}}
    record = play(crash(), crash("60s"), group=group, duration="90s", log={"latency": {"constant": "200ms"}}, seed=3)
    assert nothing_lost(record)
    assert counted(record)["accepted"] == counted(record)["sent"]


def test_a_run_with_a_crash_replays(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    simulate(scenario(crash(), crash("60s"), group=BUSY), journal=path)
    assert replay(path) is None


def test_a_drained_node_tells_everybody_when_to_come_back(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "30s", "do": "drain_node"})
    told = [effect.message for step in found if step.door == "drain" for effect in step.effects]  # type: ignore[union-attr]
    assert len(told) == 4
    assert all(0 <= frame.reconnect_after_ms <= 1000 for frame in told)  # type: ignore[union-attr]
    assert record.drain_time_s == [pytest.approx(0.75, abs=0.02)], "closes are spread over one second, the least"
    assert len(record.outages) == 4
    assert everyone_has_everything_once(record)


def test_a_restart_ends_in_order_and_is_down_for_its_time(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "30s", "do": "restart_node", "down": "5s"})
    (begun,) = (step.now for step in found if step.door == "begin")
    assert begun == pytest.approx(35.75, abs=0.02)
    assert min(row.joined_at for row in record.outages) > begun
    assert everyone_has_everything_once(record)


def test_a_node_that_waits_for_somebody_who_does_not_answer_ends_in_time() -> None:
    vanish = {"at": "20s", "do": "vanish", "count": 1}
    record = play(vanish, {"at": "29s", "do": "drain_node"})
    assert record.drain_time_s[0] <= 30.0
    assert worst(record, "reconnect_time") < 10.0


def test_who_is_away_while_the_node_restarts_gets_what_waits() -> None:
    vanish = {"at": "25s", "do": "vanish", "count": 1, "for": "40s"}
    record = play(vanish, crash("40s"), group=BUSY)
    assert nothing_lost(record)
    assert counted(record)["resumes"] > counted(record)["unrecovered"] == 0


def test_baseline_loses_what_the_crash_forgets() -> None:
    # Its rules keep nothing for a return, so what was unacked at the crash is forgotten.
    record = play(crash(), group=BUSY, handler={"reliability": "baseline"}, seed=5)
    assert counted(record)["duplicates"] == counted(record)["out_of_order"] == 0
    assert counted(record)["resumes"] == counted(record)["unrecovered"] > 0


def test_a_node_that_is_down_cannot_be_ended_again() -> None:
    record = play(crash(down="10s"), {"at": "32s", "do": "drain_node"})
    assert [(bool(row.users), row.vain) for row in record.fired] == [(True, False), (False, True)]


def busiest(moments: Sequence[float], width_s: float = 0.1) -> float:
    """The share of the fullest window of this width, wherever it begins."""
    ordered = sorted(moments)
    return max(bisect_left(ordered, begin + width_s) - place for place, begin in enumerate(ordered)) / len(ordered)


def come_back(tmp_path: Path, *events: dict[str, Any]) -> list[float]:
    """When each of 5,000 people has her connection again after these events."""
    group = {"users": 5_000, "arrive_over": "15s", "messages": None}
    path = tmp_path / "journal.jsonl"
    record = simulate(scenario(*events, group=group, duration="60s"), journal=path).record
    assert len(record.outages) == 5_000
    assert all(row.joined_at < 60.0 for row in record.outages)
    return [step.now for step in read(path) if step.door == "connect" and step.now >= 20.0]


def test_five_thousand_dropped_at_once_come_back_spread_where_they_were_told_when(tmp_path: Path) -> None:
    # The node tells everybody, and then ends at once instead of closing them one by one.
    ends = {"at": "20s", "do": "crash_node", "down": "1ms"}
    told = come_back(tmp_path, {"at": "20s", "do": "drain_node"}, ends)
    # They are told moments from [0, 10 s]: 50 +- 7 of them to 100 ms (binomial). More than 3 %, or 150, in any window
    # is 14 standard deviations away and more than 2 % is 7, so that no seed meets either by accident.
    assert len(told) == 5_000
    assert busiest(told) <= 0.02
    assert max(told) - min(told) == pytest.approx(10.0, abs=0.1)


def test_five_thousand_dropped_at_once_come_back_in_a_rush_where_they_were_not(tmp_path: Path) -> None:
    untold = come_back(tmp_path, {"at": "20s", "do": "crash_node", "down": "1ms"})
    # Backoff alone spreads the first attempts over half a second: 20 % +- 0.6 % to 100 ms, until the bucket is empty.
    assert 0.18 < busiest(untold) < 0.23


def test_an_order_to_revoke_that_finds_the_node_down_is_taken_when_it_is_up_again(tmp_path: Path) -> None:
    away = {"at": "29s", "do": "vanish", "for": "20s", "count": 1}
    record, found = steps(tmp_path, away, crash("30s", "5s"), {"at": "32s", "do": "revoke", "count": 1})
    (begun,) = (step.now for step in found if step.door == "begin")
    (revoked,) = (step.now for step in found if step.door == "revoke")
    assert 32.0 < begun <= revoked < begun + 1.0
    assert record.fired[2].users == record.fired[0].users
