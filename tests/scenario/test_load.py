"""Files become scenarios, or every problem of every file with its line and column."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.errors import UsageError
from chatsim.scenario.load import (
    ScenarioErrors,
    discover,
    find,
    load,
    load_all,
    load_handler,
    shipped,
    shipped_name,
)
from chatsim.scenario.model import Scenario
from tests.scenario.examples import EXAMPLE, mapping

BAD = """\
name: bad
duration: 5
sede: 1
groups:
  - name: mobile
    users: 3
    network: {bandwith: 5Mbit/s}
events:
  - {at: 20min, do: drop, group: mobil}
expect:
  - p99(delivery_latecy) <= 100ms
name: again
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_example_loads_verbatim(tmp_path: Path) -> None:
    path = write(tmp_path, "example.yaml", EXAMPLE)
    made = load(path)
    assert (made.name, made.path) == ("reconnect-storm", path)
    assert [expectation.line for expectation in made.expect] == [28, 29, 30]
    assert made.line_of(("groups", 0, "network", "bandwidth")) == 24
    assert made.with_live_overrides().scaled().expect[2].line == 30


def test_every_problem_of_every_file_at_once(tmp_path: Path) -> None:
    bad, good = write(tmp_path, "bad.yaml", BAD), write(tmp_path, "good.yaml", EXAMPLE)
    missing, broken = tmp_path / "none.yaml", write(tmp_path, "broken.yaml", "a: [\n")
    scenarios, problems = load_all([bad, good, missing, broken, tmp_path])
    assert [scenario.name for scenario in scenarios] == ["reconnect-storm"]
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in problems[:7]] == [
        "bad.yaml:2:1: duration: 5 has no unit: write 5s, 5ms or 5min",
        "bad.yaml:3:1: sede: unknown key 'sede' (did you mean seed?)",
        "bad.yaml:7:15: groups[0].network.bandwith: unknown key 'bandwith' (did you mean bandwidth?)",
        "bad.yaml:9:27: events[0].group: unknown group 'mobil' (did you mean mobile?)",
        "bad.yaml:11:5: expect[0]: unknown metric 'delivery_latecy' (did you mean delivery_latency?)",
        "bad.yaml:12:1: name: the key 'name' is given twice, first in line 1: keep one",
        "none.yaml:1:1: there is no such file: check the path",
    ]
    assert "is not YAML" in problems[7].text
    assert "is a folder" in problems[8].text
    assert len(problems) == 9


@pytest.mark.parametrize(
    ("text", "hint"),
    [("", "is empty"), ("- a\n", "not a mapping"), ("just text", "not a mapping"), ("null", "mapping")],
)
def test_what_is_no_scenario_at_all(text: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioErrors, match=hint) as caught:
        load(write(tmp_path, "x.yaml", text))
    assert caught.value.exit_code == 3


def test_a_duplicate_key_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioErrors, match=r"x\.yaml:32:1: seed: the key 'seed' is given twice, first in line 5"):
        load(write(tmp_path, "x.yaml", EXAMPLE + "seed: 2\n"))


def test_files_beside_the_scenario(tmp_path: Path) -> None:
    write(tmp_path, "deep/costs.yaml", "frame: 3us\n")
    path = write(tmp_path, "deep/x.yaml", EXAMPLE.replace("costs: default", "costs: costs.yaml"))
    assert load(path).costs.frame.mean == 3e-6
    assert load(path).with_live_overrides().costs.frame.mean == 3e-6


def test_folders_are_searched_for_what_looks_like_a_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write(tmp_path, "b/c/one.yml", EXAMPLE)
    second = write(tmp_path, "b/three.YAML", EXAMPLE)
    third = write(tmp_path, "b/two.yaml", EXAMPLE.replace("duration:", "duraton:"))
    other = write(tmp_path, "b/costs.yaml", "frame: 1us\n")
    write(tmp_path, "b/four.txt", EXAMPLE)
    assert discover([tmp_path]) == [first, second, third]
    assert discover([other, str(tmp_path), first]) == [other, first, second, third]
    # However they are named.
    monkeypatch.chdir(tmp_path)
    here = first.relative_to(tmp_path)
    (tmp_path / "link.yaml").symlink_to(first)
    assert discover([here, first, Path("b", "..", here), "link.yaml"]) == [here]
    assert discover([here, tmp_path]) == [here, second, third]
    with pytest.raises(UsageError, match="holds no scenario"):
        discover([write(tmp_path, "empty/x.yaml", "a: 1").parent])


