"""Every value has its place, and whatever is not plain YAML is refused there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatsim.scenario.yaml import Place, YamlError, YamlProblem, parse_yaml, plain, read_yaml, yaml_text


def test_values_and_places() -> None:
    document = parse_yaml(
        "a: 1\nb:\n  - x: 1.5\n    y: on\n  - 'z'\nc: {d: true, e: null, f: 1e3, g: 0x10, h: 2020-01-01}\n"
    )
    assert document.value == {
        "a": 1,
        "b": [{"x": 1.5, "y": "on"}, "z"],
        "c": {"d": True, "e": None, "f": 1000.0, "g": 16, "h": "2020-01-01"},
    }
    assert document.place(("b", 0, "y")) == Place(4, 5)
    assert document.place(("b", 1)) == Place(5, 5)
    assert document.place(("c", "e")) == Place(6, 14)
    assert document.place(("b", 0, "missing", 3)) == Place(3, 5)
    assert document.place(("missing",)) == Place(1, 1)


def test_every_duplicate_key_is_found() -> None:
    document = parse_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert document.value == {"a": 1, "b": {"c": 1}}
    assert [(problem.place, problem.path) for problem in document.problems] == [
        (Place(2, 1), ("a",)),
        (Place(3, 11), ("b", "c")),
    ]
    assert "first in line 1" in document.problems[0].text


def test_aliases_and_merges() -> None:
    document = parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\n")
    assert document.value == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("", 1, "is empty"),
        ("# only a comment\n", 1, "is empty"),
        ("a: 1\nb: [\n", 3, "is not YAML"),
        ("a: 1\n\tb: 2\n", 2, "is not YAML"),
        ("a: 1\n---\nb: 1\n", 2, "is not YAML"),
        ("a: *nowhere\n", 1, "is not YAML"),
        ("a: \x07\n", 1, "is not YAML"),
        ("[" * 500, 1, "nested too deeply"),
    ],
)
def test_what_is_no_document(text: str, line: int, hint: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(text)
    assert hint in caught.value.problems[0].text
    assert caught.value.problems[0].place.line == line


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: &a [*a]\n", "contains itself"),
        ("? [1, 2]\n: 3\n", "plain word"),
        ("a: !!python/object:os.system x\n", "is not used here"),
        ("a: 0o99\n", ""),
    ],
)
def test_what_is_refused_in_its_place(text: str, hint: str) -> None:
    assert all(hint in problem.text for problem in parse_yaml(text).problems)
    assert not hint or parse_yaml(text).problems


def test_an_alias_that_multiplies_ends() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert any("multiplies" in problem.text for problem in parse_yaml("\n".join(rows)).problems)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: é\n".encode("latin-1"))
    for path, hint in (
        (tmp_path, "is a folder"),
        (tmp_path / "none", "no such file"),
        (tmp_path / "latin.yaml", "UTF-8"),
    ):
        with pytest.raises(YamlError, match=hint):
            read_yaml(path)
    with pytest.raises(YamlError, match=r"latin\.yaml:2:4: is not UTF-8"):
        read_yaml(tmp_path / "latin.yaml")


def test_a_byte_order_mark_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfname: a\n")
    assert read_yaml(tmp_path / "bom.yaml").value == {"name": "a"}


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t0", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    problems: list[YamlProblem] | None = None
    try:
        parse_yaml(text)
    except YamlError as error:
        problems = error.problems
    assert problems is None or problems[0].text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-é 1:#", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b c", "yes", "1"]), VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_as_it_was(values: dict[str, Any]) -> None:
    assert parse_yaml(yaml_text(values)).value == values


def test_what_is_no_value_of_a_file_is_made_one() -> None:
    made: dict[Any, Any] = {"a": (1, np.int64(2)), 3: np.float64(0.5), "b": {"c": Path("x")}}
    assert plain(made) == {"a": [1, 2], "3": 0.5, "b": {"c": "x"}}
    assert parse_yaml(yaml_text(made)).value == plain(made)
