"""The plugin as it is installed: on by itself, light, and without a trace where there are no scenarios."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.pytest_plugin.sessions import outside, write

ROOT = Path(__file__).parents[2]
HEAVY = {"numpy", "pandas", "pydantic", "simpy", "ruamel", "msgspec", "uvloop", "uvicorn", "typer", "joblib", "jwt"}


def entry_points() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = project["entry-points"]["pytest11"]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def installed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that says what this project says of itself, whatever is installed here."""
    told = pytester.path / "site" / "chatsim_told-1.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: chatsim-told\nVersion: 1\n", encoding="utf-8")
    lines = "\n".join(f"{name} = {place}" for name, place in entry_points().items())
    (told / "entry_points.txt").write_text(f"[pytest11]\n{lines}\n", encoding="utf-8")
    (told / "RECORD").write_text("chatsim/__init__.py,,\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{told.parent}:{ROOT}")


@pytest.mark.usefixtures("installed")
def test_it_is_on_by_itself_where_chatsim_is_installed(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
    assert pytester.runpytest_subprocess("-p", "no:chatsim").ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.usefixtures("installed")
def test_who_imported_chatsim_before_is_not_warned(pytester: pytest.Pytester) -> None:
    write(pytester.path, "small", "lost == 0")
    code = "import chatsim, pytest, sys; sys.exit(pytest.main(['-W', 'error', '-p', 'no:cacheprovider']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=pytester.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_to_import_it_costs_nothing() -> None:
    code = "import pytest, sys; before = set(sys.modules); import chatsim.pytest_plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_without_a_scenario_nothing_is_imported_and_nothing_changes(pytester: pytest.Pytester) -> None:
    (pytester.path / "other.yaml").write_text("name: x\njobs: []\n", encoding="utf-8")
    pytester.makepyfile(f"import sys\ndef test_mine(): assert not {HEAVY} & set(sys.modules)")
    # anyio and hypothesis are plugins of others, and import what they like.
    words = ("-p", "no:anyio", "-p", "no:hypothesispytest", "-p", "no:xdist", "-W", "error", "--strict-markers")
    result = outside(pytester, *words)
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*chatsim*")


def test_the_workers_leave_nothing_behind(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", f"{temporary}")
    write(pytester.path, "small", "lost == 0", "sent >= 1")
    outside(pytester, "-n", "2", "small.yaml").assert_outcomes(passed=3)
    assert [path.name for path in temporary.iterdir() if path.name.startswith("chatsim")] == []
