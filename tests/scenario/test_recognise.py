"""A scenario is known by the keys at its top, however its YAML is written, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.scenario.load import discover, load_all
from chatsim.scenario.model import Scenario
from chatsim.scenario.recognise import MARKS, SUFFIXES, is_scenario
from chatsim.scenario.yaml import BYTES_MAX
from tests.scenario.examples import EXAMPLE

SHIPPED = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.yaml"))


def looks(folder: Path, text: str | bytes) -> bool:
    path = folder / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return is_scenario(path)


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def test_it_looks_for_what_every_scenario_needs() -> None:
    needed = {field.alias or name for name, field in Scenario.model_fields.items() if field.is_required()}
    assert needed == set(MARKS)
    assert SUFFIXES == (".yaml", ".yml")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario_is_one(path: Path) -> None:
    assert is_scenario(path)


WRITTEN = {
    "plain": EXAMPLE,
    "a mark of the document": f"---\n{EXAMPLE}",
    "a mark with a comment": f"--- # what we promise\n{EXAMPLE}",
    "a mark with a tag": f"--- !!map\n{EXAMPLE}",
    "a comment, a directive and a mark": f"# ours\n%YAML 1.2\n---\n{EXAMPLE}",
    "an end": f"{EXAMPLE}...\n",
    "indented": indented(EXAMPLE),
    "indented below a mark": f"---\n{indented(EXAMPLE)}",
    "indented, its comments not": f"# ours\n{indented(EXAMPLE)}# the end\n",
    "quoted keys": EXAMPLE.replace("name:", '"name":', 1).replace("expect:", "'expect' :"),
    "line ends of Windows": EXAMPLE.replace("\n", "\r\n"),
    "a mark of the byte order": f"\ufeff{EXAMPLE}",
    "flow": '{"name": "x", "duration": "5s", "groups": [{"name": "a", "users": 2}], "expect": ["lost == 0"]}',
    "flow over lines": (
        "# ours\n{\n  name: x, # {its name\n  duration: 5s,\n  groups: [{name: a, users: 2}],\n"
        "  expect:\n    [lost == 0]\n}\n"
    ),
    "flow behind a mark": (
        '--- {name: x, description: "}", "duration":"5s", groups: [{name: a, users: 2}], expect: [lost == 0]}\n'
    ),
}
"""The ways to write one scenario."""


@pytest.mark.parametrize("text", WRITTEN.values(), ids=list(WRITTEN))
def test_however_it_is_written_it_is_one_and_a_search_finds_it(text: str, tmp_path: Path) -> None:
    assert looks(tmp_path, text)
    (path,) = discover([tmp_path])
    assert load_all([path])[1] == []


@pytest.mark.parametrize(
    "text",
    [
        # Right or wrong: what is wrong with it is for the reader to say.
        "name: x\nduration: 5s\ngroups: [[[\nexpect: []\n",
        b"name: \xff\nduration: 5s\ngroups: []\nexpect: []\n",
        "{name: x, duration: 5s, groups: [[[\nexpect: []}",
        # A quote that is never closed hides nothing of what stands behind it.
        '{"name: x", name: "x, duration: 5s, expect: y',
        EXAMPLE + "---\n" + EXAMPLE,
        # A key that is misspelt, or forgotten.
        "name: x\nduration: 5s\ngroups: []\nexpcet: []\n",
        "name: x\nduraton: 5s\ngroups: []\nexpect: []\n",
        "name: x\nduration: 5s\nexpect: []\n",
        "{duration: 5s, groups: [], expect: []}",
    ],
)
def test_who_misspells_something_is_not_passed_over(text: str | bytes, tmp_path: Path) -> None:
    assert looks(tmp_path, text)
    assert load_all(discover([tmp_path]))[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---\n",
        "# name duration groups expect\n",
        "name: x\ngroups: []\n",
        "name: x\ngroups: []\n# expect: []\n# duration: 5s\n",
        "name: x\ngroups: []\njob:\n  duration: 5s\n  expect: []\n",
        "- name: x\n- duration: 5s\n- groups: []\n- expect: []\n",
        "- name: x\n  duration: 5s\n  groups: []\n",
        "name: x\ngroups: []\n---\nduration: 5s\nexpect: []\n",
        "names: x\ndurations: 1\ngroups: []\nexpect: []\n",
        "name\nduration\ngroups\nexpect\n",
        "{name: x, groups: {duration: 5s, expect: 1}}",
        "{name: x, groups: [duration, expect]}",
        "{name: x, a: duration, b: groups, c: expect}",
        "[name: x, duration: 5s, groups: [], expect: []]",
        '"name: x, duration: 5s, groups: y, expect: z"',
        "{a: 1}\n",
    ],
)
def test_anything_else_is_left_alone(text: str, tmp_path: Path) -> None:
    assert not looks(tmp_path, text)


def test_what_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    assert not is_scenario(tmp_path)
    assert not is_scenario(tmp_path / "none.yaml")


def test_what_is_too_large_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    assert looks(tmp_path, EXAMPLE.encode() + b"#" * BYTES_MAX)
    (problem,) = load_all(discover([tmp_path]))[1]
    assert "is larger than" in problem.text
