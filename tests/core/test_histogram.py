"""An observation lands in the bucket whose upper edge it does not pass."""

from __future__ import annotations

import pytest

from chatsim.core.frames import AckIn
from chatsim.core.histogram import EDGES_S, Histogram
from tests.core.world import World


@pytest.mark.parametrize(
    ("took_s", "place"), [(0.0, 0), (1.0, 0), (1.0001, 1), (2.0, 1), (2.1, 2), (1e9, 2), (-5.0, 0)]
)
def test_an_edge_belongs_to_its_bucket(took_s: float, place: int) -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(took_s)
    assert [index for index, count in enumerate(histogram.counts) if count] == [place]
    assert histogram.sum_s == max(took_s, 0.0)


def test_the_limit_of_a_delivery_is_an_edge() -> None:
    assert 0.1 in EDGES_S
    assert list(EDGES_S) == sorted(set(EDGES_S))


def test_a_handler_times_acks_deliveries_and_pongs() -> None:
    world = World(slow_log=True)
    world.arrive("ann", "bob")
    world.say("ann", "1")
    world.pass_s(0.04)
    world.log_answers()
    world.pass_s(0.2)
    world.receive("bob", AckIn(session="s", up_to=1))
    world.pass_s(60.0)
    times = world.handler.times
    assert _buckets(times.ack) == {0.05: 1}
    assert _buckets(times.delivery) == {0.25: 1}
    assert times.pong.counts[0] == sum(times.pong.counts) == world.handler.counters.pings > 0


def test_a_pong_that_was_not_asked_for_times_nothing() -> None:
    world = World()
    world.connect("ann")
    world.do("pong", "ann")
    assert sum(world.handler.times.pong.counts) == 0


def _buckets(histogram: Histogram) -> dict[float, int]:
    """What is in each bucket, by its upper edge."""
    found: dict[float, int] = {}
    for edge_s, count in zip(histogram.edges_s, histogram.counts, strict=False):
        if count:
            found[edge_s] = count
    return found
