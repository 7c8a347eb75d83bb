"""A result as text: infinity is "inf", NaN is null, and the same value gives the same bytes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.store.document import cell, encode, plain

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner), max_leaves=20
)


@given(st.dictionaries(st.text(), VALUES))
def test_every_document_is_json_without_bare_infinity(document: dict[str, object]) -> None:
    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON")

    text = encode(document)
    assert json.loads(text, parse_constant=refuse) == plain(document)


def test_infinity_and_nan() -> None:
    assert plain({"a": math.inf, "b": [-math.inf, math.nan]}) == {"a": "inf", "b": ["-inf", None]}


def test_other_scalars_become_plain_ones() -> None:
    assert plain([np.float64(1.5), np.int64(3), np.float64(math.inf), Path("a") / "b"]) == [1.5, 3, "inf", "a/b"]


def test_sets_are_sorted() -> None:
    assert plain({"b", "a", "c"}) == ["a", "b", "c"]


def test_keys_keep_their_order() -> None:
    assert list(json.loads(encode({"z": 1, "a": 2}))) == ["z", "a"]


def test_what_no_document_can_hold_is_a_programmers_fault() -> None:
    with pytest.raises(AssertionError, match="object"):
        plain({"a": object()})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (3, "3"),
        (math.inf, "inf"),
        (math.nan, ""),
        (None, ""),
        (True, "true"),
        ("a,b", "a,b"),
        ([1], "[1]"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_cell_keeps_every_digit(value: float) -> None:
    assert float(cell(value)) == value
