"""A run on the virtual wire is a function of scenario and seed, accounts for everything, and can be replayed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatsim.core.effects import Effects
from chatsim.core.handler import ChatHandler
from chatsim.errors import HarnessError, UsageError
from chatsim.journal.record import RunRecord
from chatsim.journal.replay import replay
from chatsim.journal.steps import Step, read
from chatsim.people.people import Device
from chatsim.people.script import EPOCH
from chatsim.scenario.load import discover, load
from chatsim.verdict.judge import judge
from chatsim.virtual.loop import DeadlockError, VirtualLoop
from chatsim.virtual.run import VirtualOutcome, _Run, run_virtual
from tests.sim.worlds import counted, everyone_has_everything_once, scenario, worst

BUSY = {
    "users": 12,
    "session_size": 3,
    "arrive_over": "10s",
    "typing": True,
    "presence": True,
    "messages": {"arrivals": "poisson", "rate": "20/min"},
    "network": {"latency": {"lognormal": {"median": "15ms", "p99": "45ms"}}, "loss": "2%", "bandwidth": "1Mbit/s"},
}
STORM = ({"at": "30s", "do": "drop", "share": "50%"}, {"at": "45s", "do": "vanish", "count": 2, "for": "10s"})
ONE = {"users": 1, "session_size": 1, "token_ttl": "10min"}
"""Somebody who came at 0 s with a token of ten minutes."""


def play(*events: Mapping[str, Any], **words: Any) -> RunRecord:
    """What happened in the small scenario of the simulation's tests, on this wire."""
    return run_virtual(scenario(*events, **words)).record


def steps(tmp_path: Path, *events: Mapping[str, Any], **words: Any) -> tuple[RunRecord, list[Step]]:
    """What happened, and every input of the node with its effects; the journal replays."""
    path = tmp_path / "journal.jsonl"
    record = run_virtual(scenario(*events, **words), journal=path).record
    assert replay(path) is None
    return record, list(read(path))


def at(found: Sequence[Step], door: str) -> list[float]:
    """Moments at which this input came (s)."""
    return [step.now for step in found if step.door == door]


def test_one_way_to_the_node_and_one_back_is_all_that_a_message_takes() -> None:
    record = play()
    assert everyone_has_everything_once(record)
    assert worst(record, "delivery_latency") == pytest.approx(0.010)
    assert worst(record, "ack_latency") == pytest.approx(0.010)
    assert worst(record, "loop_lag") == 0.0


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    played = scenario(*STORM, group=BUSY, duration="1min")
    first = run_virtual(played, journal=tmp_path / "a.jsonl")
    second = run_virtual(played, journal=tmp_path / "b.jsonl")
    assert first.trace_hash == second.trace_hash == run_virtual(played).trace_hash
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert msgspec.json.encode(first.record.sent) == msgspec.json.encode(second.record.sent)
    assert first.record.receipts == second.record.receipts
    assert first.record.outages == second.record.outages
    assert run_virtual(played.with_seed(2)).trace_hash != first.trace_hash


ELSEWHERE = """
from tests.virtual.test_run import BUSY, STORM
from tests.sim.worlds import scenario
from chatsim.virtual.run import run_virtual
print(run_virtual(scenario(*STORM, group=BUSY, duration="1min")).trace_hash)
"""


