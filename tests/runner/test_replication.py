"""Replication r of a master seed is one run, whoever plays it and beside however many."""

from __future__ import annotations

from math import isnan
from pathlib import Path

from chatsim.runner.replication import replication, seed_of
from chatsim.runner.run import play, run
from chatsim.verdict.metrics import Metrics
from tests.runner.test_replicate import BUSY, small
from tests.sim.worlds import scenario


def test_the_first_replication_is_the_run_of_the_file_and_each_can_be_run_again(tmp_path: Path) -> None:
    played = small("mean(delivery_latency) <= 1s")
    for number in (0, 3):
        found = replication(played, "sim", number)
        alone = run(played, seed=found.seed, out=tmp_path)
        assert found.observed == [alone.expectations[0].observed]
        assert found.numbers["delivery_latency_p99_s"] == alone.metrics["delivery_latency"]["p99"]
    assert seed_of(played.seed, 0) == played.seed


def test_seeds_differ_over_replications_and_masters() -> None:
    seeds = {seed_of(master, number) for master in range(30) for number in range(30)}
    assert len(seeds) == 900
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(5, 7) == seed_of(5, 7)


def test_each_group_has_numbers_of_its_own() -> None:
    people = {"name": "g", "users": 2, "session_size": 2} | BUSY
    two = scenario(groups=[people, people | {"name": "slow", "network": {"latency": {"constant": "50ms"}}}])
    found = replication(two, "sim", 0)
    metrics = Metrics(play(two).record)
    for group in ("g", "slow"):
        name = f"delivery_latency_p50_s{{group={group}}}"
        assert found.numbers[name] == metrics.aggregate("p50", "delivery_latency", group)
    assert found.numbers["delivery_latency_p50_s{group=slow}"] > 0.09
    assert found.numbers["reconnect_time_count{group=slow}"] == 0
    assert isnan(found.numbers["reconnect_time_p99_s{group=slow}"])
    assert not any(name.startswith("utilisation") and "group" in name for name in found.numbers)
