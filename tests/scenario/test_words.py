"""Words lose the unit of their field, and each kind of value is read strictly."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from chatsim.scenario import units, words
from chatsim.scenario.faults import FaultsError
from chatsim.scenario.reading import FORMS


@pytest.mark.parametrize(
    ("field", "word"),
    [("at_s", "at"), ("rate_per_s", "rate"), ("bandwidth_bits_per_s", "bandwidth"), ("body_bytes", "body_bytes")],
)
def test_words(field: str, word: str) -> None:
    assert words.word(field) == word


@pytest.mark.parametrize(
    ("read", "value", "hint"),
    [
        (words.whole(1), 0, "at least 1"),
        (words.whole(1), 1.0, "whole number"),
        (words.whole(0), True, "whole number"),
        (words.whole(0), "3", "whole number"),
        (words.whole(0, 9), 10, "is more than 9"),
        pytest.param(words.whole(0, 9), 16**5000, "is more than 9", id="more digits than Python writes"),
        (words.positive(units.rate), 0, "leave the key out"),
        (words.switch, 1, "neither true nor false"),
        (words.text, 5.3, "quotes"),
        (words.texts, "5.3", "list of texts"),
        (words.texts, ["a", 5.3], "quotes"),
        (words.tags, ["a", 5.3], "quotes"),
        (words.tags, "a", "list of texts"),
    ],
)
def test_refusals(read: Callable[[Any], object], value: object, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        read(value)


TAGS = ["a", "A-1", "5.3", "load-50%", "two words", "half-open", "\N{LATIN SMALL LETTER U WITH DIAERESIS}ber", "a_b("]
NO_TAGS = ["", "_x", "(q", " a", "-a", "%", "{", "[a]", "~a", "@a", "`a", ":a", "\ta", "\x7fa"]


@pytest.mark.parametrize("tag", [*TAGS, *NO_TAGS])
def test_tags_begin_with_a_letter_or_a_digit_and_the_schema_says_so(tag: str) -> None:
    good = tag in TAGS
    assert (re.search(words.TAG_PATTERN, tag) is not None) == good
    if good:
        assert words.tags([tag]) == (tag,)
        return
    with pytest.raises(FaultsError, match="is no tag: begin it with a letter or a digit") as caught:
        words.tags(["a", tag])
    assert [path for path, _ in caught.value.found] == [(1,)]


def test_switches_may_be_on_and_off() -> None:
    assert [words.switch(value) for value in (True, "on", False, "off")] == [True, True, False, False]


def test_the_schema_of_a_distribution_knows_every_kind() -> None:
    validator = jsonschema.Draft202012Validator(words.distribution_schema(words.DURATION_SCHEMA))
    for kind, forms in FORMS.items():
        for form in forms:
            good = {name: 2 if name in ("shape", "cv") else "3s" for name in form}
            assert validator.is_valid({kind: good}), kind
            assert not validator.is_valid({kind: {**good, "other": 1}}), kind
    assert validator.is_valid("3s")
    assert validator.is_valid({"constant": 0, "shift": "1s"})
    assert not validator.is_valid(3)
    assert not validator.is_valid({"constant": "1s", "exponential": {"mean": "1s"}})
