"""What stands at a path, asked so that nothing is raised.

Decides that what the system lets nobody look at (a folder without permission, a name that is too long) counts as not
being there. Rule: whoever then opens it gets the reason, and says it with the path. `Path.exists` and its like raise
here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def exists(path: Path) -> bool:
    """Whether something is there."""
    return _is(path.exists)


def is_folder(path: Path) -> bool:
    """Whether a folder is there, or a link to one."""
    return _is(path.is_dir)


def is_link(path: Path) -> bool:
    """Whether a link is there, wherever it leads."""
    return _is(path.is_symlink)


def is_file(path: Path) -> bool:
    """Whether a file is there, or a link to one."""
    return _is(path.is_file)


def _is(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except OSError:
        return False
