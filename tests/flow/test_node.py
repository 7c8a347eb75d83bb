"""What a node of a flow carries from block to block."""

from __future__ import annotations

import numpy as np

from chatsim.flow.block import Block
from chatsim.flow.load import lay_out
from chatsim.flow.node import SLOTS, Node
from chatsim.people.streams import Streams
from tests.flow.worlds import scenario


def node(**group: object) -> Node:
    made = scenario(group)
    return Node(made, lay_out(made), Streams(made.seed))


def test_requests_come_after_a_round_trip() -> None:
    made = node()
    assert np.allclose(made.knocks.ready_at, np.sort(made.load.connect_at) + 0.015)
    assert not made.everybody
    assert not made.settled


def test_a_connection_is_first_pinged_in_the_second_half_of_the_interval() -> None:
    made = node(users=500)
    made.welcomed(np.full(500, 3.0))
    made.now = 3.0
    moments, counts = made.pinging(40.0)
    assert counts.sum() == 500
    assert moments.min() >= 3.0 + 15.0
    assert moments.max() <= 3.0 + 30.0
    assert made.slots.sum() == made.connections == 500
    assert made.step_s * SLOTS == 30.0


def test_blocks_end_where_everything_is_settled() -> None:
    made = node()
    reached = []
    while not made.settled:
        Block(made, made.reach()).work()
        reached.append(made.now)
    assert reached == sorted(set(reached))
    assert made.everybody
    assert made.accepted == made.load.at_s.size
    assert made.in_session.tolist() == made.load.size.tolist()
