"""What is known of somebody else's server only between bounds is judged where the bounds decide it, and only there."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.scenario.expectations import Expectation, parse_expectation
from chatsim.verdict.outside import Bounds, Outside, decided

OPERATORS = ("<=", "<", ">=", ">", "==")


@given(st.sampled_from(OPERATORS), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_it_is_decided_exactly_where_all_values_agree(op: str, limit: int, low: int, more: int) -> None:
    expectation = parse_expectation(f"retries {op} {limit}")
    agree = {expectation.holds(value) for value in range(low, low + more + 1)}
    assert decided(expectation, Bounds(low, low + more)) == (len(agree) == 1) or more == 0


@pytest.mark.parametrize(
    ("text", "skipped"),
    [
        ("retries >= 3", False),
        ("retries >= 4", True),
        ("retries <= 2", False),
        ("retries == 2", False),
        ("retries == 3", True),
        ("errors == 1", False),
        ("sent == 1", False),
        ("max(utilisation) <= 90%", True),
        ("count(utilisation) == 0", True),
        ("p99(delivery_latency) <= 1s", False),
    ],
)
def test_only_what_the_bounds_leave_open_is_skipped(text: str, skipped: bool) -> None:
    outside = Outside({"utilisation": "unseen"}, {"retries": Bounds(3, inf, "cut"), "errors": Bounds(1, 1)})
    expectation: Expectation = parse_expectation(text)
    assert bool(outside.skipped(expectation)) is skipped


def test_unknown_counters_are_left_out_and_named_with_the_reason() -> None:
    outside = Outside({"utilisation": "unseen"}, {"retries": Bounds(3, inf, "cut"), "errors": Bounds(1, 1)})
    assert outside.counted({"retries": 0, "errors": 0, "sent": 7}) == {"errors": 1, "sent": 7}
    assert outside.unknown() == {"utilisation": "unseen", "retries": "cut"}
    assert "at least 3" in outside.skipped(parse_expectation("retries == 5"))
