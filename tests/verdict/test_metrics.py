"""Metrics: equal to what a reader of the rows would work out by hand."""

from __future__ import annotations

import math
from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.errors import HarnessError
from chatsim.journal.record import Detection, Outage, RunRecord, Sent
from chatsim.scenario.expectations import AGGREGATES, COUNTERS, METRICS, NODE_METRICS
from chatsim.verdict.metrics import Metrics, aggregate, check_conservation, counters, summary

QUANTILES = {
    "p50": Fraction(1, 2),
    "p90": Fraction(9, 10),
    "p95": Fraction(19, 20),
    "p99": Fraction(99, 100),
    "p99.9": Fraction(999, 1000),
}


def record(**changes: object) -> RunRecord:
    rows = RunRecord([], {}, {}, {}, {}, [], [], [], [], [], [], {}, 100.0, 0.0)
    for name, value in changes.items():
        assert hasattr(rows, name)
        setattr(rows, name, value)
    return rows


def sent(user: str, intended_at: float, acked_at: float = nan, group: str = "g") -> Sent:
    return Sent(user, group, "s", "1", intended_at, acked_at, "")


def one(owed: dict[str, str], receipts: dict[str, float], **changes: object) -> RunRecord:
    """A run of one message, sent by `a` at 10 s."""
    return record(
        sent=[sent("a", 10.0)], accepted={("a", "1"): "m"}, receipts={"m": receipts}, owed={"m": owed}, **changes
    )


def values(rows: RunRecord, metric: str, group: str | None = None) -> list[float]:
    found: list[float] = Metrics(rows).samples(metric, group).tolist()
    return found


@given(st.lists(st.floats(0.0, 1e6) | st.just(inf), min_size=1, max_size=300), st.sampled_from(sorted(QUANTILES)))
def test_quantile_is_the_smallest_sample_with_enough_below(numbers: list[float], name: str) -> None:
    enough = QUANTILES[name] * len(numbers)
    brute = min(x for x in numbers if sum(y <= x for y in numbers) >= enough)
    assert aggregate(name, np.sort(np.array(numbers))) == brute


def test_quantile_ranks_are_exact_where_floats_would_slip() -> None:
    for n in (10, 20, 100, 1000, 3000):
        ordered = np.arange(1.0, n + 1)
        for name, share in QUANTILES.items():
            assert aggregate(name, ordered) == math.ceil(share * n)


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=50))
def test_other_aggregates(numbers: list[float]) -> None:
    ordered = np.sort(np.array(numbers))
    assert aggregate("min", ordered) == min(numbers)
    assert aggregate("max", ordered) == max(numbers)
    assert aggregate("count", ordered) == len(numbers)
    assert aggregate("mean", ordered) == math.fsum(numbers) / len(numbers)


def test_infinity_reaches_mean_and_max_but_not_the_median() -> None:
    ordered = np.array([1.0, 2.0, inf])
    assert [aggregate(name, ordered) for name in ("mean", "max", "p50", "min")] == [inf, inf, 2.0, 1.0]


def test_no_sample_is_no_number() -> None:
    empty = np.array([])
    assert all(math.isnan(aggregate(name, empty)) for name in AGGREGATES if name != "count")
    assert aggregate("count", empty) == 0.0


def test_latencies_run_from_the_intended_moment() -> None:
    rows = one({"b": "delivered", "c": "delivered"}, {"b": 10.5, "c": 12.0})
    rows.sent[0].acked_at = 10.25
    assert values(rows, "delivery_latency") == [0.5, 2.0]
    assert values(rows, "stable_latency") == [2.0]
    assert values(rows, "ack_latency") == [0.25]


def test_never_received_is_infinity_and_waiting_is_no_sample() -> None:
    rows = one({"b": "delivered", "c": "waiting", "d": "no_ack"}, {"b": 10.5})
    assert values(rows, "delivery_latency") == [0.5, inf]
    assert values(rows, "stable_latency") == [inf]
    assert values(one({"b": "delivered", "c": "waiting"}, {"b": 10.5}), "stable_latency") == []


