"""A span ends earlier by what the machine stood still in it, and by nothing else."""

from __future__ import annotations

from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.journal.record import Detection, Fired, Outage, RunRecord, Sent
from chatsim.verdict.metrics import Metrics
from chatsim.verdict.stalls import Stall, Stalls, without

TICKS = 200
SPANS = st.tuples(st.integers(0, TICKS), st.integers(0, TICKS)).map(lambda pair: (min(pair), max(pair)))


def record() -> RunRecord:
    return RunRecord([], {}, {}, {}, {}, [], [], [], [], [], [], {}, 100.0, 0.0)


@given(st.lists(SPANS, max_size=8), SPANS)
def test_within_is_the_part_of_the_span_that_some_stall_covers(
    found: list[tuple[int, int]], span: tuple[int, int]
) -> None:
    stalls = Stalls(Stall(*map(float, one)) for one in found)
    covered = {tick for begin, end in found for tick in range(begin, end)}
    assert stalls.within(*span) == len(covered & set(range(*span)))
    assert stalls.total_s == len(covered)
    assert stalls.longest_s <= stalls.total_s


def test_moments_are_those_of_the_run() -> None:
    stalls = Stalls([Stall(105.0, 106.0)], zero_at=100.0)
    assert (stalls.within(5.0, 6.0), stalls.within(105.0, 106.0)) == (1.0, 0.0)


def test_none_changes_nothing() -> None:
    stalls = Stalls([])
    assert (stalls.total_s, stalls.longest_s, stalls.within(0.0, 10.0)) == (0.0, 0.0, 0.0)


def test_what_never_came_never_comes() -> None:
    stalls = Stalls([Stall(1.0, 2.0)])
    assert stalls.earlier(0.0, inf) == inf
    assert isnan(stalls.earlier(0.0, nan))


def test_every_span_of_a_record_is_shorter_by_its_own_part() -> None:
    rows = record()
    rows.sent = [Sent("u1", "g", "s", "1", 1.0, 1.3, "m1"), Sent("u1", "g", "s", "2", 8.0, 8.1, "")]
    rows.accepted = {("u1", "1"): "m1", ("u1", "2"): "m2"}
    rows.owed = {"m1": {"u2": "delivered"}, "m2": {"u2": "delivered"}}
    rows.receipts = {"m1": {"u2": 1.5}, "m2": {"u2": 8.2}, "of the server": {"u2": 1.3}}
    rows.outages = [Outage("u1", "g", 0.5, 1.5), Outage("u2", "g", 0.5, inf)]
    rows.detections = [Detection("u1", "g", 1.15, 5.0)]
    rows.fired = [Fired("drain_node", 1.0, ("u1",)), Fired("crash_node", 2.0, ()), Fired("drain_node", 3.0, (), True)]
    rows.drain_time_s = [0.15]
    metrics = Metrics(without(rows, Stalls([Stall(1.1, 1.2), Stall(8.05, 8.1)])))
    expected = {
        "delivery_latency": [0.15, 0.4],
        "ack_latency": [0.05, 0.2],
        "reconnect_time": [0.9, inf],
        "detection_time": [3.8],
        "drain_time": [0.1],
    }
    for metric, values in expected.items():
        assert metrics.samples(metric).tolist() == pytest.approx(values), metric
    assert rows.sent[0].acked_at == 1.3


def test_drains_that_cannot_be_told_apart_stay_as_they_are() -> None:
    rows = record()
    rows.fired = [Fired("drain_node", 1.0, ("u1",)), Fired("restart_node", 2.0, ("u1",))]
    rows.drain_time_s = [0.5]
    assert without(rows, Stalls([Stall(0.0, 9.0)])).drain_time_s == [0.5]
