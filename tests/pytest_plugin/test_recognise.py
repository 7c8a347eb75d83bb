"""A scenario is known by three keys at its top, however its YAML is written, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.pytest_plugin.recognise import BYTES_MAX, MARKS, SUFFIXES, is_scenario
from chatsim.scenario import load
from chatsim.scenario import yaml as reading

SHIPPED = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.yaml"))


def looks(folder: Path, text: str | bytes) -> bool:
    path = folder / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return is_scenario(path)


def test_it_looks_for_what_the_reader_wants() -> None:
    assert tuple(mark.decode() for mark in MARKS) == load.MARKS
    assert (SUFFIXES, BYTES_MAX) == (load.SUFFIXES, reading.BYTES_MAX)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario_is_one(path: Path) -> None:
    assert is_scenario(path)


@pytest.mark.parametrize(
    "text",
    [
        "name: x\ngroups: []\nexpect: []\n",
        "# a comment\n---\nname: x\ngroups: []\nexpect: []\n",
        "\"name\": x\n'groups': []\nexpect : []\n",
        "  name: x\n  groups: []\n  expect: []\n",
        "\ufeffname: x\ngroups: []\nexpect: []\n",
        "%YAML 1.2\n---\nname: x\ngroups: []\nexpect: []\n",
        "{name: x, groups: [], expect: []}",
        '{"name": "x",\n "groups": [],\n "expect": []}\n',
        # Right or wrong: what is wrong with it is for the reader to say.
        "name: x\ngroups: [[[\nexpect: []\n",
        b"name: \xff\ngroups: []\nexpect: []\n",
    ],
)
def test_three_keys_make_a_scenario(text: str | bytes, tmp_path: Path) -> None:
    assert looks(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# name groups expect\n",
        "name: x\ngroups: []\n",
        "name: x\ngroups: []\n# expect: []\n",
        "name: x\ngroups: []\njob:\n  expect: []\n",
        "- name: x\n- groups: []\n- expect: []\n",
        "name: x\ngroups: []\n---\nexpect: []\n",
        "names: x\ngroups: []\nexpect: []\n",
        "{name: x, groups: {expect: 1}}",
        "{name: x, groups: [, expect",
        b"{name: \xff, groups: [], expect: []}",
    ],
)
def test_anything_else_is_left_alone(text: str | bytes, tmp_path: Path) -> None:
    assert not looks(tmp_path, text)


def test_what_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    assert not is_scenario(tmp_path)
    assert not is_scenario(tmp_path / "none.yaml")
