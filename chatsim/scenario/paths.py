"""What stands at a path, asked so that nothing is raised.

Decides that what the system lets nobody look at (a folder without permission, a name that is too long) counts as not
being there. Rule: whoever then opens it gets the reason, and says it with the path. `Path.exists` and its like raise
here.
"""

from __future__ import annotations

from pathlib import Path


def exists(path: Path) -> bool:
    """Whether something is there."""
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder is there, or a link to one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_link(path: Path) -> bool:
    """Whether a link is there, wherever it leads."""
    try:
        return path.is_symlink()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there, or a link to one."""
    try:
        return path.is_file()
    except OSError:
        return False
