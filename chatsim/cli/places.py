"""Whether something can be written where a person wants it, found out before the work that leads to it.

Rule: looking leaves nothing behind, not even the folders that would be made; what cannot be written is one sentence
with the flag that named it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from chatsim.errors import UsageError


def check_folder(folder: Path, flag: str) -> None:
    """Raises UsageError where no file can be made in this folder, which need not be there yet."""
    try:
        _try_folder(folder)
    except OSError as problem:
        raise _refusal(folder, problem, f"name another folder with {flag}") from problem


def check_file(file: Path, flag: str) -> None:
    """Raises UsageError where this file can neither be made nor written anew."""
    try:
        if file.exists():
            with file.open("ab"):
                pass
        else:
            _try_folder(file.parent)
    except OSError as problem:
        raise _refusal(file, problem, f"name another file with {flag}") from problem


def _try_folder(folder: Path) -> None:
    """Make a file without a name in it, or in what is there of the way to it."""
    while not folder.exists():
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder):
        pass


def _refusal(place: Path, problem: OSError, cure: str) -> UsageError:
    return UsageError(f"cannot write to {place} ({problem.strerror or problem}): {cure}")
