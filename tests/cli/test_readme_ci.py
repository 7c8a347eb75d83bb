"""What the README says about CI is so: its commands pass, and fail on a planted regression with the line it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

TOP = Path(__file__).parents[2]
README = (TOP / "chatsim" / "README.md").read_text(encoding="utf-8")
SCENARIO = (TOP / "README.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
SECTION = README.partition("\n## In CI\n")[2].partition("\n## ")[0]
PATIENCE_S = 240.0

pytestmark = pytest.mark.slow
"""Each is a pytest session or a command of its own, and some start processes besides."""

PYTEST = (sys.executable, "-m", "pytest", "-p", "no:chatsim", "-p", "chatsim.pytest_plugin", "-p", "no:cacheprovider")
"""The plugin of this tree, whatever is installed."""


def blocks(kind: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
    return [text for of, text in found if of == kind]


COMMANDS = [words for line in blocks("sh")[0].splitlines() if (words := shlex.split(line, comments=True))]


def at_a_desk() -> dict[str, str]:
    """Nothing of what a CI system tells its steps: what is shown comes everywhere."""
    return {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("GITHUB_")}


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("chatsim")] if words[0] == "chatsim" else PYTEST
    return subprocess.run(
        [*command, *words[1:]],
        cwd=folder,
        env=at_a_desk(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a scenario stands that takes next to no time."""
    (tmp_path / "scenarios").mkdir()
    text = SCENARIO.replace("2min", "90s").replace("users: 40", "users: 12")
    assert "p95(delivery_latency) <= 100ms" in text
    (tmp_path / "scenarios" / "after-lunch.yaml").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS, ids=shlex.join)
def test_each_command_passes(words: list[str], folder: Path) -> None:
    done = run(words, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    written = [name for name in words if name.startswith("out.")]
    assert all((folder / name).read_text(encoding="utf-8") for name in written)


def test_a_baseline_is_saved_and_compared_as_is_shown(folder: Path) -> None:
    commands = [shlex.split(line, comments=True) for line in blocks("sh")[1].splitlines()]
    assert [words[1:3] for words in commands] == [["baseline", "save"], *[["baseline", "compare"]] * 2]
    for words in commands:
        done = run(words, folder)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("words", [COMMANDS[0], COMMANDS[2]], ids=shlex.join)
def test_a_planted_regression_fails_with_the_line_that_is_shown(words: list[str], folder: Path) -> None:
    file = folder / "scenarios" / "after-lunch.yaml"
    slow = file.read_text(encoding="utf-8").replace("median: 15ms, p99: 45ms", "median: 60ms, p99: 90ms")
    file.write_text(slow, encoding="utf-8")
    done = run(words, folder)
    assert done.returncode == 1
    places = [done.stdout]
    if "--junit" in words:
        (failure,) = ElementTree.parse(folder / "out.xml").iter("failure")
        places = [done.stderr, f"{failure.text}"]
    (shown,) = blocks("")
    # Whatever was observed this time.
    form = re.sub(
        r"observed \d+|n \d+",
        lambda match: match[0].split()[0] + " [0-9.]+",
        re.escape(shown.strip()).replace("\\ ", " "),
    )
    for told in places:
        assert re.search(rf"^{form}$", told, re.MULTILINE), told


def test_the_tests_that_are_shown_pass(folder: Path) -> None:
    (folder / "test_mine.py").write_text(blocks("python")[0], encoding="utf-8")
    done = run(["pytest", "test_mine.py"], folder)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
