"""A scenario is known by the keys at its top, however its YAML is written, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.scenario.load import discover, load_all
from chatsim.scenario.model import Scenario
from chatsim.scenario.recognise import MARKS, is_there, is_yaml, leads_nowhere, look_at
from chatsim.scenario.yaml import BYTES_MAX
from tests.scenario.examples import EXAMPLE

SHIPPED = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.yaml"))


def looks(folder: Path, text: str | bytes) -> bool:
    path = folder / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return look_at(path).is_scenario


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def test_it_looks_for_what_every_scenario_needs() -> None:
    needed = {field.alias or name for name, field in Scenario.model_fields.items() if field.is_required()}
    # Of what has no duration the reader says so, and what has one is not the likelier to be ours.
    assert needed - {"duration"} == set(MARKS)


def test_a_yaml_file_is_one_by_the_end_of_its_name_however_that_is_written() -> None:
    assert all(is_yaml(Path(name)) for name in ("a.yaml", "a.yml", "a.YAML", "a.Yml"))
    assert not any(is_yaml(Path(name)) for name in ("a.yaml.j2", "a.json", "yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario_is_one(path: Path) -> None:
    assert look_at(path).is_scenario


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
        EXAMPLE.encode("utf-16"),
        b"\xfe\xff" + EXAMPLE.encode("utf-16-be"),
        "{name: x, duration: 5s, expect: [], groups: [[[\n}",
        # A quote that is never closed hides nothing of what stands behind it.
        '{"name: x", name: "x, groups: a, expect: y',
        EXAMPLE + "---\n" + EXAMPLE,
        # Another key that is misspelt, or forgotten.
        "name: x\nduraton: 5s\ngroups: []\nexpect: []\n",
        "{name: x, groups: [], expect: []}",
    ],
)
def test_what_has_the_three_is_one_right_or_wrong(text: str | bytes, tmp_path: Path) -> None:
    assert looks(tmp_path, text)
    assert load_all(discover([tmp_path]))[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---\n",
        "# name groups expect\n",
        "name: x\nduration: 5s\n",
        "groups: []\n# expect: []\n# name: x\n",
        "groups: []\njob:\n  name: x\n  expect: []\n",
        "- name: x\n- duration: 5s\n- groups: []\n- expect: []\n",
        "- name: x\n  groups: []\n  expect: []\n",
        "name: x\n---\ngroups: []\nexpect: []\n",
        "name\ngroups\nexpect\n",
        "{name: x, group: {groups: 5s, expect: 1}}",
        "{name: x, group: [groups, expect]}",
        "{name: x, a: groups, b: expect}",
        "[name: x, groups: [], expect: []]",
        '"name: x, groups: y, expect: z"',
        "{a: 1}\n",
    ],
)
def test_anything_else_is_left_alone(text: str, tmp_path: Path) -> None:
    assert not looks(tmp_path, text)
    assert look_at(tmp_path / "file.yaml").lacks == ""


OTHERS = {
    "a workflow": "name: tests\non: push\npermissions: {}\nenv: {}\njobs: {}\n",
    "an action": "name: x\ndescription: y\ninputs: {}\noutputs: {}\nruns: {}\n",
    "compose": "name: x\nservices: {}\nnetworks: {}\nvolumes: {}\nconfigs: {}\nsecrets: {}\n",
    "a manifest": "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: groups\nspec: {expect: 1}\n",
    "OpenAPI": "openapi: 3.1.0\ninfo: {}\nservers: []\npaths: {}\ncomponents: {}\ntags: [name, groups, expect]\n",
    "rules of Prometheus": "groups:\n  - name: x\n    rules: [{expr: up == 0}]\n",
    "an environment": "name: x\nchannels: []\ndependencies: [expect]\nprefix: groups\n",
    "a case of another test": "name: x\ngroup: y\ninput: 1\nexport: 2\nextends: 3\n",
    "a case with what is expected": "name: x\ngiven: 1\nexpected: 2\n",
    "a pipeline": "stages: [groups]\nname: x\nexcept: [main]\nonly: []\n",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=list(OTHERS))
def test_of_what_other_programs_have_nothing_is_said(text: str, tmp_path: Path) -> None:
    assert not looks(tmp_path, text)
    assert look_at(tmp_path / "file.yaml").lacks == ""


def test_what_cannot_be_read_may_be_one(tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to("gone.yaml")
    assert look_at(link) == (True, "")
    (problem,) = load_all([link])[1]
    assert problem.text == "is a link to nothing: mend the link, or remove it"


def test_what_a_name_stands_for_is_a_file_or_cannot_be_looked_at(tmp_path: Path) -> None:
    file, folder, link, lock = (tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml", ".#a.yaml"))
    file.touch()
    folder.mkdir()
    link.symlink_to(link)
    lock.symlink_to("somebody@host.123:456")
    assert is_there(file)
    assert is_there(link)
    assert not is_there(folder)
    assert [path for path in (file, folder, link, lock) if leads_nowhere(path)] == [link]
    # It has gone between two looks, and so has the lock of an editor whose user is at the file.
    assert not is_there(tmp_path / "none.yaml")
    assert not is_there(lock)


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("name: x\nduration: 5s\ngroups: []\n", "has name and groups, but no expect"),
        ("groups: []\nname: x\nexpects: []\n", "has name and groups, but expects where a scenario has expect"),
        ("name: x\nexpect: []\n", "has name and expect, but no groups"),
        ("{duration: 5s, groups: [], expect: []}", "has groups and expect, but no name"),
        ("name: x\ngroups: []\n---\nexpect: []\n", "has name and groups, but no expect"),
        (
            "nam: x\ngroup: [{name: a}]\nexpect: []\n",
            "has expect, but nam where a scenario has name and group where a scenario has groups",
        ),
        (
            "Name: x\n'grups': [{name: a}]\nexpcts : []\n",
            "has Name where a scenario has name, grups where a scenario has groups "
            "and expcts where a scenario has expect",
        ),
        (
            "{nmae: x, groups: [], expcet: []}",
            "has groups, but nmae where a scenario has name and expcet where a scenario has expect",
        ),
        (EXAMPLE, ""),
    ],
)
def test_of_what_may_be_meant_as_one_it_is_known_what_it_lacks(text: str, lacks: str, tmp_path: Path) -> None:
    assert looks(tmp_path, text) == (lacks == "")
    assert look_at(tmp_path / "file.yaml").lacks == lacks


def test_what_is_too_large_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    assert looks(tmp_path, EXAMPLE.encode() + b"#" * BYTES_MAX)
    (problem,) = load_all(discover([tmp_path]))[1]
    assert "is larger than" in problem.text
