"""Invariant: `import chatsim` is light, and what it offers is there when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import chatsim

HEAVY = ("uvicorn", "starlette", "uvloop", "simpy", "numpy", "pandas", "pydantic", "jwt", "typer")


def loaded(code: str) -> set[str]:
    """The modules that are there after this code, in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_to_import_it_costs_nothing() -> None:
    assert not {"asyncio", "ssl", "websockets", "msgspec", *HEAVY} & loaded("import chatsim")


def test_the_client_library_brings_no_server() -> None:
    found = loaded("import chatsim; chatsim.connect")
    assert "chatsim.live.chat" in found
    assert not {"chatsim.live.server", *HEAVY} & found


def test_a_notebook_gets_what_it_asks_for() -> None:
    assert "pandas" in loaded("import chatsim; chatsim.simulate")
    assert "matplotlib" not in loaded("import chatsim; chatsim.simulate")
    assert "matplotlib" in loaded("import chatsim; chatsim.pictures.ecdf")


def test_everything_that_it_names_is_there() -> None:
    assert all(getattr(chatsim, name).__name__ for name in chatsim.__all__ if name != "Event")
    assert set(chatsim.__all__) <= set(dir(chatsim))


def test_no_name_is_hidden_by_a_package_of_that_name() -> None:
    folders = {path.parent.name for path in Path(chatsim.__file__).parent.glob("*/__init__.py")}
    assert not folders & set(chatsim.__all__)


def test_what_it_does_not_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        chatsim.nonsense  # noqa: B018
