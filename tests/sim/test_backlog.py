"""What is slow to be read waits at the server, and leaves at the bandwidth of the moment at which it leaves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.network.link import HELD_BYTES_MAX, Link
from chatsim.sim.backlog import Backlog
from chatsim.sim.engine import Engine

SLOW = 8.0 * HELD_BYTES_MAX
"""Bit/s at which all that is on the way takes 1 s."""

HALF = HELD_BYTES_MAX // 2


class World:
    """One reader, behind a link of the given bandwidth."""

    def __init__(self, bandwidth: float | None = SLOW) -> None:
        self.engine = Engine(quantum_s=0.5)
        self.link = Link(bandwidth_bit_per_s=bandwidth)
        self.backlog = Backlog(self.engine, self.link)
        self.came: list[tuple[float, str]] = []
        self.seen: list[Any] = []

    def put(self, at: float, name: str, size_bytes: int = HALF) -> None:
        self.engine.at(at, lambda now, a, b: self.backlog.put(now, size_bytes, self._comes, name))

    def look(self, at: float) -> None:
        self.engine.at(
            at, lambda now, a, b: self.seen.append((self.backlog.queued_bytes(now), self.backlog.frames(now)))
        )

    def bandwidth(self, at: float, value: float | None) -> None:
        self.engine.at(at, lambda now, a, b: setattr(self.link, "bandwidth_bit_per_s", value))

    def _comes(self, now: float, name: str, _: Any) -> None:
        self.came.append((round(now, 6), name))


def test_what_fits_on_the_way_goes_at_once() -> None:
    world = World()
    world.put(1.0, "a")
    world.put(1.0, "b")
    world.look(1.2)
    world.engine.run(9.0)
    assert world.came == [(1.5, "a"), (2.0, "b")]
    assert world.seen == [(pytest.approx(1.6 * HALF), 2)]
    assert not world.backlog.waits


def test_what_is_more_than_that_waits_until_all_of_it_has_arrived() -> None:
    world = World()
    for name in "abcde":
        world.put(1.0, name)
    world.look(1.0)
    world.look(2.6)
    world.engine.run(9.0)
    assert world.came == [(1.5, "a"), (2.0, "b"), (2.5, "c"), (3.0, "d"), (3.5, "e")]
    assert world.seen == [(5 * HALF, 5), (pytest.approx(1.8 * HALF), 2)]


def test_what_waits_leaves_at_the_bandwidth_of_then() -> None:
    world = World()
    for name in "abcdefgh":
        world.put(1.0, name)
    world.bandwidth(1.2, None)
    world.engine.run(99.0)
    # A half more than fits is on its way by then, and arrives as it was to.
    assert world.came == [(1.5, "a"), (2.0, "b"), *((2.5, name) for name in "cdefgh")]


def test_nothing_overtakes_what_waits() -> None:
    world = World()
    for name in "abcd":
        world.put(1.0, name)
    world.bandwidth(1.2, None)
    world.put(1.3, "late", 1)
    world.engine.run(99.0)
    assert [name for _, name in world.came] == ["a", "b", "c", "d", "late"]


def test_what_waits_is_lost_with_the_connection_and_what_is_on_its_way_arrives() -> None:
    world = World()
    for name in "abcde":
        world.put(1.0, name)
    world.engine.at(1.1, lambda now, a, b: world.backlog.clear())
    world.engine.run(99.0)
    assert [name for _, name in world.came] == ["a", "b", "c"]
    assert world.backlog.queued_bytes(99.0) == world.backlog.frames(99.0) == 0


def test_one_is_to_look_again_as_long_as_something_waits() -> None:
    world = World()
    for name in "abcd":
        world.put(1.0, name)
    moments = []
    world.engine.at(1.0, lambda now, a, b: moments.append(world.backlog.leaves_at(now)))
    world.engine.at(2.75, lambda now, a, b: moments.append(world.backlog.leaves_at(now)))
    world.engine.at(8.0, lambda now, a, b: moments.append(world.backlog.leaves_at(now)))
    world.engine.run(9.0)
    assert moments == [pytest.approx(2.5), pytest.approx(3.0), 8.0]


def test_a_partition_without_end_holds_everything() -> None:
    world = World()
    world.link.blocked_until = float("inf")
    for name in "abcde":
        world.put(1.0, name)
    world.engine.run(9.0)
    assert world.came == []
    assert world.backlog.frames(9.0) == 5


@given(
    frames=st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, HELD_BYTES_MAX)), max_size=30),
    changes=st.lists(st.tuples(st.floats(0.0, 5.0), st.sampled_from([None, SLOW / 4, SLOW, 9 * SLOW])), max_size=4),
)
def test_everything_arrives_in_order_and_none_before_it_was_written(
    frames: list[tuple[float, int]], changes: list[tuple[float, float | None]]
) -> None:
    world = World()
    for at, value in changes:
        world.bandwidth(at, value)
    written = sorted(frames)
    for number, (at, size_bytes) in enumerate(written):
        world.put(at, f"{number}", size_bytes)
    world.engine.run(1000.0)
    assert [name for _, name in world.came] == [f"{number}" for number in range(len(written))]
    assert all(came >= at - 1e-6 for (came, _), (at, _) in zip(world.came, written, strict=True))
    assert world.backlog.queued_bytes(1000.0) == 0
