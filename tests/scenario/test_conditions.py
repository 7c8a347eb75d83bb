"""Conditions on what changed: what they mean, to the last digit, and what is refused at once."""

from __future__ import annotations

from math import inf

import pytest

from chatsim.errors import UsageError
from chatsim.scenario.conditions import parse_condition


@pytest.mark.parametrize(
    ("text", "op", "change", "relative", "unit"),
    [
        ("p95(delivery_latency) > +10%", ">", 0.1, True, "s"),
        ("p95( delivery_latency , group=a-b ) >= +3ms", ">=", 0.003, False, "s"),
        ("sent < -5%", "<", -0.05, True, "count"),
        ("lost > +0", ">", 0.0, False, "count"),
        ("count(reconnect_time) <= -3", "<=", -3.0, False, "count"),
        ("max(utilisation) > +0.05", ">", 0.05, False, "share"),
        ("p99.9(ack_latency)>+1e-2%", ">", 0.0001, True, "s"),
    ],
)
def test_what_is_said_is_meant(text: str, op: str, change: float, relative: bool, unit: str) -> None:
    said = parse_condition(text)
    assert (said.op, said.relative, said.unit) == (op, relative, unit)
    assert said.change == pytest.approx(change, rel=1e-12)


def test_the_left_side_is_that_of_an_expectation() -> None:
    said = parse_condition("p95(delivery_latency, group=mobile) > +10%")
    assert (said.aggregate, said.metric, said.group) == ("p95", "delivery_latency", "mobile")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("p95(delivery_latncy) > +10%", "did you mean delivery_latency?"),
        ("p96(delivery_latency) > +10%", "unknown aggregate 'p96'"),
        ("losst > +1", "did you mean lost?"),
        ("delivery_latency > +10%", "needs an aggregate"),
        ("p95(lost) > +10%", "is a counter"),
        ("p95(loop_lag, group=a) > +10%", "leave the group out"),
        ("p95(delivery_latency) > 10%", "with its sign"),
        ("p95(delivery_latency) > +10", "has no unit"),
        ("lost > +3ms", "plain number"),
        ("max(utilisation) > +3ms", "a share"),
        ("sent < -101%", "nothing falls by more than 100 %"),
        ("p95(delivery_latency) > +1e999%", "nothing changes by as much"),
        ("p95(delivery_latency) > +1e308h", "must be finite"),
        ("lost > +1e999", "must be finite"),
        ("p95(delivery_latency) == +10%", "is no condition"),
        ("p95(delivery_latency)", "is no condition"),
        ("", "is no condition"),
        ("> +10%", "is no condition"),
        ("p95 latency > +10%", "is no metric"),
    ],
)
def test_what_means_nothing_is_refused_with_the_cure(text: str, why: str) -> None:
    with pytest.raises(UsageError, match="--fail-if") as caught:
        parse_condition(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "saved", "observed", "holds"),
    [
        ("p95(delivery_latency) > +10%", 0.1, 0.1, False),
        ("p95(delivery_latency) > +50%", 0.5, 0.75, False),
        ("p95(delivery_latency) >= +50%", 0.5, 0.75, True),
        ("p95(delivery_latency) > +50%", 0.5, 0.7500001, True),
        ("p95(delivery_latency) > +3ms", 0.5, 0.504, True),
        ("p95(delivery_latency) > +3ms", 0.5, 0.502, False),
        ("sent < -5%", 100, 94, True),
        ("sent < -5%", 100, 95, False),
        ("lost > +0", 0, 1, True),
        ("lost > +0", 0, 0, False),
        # Whatever comes after nothing is more than any share of it.
        ("lost > +100%", 0, 1, True),
        ("p95(delivery_latency) > +10%", 0.5, inf, True),
        ("p95(delivery_latency) > +10%", inf, inf, False),
    ],
)
def test_exact_values_are_compared_exactly(text: str, saved: float, observed: float, holds: bool) -> None:
    assert parse_condition(text).holds(saved, observed) == holds