def test_links_to_folders_are_followed_and_each_folder_is_searched_once(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    first, second = write(here, "a.yaml", EXAMPLE), write(here, "deep/b.yaml", EXAMPLE)
    write(there, "c/c.yaml", EXAMPLE)
    # To itself, to a neighbour that comes after it, to another folder, and from there back.
    (here / "again").symlink_to(".")
    (here / "before").symlink_to("deep")
    (here / "out").symlink_to(there)
    (there / "back").symlink_to(here)
    (there / "c" / "up").symlink_to("..")
    assert discover([here]) == [first, second, here / "out" / "c" / "c.yaml"]
    # What has a place of its own there is called by it.
    assert discover([tmp_path]) == [first, second, there / "c" / "c.yaml"]
    assert discover([here / "before"]) == [here / "before" / "b.yaml"]


def test_what_is_nearly_a_scenario_is_passed_over_and_named(tmp_path: Path) -> None:
    good = write(tmp_path, "b/good.yaml", EXAMPLE)
    near = write(tmp_path, "b/course.yaml", "name: x\nduration: 5s\ngroups: []\n")
    write(tmp_path, "b/other.yaml", "name: x\n")
    told: list[tuple[Path, str]] = []
    assert discover([tmp_path, good], passed_over=lambda *each: told.append(each)) == [good]
    assert told == [(near, "has name and groups, but no expect")]
    # Whoever names a file means it.
    told.clear()
    assert discover([tmp_path, near], passed_over=lambda *each: told.append(each)) == [good, near]
    assert told == []


def test_a_folder_of_nothing_but_near_misses_is_refused_with_them(tmp_path: Path) -> None:
    near = write(tmp_path, "course.yaml", "name: x\ngroups: []\nexpects: []\n")
    with pytest.raises(UsageError, match=r"holds no scenario: .* name, groups and expect") as caught:
        discover([tmp_path])
    assert f"; {near} has name and groups, but expects where a scenario has expect" in str(caught.value)


def test_what_a_folder_has_that_cannot_be_read_is_a_problem_and_not_passed_over(tmp_path: Path) -> None:
    good = write(tmp_path, "good.yaml", EXAMPLE)
    link = tmp_path / "deep" / "link.yml"
    link.parent.mkdir()
    link.symlink_to("gone.yml")
    # Whatever else has no file behind it is nobody's scenario.
    (tmp_path / "note.txt").symlink_to("gone.txt")
    (tmp_path / "folder.yaml").mkdir()
    assert discover([tmp_path]) == [link, good]
    (problem,) = load_all(discover([tmp_path]))[1]
    assert f"{problem}" == f"{link}:1:1: is a link to nothing: mend the link, or remove it"
    # Nor is it called an empty folder.
    assert discover([link.parent]) == [link]


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "good.yaml", EXAMPLE)
    shut = [write(tmp_path, f"{name}/one.yaml", EXAMPLE).parent for name in ("a", "b/c")]
    listed = os.scandir

    def scandir(folder: str) -> Iterator[os.DirEntry[str]]:
        if Path(folder) in shut:
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return listed(folder)

    # Permissions do not bind whoever may do all.
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UsageError) as caught:
        discover([tmp_path])
    assert str(caught.value).splitlines() == [
        f"{folder} cannot be listed (Permission denied): make it readable, or name files and other folders"
        for folder in shut
    ]
    with pytest.raises(UsageError, match="cannot be listed"):
        discover([shut[0]])


