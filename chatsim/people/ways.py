"""The two ways between a device and the node, as its group's network makes them.

Rule: each way of each connection draws from streams of its own, which its number names, so that both wires draw alike.
"""

from __future__ import annotations

from chatsim.network.link import Link
from chatsim.people.streams import UNIFORM, Streams
from chatsim.scenario.distributions import Constant
from chatsim.scenario.model import Network


def both_ways(network: Network, streams: Streams, number: int) -> tuple[Link, Link]:
    """The ways up and down of the connection of that number in the run."""
    return _way(network, streams, "up", number), _way(network, streams, "down", number)


def _way(network: Network, streams: Streams, name: str, number: int) -> Link:
    latency = network.latency
    return Link(
        None if latency == Constant(value=0.0) else streams.draws(f"latency/{name}", number, latency),
        network.loss,
        streams.draws(f"loss/{name}", number, UNIFORM),
        network.bandwidth_bits_per_s,
    )
