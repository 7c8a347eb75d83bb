"""Blocks: where one ends changes nothing, and where nothing is drawn each delivery takes what it takes in full."""

from __future__ import annotations

import numpy as np
import pytest

from chatsim.flow import block as blocks
from chatsim.flow import node as nodes
from chatsim.flow.block import Block
from chatsim.flow.load import lay_out
from chatsim.flow.node import Node
from chatsim.people.streams import Streams
from chatsim.scenario.model import Scenario
from chatsim.sim.run import simulate
from chatsim.verdict.metrics import Metrics
from tests.flow.worlds import scenario

SLOW = {"frame": "300us", "recipient": "20us", "write": "100us", "append": "50us", "ping": "1ms", "verify": "2ms"}


def delivered(made: Scenario) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    node = Node(made, lay_out(made), Streams(made.seed))
    found = []
    while not node.settled:
        fans = Block(node, node.reach()).work().fans
        sent = np.repeat(fans.intended_at, fans.receivers)
        found.append((fans.received_at - sent)[sent >= made.warmup_s])
    return np.sort(np.concatenate(found))


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ({}, {}),
        ({"network": {}}, {"costs": SLOW}),
        ({"network": {}}, {"costs": SLOW | {"wake": "100us", "flush": "200us", "frame_ack": "30us"}}),
        ({"network": {}}, {"costs": SLOW | {"wake": "20us", "cold": "100us", "cold_after": "2ms"}}),
        ({"session_size": 40}, {"costs": {"frame": "300us", "write": "5us"}}),
    ],
)
def test_each_delivery_takes_what_it_takes_in_full(group: dict[str, object], words: dict[str, object]) -> None:
    made = scenario(group, **words)
    full = Metrics(simulate(made).record).samples("delivery_latency")
    found = delivered(made)
    assert found.size == full.size
    # The moments of pings are drawn: whom one delays, and who waits behind her, may differ.
    alike = np.isclose(found, full, rtol=0.0, atol=1e-6)
    assert alike.mean() > 0.9
    assert found.mean() == pytest.approx(full.mean(), rel=0.01)


def test_where_blocks_end_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scenario({"network": {}}, costs=SLOW | {"ping": "0s"})
    whole = delivered(made)
    monkeypatch.setattr(nodes, "PAIRS", 64)
    assert np.allclose(delivered(made), whole, rtol=0.0, atol=1e-8)


def test_few_rounds_keep_less_and_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scenario({"network": {}}, costs=SLOW | {"ping": "0s"})
    whole = delivered(made)
    monkeypatch.setattr(blocks, "ROUNDS", 3)
    assert np.allclose(delivered(made), whole, rtol=0.0, atol=1e-8)
