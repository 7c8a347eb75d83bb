"""The tables of the log that lasts, and how an older file becomes one of today's.

Decides the schema and its version. Rule: each version has one migration from the one before, run in one transaction
with the new number, so that a file is always of one version whole; a file of a newer version is refused.
"""

from __future__ import annotations

import sqlite3

from chatsim.errors import UsageError

_VERSIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE lives (number INTEGER PRIMARY KEY)",
        "CREATE TABLE sessions (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
        " expires_at REAL, lasting INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0)",
        "CREATE TABLE participants (session TEXT NOT NULL, user TEXT NOT NULL, UNIQUE (session, user))",
        "CREATE TABLE positions (session TEXT NOT NULL, user TEXT NOT NULL, seq INTEGER NOT NULL,"
        " UNIQUE (session, user))",
        "CREATE TABLE messages (number INTEGER PRIMARY KEY, session TEXT NOT NULL, epoch INTEGER NOT NULL,"
        " seq INTEGER NOT NULL, sender TEXT NOT NULL, conn TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,"
        " sent_at REAL NOT NULL, UNIQUE (session, epoch, seq))",
        "CREATE INDEX messages_by_age ON messages (sent_at)",
        "CREATE TABLE revoked (jti TEXT, user TEXT, at REAL NOT NULL)",
    ),
    ("ALTER TABLE sessions ADD COLUMN opener TEXT",),
    # Messages of before have ids without a life.
    ("ALTER TABLE messages ADD COLUMN life INTEGER NOT NULL DEFAULT 0",),
    # As JSON, null where there are none, which is nearly always.
    ("ALTER TABLE positions ADD COLUMN starts TEXT",),
    # What the limiter still counts of messages that are gone.
    ("CREATE TABLE spent (user TEXT NOT NULL, sent_at REAL NOT NULL)",),
)
"""Entry n makes version n + 1 out of version n; version 0 is the empty file."""

VERSION = len(_VERSIONS)


def migrate(database: sqlite3.Connection) -> int:
    """Bring the file to today's version, and count one life more; returns how many it has had.

    Raises UsageError for a file of a newer version, sqlite3.Error where the file cannot be read or written.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise UsageError(
            f"The log was written by a newer chatsim (version {version}, this one knows {VERSION}): upgrade chatsim, "
            "or give another folder with --data."
        )
    for number in range(version, VERSION):
        database.execute("BEGIN IMMEDIATE")
        for statement in _VERSIONS[number]:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {number + 1}")
        database.execute("COMMIT")
    with_number = database.execute("INSERT INTO lives DEFAULT VALUES RETURNING number").fetchone()
    return int(with_number[0])
