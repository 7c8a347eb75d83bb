"""The file of the log: made once, counted once a start, and never half of a version."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from chatsim.errors import UsageError
from chatsim.live import sqlite_schema
from chatsim.live.sqlite_schema import VERSION, migrate


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def version(database: sqlite3.Connection) -> int:
    (found,) = database.execute("PRAGMA user_version").fetchone()
    return int(found)


def test_an_empty_file_becomes_todays_and_each_start_is_one_life_more(tmp_path: Path) -> None:
    for life in (1, 2, 3):
        database = opened(tmp_path / "log")
        assert migrate(database) == life
        assert version(database) == VERSION
        database.close()


def test_an_older_file_is_brought_up_and_keeps_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = opened(tmp_path / "log")
    migrate(database)
    database.execute("INSERT INTO sessions (name, epoch, seq) VALUES ('s', 1, 5)")
    newer = (*sqlite_schema._VERSIONS, ("ALTER TABLE sessions ADD COLUMN topic TEXT",))
    monkeypatch.setattr(sqlite_schema, "_VERSIONS", newer)
    monkeypatch.setattr(sqlite_schema, "VERSION", len(newer))
    assert migrate(database) == 2
    assert version(database) == len(newer)
    assert database.execute("SELECT name, seq, topic FROM sessions").fetchall() == [("s", 5, None)]


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = opened(tmp_path / "log")
    migrate(database)
    broken = (*sqlite_schema._VERSIONS, ("ALTER TABLE sessions ADD COLUMN topic TEXT", "no SQL at all"))
    monkeypatch.setattr(sqlite_schema, "_VERSIONS", broken)
    monkeypatch.setattr(sqlite_schema, "VERSION", len(broken))
    with pytest.raises(sqlite3.Error):
        migrate(database)
    database.close()
    again = opened(tmp_path / "log")
    assert version(again) == VERSION
    assert "topic" not in {row[1] for row in again.execute("PRAGMA table_info(sessions)")}


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    database = opened(tmp_path / "log")
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(UsageError, match="newer chatsim"):
        migrate(database)
