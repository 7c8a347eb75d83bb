"""A fleet out of one node's capacity, by hand."""

from __future__ import annotations

from math import inf

import msgspec
import pytest

from chatsim.analysis.capacity import BUSY_MAX, Node
from chatsim.analysis.planning import at_once, handshake_s, not_played, plan, played, predicted, storm
from chatsim.core.config import HandlerConfig
from chatsim.errors import UsageError
from chatsim.scenario.costs import read_costs
from chatsim.scenario.distributions import Constant
from tests.analysis.capacity_made import load


def test_headroom_decides_for_many_nodes_and_a_lost_one_for_few() -> None:
    many = plan(1_000_000, 0.3, load(1000), Node(), 0.5)
    assert (many.usable, many.for_headroom, many.for_loss, many.nodes) == (700, 1429, 1001, 1429)
    assert (many.users_a_node, many.users_lost) == (700, 701)
    assert many.cost_h == 714.5
    assert many.cost_month == pytest.approx(714.5 * 730)
    few = plan(1000, 0.3, load(1000), Node())
    assert (few.for_headroom, few.for_loss, few.nodes, few.users_a_node, few.users_lost) == (2, 2, 2, 500, 1000)
    assert few.cost_h is None
    assert few.cost_month is None


@pytest.mark.parametrize("users", [1, 699, 700, 701, 12_345])
@pytest.mark.parametrize("headroom", [0.0, 0.3, 0.9])
def test_every_node_keeps_its_headroom_and_the_others_carry_all_when_one_is_lost(users: int, headroom: float) -> None:
    made = plan(users, headroom, load(1000), Node())
    assert made.users_a_node <= made.usable
    assert made.users_lost <= made.capacity
    assert made.nodes >= 2


def test_work_memory_and_egress_are_those_of_its_users() -> None:
    made = plan(1_000_000, 0.3, load(1000), Node(connection_bytes=50_000.0, devices=2.0))
    assert made.busy == pytest.approx(0.95 * 0.7, rel=1e-3)
    assert made.egress_bytes == pytest.approx(2000 * 700)
    assert made.memory_bytes == 700 * 2 * 50_000
    # Pooled, 950 Erlang of work need hardly more than 950 nodes.
    assert 950 < made.pooled < 1000


def test_nobody_is_shown_to_have_left_when_all_come_back_at_once() -> None:
    """Ten seconds after the first attempts: a third of a busy node's time, or what the door lets in."""
    config = HandlerConfig(presence_grace_s=11.0, resume_rate_per_s=1000.0)
    busy = load(1000)
    most = at_once(busy, 2.0, 0.01, config)
    # Beside their chat they take 20 ms each of ten seconds.
    assert most is not None
    assert most == int(10.0 / (2 * 0.01 + 10.0 * busy.mean("busy") / 1000))
    assert at_once(load(100_000), 2.0, 0.0, config) == 1000 * 10 / 2
    assert at_once(busy, 2.0, 0.01, HandlerConfig(presence_grace_s=1.0)) is None
    assert plan(1_000_000, 0.3, busy, Node()).for_storm is None
    made = plan(1_000_000, 0.3, busy, Node(), back=most)
    assert made.nodes == made.for_storm == -(-1_000_000 // most) > made.for_headroom


def test_a_headroom_that_leaves_nobody_is_refused() -> None:
    with pytest.raises(UsageError, match="leaves nobody"):
        plan(10, 0.999, load(100), Node())


def test_a_storm_is_as_slow_as_the_time_that_is_left_or_the_door() -> None:
    config = HandlerConfig()
    busy = storm(1000, 1.0, 0.6, 0.002, config)
    assert busy.possible == 500.0
    assert busy.free == pytest.approx(0.4)
    assert busy.back_s == pytest.approx(1 + 1000 / 200)
    assert storm(3000, 2.0, 0.0, 0.0001, config).back_s == pytest.approx(1 + 6000 / 1000)
    assert storm(1000, 1.0, 1.0, 0.002, config).back_s == inf
    assert storm(1000, 1.0, 0.5, 0.0, config).back_s == 2.0


def test_what_was_played_stands_beside_what_was_reckoned() -> None:
    reckoned = storm(1000, 1.0, 0.6, 0.002, HandlerConfig())
    numbers = {"reconnect_time_p50_s": 1.0, "reconnect_time_max_s": 4.0, "delivery_latency_p99_s": 0.3, "lost": 0.0}
    made = played(reckoned, numbers)
    assert (made.played_p50_s, made.played_max_s, made.played_p99_s, made.played_lost) == (1.0, 4.0, 0.3, 0)
    assert made.back_s == reckoned.back_s
    assert not_played(reckoned, "it broke").why == "it broke"


def test_a_handshake_is_token_tls_the_rest_and_two_answers() -> None:
    costs = read_costs(
        {
            "verify": "60us",
            "tls_handshake": "1ms",
            "handshake": "200us",
            "frame": "20us",
            "recipient": "1us",
            "write": "9us",
        }
    )
    assert handshake_s(costs, tls=True) == pytest.approx(60e-6 + 1e-3 + 200e-6 + 20e-6 + 2 * 10e-6)
    more = msgspec.structs.replace(costs, tls_frame=Constant(value=3e-6), tls_write=Constant(value=4e-6))
    assert handshake_s(more.over_tls(), tls=True) == pytest.approx(handshake_s(costs, tls=True) + 3e-6 + 2 * 4e-6)
    assert handshake_s(costs, tls=False) == pytest.approx(60e-6 + 200e-6 + 20e-6 + 2 * 10e-6)


def test_theory_alone_finds_where_the_loop_is_full_or_the_wait_too_long() -> None:
    light = load(100)
    # 9.5 works a user and second of 0.1 ms.
    assert predicted(light, None, 0.1, 0.05) == int(BUSY_MAX / (9.5 * 0.0001))
    tight = predicted(light, 0.99, 0.0505, 0.05)
    assert 0 < tight < predicted(light, 0.99, 0.06, 0.05) <= predicted(light, None, 0.1, 0.05)
    assert predicted(load(100, works=0.0), None, 0.1, 0.05) == 0
    assert predicted(light, 0.99, 0.05, 0.2) == 0