@pytest.mark.parametrize("name", ["x" * 300 + ".yaml", "x" * 300 + "/one.yaml"])
def test_what_nobody_may_look_at_is_left_to_loading_which_says_why(name: str, tmp_path: Path) -> None:
    # As a file in a folder without permission, which does not bind whoever may do all: it cannot even be asked for.
    path = tmp_path / name
    assert discover([path]) == [path]
    (problem,) = load_all([path])[1]
    assert problem.text == "cannot be read (File name too long): check the path and its permissions"
    with pytest.raises(UsageError, match="there is no file and no shipped scenario xxx"):
        find("x" * 300)


def test_a_missing_path_is_left_to_loading(tmp_path: Path) -> None:
    assert discover([tmp_path / "none"]) == [tmp_path / "none"]


def test_a_plain_name_is_a_shipped_scenario_where_nothing_else_goes_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert discover(["steady", "limiter"]) == [shipped() / "steady.yaml", shipped() / "limiter.yaml"]
    assert find("acked-when-due") == shipped() / "regressions" / "acked-when-due.yaml"
    with pytest.raises(UsageError, match=r"no file and no shipped scenario stedy \(did you mean steady\?\)"):
        discover(["stedy"])
    mine = write(tmp_path, "steady/mine.yaml", EXAMPLE)
    assert discover(["steady"]) == [mine.relative_to(tmp_path)]
    # What has an ending, or a folder, is a path and nothing else.
    assert find("limiter.yaml") == Path("limiter.yaml")
    assert find("other/limiter") == Path("other/limiter")


def test_the_shipped_scenarios_are_found_and_right() -> None:
    paths = discover()
    scenarios, problems = load_all(paths)
    assert problems == []
    assert len(scenarios) == len(paths) > 0
    assert all(path.is_relative_to(shipped()) for path in paths)


@pytest.mark.parametrize("text", ["", "# all as usual\n", "---\n", "null\n", "{}\n"])
def test_a_handlers_file_that_says_nothing_leaves_all_at_its_default(text: str, tmp_path: Path) -> None:
    assert load_handler(write(tmp_path, "h.yaml", text)) == HandlerConfig()


def test_a_handlers_file(tmp_path: Path) -> None:
    assert load_handler(write(tmp_path, "h.yaml", "ping_interval: 20s\n")).ping_interval_s == 20.0
    with pytest.raises(ScenarioErrors) as caught:
        load_handler(write(tmp_path, "h.yaml", "ping_interval: 20\nretries: 3\nretries: 4\nrtries: 1\n"))
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (1, "ping_interval"),
        (3, "retries"),
        (4, "rtries"),
    ]


def test_what_is_for_a_flow_is_found_by_name_and_not_played_with_the_others() -> None:
    file = find("million-users")
    assert load(file).name == "million-users"
    assert file not in discover()


def test_a_shipped_one_has_a_name_and_another_of_that_name_has_none(tmp_path: Path) -> None:
    assert shipped_name(shipped() / "steady.yaml") == "steady"
    assert shipped_name(tmp_path / "steady.yaml") is None
    assert all(shipped_name(path) == path.stem and find(path.stem) == path for path in discover([]))


def test_what_is_saved_is_loaded_as_it_was(tmp_path: Path) -> None:
    for path in discover([]):
        made = load(path).with_seed(77)
        again = load(made.save(tmp_path / "new" / f"{path.stem}.yaml"))
        assert again.words == made.words
        assert repr(again.with_live_overrides().groups) == repr(made.with_live_overrides().groups)
    assert load(load(find("steady")).with_(users=60).save(tmp_path / "s.yaml")).groups[0].users == 60


def test_what_names_files_is_saved_beside_them_and_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "costs.json").write_text('{"frame": "1ms"}')
    words = mapping(costs="costs.json")
    made = Scenario.of(words, folder=tmp_path)
    assert load(made.save(tmp_path / "s.yaml")).costs == made.costs
    with pytest.raises(UsageError, match="the files that small names are not the same seen from"):
        made.save(tmp_path / "elsewhere" / "s.yaml")
    with pytest.raises(UsageError, match="name another file"):
        Scenario.of(mapping()).save(tmp_path)


@pytest.mark.parametrize("name", ["a" * 5000, "a" * 5000 + ".yaml", "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(name)
