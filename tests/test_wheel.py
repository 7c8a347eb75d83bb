"""The built wheel, installed where no checkout is: the command works, and brings the shipped scenarios along.

Nothing is fetched: the wheel is built by what is installed here, and what it depends on is lent to the clean
environment, in which only chatsim is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from chatsim.cli.version import __version__

TOP = Path(__file__).parents[1]
PATIENCE_S = 300.0

pytestmark = pytest.mark.slow


def done(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command's end, with nothing of this checkout in its way."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GITHUB_"))}
    return subprocess.run(words, cwd=cwd, env=clean, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words: list[str | Path] = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", folder]
    made = done(sys.executable, "-m", "pip", "wheel", *words, TOP, cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    (found,) = folder.glob("chatsim-*.whl")
    return found


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment in which the wheel is installed, and borrows what it depends on."""
    folder = tmp_path_factory.mktemp("clean")
    builder = venv.EnvBuilder(with_pip=False, symlinks=True)
    builder.create(folder)
    commands = folder / "bin"
    words: list[str | Path] = ["install", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", wheel]
    made = done(sys.executable, "-m", "pip", "--python", commands / "python", *words, cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    # A path that is lent by a file like this comes after the environment's own.
    lent = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "lent.pth").write_text("\n".join(lent) + "\n", encoding="utf-8")
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
    where = done(clean / "python", "-c", "import chatsim; print(chatsim.__file__)", cwd=tmp_path).stdout
    assert Path(where).is_relative_to(clean.parent)


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
    assert "again: chatsim run scenarios/steady.yaml --seed" in written
