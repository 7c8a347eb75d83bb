"""A scenario on real sockets: its counts are exact, its journal replays, and what cannot be played is refused."""

from __future__ import annotations

import gc
import os
from math import inf
from pathlib import Path
from typing import Any

import pytest

from chatsim.core.effects import Close
from chatsim.errors import UsageError
from chatsim.journal.replay import replay
from chatsim.journal.steps import read, read_header
from chatsim.live.cores import cores
from chatsim.live.run import run_live
from chatsim.live.speed import EVERY_S
from chatsim.scenario.model import Scenario
from chatsim.verdict.metrics import counters


def scenario(**changes: Any) -> Scenario:
    words = {
        "name": "small",
        "duration": "10s",
        "handler": {"ping_interval": "4s", "pong_timeout": "2s", "retry_interval": "4s"},
        "groups": [{"name": "g", "users": 6, "session_size": 3, "messages": {"arrivals": "periodic", "rate": "1/s"}}],
        "expect": ["lost == 0"],
        "live": {"time_scale": 0.1},
    }
    return Scenario.of(words | changes)


def test_every_message_is_delivered_over_tls_and_the_journal_replays(tmp_path: Path) -> None:
    heard: list[float] = []
    outcome = run_live(scenario(tls=True), seed=3, out_dir=tmp_path, progress=heard.append)
    found = counters(outcome.record)
    assert found["sent"] == found["accepted"] == len(outcome.record.sent) > 50
    # Who speaks before the others have joined is heard by fewer.
    assert found["delivered"] == sum(map(len, outcome.record.owed.values())) > found["accepted"]
    assert found["lost"] == found["undelivered"] == found["duplicates"] == found["errors"] == 0
    assert outcome.health["settled"]
    assert replay(tmp_path / "journal.jsonl") is None
    assert outcome.record.loop_lag_s
    assert 0.0 < outcome.record.utilisation[0] < 1.0
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


@pytest.mark.parametrize(("store", "lasts"), [("memory", False), ("sqlite", True), (None, True)])
def test_the_log_is_the_one_that_the_scenario_names(store: str | None, lasts: bool, tmp_path: Path) -> None:
    """A log that lasts gives its server something to begin with, if only an empty snapshot."""
    log = {} if store is None else {"log": {"store": store}}
    outcome = run_live(scenario(duration="3s", **log), seed=3, out_dir=tmp_path)
    found = counters(outcome.record)
    assert found["sent"] == found["accepted"] > 0
    assert (read_header(tmp_path / "journal.jsonl").snapshot is not None) == lasts


