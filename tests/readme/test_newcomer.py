"""What the README has a newcomer do first is done, in a copy of the checkout: with make, and without it.

What is installed comes from the registry, as hers does. Where that cannot be reached, pip finds what stands here as
installed already: then all is proven but that the registry has it. Each step has its time.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsim.cli.output import COLUMNS
from tests.readme.showing import APART, README, TOP, blocks

STEP_S = 900.0
"""No step takes longer, an installation from afar on a slow line included."""

TEXT = README.read_text(encoding="utf-8")
HERE = Path(sys.executable).parent
"""The commands of the environment that runs this: its `python3` is 3.11 or newer."""

MADE = (".git", ".venv", "build", "runs", "found", "sweeps", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
"""What is no part of a fresh checkout."""

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of this one as it is fetched, with nothing installed."""
    copy = tmp_path / "chatsim"
    shutil.copytree(TOP, copy, ignore=shutil.ignore_patterns(*MADE))
    yield copy
    # With an environment of its own it is larger than all else that tests leave.
    shutil.rmtree(copy)


def done(command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell to its end, with nothing of this checkout, or of what runs its tests, in its way."""
    foreign = ("PYTHON", "PYTEST", "COVERAGE", "MAKE", "GITHUB_", "VIRTUAL_ENV")
    there = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    there |= {"PATH": f"{HERE}{os.pathsep}{there['PATH']}", **more}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=there, capture_output=True, text=True, timeout=STEP_S, check=False
    )


def check_demonstration(ended: subprocess.CompletedProcess[str]) -> None:
    """It has shown what the README shows of it; of real sockets a machine that is too busy has no verdict."""
    said = ended.stdout + ended.stderr
    rows = [row for line in ended.stdout.splitlines() if len(row := APART.split(line.strip())) == len(COLUMNS)]
    assert {row[-1] for row in rows if row[1] == "sim"} == {"pass"}, said
    assert ended.returncode == 0 or any(row[1] == "live" and row[-1] != "pass" for row in rows), said
    for line in blocks(TEXT, "")[0].splitlines()[1:]:
        shown = APART.split(line.strip())
        assert shown in rows if shown[1] == "sim" else shown[:3] in [row[:3] for row in rows], said


def test_make_run_plays_the_demonstration(checkout: Path) -> None:
    # Of what make would install is taken what is installed, and of chatsim the copy.
    (checkout / ".venv").symlink_to(sys.prefix)
    check_demonstration(done("make --silent -o .venv/.installed run", checkout, PYTHONPATH=f"{checkout}"))
    assert list((checkout / "results" / "runs").glob("tls-everywhere/*-live-*"))


def is_at_hand(registry: Path) -> bool:
    """Whether pip, which is asked for one small package, gets anything from where it would get the rest."""
    words = "--quiet --no-deps --retries 0 --timeout 15 --dest build/asked hatchling"
    return done(f".venv/bin/pip download {words}", registry).returncode == 0


def lend(checkout: Path) -> None:
    """Have the copy's environment find what is installed here, behind what is its own."""
    (packages,) = checkout.glob(".venv/lib/python*/site-packages")
    (packages / "zz-lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    for command in ("ruff", "mypy", "lint-imports"):
        (checkout / ".venv" / "bin" / command).symlink_to(HERE / command)


def test_the_lines_without_make_do_what_they_say(checkout: Path) -> None:
    (block,) = [block for block in blocks(TEXT, "sh") if "python3 -m venv" in block]
    run, test = (line.split(" && ") for line in block.splitlines())

    def succeeds(step: str) -> str:
        ended = done(step, checkout)
        assert ended.returncode == 0, f"{step}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    make, install, demonstration = run
    succeeds(make)
    offline = ""
    if not is_at_hand(checkout):
        lend(checkout)
        offline = " --no-index --no-build-isolation"
    succeeds(install + offline)
    where = succeeds(".venv/bin/python -c 'import chatsim; print(chatsim.__file__)'")
    assert Path(where.strip()) == checkout / "chatsim" / "__init__.py"
    check_demonstration(done(demonstration, checkout))

    again, install, *checks, tests = test
    assert again == make
    succeeds(install + offline)
    for step in checks:
        succeeds(step)
    # All of them are what runs this test: here they are found, each with what it imports, and a few are run.
    assert shlex.split(tests)[1:3] == ["-m", "pytest"]
    succeeds(f"{tests} --collect-only")
    succeeds(f"{tests} tests/core/test_limiter.py")
