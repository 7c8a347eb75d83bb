"""Every number has one name, and every run has all of them."""

from __future__ import annotations

from math import isnan

import pytest

from chatsim.analysis.numbers import name_of, numbers_of


@pytest.mark.parametrize(
    ("metric", "aggregate", "name"),
    [
        ("delivery_latency", "p99", "delivery_latency_p99_s"),
        ("delivery_latency", "p99.9", "delivery_latency_p99.9_s"),
        ("delivery_latency", "count", "delivery_latency_count"),
        ("utilisation", "max", "utilisation_max"),
        ("lost", None, "lost"),
    ],
)
def test_a_name_says_the_unit(metric: str, aggregate: str | None, name: str) -> None:
    assert name_of(metric, aggregate) == name


def test_what_had_no_sample_is_there_all_the_same() -> None:
    found = numbers_of({"drain_time": {"count": 0}, "ack_latency": {"p99": 0.5, "count": 3}}, {"lost": 2})
    assert (found["ack_latency_p99_s"], found["drain_time_count"], found["lost"]) == (0.5, 0.0, 2.0)
    assert isnan(found["drain_time_p99_s"])
    assert list(found) == list(numbers_of({}, {"lost": 0}))
