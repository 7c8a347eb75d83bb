"""What comes while a commit is under way goes into the next one."""

from __future__ import annotations

import pytest
from msgspec import Raw

from chatsim.core.effects import Record
from chatsim.sim.commits import Commits
from chatsim.sim.engine import Engine


def record(name: str) -> Record:
    return Record("s", "ann", "c1", name, Raw(b"1"), 0.0)


class World:
    """Commits of 1 s and 0.1 s a record."""

    def __init__(self) -> None:
        self.engine = Engine(quantum_s=0.5)
        self.done: list[tuple[float, str]] = []
        self.commits = Commits(self.engine, lambda records: 1.0 + 0.1 * records, self._ended)

    def _ended(self, now: float, batch: list[Record]) -> None:
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
    spans = [moment for span in world.commits.spans for moment in span]
    assert spans == pytest.approx([1.0, 2.1, 2.1, 3.4, 9.0, 10.1])


def test_what_is_there_at_one_moment_shares_a_commit() -> None:
    world = World()
    world.add(1.0, "a")
    world.add(1.0, "b")
    world.engine.run(10.0)
    assert world.done == [(2.2, "ab")]


def test_a_node_that_ends_forgets_what_was_on_its_way() -> None:
    world = World()
    world.add(1.0, "a")
    world.add(1.2, "b")
    world.engine.at(1.5, lambda now, a, b: world.commits.forget())
    world.add(1.7, "c")
    world.engine.run(10.0)
    assert world.done == [(2.8, "c")]
