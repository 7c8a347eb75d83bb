"""Expectations mean what they say, and what they cannot mean is refused with a hint."""

from __future__ import annotations

import re

import pytest

from chatsim.scenario.expectations import COUNTERS, METRICS, NODE_METRICS, PATTERN, parse_expectation


def test_a_metric_of_a_group() -> None:
    made = parse_expectation("p99( delivery_latency , group = mobile )  <=  100ms", 7)
    assert (made.aggregate, made.metric, made.group, made.op, made.limit, made.line, made.unit) == (
        "p99",
        "delivery_latency",
        "mobile",
        "<=",
        0.1,
        7,
        "s",
    )


@pytest.mark.parametrize(
    ("text", "aggregate", "metric", "op", "limit", "unit"),
    [
        ("lost == 0", None, "lost", "==", 0.0, "count"),
        ("gave_up>=3", None, "gave_up", ">=", 3.0, "count"),
        ("p99.9(ack_latency) < 2s", "p99.9", "ack_latency", "<", 2.0, "s"),
        ("p99(utilisation) <= 80%", "p99", "utilisation", "<=", 0.8, "share"),
        ("max(utilisation) < 0.5", "max", "utilisation", "<", 0.5, "share"),
        ("count(detection_time) == 10", "count", "detection_time", "==", 10.0, "count"),
        ("min(loop_lag) >= 0", "min", "loop_lag", ">=", 0.0, "s"),
    ],
)
def test_what_is_understood(text: str, aggregate: str | None, metric: str, op: str, limit: float, unit: str) -> None:
    made = parse_expectation(text)
    assert (made.aggregate, made.metric, made.op, made.limit, made.unit) == (aggregate, metric, op, limit, unit)
    assert re.search(PATTERN, text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lsot == 0", "did you mean lost?"),
        ("p99(delivery_latecy) <= 1s", "did you mean delivery_latency?"),
        ("p98(delivery_latency) <= 1s", "unknown aggregate 'p98'"),
        ("delivery_latency <= 1s", "p99(delivery_latency)"),
        ("p99(lost) == 0", "leave p99() out"),
        ("p99(delivery_latency) <= 100", "write 100s"),
        ("p99(delivery_latency) <= 10%", "limited by a duration"),
        ("mean(utilisation) <= 1s", "limited by a share"),
        ("mean(utilisation) <= 80", "did you mean 80%?"),
        ("lost == 1.5", "whole number"),
        ("lost == 3s", "whole number"),
        ("lost == -1", "whole number"),
        ("count(ack_latency) == 1s", "whole number"),
        ("p99(utilisation, group=a) <= 1", "leave the group out"),
        ("p99(ack_latency, users=a) <= 1s", "group=NAME"),
        ("lost = 0", "write p99"),
        ("lost == ", "write p99"),
        ("lost", "write p99"),
        ("0 == lost", "write p99"),
        ("lost != 0", "write p99"),
        ("", "write p99"),
    ],
)
def test_what_is_refused(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        parse_expectation(text)


@pytest.mark.parametrize("value", [None, 3, True, [], {}])
def test_only_text_is_an_expectation(value: object) -> None:
    with pytest.raises(ValueError, match="write p99"):
        parse_expectation(value)


@pytest.mark.parametrize(
    ("op", "below", "at", "above"),
    [
        ("<=", True, True, False),
        ("<", True, False, False),
        (">=", False, True, True),
        (">", False, False, True),
        ("==", False, True, False),
    ],
)
def test_holding(op: str, below: bool, at: bool, above: bool) -> None:
    made = parse_expectation(f"lost {op} 2")
    assert [made.holds(value) for value in (1.0, 2, 3.0)] == [below, at, above]


def test_only_limits_on_the_handlers_own_durations_follow_the_scale() -> None:
    def limit(text: str) -> float:
        return parse_expectation(text).scaled(0.1).limit

    scaled = {metric for metric, unit in METRICS.items() if unit == "s" and limit(f"max({metric}) <= 10s") == 1.0}
    assert scaled == {"reconnect_time", "detection_time", "drain_time"}
    assert limit("count(detection_time) == 10") == 10.0


def test_the_tables_name_each_word_once() -> None:
    assert len(set(COUNTERS)) == len(COUNTERS) == 26
    assert set(METRICS) >= NODE_METRICS
    assert not set(COUNTERS) & set(METRICS)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("lost == 0", True),
        ("pings >= 0", True),
        ("errors <= 5", True),
        ("errors < 1", True),
        ("count(reconnect_time) == 0", True),
        ("pings >= 1", False),
        ("count(drain_time) == 1", False),
        # A metric without a sample keeps no promise.
        ("p99(delivery_latency) <= 100ms", False),
        ("min(loop_lag) >= 0", False),
        ("max(utilisation) < 0.5", False),
    ],
)
def test_what_would_hold_though_nothing_had_happened_is_known(text: str, holds: bool) -> None:
    assert parse_expectation(text).holds_of_nothing is holds


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("lost <= 0", True),
        ("count(reconnect_time) >= 4", True),
        ("max(delivery_latency) <= 950ms", True),
        ("min(detection_time) >= 10s", True),
        ("p99(delivery_latency) == 100ms", True),
        ("p99(delivery_latency) <= 100ms", False),
        ("mean(utilisation) < 0.5", False),
    ],
)
def test_what_is_promised_of_every_run_and_what_in_the_mean(text: str, every: bool) -> None:
    assert parse_expectation(text).of_every_run is every
