"""The built wheel, installed where no checkout is: the command works, and brings the shipped scenarios along.

Nothing is fetched: the wheel is built by what is installed here. The environment that it is installed into is empty but
for what it depends on, and what that depends on in turn, each of which is lent to it by a link. Whatever else stands
beside the checkout, and the checkout itself, is not there: what the wheel does not name, it cannot import.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import venv
import zipfile
from email import message_from_string
from importlib import metadata
from pathlib import Path

import pytest

# It comes with pytest.
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chatsim.cli.version import __version__

TOP = Path(__file__).parents[1]
PATIENCE_S = 300.0
LOOK_S = 0.01
"""How often a file is looked for that another process writes."""

pytestmark = pytest.mark.slow


def surroundings() -> dict[str, str]:
    """Nothing of this checkout, and nothing of what a CI system tells its steps."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GITHUB_"))}


def done(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command's end, with nothing of this checkout in its way."""
    return subprocess.run(
        words, cwd=cwd, env=surroundings(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words: list[str | Path] = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", folder]
    made = done(sys.executable, "-m", "pip", "wheel", *words, TOP, cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    (found,) = folder.glob("chatsim-*.whl")
    return found


def wanted(requirements: list[str], extras: set[str]) -> list[Requirement]:
    """Those of them that count here, where these extras are asked for."""
    found = [Requirement(text) for text in requirements]
    asked = {"", *extras}
    return [each for each in found if each.marker is None or any(each.marker.evaluate({"extra": of}) for of in asked)]


def dependencies(wheel: Path) -> dict[str, metadata.Distribution]:
    """What the wheel asks for, and what that asks for in turn, as it is installed here."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = message_from_string(archive.read(name).decode())
    asked = wanted(told.get_all("Requires-Dist", []), set())
    found: dict[str, metadata.Distribution] = {}
    known: set[tuple[str, frozenset[str]]] = set()
    while asked:
        each = asked.pop()
        name = canonicalize_name(each.name)
        if (name, frozenset(each.extras)) in known:
            continue
        known.add((name, frozenset(each.extras)))
        found[name] = metadata.distribution(each.name)
        asked += wanted(found[name].requires or [], each.extras)
    return found


def lend(distribution: metadata.Distribution, packages: Path) -> None:
    """Link what a distribution has put among the packages here, and no file that acts at every start."""
    assert distribution.files is not None, f"nobody knows what belongs to {distribution.name}"
    tops = {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}
    for top in sorted(tops):
        place = packages / top
        # Two may share a folder, such as `ruamel`.
        if not place.is_symlink() and not top.endswith(".pth"):
            place.symlink_to(Path(f"{distribution.locate_file(top)}"))


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment in which the wheel is installed, and what it depends on is lent."""
    folder = tmp_path_factory.mktemp("clean")
    builder = venv.EnvBuilder(with_pip=False, symlinks=True)
    builder.create(folder)
    commands = folder / "bin"
    words: list[str | Path] = ["install", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", wheel]
    made = done(sys.executable, "-m", "pip", "--python", commands / "python", *words, cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    for distribution in dependencies(wheel).values():
        lend(distribution, packages)
    return commands


def test_it_holds_the_package_and_every_scenario_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"chatsim/_scenarios/{path.relative_to(TOP / 'scenarios')}" for path in (TOP / "scenarios").rglob("*.*")}
    modules = {path.relative_to(TOP).as_posix() for path in (TOP / "chatsim").rglob("*.py")}
    assert shipped | modules <= names
    assert "chatsim/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"chatsim", f"chatsim-{__version__}.dist-info"}


def test_the_command_is_the_installed_one(clean: Path, tmp_path: Path) -> None:
    assert done(clean / "chatsim", "--version", cwd=tmp_path).stdout == f"{__version__}\n"


IMPORTED = """
import sys
import chatsim.cli.main, chatsim.explore.play, chatsim.live.server, chatsim.runner.validate, chatsim.sim.run
for name, module in sys.modules.items():
    if name.partition(".")[0] == "chatsim":
        print(module.__file__)
"""


def test_every_module_comes_from_the_wheel(clean: Path, tmp_path: Path) -> None:
    there = done(clean / "python", "-c", IMPORTED, cwd=tmp_path)
    assert there.returncode == 0, there.stderr
    files = there.stdout.splitlines()
    assert len(files) > 100
    (packages,) = clean.parent.glob("lib/python*/site-packages")
    assert {Path(file).is_relative_to(packages / "chatsim") for file in files} == {True}
    assert (packages / "chatsim").resolve().is_relative_to(packages.resolve()), "no link leads to the checkout"


def test_what_it_does_not_ask_for_is_not_there(clean: Path, wheel: Path, tmp_path: Path) -> None:
    code = "from importlib import metadata; print(*sorted({each.name for each in metadata.distributions()}), sep='\\n')"
    told = done(clean / "python", "-c", code, cwd=tmp_path)
    assert {canonicalize_name(name) for name in told.stdout.split()} == {"chatsim", *dependencies(wheel)}
    for module in ("pytest", "hypothesis", "httpx", "tests"):
        missing = done(clean / "python", "-c", f"import {module}", cwd=tmp_path)
        assert f"No module named '{module}'" in missing.stderr


def test_without_a_path_it_reads_and_plays_what_was_shipped(clean: Path, tmp_path: Path) -> None:
    count = len(list((TOP / "scenarios").rglob("*.yaml")))
    linted = done(clean / "chatsim", "lint", cwd=tmp_path)
    assert linted.returncode == 0, linted.stderr
    said, counted = linted.stderr.splitlines()
    assert said.startswith(f"chatsim: no path was given, so these are the shipped scenarios, of {clean.parent}")
    assert counted == f"{count} good scenarios, 0 errors"
    checked = done(clean / "chatsim", "check", "--on", "sim", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(json.loads(checked.stdout)["runs"]) == count


def test_a_name_plays_one_of_them_on_any_wire(clean: Path, tmp_path: Path) -> None:
    for wire in ("sim", "virtual"):
        checked = done(clean / "chatsim", "check", "retries", "limiter", "--on", wire, cwd=tmp_path)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(list((tmp_path / "results" / "runs").glob("*/*"))) == 4


def test_two_lines_fail_on_a_planted_regression_with_what_to_do(clean: Path, tmp_path: Path) -> None:
    text = (TOP / "scenarios" / "steady.yaml").read_text(encoding="utf-8")
    (tmp_path / "scenarios").mkdir()
    file = tmp_path / "scenarios" / "steady.yaml"
    slower = text.replace("p50(delivery_latency) <= 50ms", "p50(delivery_latency) <= 5ms")
    assert slower != text
    file.write_text(slower, encoding="utf-8")
    checked = done(clean / "chatsim", "check", "scenarios", "--junit", "out.xml", cwd=tmp_path)
    assert checked.returncode == 1
    written = (tmp_path / "out.xml").read_text(encoding="utf-8")
    for told in (checked.stderr, written):
        assert "again: chatsim run scenarios/steady.yaml --seed" in told


SMALL = """\
name: small
duration: 20s
groups:
  - name: people
    users: 4
    session_size: 2
    arrive_over: 10s
    messages: {arrivals: poisson, rate: 30/min}
    network: {latency: {exponential: {mean: 20ms}}}
events: [{at: AT, do: drop, group: people, count: 1}]
expect: [EXPECT]
"""

ENDS: dict[int, tuple[dict[str, str], tuple[str, ...], str]] = {
    0: ({}, (), "pass"),
    1: ({"EXPECT": "max(delivery_latency) <= 1ms"}, (), "small.yaml:11: max(delivery_latency) <= 1ms: observed "),
    # Two runs cannot tell.
    2: ({"EXPECT": "p50(delivery_latency) <= 34ms"}, ("--replications", "2"), "<= 34ms: inconclusive: observed "),
    3: ({"EXPECT": "lsot == 0"}, (), "small.yaml:11:10: expect[0]: unknown counter 'lsot' (did you mean lost?)"),
    # Nobody is there yet.
    4: ({"AT": "0s"}, (), "touched nobody"),
}
"""What ends with which code: the changes to the scenario, more words of the command, and what is said."""


@pytest.mark.parametrize("code", ENDS)
def test_each_exit_code_of_the_installed_command(code: int, clean: Path, tmp_path: Path) -> None:
    changes, words, said = ENDS[code]
    text = SMALL
    for word, value in ({"AT": "15s", "EXPECT": "lost == 0"} | changes).items():
        text = text.replace(word, value)
    (tmp_path / "small.yaml").write_text(text, encoding="utf-8")
    ended = done(clean / "chatsim", "check", "small.yaml", *words, cwd=tmp_path)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_installed_command_ends_with_130_where_it_is_interrupted(clean: Path, tmp_path: Path) -> None:
    text = SMALL.replace("duration: 20s", "duration: 30d").replace("AT", "15s").replace("EXPECT", "lost == 0")
    (tmp_path / "small.yaml").write_text(text, encoding="utf-8")
    words: list[str | Path] = [clean / "chatsim", "run", "small.yaml", "--junit", "out.xml"]
    runs = tmp_path / "results" / "runs" / "small"
    with subprocess.Popen(words, cwd=tmp_path, env=surroundings(), stderr=subprocess.PIPE, text=True) as running:
        try:
            gives_up_at = time.monotonic() + PATIENCE_S
            while not list(runs.glob(".*")):
                assert running.poll() is None, "it ended before its run began"
                assert time.monotonic() < gives_up_at, "its run has not begun"
                time.sleep(LOOK_S)
            # Not SIGINT, which a process in the background may have been told to ignore.
            running.send_signal(signal.SIGTERM)
            _, err = running.communicate(timeout=PATIENCE_S)
        finally:
            running.kill()
    assert running.returncode == 130, err
    assert err.splitlines()[-1] == "chatsim: interrupted"
    assert list(runs.iterdir()) == []
    assert "because the command was interrupted" in (tmp_path / "out.xml").read_text(encoding="utf-8")