def test_received_counts_whatever_the_server_believes() -> None:
    rows = one({"b": "waiting", "c": "no_ack"}, {"b": 11.0, "c": 12.0})
    assert values(rows, "delivery_latency") == [1.0, 2.0]
    assert values(rows, "stable_latency") == [2.0]


def test_copies_at_the_senders_other_devices_are_no_sample() -> None:
    rows = one({"b": "delivered"}, {"a": 10.1, "b": 10.5})
    assert values(rows, "delivery_latency") == [0.5]


def test_unaccepted_messages_and_those_for_nobody_have_no_latency() -> None:
    refused = record(sent=[sent("a", 10.0)])
    alone = one({}, {})
    for metric in ("delivery_latency", "stable_latency"):
        assert values(refused, metric) == values(alone, metric) == []
    assert values(refused, "ack_latency") == []


def test_accepted_and_never_acked_is_infinity() -> None:
    assert values(one({}, {}), "ack_latency") == [inf]


def test_warm_up_excludes_by_the_intended_moment_only() -> None:
    for warmup_s, kept in ((10.0, [0.5]), (10.1, [])):
        rows = one({"b": "delivered"}, {"b": 10.5}, warmup_s=warmup_s, outages=[Outage("b", "g", 1.0, 2.0)])
        assert values(rows, "delivery_latency") == values(rows, "stable_latency") == kept
        assert values(rows, "reconnect_time") == [1.0]
        assert counters(rows)["sent"] == 1


def test_group_is_the_senders_for_latencies_and_the_users_otherwise() -> None:
    rows = record(
        sent=[sent("a", 1.0, 2.0, "x"), sent("b", 1.0, 4.0, "y")],
        accepted={("a", "1"): "m", ("b", "1"): "n"},
        receipts={"m": {"b": 6.0}, "n": {"a": 9.0}},
        owed={"m": {"b": "delivered"}, "n": {"a": "delivered"}},
        outages=[Outage("a", "x", 0.0, 1.0), Outage("b", "y", 0.0, inf)],
        detections=[Detection("a", "x", 5.0, 45.0), Detection("b", "y", 5.0, inf)],
    )
    expected = {
        "ack_latency": (1.0, 3.0),
        "delivery_latency": (5.0, 8.0),
        "stable_latency": (5.0, 8.0),
        "reconnect_time": (1.0, inf),
        "detection_time": (40.0, inf),
    }
    for metric, (of_x, of_y) in expected.items():
        assert values(rows, metric, "x") == [of_x]
        assert values(rows, metric, "y") == [of_y]
        assert values(rows, metric) == sorted([of_x, of_y])


def test_metrics_of_nodes() -> None:
    rows = record(drain_time_s=[3.0], loop_lag_s=[0.2, 0.1], utilisation=[0.5])
    assert values(rows, "drain_time") == [3.0]
    assert values(rows, "loop_lag") == [0.1, 0.2]
    assert values(rows, "utilisation") == [0.5]


USERS = ("a", "b", "c", "d")
MOMENTS = st.floats(0.0, 50.0)


@st.composite
def runs(draw: st.DrawFn) -> RunRecord:
    rows = record(warmup_s=draw(st.sampled_from([0.0, 5.0, 20.0])))
    for number in range(draw(st.integers(0, 12))):
        user = draw(st.sampled_from(USERS))
        intended_at = draw(MOMENTS)
        acked_at = draw(st.just(nan) | MOMENTS.map(lambda s, start=intended_at: start + s))  # type: ignore[misc]
        rows.sent.append(Sent(user, user.upper(), "s", str(number), intended_at, acked_at, ""))
        if draw(st.booleans()):
            name = f"m{number}"
            others = [other for other in USERS if other != user]
            rows.accepted[user, str(number)] = name
            rows.owed[name] = draw(
                st.dictionaries(st.sampled_from(others), st.sampled_from(["delivered", "waiting", "no_ack", "left"]))
            )
            rows.receipts[name] = {
                who: intended_at + s for who, s in draw(st.dictionaries(st.sampled_from(USERS), MOMENTS)).items()
            }
    return rows


