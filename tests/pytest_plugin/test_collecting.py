"""Scenario files as tests: one for each expectation and one for what must hold in every run, and whatever is wrong is
one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.pytest_plugin.collecting import PYTESTS, marker
from chatsim.scenario.load import discover, load_all
from chatsim.scenario.yaml import parse_yaml
from chatsim.verdict.invariants.catalogue import Violation
from tests.pytest_plugin.sessions import GOOD, LINE, PLUGIN, WORDS, outside, properties, remembered, session, write


def ids(result: pytest.RunResult) -> list[str]:
    """What `--collect-only -q` names."""
    return [line for line in result.outlines if "::" in line]


def test_one_test_for_each_expectation_with_an_id_that_says_it(pytester: pytest.Pytester) -> None:
    write(pytester.path, "scenarios/small", *GOOD)
    result = session(pytester, "scenarios", "--collect-only", "-q")
    assert ids(result) == [f"scenarios/small.yaml::{text}" for text in (*GOOD, "invariants")]
    result = session(pytester, "scenarios")
    result.assert_outcomes(passed=4)
    assert result.ret == 0


def test_an_id_plays_that_expectation_alone(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", *GOOD)
    session(pytester, "small.yaml::lost == 0").assert_outcomes(passed=1)
    session(pytester, "small.yaml::p99(delivery_latency) <= 2s").assert_outcomes(passed=1)
    session(pytester, "small.yaml::invariants").assert_outcomes(passed=1)


def test_one_line_a_failure_names_the_scenario_and_no_file_of_ours(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 7")
    result = outside(pytester, "--tb=line")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*collecting.py*")
    result.stdout.fnmatch_lines([f"small.yaml:{LINE}: *lost == 7*"])


def test_a_broken_invariant_fails_its_own_test_and_no_other(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [Violation("seq", 3.0, "s has 4 after 2."), Violation("given_up", 5.0, "u gave m up.")]
    monkeypatch.setattr("chatsim.verdict.invariants.watch.Watch.finish", lambda *_, **__: broken)
    write(pytester.path, "small", *GOOD)
    result = session(pytester, "--chatsim-on", "sim,virtual", "--junitxml", "out.xml")
    result.assert_outcomes(passed=6, failed=2)
    result.stdout.fnmatch_lines(
        [
            f"small.yaml:1: invariant seq: does not hold at 3 s: {broken[0].sentence} s has 4 after 2, seed 1, on sim; "
            "again: chatsim run small.yaml --seed 1",
            "small.yaml:1: invariant given_up: does not hold at 5 s: *",
            "FAILED small.yaml::invariants - *",
            "FAILED small.yaml::invariants?virtual? - *",
        ]
    )
    found = properties(pytester.path / "out.xml")
    assert (found["invariants"]["verdict"], found["lost == 0"]["verdict"]) == ("fail", "pass")
    assert "invariant given_up does not hold" in found["invariants"]["why"]


def test_a_failure_is_one_line_that_says_everything(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0", "max(delivery_latency) <= 1ms")
    result = session(pytester)
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == 1
    (line,) = [line for line in result.outlines if line.startswith("small.yaml:")]
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*def runtest*")
    assert line.startswith(f"small.yaml:{LINE + 1}: max(delivery_latency) <= 1ms: observed ")
    for part in (" ms, limit 1 ms, n ", ", seed 1, on sim; again: chatsim run small.yaml --seed 1"):
        assert part in line
    result.stdout.fnmatch_lines(["FAILED small.yaml::max(delivery_latency) <= 1ms - *"])


@pytest.mark.parametrize("style", ["--tb=native", "-lvv"])
def test_there_is_no_traceback_in_any_style(style: str, pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "max(delivery_latency) <= 1ms")
    result = session(pytester, style)
    result.assert_outcomes(failed=1, passed=1)
    assert not any("collecting.py" in line and "def " in line for line in result.outlines)
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_wrong_file_is_an_error_at_its_place_and_the_others_are_played_if_asked(pytester: pytest.Pytester) -> None:
    write(pytester.path, "bad", "p99(delivery_latncy) <= 100ms", "lost == many")
    write(pytester.path, "good", "lost == 0")
    result = session(pytester, "--continue-on-collection-errors")
    result.assert_outcomes(passed=2, errors=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [f"bad.yaml:{LINE}:*: expect[[]0]: *(did you mean delivery_latency?)", f"bad.yaml:{LINE + 1}:*: expect[[]1]: *"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert session(pytester).ret == 2


@pytest.mark.parametrize(
    "text",
    [
        "on: push\njobs: {}\n",
        "name: ci\ngroups: [a]\n",
        "name: x\ngroups: [[[\n",
        "- name\n- groups\n- expect\n",
        "",
    ],
)
def test_other_yaml_is_left_alone(text: str, pytester: pytest.Pytester) -> None:
    (pytester.path / "other.yaml").write_text(text, encoding="utf-8")
    pytester.makepyfile("def test_mine(): pass")
    result = session(pytester)
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    assert session(pytester, "-k", "nothing_of_that_name").ret == 5


def test_nothing_collected_is_not_green(pytester: pytest.Pytester) -> None:
    (pytester.path / "other.yaml").write_text("on: push\n", encoding="utf-8")
    assert session(pytester).ret == 5
    assert session(pytester, "other.yaml").ret != 0


def test_every_wire_has_its_tests(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0")
    result = session(pytester, "--chatsim-on", "sim,virtual", "--collect-only", "-q")
    sim = ["small.yaml::lost == 0", "small.yaml::invariants"]
    assert ids(result) == [*sim, *(f"{each}[virtual]" for each in sim)]
    session(pytester, "--chatsim-on", "sim,virtual").assert_outcomes(passed=4)
    session(pytester, "--chatsim-on", "sim,virtual", "-k", "virtual").assert_outcomes(passed=2, deselected=2)


def test_what_is_promised_live_alone_is_tested_there_alone(pytester: pytest.Pytester) -> None:
    path = write(pytester.path, "small", "lost == 0")
    path.write_text(path.read_text(encoding="utf-8").replace("live: {", "live: {expect: [sent >= 1], "))
    result = session(pytester, "--chatsim-on", "sim,live", "--collect-only", "-q")
    told = ["lost == 0", "invariants", "sent >= 1[live]", "invariants[live]"]
    assert ids(result) == [f"small.yaml::{each}" for each in told]


def test_a_live_run_is_judged_too_and_played_once(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0", "sent >= 1", "connections_peak == 4")
    result = session(pytester, "--chatsim-on", "live", "--junitxml", "out.xml")
    result.assert_outcomes(passed=4)
    found = properties(pytester.path / "out.xml")
    assert {each["wire"] for each in found.values()} == {"live"}
    assert len({each["took_s"] for each in found.values()}) == 1


def test_tags_are_markers_that_strict_sessions_know(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0")
    write(pytester.path, "other", "lost == 0", words=WORDS.replace("[latency, half-open]", '["two words", skip]'))
    for expression, passed in (
        ("latency", 1),
        ("half-open", 1),
        ("two_words", 1),
        ("tag_skip", 1),
        ("chatsim", 2),
        ("not latency", 1),
    ):
        result = session(pytester, "--strict-markers", "-m", expression)
        result.assert_outcomes(passed=2 * passed, deselected=4 - 2 * passed)
    session(pytester, "--markers").stdout.fnmatch_lines(["@pytest.mark.chatsim: *"])


WRITTEN: dict[str, Callable[[str], str]] = {
    "a mark with a comment": lambda text: f"--- # ours\n{text}",
    "indented": lambda text: "".join(f"  {line}\n" for line in text.splitlines()),
    "JSON": lambda text: json.dumps(parse_yaml(text).value),
    "a key misspelt": lambda text: text.replace("duration:", "duraton:"),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_what_check_takes_for_a_scenario_pytest_does_too(way: str, pytester: pytest.Pytester) -> None:
    path = write(pytester.path, "scenarios/small", "lost == 0")
    path.write_text(WRITTEN[way](path.read_text(encoding="utf-8")), encoding="utf-8")
    (pytester.path / "scenarios" / "other.yaml").write_text("name: x\njobs: []\n", encoding="utf-8")
    assert discover([pytester.path]) == [path]
    good = not load_all([path])[1]
    session(pytester, "scenarios").assert_outcomes(passed=2 * good, errors=int(not good))


def test_the_end_of_a_name_may_be_in_capitals(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0").rename(pytester.path / "small.YAML")
    session(pytester).assert_outcomes(passed=2)


NEARLY = "name: x\nduration: 5s\ngroups: []\n"
SAID = "passed over: course.yaml has name and groups, but no expect"


@pytest.mark.parametrize("words", [(), ("-W", "error"), ("-n", "2")], ids=" ".join)
def test_what_is_nearly_a_scenario_is_warned_of_and_no_error(words: tuple[str, ...], pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0")
    (pytester.path / "course.yaml").write_text(NEARLY, encoding="utf-8")
    result = outside(pytester, *words)
    result.assert_outcomes(passed=2, warnings=1)
    assert result.stdout.str().count(SAID) == 1
    # By pytest's own category, so that who knows better can have it quiet.
    quiet = outside(pytester, *words, "-W", "ignore::pytest.PytestCollectionWarning")
    quiet.assert_outcomes(passed=2, warnings=0)


def test_what_is_misspelt_twice_is_warned_of_too(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0")
    (pytester.path / "typo.yaml").write_text("nam: x\ngroup: [{name: a}]\nexpect: []\n", encoding="utf-8")
    result = session(pytester)
    result.assert_outcomes(passed=2, warnings=1)
    said = "*passed over: typo.yaml has expect, but nam where a scenario has name and group where *"
    result.stdout.fnmatch_lines([said])
    # Whoever names it means it.
    session(pytester, "typo.yaml").assert_outcomes(errors=1)


@pytest.mark.parametrize("words", [(), ("inside",), ("inside/deep",), ("-n", "2")], ids=" ".join)
def test_what_cannot_be_read_is_an_error_of_collection(words: tuple[str, ...], pytester: pytest.Pytester) -> None:
    deep = pytester.path / "inside" / "deep"
    write(deep, "small", "lost == 0")
    (deep / "link.yaml").symlink_to("gone.yaml")
    (deep / "round.yaml").symlink_to("round.yaml")
    # Not ours.
    (deep / "link.txt").symlink_to("gone.txt")
    result = outside(pytester, *words)
    assert result.ret != 0
    result.assert_outcomes(errors=2, passed=2 * ("-n" in words))
    assert "inside/deep/link.yaml:1:1: is a link to nothing: mend the link, or remove it" in result.stdout.str()
    assert "inside/deep/round.yaml:1:1: cannot be read (Too many levels of symbolic links): " in result.stdout.str()


@pytest.mark.parametrize(
    "words",
    [
        ("small.yaml",),
        ("--ignore=link.yaml",),
        ("--ignore-glob=*link*",),
        ("inside",),
    ],
    ids=" ".join,
)
def test_a_link_to_nothing_that_nobody_asked_for_is_left_alone(
    words: tuple[str, ...], pytester: pytest.Pytester
) -> None:
    write(pytester.path, "small", "lost == 0")
    write(pytester.path / "inside", "other", "lost == 0")
    (pytester.path / "link.yaml").symlink_to("gone.yaml")
    result = outside(pytester, *words)
    assert result.ret == 0
    result.assert_outcomes(passed=4 if "ignore" in words[0] else 2)


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (("here",), ("here/a.yaml", "here/deep/b.yaml", "here/out/c.yaml")),
        ((".",), ("here/a.yaml", "here/deep/b.yaml", "there/c.yaml")),
        ((), ("here/a.yaml", "here/deep/b.yaml", "there/c.yaml")),
        (("here/again/a.yaml",), ("here/again/a.yaml",)),
        (("here/before",), ("here/before/b.yaml",)),
    ],
)
def test_what_is_found_behind_links_is_what_a_check_finds(
    words: tuple[str, ...], files: tuple[str, ...], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pytester.path / "here", pytester.path / "there"
    for folder, name in ((here, "a"), (here / "deep", "b"), (there, "c")):
        write(folder, name, "lost == 0")
        (folder / "course.yaml").write_text(NEARLY, encoding="utf-8")
    (here / "again").symlink_to(".")
    (here / "before").symlink_to("deep")
    (here / "out").symlink_to(there)
    (here / "link.yaml").symlink_to("a.yaml")
    (here / "none.yaml").symlink_to("gone.yaml")
    told: list[str] = []
    monkeypatch.chdir(pytester.path)
    found = [f"{path}" for path in discover(words or ["."], passed_over=lambda _, why: told.append(why))]
    result = outside(pytester, "--collect-only", "-q", *words)
    assert [line.partition("::")[0] for line in result.outlines if line.endswith("::lost == 0")] == list(files)
    broken = ["here/none.yaml"] if len(files) > 1 else []
    assert sorted(found) == sorted([*files, *broken])
    assert result.stdout.str().count("link to nothing") == len(broken)
    assert result.stdout.str().count("passed over: ") == len(told)


@pytest.mark.parametrize(
    ("words", "times"),
    [
        (("inside/a.yaml", "inside/b.yaml"), 0),
        (("inside/a.yaml::lost == 0", "inside/b.yaml"), 0),
        (("inside", "inside/b.yaml"), 1),
        ((".", "inside"), 1),
    ],
)
def test_who_names_files_is_not_told_of_their_neighbours_and_of_a_folder_once(
    words: tuple[str, ...], times: int, pytester: pytest.Pytester
) -> None:
    inside = pytester.path / "inside"
    write(inside, "a", "lost == 0")
    write(inside, "b", "lost == 0")
    (inside / "course.yaml").write_text(NEARLY, encoding="utf-8")
    result = outside(pytester, "--collect-only", "-q", *words)
    assert result.stdout.str().count("passed over: inside/course.yaml") == times


def test_a_file_that_is_named_is_read_as_a_scenario_and_those_of_other_plugins_are_not(
    pytester: pytest.Pytester,
) -> None:
    (pytester.path / "course.yaml").write_text(NEARLY, encoding="utf-8")
    (pytester.path / "other.yaml").write_text("name: x\nstages: []\n", encoding="utf-8")
    result = session(pytester, "course.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["course.yaml:1:1: expect: is required and missing"])
    session(pytester, "other.yaml").assert_outcomes()


def test_no_tag_makes_pytest_do_anything(pytester: pytest.Pytester) -> None:
    tags = ", ".join(sorted(PYTESTS))
    write(pytester.path, "small", "lost == 0", words=WORDS.replace("latency, half-open", tags))
    session(pytester, "--strict-markers").assert_outcomes(passed=2)


@pytest.mark.parametrize("tag", ["_x", "(q"])
def test_a_tag_that_can_mark_nothing_is_an_error_of_one_line(tag: str, pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0", words=WORDS.replace("[latency, half-open]", f"['{tag}']"))
    result = session(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"small.yaml:3:*: tags[[]0]: '{tag}' is no tag: *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@given(st.text(min_size=1))
def test_any_tag_is_a_marker_that_pytest_takes(tag: str) -> None:
    name = marker(tag)
    assert re.fullmatch(r"[^\W_][\w.+-]*|[.+-][\w.+-]*", name)
    assert name not in PYTESTS


def test_a_tag_with_signs_of_its_own_marks_too(pytester: pytest.Pytester) -> None:
    tags = '["load-50%", "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}q", "5.3"]'
    write(pytester.path, "small", "lost == 0", words=WORDS.replace("[latency, half-open]", tags))
    for expression in ("load-50_", "tag__q", "5.3"):
        session(pytester, "--strict-markers", "-m", expression).assert_outcomes(passed=2)


def test_the_first_failure_ends_the_session_and_the_last_failures_are_played_again(pytester: pytest.Pytester) -> None:
    write(pytester.path, "a", "max(delivery_latency) <= 1ms", "lost == 0")
    write(pytester.path, "b", "lost == 0", "p50(delivery_latency) <= 1ms")
    cached = ("-p", "cacheprovider")
    session(pytester, "-x", *cached).assert_outcomes(failed=1)
    session(pytester, *cached).assert_outcomes(failed=2, passed=4)
    assert remembered(pytester.path) == ["a.yaml::max(delivery_latency) <= 1ms", "b.yaml::p50(delivery_latency) <= 1ms"]
    session(pytester, "--lf", *cached).assert_outcomes(failed=2)


def test_the_seed_reaches_the_run_and_the_line(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "max(delivery_latency) <= 1ms")
    result = session(pytester, "--chatsim-seed", "7")
    result.stdout.fnmatch_lines(["*seed 7, on sim; again: chatsim run small.yaml --seed 7"])


def test_replications_have_an_interval_and_what_they_cannot_decide_is_not_green(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "sent == 1", "mean(delivery_latency) <= 40ms", "lost == 0")
    result = session(pytester, "--chatsim-replications", "2", "--chatsim-seed", "7", "--chatsim-on", "virtual")
    result.assert_outcomes(failed=2, passed=2)
    of_what, broken = "n 2 replications, seed 7, on virtual", "broken by 2 of 2 runs"
    again = "again: chatsim replicate small.yaml -n 2 --on virtual --seed 7"
    result.stdout.fnmatch_lines(
        [
            f"small.yaml:*: sent == 1: observed * in the mean, between * and *, limit 1, {of_what}, {broken}; {again}",
            f"small.yaml:*: inconclusive: observed *, limit 40 ms, {of_what}, * would probably decide; {again}",
        ]
    )
    # Two say so little that a bound lies where no time can be.
    result.stdout.fnmatch_lines(["*in the mean, between 0 s and *, limit 40 ms*"])


def test_a_run_that_proves_nothing_is_an_error_and_no_failure(pytester: pytest.Pytester) -> None:
    more = "events: [{at: 0s, do: drop, group: people, count: 1}]\n"
    write(pytester.path, "small", "lost == 0", "sent >= 1", more=more)
    result = session(pytester)
    result.assert_outcomes(errors=3)
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"small.yaml:{LINE}: lost == 0: error: *touched nobody*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_what_a_wire_refuses_is_skipped_with_the_reason(pytester: pytest.Pytester) -> None:
    words = WORDS.replace("tags:", "handler: {algorithms: [ES256]}\ntags:")
    write(pytester.path, "small", "lost == 0", words=words)
    result = session(pytester, "--chatsim-on", "sim,live", "-rs")
    result.assert_outcomes(passed=2, skipped=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED *small.yaml on live: The crowd signs with HS256: *"])


def test_a_promise_that_is_made_twice_is_two_tests(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0", "lost == 0")
    found = ids(session(pytester, "--collect-only", "-q"))
    assert found == [f"small.yaml::{each}" for each in ("lost == 0", "lost == 0#2", "invariants")]


def test_values_are_properties_of_the_report(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "sent >= 1", "max(delivery_latency) <= 1ms")
    session(pytester, "--junitxml", "out.xml")
    found = properties(pytester.path / "out.xml")
    assert found["sent >= 1"]["verdict"] == "pass"
    assert float(found["sent >= 1"]["observed"]) >= 1
    assert float(found["max(delivery_latency) <= 1ms"]["observed"]) > 0.001


def test_the_tests_of_this_repository_are_no_scenarios(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getini("testpaths") == ["tests"]
    assert not list((Path(__file__).parents[1]).rglob("*.yaml"))
    assert PLUGIN[1] == "no:chatsim"