def test_nothing_depends_on_how_a_process_hashes() -> None:
    told = set()
    for number in ("1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            env={**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        told.add(done.stdout.strip())
    assert told == {run_virtual(scenario(*STORM, group=BUSY, duration="1min")).trace_hash}


def test_the_journal_replays_into_a_fresh_handler(tmp_path: Path) -> None:
    crash = {"at": "40s", "do": "crash_node", "down": "2s"}
    record, found = steps(tmp_path, *STORM, crash, group=BUSY, duration="1min")
    assert len(found) > 1000
    assert at(found, "begin") == [42.0]
    assert counted(record)["lost"] == 0


def test_a_node_is_restarted_in_order_and_everybody_is_back() -> None:
    record = play({"at": "30s", "do": "restart_node", "down": "1s"})
    assert record.fired[0].users
    assert not record.fired[0].vain
    assert len(record.drain_time_s) == 1
    assert len(record.outages) == 4
    assert everyone_has_everything_once(record)


def test_a_log_outage_is_told_and_survived() -> None:
    record = play({"at": "30s", "do": "log_outage", "for": "8s"})
    assert counted(record)["errors"] > 4
    assert counted(record)["accepted"] == counted(record)["sent"]
    assert (record.fired[0].users, record.fired[0].vain) == ((), False)


def test_the_revoked_are_out_and_stay_out() -> None:
    record = play({"at": "30s", "do": "revoke", "count": 1})
    assert len(record.fired[0].users) == 1
    assert record.outages == []
    assert counted(record)["lost"] == 0


def test_revoked_credentials_never_open() -> None:
    record = play(group={"credentials": "revoked", "reconnect": False}, duration="10s")
    assert counted(record)["auth_refused"] == 4
    assert counted(record)["connections_peak"] == 0


def test_a_clock_that_jumps_ahead_ends_tokens_so_much_sooner(tmp_path: Path) -> None:
    event = {"at": "1min", "do": "clock_jump", "by": "440s"}
    record, found = steps(tmp_path, event, group=ONE, duration="4min")
    assert at(found, "clock_jump") == [60.0]
    # As in simulation: 600 s from the first request, warned of 60 s before, that is 440 s sooner; and so the next.
    assert at(found, "refresh")[0] == pytest.approx(100.0 + 0.010 + 0.010)
    assert at(found, "refresh")[1] == pytest.approx(200.0 + 0.010 + 4 * 0.005, abs=0.02)
    assert (record.fired[0].users, record.fired[0].vain) == ((), False)
    assert counted(record)["accepted"] == counted(record)["sent"] > 20


def test_a_clock_ahead_by_more_than_a_tokens_life_lets_nobody_in(tmp_path: Path) -> None:
    record, found = steps(tmp_path, {"at": "10s", "do": "clock_jump", "by": "610s"}, group=ONE)
    assert at(found, "refuse_refresh") == [pytest.approx(10.010)]
    assert counted(record)["auth_refused"] == 1
    assert [outage.joined_at for outage in record.outages] == [inf]


def test_who_vanished_for_good_holds_up_no_end() -> None:
    record = play({"at": "30s", "do": "vanish", "count": 1}, duration="1min")
    (row,) = record.detections
    assert 10.0 < row.closed_at - row.gone_at <= 40.1


def test_what_fails_in_a_callback_ends_the_run() -> None:
    def fails() -> None:
        raise ValueError("a fault of ours")

    def later(share: float) -> None:
        asyncio.get_running_loop().call_soon(fails)

    with pytest.raises(HarnessError, match="a fault of ours"):
        run_virtual(scenario(), progress=later)


def test_a_run_in_which_nothing_can_happen_any_more_names_who_waits() -> None:
    async def never(devices: Sequence[Device]) -> None:
        await asyncio.get_running_loop().create_future()

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        run = _Run(loop, scenario({"at": "1s", "do": "revoke"}, group=ONE, duration="10s"), None, ())
        run.revoke = never  # type: ignore[method-assign]
        await run.play(None)
        # Everybody is gone, and with them all that could happen: but for an order that nobody answers.
        run.mischief._order(never(()), "revoke")
        await asyncio.wait(run.mischief._orders)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(DeadlockError) as raised:
        runner.run(wait())
    assert "the order revoke" in str(raised.value)
    assert "Task-" not in str(raised.value)


def test_a_connection_that_only_the_node_or_only_its_handler_has_is_told() -> None:
    async def watched(forget: bool) -> list[str]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        run = _Run(loop, scenario(duration="10s"), None, ())

        def bend(share: float) -> None:
            if forget and share > 0.5:
                # The node takes a connection to be closed of which its handler has heard nothing.
                next(iter(run.node.driver._outlets.by_name.values())).closing = True

        outcome = await run.play(bend)
        return [violation.name for violation in outcome.violations]

    for forget in (False, True):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            assert ("pool" in runner.run(watched(forget))) == forget


def test_a_log_that_never_answers_lets_nothing_come_to_rest() -> None:
    outcome = run_virtual(scenario(duration="10s", log={"latency": {"constant": "10h"}}))
    assert [violation.name for violation in outcome.violations] == ["convergence", "answered"]
    assert "under way since" in outcome.violations[1].detail


class Restless(ChatHandler):
    """A handler that wants to be woken once more at the moment at which it was woken, for once."""

    woken = 0

    def wake(self, now: float) -> Effects:
        self.woken += 1
        self.at = now
        return super().wake(now)

    def wake_at(self) -> float:
        return self.at if self.woken == 1 else super().wake_at()


def test_a_handler_that_does_not_rest_is_told() -> None:
    async def watched() -> list[str]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        run = _Run(loop, scenario(duration="1min"), None, ())
        run.node._server.kill()
        run.node._serve(Restless(run.scenario.handler, epoch=EPOCH, seed=1))
        outcome = await run.play(None)
        return [violation.name for violation in outcome.violations]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(watched()) == ["rest"]


def test_what_this_wire_cannot_play_is_refused_before_it_begins() -> None:
    with pytest.raises(UsageError, match="HS256"):
        play(handler={"algorithms": ["ES256"]})


def test_progress_rises_to_the_end_of_sending() -> None:
    heard: list[float] = []
    run_virtual(scenario(duration="20s"), progress=heard.append)
    assert heard == sorted(heard)
    assert heard[0] == 0.0
    assert heard[-1] > 0.95


def test_a_scrape_comes_with_the_run() -> None:
    outcome = run_virtual(scenario(duration="10s"))
    assert isinstance(outcome, VirtualOutcome)
    assert b"chatsim_connections 4.0" in outcome.exposition


def test_every_live_run_can_be_played_here_too() -> None:
    """The scenarios as they stand are played, and judged, by the test of agreement; here one as `live:` has it."""
    (path,) = [path for path in discover([]) if path.stem == "half-open-baseline"]
    played = load(path).with_live_overrides()
    record = run_virtual(played).record
    assert [judged.verdict for judged in judge(played.expect, record)] == ["pass"] * len(played.expect)


def test_a_run_goes_on_until_the_log_has_answered_whoever_asked() -> None:
    played = run_virtual(scenario({"at": "9.5s", "do": "revoke"}, duration="10s", log={"latency": {"constant": "7s"}}))
    assert played.lasted_s > 12.0
    assert played.violations == []
