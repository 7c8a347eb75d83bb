"""What comes while a commit is under way goes into the next one."""

from __future__ import annotations

from math import exp, inf
from typing import Any

import pytest
from msgspec import Raw

from chatsim.core.effects import Record
from chatsim.people.streams import Streams
from chatsim.scenario.costs import read_costs
from chatsim.scenario.distributions import Constant
from chatsim.sim.commits import Commits, CommitTime
from chatsim.sim.engine import Engine
from chatsim.sim.event_loop import EventLoop


def record(name: str) -> Record:
    return Record("s", "ann", "c1", name, Raw(b"1"), 0.0)


class World:
    """Commits of 1 s for the disk and 0.1 s of work for a record; on the core of a `loop`, if there is one."""

    def __init__(self, loop: EventLoop | None = None) -> None:
        self.engine = Engine(quantum_s=0.5)
        self.done: list[tuple[float, str]] = []
        self.commits = Commits(self.engine, self._take_s, self._ended, loop)
        self.rested: list[float] = []
        self.free_at: list[float] = []
        self.loop = loop

    def _take_s(self, records: int, rested_s: float) -> tuple[float, float]:
        self.rested.append(round(rested_s, 6))
        return 0.1 * records, 1.0

    def _ended(self, now: float, batch: list[Record]) -> None:
        self.free_at += [] if self.loop is None else [self.loop.free_at]
        self.done.append((round(now, 6), "".join(one.id for one in batch)))

    def add(self, at: float, name: str) -> None:
        self.engine.at(at, lambda now, a, b: self.commits.add(now, record(name)))


def test_a_record_alone_takes_one_commit() -> None:
    world = World()
    world.add(1.0, "a")
    world.engine.run(10.0)
    assert world.done == [(2.1, "a")]


def test_what_comes_meanwhile_shares_the_next_commit_in_order() -> None:
    world = World()
    for at, name in ((1.0, "a"), (1.5, "b"), (1.6, "c"), (2.0, "d"), (9.0, "e")):
        world.add(at, name)
    world.engine.run(20.0)
    assert world.done == [(2.1, "a"), (3.4, "bcd"), (10.1, "e")]
    # Nobody has rested before the first, nor between those that come one upon the other.
    assert world.rested == [float("inf"), 0.0, 5.6]
    spans = [moment for span in world.commits.spans for moment in span]
    assert spans == pytest.approx([1.0, 2.1, 2.1, 3.4, 9.0, 10.1])


def test_what_is_there_at_one_moment_shares_a_commit() -> None:
    world = World()
    world.add(1.0, "a")
    world.add(1.0, "b")
    world.engine.run(10.0)
    assert world.done == [(2.2, "ab")]


def test_on_the_loops_core_a_commit_works_while_the_loop_sleeps_and_keeps_it_waiting() -> None:
    loop = EventLoop()
    world = World(loop)
    # The loop has the core until 1.3 and has it again while the disk is waited for, until 2.9.

    def work(now: float, for_s: float, _: Any) -> None:
        loop.end(loop.start(now), for_s)

    world.engine.at(1.0, work, 0.3)
    world.engine.at(2.2, work, 0.7)
    world.add(1.1, "a")
    world.add(1.2, "b")
    starts: list[float] = []
    world.engine.at(1.4, lambda now, a, b: starts.append(loop.start(now)))
    world.engine.run(10.0)
    # Both go together, since none had begun; their work of 0.2 s begins at 1.3, and their disk is done at 2.5.
    assert world.done == [(2.9, "ab")]
    assert starts == [pytest.approx(1.5)]
    assert loop.busy_s == pytest.approx(0.3 + 0.7)


def test_the_thread_goes_on_with_the_next_commit_before_the_loop_hears_of_the_last() -> None:
    loop = EventLoop()
    world = World(loop)
    world.add(1.0, "a")
    world.add(1.5, "b")
    world.engine.run(10.0)
    assert world.done == [(2.1, "a"), (3.2, "b")]
    assert world.free_at == pytest.approx([2.2, 2.2])


def test_a_node_that_ends_forgets_what_was_on_its_way() -> None:
    world = World()
    world.add(1.0, "a")
    world.add(1.2, "b")
    world.engine.at(1.5, lambda now, a, b: world.commits.forget())
    world.add(1.7, "c")
    world.engine.run(10.0)
    assert world.done == [(2.8, "c")]


def test_a_commits_time_is_its_records_its_rest_and_what_the_disk_takes() -> None:
    words = {
        "commit": "1s",
        "commit_record": "10ms",
        "commit_cold": "2s",
        "commit_cold_after": "1s",
        "commit_busy": 0.25,
    }
    latency = Streams(0).draws("log/latency", 0, Constant(value=0.5))
    spent = {"commit": 1.0, "commit_record": 0.01, "commit_cold": 2.0}
    takes = CommitTime(read_costs(words), spent.__getitem__, latency)
    took_s = 1.0 + 2.0 * (1.0 - exp(-3.0))
    assert takes(4, 3.0) == pytest.approx((0.25 * took_s + 0.04, 0.75 * took_s + 0.5))
    assert takes(1, inf) == pytest.approx((0.25 * 3.0 + 0.01, 0.75 * 3.0 + 0.5)), "nobody has committed yet"
    loop = EventLoop()
    assert takes.on(loop) is loop
    alone = CommitTime(read_costs({"commit": "1s"}), {"commit": 1.0, "commit_record": 0.0}.__getitem__, latency)
    assert alone(4, 3.0) == (0.0, 1.5)
    assert alone.on(loop) is None
