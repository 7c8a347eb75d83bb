"""How fast the disk is just now: the same few commits, whenever somebody wants to know.

Decides what is committed, and how far apart. Rule: it is what a server's log does with one message, in a database of
the same settings, so that whatever makes a commit slower there makes this one slower. What follows is left to who asks.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chatsim.errors import HarnessError
from chatsim.live.sqlite_log import opened

COMMITS: Final = 200
"""So many tell the 95th percentile, and with those of a few runs the 99th."""

REST_S: Final = 0.004
"""A commit right after another is quicker than those of people who talk (s)."""

BODY: Final = b"x" * 200


def commits_s(folder: Path, count: int = COMMITS, rest: Callable[[float], object] = time.sleep) -> list[float]:
    """How long so many commits of one row took, each after a rest, on the disk of `folder` (s).

    Raises HarnessError where nothing can be written there.
    """
    took = []
    try:
        with tempfile.TemporaryDirectory(prefix=".chatsim-disk-", dir=folder) as name:
            database = opened(Path(name) / "reference.db")
            try:
                database.execute("CREATE TABLE said (number INTEGER PRIMARY KEY, body BLOB)")
                for _ in range(count):
                    rest(REST_S)
                    began = time.perf_counter()
                    database.execute("INSERT INTO said (body) VALUES (?)", (BODY,))
                    took.append(time.perf_counter() - began)
            finally:
                database.close()
    except (OSError, sqlite3.Error) as problem:
        raise HarnessError(f"How fast the disk of {folder} is cannot be told: {problem}.") from problem
    return took
