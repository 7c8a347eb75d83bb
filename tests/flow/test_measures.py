"""What was measured of a flow."""

from __future__ import annotations

import math

import numpy as np

from chatsim.flow.measures import COUNTED, MEASURED, Measures
from tests.flow.worlds import scenario


def measures() -> Measures:
    found = Measures(["a", "b"])
    found.add("delivery_latency", np.array([1.0, 2.0, 4.0]), np.array([0, 1, 1], dtype=np.int32))
    return found


def test_groups_are_told_apart() -> None:
    found = measures()
    assert [found.count("delivery_latency", group) for group in (None, "a", "b")] == [3, 1, 2]
    assert found.aggregate("mean", "delivery_latency", "b") == 3.0
    assert math.isnan(found.aggregate("p99", "ack_latency"))


def test_a_group_alone_is_all() -> None:
    found = Measures(["a"])
    found.add("ack_latency", np.array([1.0, 3.0]), np.zeros(2, dtype=np.int32))
    assert found.aggregate("mean", "ack_latency") == found.aggregate("mean", "ack_latency", "a") == 2.0


def test_the_summary_has_what_is_measured() -> None:
    found = measures()
    assert tuple(found.summary()) == MEASURED
    assert found.summary()["loop_lag"] == {"count": 0.0}
    assert "loop_lag" not in found.summary("a")
    assert tuple(found.counters) == COUNTED


def test_a_node_far_behind_proves_nothing() -> None:
    found = measures()
    assert found.why_invalid(scenario()) == ""
    found.wait_s_max = 6.0
    assert "6.0 s behind" in found.why_invalid(scenario())


def test_the_record_has_no_rows() -> None:
    record = measures().record(scenario(events=[{"at": "9s", "do": "arrive", "users": 3, "group": "g1"}]))
    assert not record.sent
    assert [fired.do for fired in record.fired] == ["arrive"]
