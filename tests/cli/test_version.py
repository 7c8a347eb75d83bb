"""The version stands in one place and is one that packaging tools understand."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.version import Version

from chatsim.cli.version import __version__

ROOT = Path(__file__).parents[2]


def test_the_version_is_well_formed() -> None:
    assert str(Version(__version__)) == __version__


def test_the_project_reads_it_from_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "chatsim/cli/version.py"


def test_the_changelog_knows_it() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
