"""The doors: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("simpy", "pandas", "matplotlib", "uvicorn", "asyncio", "websockets", "pydantic", "jwt", "cryptography")


@pytest.mark.parametrize("module", ["chatsim.cli.main", "chatsim.cli.doors"])
def test_the_command_starts_without_the_heavy_parts(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
