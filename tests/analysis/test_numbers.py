"""Every number has one name, and every run has all of them."""

from __future__ import annotations

from math import inf, isnan
from typing import Any

import pytest

from chatsim.analysis.numbers import name_of, named, names, numbers_of, quantile_of, range_of, unit_of, wanted
from chatsim.errors import UsageError
from chatsim.scenario.expectations import COUNTERS


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


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("delivery_latency_p99_s", (0.0, inf)),
        ("delivery_latency_p99_s{group=mobile}", (0.0, inf)),
        ("utilisation_max", (0.0, 1.0)),
        ("utilisation_count", (0.0, inf)),
        ("lost", (0.0, inf)),
        ("profit", (-inf, inf)),
    ],
)
def test_no_time_and_no_count_is_less_than_nothing_and_no_share_more_than_all(
    name: str, bounds: tuple[float, float]
) -> None:
    assert range_of(name) == bounds


def test_what_had_no_sample_is_there_all_the_same() -> None:
    found = numbers_of({"drain_time": {"count": 0}, "ack_latency": {"p99": 0.5, "count": 3}}, {"lost": 2})
    assert (found["ack_latency_p99_s"], found["drain_time_count"], found["lost"]) == (0.5, 0.0, 2.0)
    assert isnan(found["drain_time_p99_s"])
    assert list(found) == list(numbers_of({}, {"lost": 0}))


def test_the_numbers_of_groups_come_last_and_nodes_have_none() -> None:
    groups = {"mobile": {"delivery_latency": {"p99": 0.2, "count": 4.0}}, "web": {}}
    found = numbers_of({}, dict.fromkeys(COUNTERS, 0), groups)
    assert list(found) == names(groups)
    assert list(found)[: len(names())] == names()
    assert found["delivery_latency_p99_s{group=mobile}"] == 0.2
    assert isnan(found["delivery_latency_p99_s{group=web}"])
    assert "utilisation_max{group=web}" not in found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("lost", "lost"),
        ("delivery_latency_p99_s", "delivery_latency_p99_s"),
        ("p99(delivery_latency)", "delivery_latency_p99_s"),
        ("count(reconnect_time, group=mobile)", "reconnect_time_count{group=mobile}"),
        ("mean(utilisation)", "utilisation_mean"),
    ],
)
def test_a_number_goes_by_its_name_or_as_an_expectation_says_it(text: str, name: str) -> None:
    assert named(text, names(["mobile"])) == name


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lsot", r"did you mean lost\?"),
        ("p99(delivery_latency, group=mobil)", r"did you mean delivery_latency_p99_s\{group=mobile\}\?"),
        ("p98(delivery_latency)", "unknown aggregate 'p98'"),
        ("p99(delivery_latency", r"write p99\(delivery_latency\) or"),
        ("p99(utilisation, group=mobile)", "leave the group out"),
        (5, "5 is no metric: give its name"),
    ],
)
def test_an_unknown_number_is_refused_with_the_nearest(text: Any, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        named(text, names(["mobile"]))


def test_all_that_are_wanted_are_named_or_all_that_are_unknown_are_told() -> None:
    known = names(["mobile"])
    assert wanted(["lost", "p99(delivery_latency)", "delivery_latency_p99_s"], known) == [
        "lost",
        "delivery_latency_p99_s",
    ]
    with pytest.raises(UsageError, match=r"(?s)did you mean lost\?.*did you mean sent\?"):
        wanted(["lsot", "sennt"], known)
    with pytest.raises(UsageError, match=r"^metrics='sent': give a list of names, \['sent'\]$"):
        wanted("sent", known)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("delivery_latency_p99_s", (0.99, "delivery_latency_count")),
        ("delivery_latency_p99.9_s{group=web}", (0.999, "delivery_latency_count{group=web}")),
        ("loop_lag_p50_s", (0.5, "loop_lag_count")),
        ("utilisation_p50", None),
        ("delivery_latency_mean_s", None),
        ("pings", None),
        ("lost", None),
    ],
)
def test_a_quantile_knows_which_and_of_how_many(name: str, found: tuple[float, str] | None) -> None:
    assert quantile_of(name) == found


def test_units_are_those_of_the_names() -> None:
    names = ["delivery_latency_p99_s{group=x}", "utilisation_max", "utilisation_count", "lost", "lost{group=s_s}"]
    assert [unit_of(name) for name in names] == ["s", "share", "count", "count", "count"]