@given(runs(), st.none() | st.sampled_from([user.upper() for user in USERS]))
def test_latencies_and_counters_equal_brute_force(rows: RunRecord, group: str | None) -> None:
    table = [
        (row, receiver, rows.owed[name][receiver], rows.receipts[name].get(receiver, inf) - row.intended_at)
        for row in rows.sent
        for key, name in rows.accepted.items()
        if key == (row.user, row.id)
        for receiver in rows.owed[name]
    ]
    measured = [line for line in table if line[0].intended_at >= rows.warmup_s and group in (None, line[0].group)]
    pairs = sorted(took for _, _, outcome, took in measured if took < inf or outcome != "waiting")
    assert values(rows, "delivery_latency", group) == pairs
    whole = []
    for row in {line[0].id: line[0] for line in measured}.values():
        mine = [(outcome, took) for other, _, outcome, took in measured if other.id == row.id]
        if not any(outcome == "waiting" and took == inf for outcome, took in mine):
            whole.append(max(took for _, took in mine))
        elif any(outcome != "waiting" and took == inf for outcome, took in mine):
            whole.append(inf)
    assert values(rows, "stable_latency", group) == sorted(whole)
    found = counters(rows)
    assert found["delivered"] == sum(outcome == "delivered" for _, _, outcome, _ in table)
    assert found["undelivered"] == sum(outcome in ("no_ack", "left") for _, _, outcome, _ in table)
    assert found["lost"] == len({row.id for row, _, outcome, took in table if outcome == "delivered" and took == inf})
    assert found["accepted"] == len(rows.accepted)
    check_conservation(rows, len(table), sum(outcome == "waiting" for _, _, outcome, _ in table))


def test_counters_of_the_record_are_kept() -> None:
    assert counters(record(counters={"pings": 7})) == dict.fromkeys(COUNTERS, 0) | {"pings": 7}


def test_acked_but_never_seen_is_lost() -> None:
    rows = one({"b": "delivered", "c": "delivered"}, {})
    assert counters(rows)["lost"] == 1
    assert counters(one({"b": "waiting", "c": "expired"}, {}))["lost"] == 0


@pytest.mark.parametrize(("receivers", "waiting"), [(4, 1), (2, 1), (3, 0), (3, 2)])
def test_conservation_refuses_two_accounts_that_differ(receivers: int, waiting: int) -> None:
    rows = one({"b": "delivered", "c": "waiting", "d": "left"}, {})
    check_conservation(rows, 3, 1)
    with pytest.raises(HarnessError, match="conserved"):
        check_conservation(rows, receivers, waiting)


def test_conservation_refuses_messages_without_an_account() -> None:
    for rows in (record(accepted={("a", "1"): "m"}), one({"b": ""}, {})):
        with pytest.raises(HarnessError, match="without an account"):
            check_conservation(rows)


def test_summary_has_every_metric_and_aggregate() -> None:
    table = summary(one({"b": "delivered"}, {"b": 10.5}))
    assert tuple(table) == tuple(METRICS)
    assert table["delivery_latency"] == dict.fromkeys(AGGREGATES, 0.5) | {"count": 1.0}
    assert table["drain_time"] == {"count": 0.0}


def test_the_summary_of_a_group_has_its_samples_alone_and_none_of_nodes() -> None:
    metrics = Metrics(one({"b": "delivered"}, {"b": 10.5}))
    group = next(sent.group for sent in one({"b": "delivered"}, {"b": 10.5}).sent)
    assert tuple(metrics.summary(group)) == tuple(name for name in METRICS if name not in NODE_METRICS)
    assert metrics.summary(group)["delivery_latency"] == metrics.summary()["delivery_latency"]
    assert metrics.summary("nobody")["delivery_latency"] == {"count": 0.0}
