"""pydantic's errors become sentences at paths of the file."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from chatsim.scenario.faults import Fault
from chatsim.scenario.refusals import refusals
from chatsim.scenario.words import Count, Words


class Leaf(Words):
    do: Literal["leaf"]
    leaf: Count


class Stem(Words):
    do: Literal["stem"]
    colour: Literal["green", "brown"]


class Tree(Words):
    name: str


class Wood(Words):
    trees: list[Tree] = Field(min_length=1)
    first: Leaf | Stem | None = Field(default=None, discriminator="do")


def found(words: Any) -> list[Fault]:
    with pytest.raises(ValidationError) as caught:
        Wood.model_validate(words)
    return refusals(caught.value, words, Wood, {"first": {"leaf": Leaf, "stem": Stem}})


@pytest.mark.parametrize(
    ("words", "path", "text"),
    [
        ({}, ("trees",), "is required and missing"),
        ({"trees": []}, ("trees",), "is empty: at least one is needed"),
        ({"trees": [3]}, ("trees", 0), "should be a mapping"),
        ({"trees": [{"nam": "a", "name": "b"}]}, ("trees", 0, "nam"), "unknown key 'nam' (did you mean name?)"),
        (
            {"trees": [{"name": "a"}], "first": {"do": "leaf", "leaf": 0}},
            ("first", "leaf"),
            "0 is not a whole number of at least 1",
        ),
        (
            {"trees": [{"name": "a"}], "first": {"do": "stem", "colour": "gren"}},
            ("first", "colour"),
            "gren is none of green, brown (did you mean green?)",
        ),
        (
            {"trees": [{"name": "a"}], "first": {"do": "stem", "color": 1, "colour": "green"}},
            ("first", "color"),
            "unknown key 'color' (did you mean colour?)",
        ),
        (
            {"trees": [{"name": "a"}], "first": {"do": "lef"}},
            ("first", "do"),
            "unknown word 'lef' (did you mean leaf?)",
        ),
        ({"trees": [{"name": "a"}], "first": {}}, ("first",), "do is required and missing"),
        ({"trees": [{"name": "a"}], "first": 3}, ("first",), "should be a mapping"),
    ],
)
def test_sentences_and_paths(words: Any, path: tuple[str | int, ...], text: str) -> None:
    assert found(words) == [(path, text)]


def test_under_an_unknown_tag_stands_what_no_kind_would_take() -> None:
    words = {"trees": [{"name": "a"}], "first": {"do": "lef", "leaf": 0, "colour": "green", "size": 3, "leav": 1}}
    assert found(words) == [
        (("first", "do"), "unknown word 'lef' (did you mean leaf?)"),
        (("first", "leaf"), "0 is not a whole number of at least 1"),
        (("first", "size"), "unknown key 'size' (known: do, leaf, colour)"),
        (("first", "leav"), "unknown key 'leav' (did you mean leaf?)"),
    ]


def test_a_list_of_refused_items_is_not_called_empty() -> None:
    assert [path for path, _ in found({"trees": [{}]})] == [("trees", 0, "name")]
