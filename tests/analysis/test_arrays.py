"""What statistics refuse at the door, and what they let in."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

from chatsim.analysis.arrays import between, finite, numbers
from chatsim.errors import UsageError


def test_infinity_is_a_number_like_any_other() -> None:
    found = numbers([1, 2.5, inf])
    assert found.dtype == np.float64
    assert found.tolist() == [1.0, 2.5, inf]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([1.0, nan], "Number 1 of the waits .* is nan: leave out"),
        ([-inf, 1.0], "Number 0 of the waits .* is -inf"),
        ([[1.0], [2.0]], r"shape \(2, 1\): give one row"),
        (["soon"], "not all numbers"),
        ([[1.0], [1.0, 2.0]], "not all numbers"),
    ],
)
def test_what_is_no_row_of_numbers_is_refused(wrong: list[float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        numbers(wrong, "waits")


def test_infinity_is_refused_where_it_means_nothing() -> None:
    assert finite([1.0]).tolist() == [1.0]
    with pytest.raises(UsageError, match="2 of the 3 waits are infinite, number 1"):
        finite([1.0, inf, inf], "waits")


@pytest.mark.parametrize("value", [0.0, 1.0, nan, -3.0, "95%", None])
def test_ends_do_not_lie_between(value: Any) -> None:
    assert between(0.5, 0.0, 1.0, "The level") == 0.5
    with pytest.raises(UsageError, match=r"The level is .*: give a number between 0 and 1"):
        between(value, 0.0, 1.0, "The level")
