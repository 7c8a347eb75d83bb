"""Invariant: a handler that breaks what must hold fails the build at the promises that are broken, and at no other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.explore.mutants import DELIVERY, PACKAGE, one, plant

SCENARIOS = PACKAGE.parent / "scenarios"
MUTANT = one(
    "one retry too few",
    DELIVERY,
    "elif tries >= self._config.retries:",
    "elif tries >= self._config.retries - 1:",
)
"""`retries.yaml` promises 120 of them, and there are 80; the message is given up before its time."""

RETRIES = "retries == 120"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the bug in it, and two scenarios: one that it breaks, and one that it does not touch."""
    made = tmp_path_factory.mktemp("broken")
    plant(MUTANT, made)
    (made / "scenarios").mkdir()
    for name in ("retries", "limiter"):
        shutil.copy(SCENARIOS / f"{name}.yaml", made / "scenarios")
    return made


def python(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A process that knows only the copy."""
    quiet = {"GITHUB_ACTIONS": "", "GITHUB_STEP_SUMMARY": "", "GITHUB_WORKSPACE": ""}
    environment = {**os.environ, **quiet, "PYTHONPATH": f"{folder}", "COLUMNS": "400", **more}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def line_of(text: str) -> int:
    """Where the file of retries says so."""
    lines = (SCENARIOS / "retries.yaml").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_check_says_each_broken_promise_at_its_line_and_ends_with_1(folder: Path) -> None:
    reports = ("--junit", "o.xml", "--json-file", "o.json")
    done = python(folder, "chatsim", "check", "scenarios", *reports, GITHUB_ACTIONS="true")
    assert done.returncode == 1, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("scenarios/retries.yaml:")]
    again = "seed 6, on sim; again: chatsim run scenarios/retries.yaml --seed 6"
    assert f"scenarios/retries.yaml:{line_of(RETRIES)}: {RETRIES}: observed 80, limit 120, n 1, {again}" in told
    (broken,) = [line for line in told if ": invariant given_up: " in line]
    assert re.match(r"scenarios/retries\.yaml:1: invariant given_up: does not hold at [\d.]+ s: A message is ", broken)
    assert broken.endswith(f", {again}")
    annotations = [line for line in done.stderr.splitlines() if line.startswith("::error ")]
    assert len(annotations) == len(told)
    assert any(line.startswith(f"::error file=scenarios/retries.yaml,line={line_of(RETRIES)},") for line in annotations)

    found = json.loads((folder / "o.json").read_text(encoding="utf-8"))
    assert (found["verdict"], found["counts"]["error"]) == ("fail", 0)
    failed = {each["expectation"]: each for each in found["findings"] if each["verdict"] == "fail"}
    assert (failed[RETRIES]["observed"], failed[RETRIES]["limit"]) == (80, 120)
    # What the file promises of it and holds, is said to hold.
    assert "accepted == 80" not in failed
    suites = ElementTree.parse(folder / "o.xml").getroot()
    assert (suites.get("errors"), suites.get("failures")) == ("0", f"{len(failed)}")
    cases = {case.get("name"): case for case in suites.iter("testcase")}
    failure = cases["invariant given_up"].find("failure")
    assert failure is not None
    assert (failure.get("type"), cases["invariant given_up"].get("line")) == ("invariant", "1")


def test_run_shows_it_in_the_table_and_in_the_document(folder: Path) -> None:
    done = python(folder, "chatsim", "run", "scenarios/retries.yaml")
    assert done.returncode == 1
    assert re.search(r"invariant given_up at [\d.]+ s: A message is given up when", done.stdout)
    done = python(folder, "chatsim", "run", "scenarios/retries.yaml", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert (document["verdict"], document["valid"]) == ("fail", True)
    assert [each["invariant"] for each in document["violations"]] == ["given_up"]


def test_pytest_fails_what_is_broken_and_passes_what_is_not(folder: Path) -> None:
    plugin = ("-p", "no:chatsim", "-p", "chatsim.pytest_plugin", "-p", "no:cacheprovider", "-rA")
    done = python(folder, "pytest", *plugin, "scenarios")
    assert done.returncode == 1
    ends = {line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "PASSED "))}
    assert {f"FAILED scenarios/retries.yaml::{RETRIES}", "FAILED scenarios/retries.yaml::invariants"} <= ends
    assert {"PASSED scenarios/retries.yaml::accepted == 80", "PASSED scenarios/limiter.yaml::invariants"} <= ends
    assert "ERROR" not in done.stdout


@pytest.mark.slow
def test_over_replications_it_is_told_with_the_run_that_shows_it(folder: Path) -> None:
    done = python(
        folder, "chatsim", "check", "scenarios", "--replications", "2", "--jobs", "1", "--json-file", "o.json"
    )
    assert done.returncode == 1, done.stderr
    assert re.search(r"retries +sim +invariant given_up at [\d.]+ s: .* fail\n", done.stdout)
    document = json.loads((folder / "o.json").read_text(encoding="utf-8"))
    assert document["counts"]["error"] == 0
    failed = {each["expectation"]: each for each in document["findings"] if each["verdict"] == "fail"}
    assert (failed[RETRIES]["observed"], failed[RETRIES]["replications"]) == (80, 2)
    assert failed["invariant given_up"]["again"] == "chatsim run scenarios/retries.yaml --seed 6"
    done = python(folder, "chatsim", "replicate", "scenarios/retries.yaml", "-n", "2", "--jobs", "1")
    assert done.returncode == 1
    assert re.search(r"retries == 120 +80 .*fail \(broken by 2 of 2 runs\)\n", done.stdout)
    assert re.search(r"invariant given_up at [\d.]+ s: A message is given up when .* fail", done.stdout)


@pytest.mark.slow
def test_against_a_baseline_it_is_told_beside_what_differs_and_the_others_are_played(folder: Path) -> None:
    place = folder / "results" / "baselines" / "baseline.json"
    save = ("chatsim", "baseline", "save", f"{folder / 'scenarios'}", "--out", f"{place}")
    done = python(folder, *save)
    assert done.returncode == 1
    assert "retries on sim (seed 6) is no baseline: invariant given_up at " in done.stderr
    assert not place.exists()
    # By the package without the bug, which is what the process finds where it is begun.
    assert python(PACKAGE.parent, *save).returncode == 0
    done = python(folder, "chatsim", "baseline", "compare", "scenarios", "--junit", "o.xml")
    assert done.returncode == 1, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["retries", "sim", "retries", "120", "80", "differs"] in rows
    assert re.search(r"retries +sim +invariant given_up at .*fail\n", done.stdout)
    (good,) = [row for row in rows if row[:1] == ["limiter"]]
    assert good[-1] == "pass"
    failures = [f"{failure.get('type')}" for failure in ElementTree.parse(folder / "o.xml").iter("failure")]
    assert failures == ["expectation", "invariant"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("compare", "scenarios/retries.yaml", "scenarios/retries.yaml", "-n", "2"),
        ("sweep", "scenarios/retries.yaml", "--set", "groups.deaf.users=20", "--replications", "2"),
    ],
)
def test_no_table_is_made_of_what_breaks_what_must_hold(words: tuple[str, ...], folder: Path) -> None:
    done = python(folder, "chatsim", *words, "--jobs", "1")
    assert done.returncode == 1, done.stderr
    assert re.search(
        r"chatsim: Replication \d of retries \(seed \d+\) breaks what must hold: given_up at ", done.stderr
    )


def test_what_is_required_is_no_longer_shown_and_the_gap_says_why(folder: Path) -> None:
    done = python(folder, "chatsim", "requirements", "scenarios/retries.yaml", "--on", "sim", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    (gap,) = {gap for gap in document["gaps"] if gap.startswith("retries does not hold on sim, fail: ")}
    assert f"{RETRIES}: observed 80" in gap
    assert "invariant given_up: does not hold at" in gap