def test_what_is_measured_closely_has_cores_of_its_own_and_glances_at_its_speed(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    told = cores()
    server_cores, crowd_cores = (before, before) if told is None else ({told[0]}, {told[1]})
    found: list[tuple[set[int], list[set[int]]]] = []

    def look(share: float) -> None:
        main = Path(f"/proc/self/task/{os.getpid()}/children")
        found.append((os.sched_getaffinity(0), [os.sched_getaffinity(int(pid)) for pid in main.read_text().split()]))

    outcome = run_live(scenario(duration="3s"), seed=3, out_dir=tmp_path, progress=look, closely=True)
    assert all(crowd == crowd_cores for crowd, _ in found)
    assert all(server_cores in children for _, children in found)
    assert os.sched_getaffinity(0) == before
    ats = [glance.at for glance in outcome.glances]
    assert ats == sorted(ats)
    assert 0 < len(ats) <= 3.0 / EVERY_S + 1
    assert all(glance.took_s > 0 for glance in outcome.glances)


def test_faults_strike_heal_and_are_found(tmp_path: Path) -> None:
    events = [
        {"at": "3s", "do": "drop", "group": "g", "count": 1},
        {"at": "4s", "do": "vanish", "group": "q", "count": 1},
        {"at": "4s", "do": "bad_frames", "group": "q", "count": 2, "rate": "1/s", "for": "2s"},
        {"at": "5s", "do": "arrive", "group": "q", "users": 2},
    ]
    groups = [
        {"name": "g", "users": 6, "session_size": 3, "messages": {"arrivals": "periodic", "rate": "1/s"}},
        {"name": "q", "users": 2},
        {"name": "no", "users": 3, "credentials": "forged"},
    ]
    outcome = run_live(scenario(events=events, groups=groups), seed=1, out_dir=tmp_path)
    record, found = outcome.record, counters(outcome.record)
    assert found["auth_refused"] == 3
    assert found["lost"] == found["duplicates"] == found["out_of_order"] == 0
    assert found["errors"] in (2, 3, 4)
    assert [(fired.do, len(fired.users)) for fired in record.fired[:3]] == [
        ("drop", 1),
        ("vanish", 1),
        ("bad_frames", 2),
    ]
    assert [(fired.do, fired.users) for fired in record.fired[3:]] == [("arrive", ("q-0003", "q-0004"))]
    (detection,) = record.detections
    assert detection.group == "q"
    assert 0.15 < detection.closed_at - detection.gone_at < 1.0
    assert [outage.group for outage in record.outages] == ["g"]
    assert record.outages[0].joined_at < 10.0
    assert replay(tmp_path / "journal.jsonl") is None


def test_no_full_collection_delays_the_crowd(tmp_path: Path) -> None:
    """It takes the longer the more was run before in this process, and nobody of the crowd can write meanwhile."""
    full = [0]
    heard: list[int] = []
    kept: list[list[object]] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        full[0] += info["generation"] == 2

    def watch(share: float) -> None:
        heard.append(full[0])
        kept.extend([None] for _ in range(20_000))

    before = gc.get_threshold()
    gc.callbacks.append(note)
    gc.set_threshold(1000, 1, 1)
    try:
        outcome = run_live(scenario(), seed=1, out_dir=tmp_path, progress=watch)
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(note)
    assert outcome.health["settled"]
    assert heard[0] == heard[-1] > 0


def test_the_servers_clock_jumps_and_its_journal_replays(tmp_path: Path) -> None:
    event = {"at": "4s", "do": "clock_jump", "by": "20s"}
    outcome = run_live(scenario(events=[event]), seed=2, out_dir=tmp_path)
    assert "replay" not in outcome.why_invalid
    assert outcome.violations == []
    assert [step.args for step in read(tmp_path / "journal.jsonl") if step.door == "clock_jump"] == [(2.0,)]
    assert replay(tmp_path / "journal.jsonl") is None


def test_revoked_people_are_out_at_once_and_stay_out(tmp_path: Path) -> None:
    groups = [
        {"name": "g", "users": 6, "session_size": 3, "messages": {"arrivals": "periodic", "rate": "1/s"}},
        {"name": "no", "users": 2, "credentials": "revoked"},
    ]
    event = {"at": "5s", "do": "revoke", "group": "g", "share": "50%"}
    # What was on its way to them is waited for as long as it is kept: no longer than the settings want it to be.
    handler = {"ping_interval": "4s", "pong_timeout": "2s", "retry_interval": "4s", "retention": "36s"}
    told = scenario(events=[event], groups=groups, handler=handler, tls=True)
    outcome = run_live(told, seed=2, out_dir=tmp_path)
    (fired,) = outcome.record.fired
    assert len(fired.users) == 3
    assert outcome.health["settled"]
    found = counters(outcome.record)
    assert found["auth_refused"] == 2, "revoked before they came"
    assert found["lost"] == found["duplicates"] == 0
    assert outcome.record.outages == []
    closed = [(step.now, effect.to) for step in read(tmp_path / "journal.jsonl") for effect in step.effects
              if isinstance(effect, Close) and effect.code == 4501]  # fmt: skip
    assert len(closed) == 3
    connected = [step.now for step in read(tmp_path / "journal.jsonl") if step.door == "connect"]
    assert len(connected) == 6, "nobody came back"
    assert replay(tmp_path / "journal.jsonl") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "event",
    [{"do": "crash_node", "down": "1s"}, {"do": "restart_node", "down": "1s"}, {"do": "drain_node"}],
    ids=lambda event: str(event["do"]),
)
def test_the_server_ends_and_begins_again_and_loses_nothing(tmp_path: Path, event: dict[str, str]) -> None:
    outcome = run_live(scenario(events=[event | {"at": "4s"}], tls=True), seed=4, out_dir=tmp_path)
    # A busy machine may call the run invalid for its lateness, which is no matter here.
    assert "replay" not in outcome.why_invalid
    assert outcome.health["settled"]
    (fired,) = outcome.record.fired
    assert fired.users
    assert not fired.vain
    found = counters(outcome.record)
    assert found["sent"] == found["accepted"] > 50
    assert found["lost"] == found["undelivered"] == found["duplicates"] == found["out_of_order"] == 0
    assert len(outcome.record.outages) == 6
    assert all(row.joined_at < inf for row in outcome.record.outages)
    assert len(outcome.record.drain_time_s) == (event["do"] != "crash_node")
    assert replay(tmp_path / "journal-2.jsonl") is None


