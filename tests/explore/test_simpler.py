"""What is offered instead of a value is simpler, and comes to an end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.explore.simpler import shifted, simpler


@pytest.mark.parametrize(
    ("value", "among"),
    [
        ("32.466s", ["0s", "1s", "30s", "20s", "16s", "32s", "32.5s"]),
        ("16/min", ["1/min", "8/min", "20/min"]),
        ("0.25%", ["0%", "0.1%", "0.3%", "0.13%"]),
        ("-60s", ["0s", "-1s", "-30s"]),
        ("5500B", ["3000B", "6000B"]),
        (7, [1, 4, 6]),
        (40, [1, 20]),
    ],
)
def test_rounder_earlier_and_smaller_ones_are_offered(value: Any, among: list[Any]) -> None:
    assert set(among) <= set(simpler(value))


@pytest.mark.parametrize("value", ["poisson", "drop", True, None, 1, "0s", {"a": "1s"}, "people-2x"])
def test_what_is_simple_or_no_quantity_stays(value: Any) -> None:
    assert simpler(value) == []


@given(st.floats(min_value=0.001, max_value=9999).map(lambda number: f"{round(number, 3)}s"))
def test_it_comes_to_an_end_whichever_is_taken(value: str) -> None:
    for _ in range(200):
        offered = simpler(value)
        if not offered:
            return
        value = offered[-1]
    raise AssertionError(f"still at {value}")


def test_a_moment_is_moved_but_not_before_the_start() -> None:
    assert shifted("12.5s", 2.25) == "10.25s"
    assert shifted("2s", 2.0) == "0s"
    assert (shifted("1s", 2.0), shifted("5min", 2.0), shifted("soon", 2.0)) == (None, None, None)
