"""Each way of each connection is as its network says, and draws for itself."""

from __future__ import annotations

from chatsim.people.streams import Streams
from chatsim.people.ways import both_ways
from chatsim.scenario.distributions import Constant, Exponential
from chatsim.scenario.model import Network


def test_a_network_without_anything_delays_nothing() -> None:
    up, down = both_ways(Network(), Streams(1), 1)
    assert (up.arrival(3.0, 100), down.arrival(4.0, 100)) == (3.0, 4.0)


def test_latency_and_bandwidth_hold_on_both_ways() -> None:
    network = Network.model_construct(latency=Constant(value=0.5), loss=0.0, bandwidth_bits_per_s=8000.0)
    for way in both_ways(network, Streams(1), 1):
        # 100 bytes at 8 kbit/s take 0.1 s.
        assert 3.6 <= way.arrival(3.0, 100) < 3.7


def test_every_way_draws_from_a_stream_of_its_own_and_always_the_same() -> None:
    network = Network.model_construct(latency=Exponential(scale=1.0), loss=0.0, bandwidth_bits_per_s=None)
    first, again = (
        [way.arrival(0.0, 1) for number in (1, 2) for way in both_ways(network, Streams(1), number)] for _ in "12"
    )
    assert first == again
    assert len(set(first)) == 4