def test_a_server_is_killed_while_it_drains_and_the_next_comes_as_after_any_crash(tmp_path: Path) -> None:
    events = [
        {"at": "4s", "do": "restart_node", "down": "60s"},
        {"at": "5s", "do": "crash_node", "down": "1s"},
    ]
    handler = {"ping_interval": "4s", "pong_timeout": "2s", "retry_interval": "4s", "drain_window": "10s"}
    outcome = run_live(scenario(events=events, handler=handler), seed=4, out_dir=tmp_path)
    assert "replay" not in outcome.why_invalid
    assert outcome.violations == []
    assert outcome.health["settled"]
    fired = [(fault.do, fault.vain) for fault in outcome.record.fired]
    assert fired == [("restart_node", False), ("crash_node", False)]
    assert outcome.record.drain_time_s == []
    found = counters(outcome.record)
    assert found["sent"] == found["accepted"] > 50
    assert found["lost"] == found["duplicates"] == found["out_of_order"] == 0
    assert all(row.joined_at < 10.0 for row in outcome.record.outages), "nobody waited for 6 s"
    assert sorted(path.name for path in tmp_path.glob("journal*")) == ["journal-2.jsonl", "journal.jsonl"]
    assert replay(tmp_path / "journal-2.jsonl") is None


def test_nobody_waits_for_a_killed_server_to_find_a_peer_that_had_vanished(tmp_path: Path) -> None:
    events = [
        {"at": "3s", "do": "vanish", "count": 2, "for": "4s"},
        {"at": "4s", "do": "crash_node", "down": "1s"},
    ]
    outcome = run_live(scenario(events=events), seed=4, out_dir=tmp_path)
    assert outcome.health["settled"]
    assert outcome.violations == []
    assert counters(outcome.record)["lost"] == 0


def test_what_a_held_log_cannot_take_is_refused_and_said_again(tmp_path: Path) -> None:
    event = {"at": "4s", "do": "log_outage", "for": "30s"}
    outcome = run_live(scenario(events=[event], duration="60s"), seed=5, out_dir=tmp_path)
    # A busy machine may call the run invalid for its lateness, which is no matter here.
    assert "replay" not in outcome.why_invalid
    found = counters(outcome.record)
    failed = [step for step in read(tmp_path / "journal.jsonl") if step.door == "append_failed"]
    # Each is answered with an error; said again and again, some meet the rate limit too.
    assert len(failed) == found["errors"] - found["rate_limited"] > 0
    assert found["lost"] == found["duplicates"] == found["out_of_order"] == 0


def test_what_the_live_wire_cannot_do_is_refused_before_anything_runs(tmp_path: Path) -> None:
    event = {"at": "1s", "do": "flood", "rate": "1000000/s", "for": "10s"}
    with pytest.raises(UsageError, match="over 1000000 frames"):
        run_live(scenario(events=[event]), seed=1, out_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
