"""The log that lasts: one SQLite file, committed before anything is acked, many messages to a commit.

Decides the order of a session (`seq` 1, 2, 3 ... within an epoch), and when a record counts as stored: when the commit
that holds it has returned, with `synchronous=FULL`, so that not even a power cut takes it back.
A thread of its own writes: what comes while a commit is under way goes into the next one together (group commit), and
the answers come back to the loop in the order of the records.
Rule: what could not be committed has no seq, and is answered as failed; facts wait and are tried again, and which are
lost at the end is told.
What is stored is said by the handler, what a snapshot means by the handler that takes it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, NamedTuple, TypeAlias

import msgspec

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Record
from chatsim.core.facts import Added, Ended, Fact, Made, Parted, Position, Removed, Revoked, Starts
from chatsim.core.service import SERVER
from chatsim.core.snapshot import SessionState, Snapshot
from chatsim.errors import UsageError
from chatsim.live.log import LATER
from chatsim.live.sqlite_schema import migrate

FILE = "chat.sqlite3"
LOCK = "lock"

BATCH_MAX = 2_000
"""Records and facts in one commit, at most."""

WAITING_MAX = 20_000
"""Records that may wait for a commit; the next is refused at once, since it could not be answered in time."""

FACTS_MAX = 100_000
"""Facts that may wait for a disk that takes nothing; beyond it the oldest positions are forgotten, which costs a
repetition, and nothing else is."""

BUSY_S = 1.0
"""How long somebody else may hold the file before a commit fails."""

LAST_S = 2.5
"""How long the log tries at its end to write facts that no commit has taken yet, the last try included."""

RETRY_S = 0.05
"""How long it waits between two of these tries: a full disk refuses at once."""

PRUNE_S = 3600.0
"""How often messages older than `history_for` are removed, at least."""

Answered: TypeAlias = Callable[[list[Record], list[Record]], None]
"""Told in the loop's thread what was stored and what could not be, each in order."""


class _Prune(msgspec.Struct, frozen=True):
    """An order to the writer: remove what was sent before this moment (wall time, s)."""

    before: float


class _Ask(msgspec.Struct, frozen=True):
    """Somebody who waits until every fact before is stored."""

    answered: Callable[[bool], None]


_Work: TypeAlias = "Record | Fact | _Ask | _Prune | threading.Event | None"


class _Turn(NamedTuple):
    """What the writer does next: one commit, then answers, then the rest."""

    batch: list[Record | Fact]
    asks: list[_Ask]
    prunes: list[_Prune]
    signals: list[threading.Event]


class SqliteLog:
    """One log in one folder. Used from the loop's thread; a thread of its own writes.

    `life` counts the starts of this log, this one included.
    """

    def __init__(
        self, folder: Path, *, answer_in: Callable[[Callable[[], None]], object], rate_window_s: float = 60.0
    ) -> None:
        """Open it, or make it; `answer_in(call)` has a call made in the loop's thread (`loop.call_soon_threadsafe`).

        That somebody said something is remembered for `rate_window_s`, even if what she said goes before.

        Raises UsageError where the folder cannot be written, is in use, or was made by a newer chatsim.
        """
        self._answer_in = answer_in
        self._answered: Answered = lambda stored, failed: None
        self._work: SimpleQueue[_Work] = SimpleQueue()
        self._waiting = 0
        self._lost: list[Fact] = []
        self._path = folder / FILE
        self._lock = _locked(folder)
        try:
            self._reader = opened(self._path)
            self.life = migrate(self._reader)
        except sqlite3.Error as problem:
            self._lock.close()
            raise UsageError(
                f"The log {self._path} cannot be opened ({problem}): give another folder with --data."
            ) from problem
        except UsageError:
            self._lock.close()
            raise
        self._writer = _Writer(opened(self._path), self.life, rate_window_s)
        self._thread = threading.Thread(target=self._write_until_told, name="chatsim-log", daemon=True)

    def start(self, answered: Answered) -> None:
        """Begin to write; `answered` hears what became of each record."""
        self._answered = answered
        self._thread.start()

    # What the driver asks for.

    def append(self, record: Record) -> Record | None:
        """Have the record stored: `LATER`, or None where so many wait already that it is refused."""
        if self._waiting >= WAITING_MAX:
            return None
        self._waiting += 1
        self._work.put(record)
        return LATER

    def note(self, fact: Fact) -> None:
        """Have the fact stored, behind what was appended before it."""
        self._work.put(fact)

    def settled(self, answered: Callable[[bool], None]) -> None:
        """Have it told whether all facts so far are stored: after the commit that holds the last of them."""
        self._work.put(_Ask(answered))

    def prune(self, before: float) -> None:
        """Have messages removed that were sent before this moment (wall time, s)."""
        self._work.put(_Prune(before))

    def history(self, session: str, after: int, limit: int) -> list[Record]:
        """Stored messages of the session's present epoch with a seq above `after`, oldest first."""
        rows = self._reader.execute(
            f"SELECT {_COLUMNS} FROM messages JOIN sessions ON sessions.name = messages.session"
            " AND sessions.epoch = messages.epoch WHERE session = ? AND messages.seq > ? ORDER BY messages.seq LIMIT ?",
            (session, after, limit),
        )
        return [_record(row) for row in rows]

    def newest_epoch(self) -> int:
        """The highest epoch that any session has had."""
        (found,) = self._reader.execute("SELECT coalesce(max(epoch), 0) FROM sessions").fetchone()
        return int(found)

    def snapshot(self, config: HandlerConfig, wall: float) -> Snapshot:
        """What a handler that begins now has to know; `wall` is now, in seconds since the Unix epoch."""
        kept_since = wall - max(config.retention_s, config.dedupe_for_s)
        database = self._reader
        participants: dict[str, list[str]] = {}
        for session, user in database.execute("SELECT session, user FROM participants ORDER BY rowid"):
            participants.setdefault(session, []).append(user)
        positions: dict[str, list[tuple[str, int]]] = {}
        starts: dict[str, list[tuple[str, Starts]]] = {}
        for session, user, seq, begun in database.execute(
            "SELECT session, user, seq, starts FROM positions ORDER BY rowid"
        ):
            positions.setdefault(session, []).append((user, seq))
            if begun is not None:
                starts.setdefault(session, []).append((user, msgspec.json.decode(begun, type=Starts)))
        records: dict[str, list[Record]] = {}
        for row in database.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE sent_at > ? ORDER BY number", (kept_since,)
        ):
            records.setdefault(row[0], []).append(_record(row))
        sessions = tuple(
            SessionState(
                name,
                epoch,
                seq,
                tuple(participants.get(name, ())),
                expires_at,
                tuple(positions.get(name, ())),
                tuple(record for record in records.get(name, ()) if record.epoch == epoch),
                bool(lasting),
                opener,
                tuple(starts.get(name, ())),
            )
            for name, epoch, seq, expires_at, lasting, opener in database.execute(
                "SELECT name, epoch, seq, expires_at, lasting, opener FROM sessions WHERE NOT ended ORDER BY rowid"
            )
        )
        revoked = tuple(Revoked(*row) for row in database.execute("SELECT jti, user, at FROM revoked ORDER BY rowid"))
        said = database.execute(
            "SELECT sender, sent_at FROM messages WHERE sent_at > :since AND sender != :server"
            " UNION ALL SELECT user, sent_at FROM spent WHERE sent_at > :since ORDER BY sent_at",
            {"since": wall - config.rate_window_s, "server": SERVER},
        ).fetchall()
        return Snapshot(sessions, revoked, tuple(said))

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was asked for so far is written, at most so long; whether it is."""
        done = threading.Event()
        self._work.put(done)
        return done.wait(timeout_s)

    def close(self) -> list[Fact]:
        """Write what is left, and let the folder go; the facts that could not be written within `LAST_S`."""
        if self._thread.is_alive():
            self._work.put(None)
            self._thread.join()
        self._reader.close()
        self._lock.close()
        return self._lost

    # The writer's thread.

    def _write_until_told(self) -> None:
        writer = self._writer
        waiting: list[Fact] = []
        ended = False
        while not ended:
            turn, ended = self._next(waiting)
            stored, failed, waiting = writer.commit(turn.batch)
            if stored or failed or turn.asks:
                self._answer_in(
                    lambda stored=stored, failed=failed, asks=turn.asks, settled=not waiting: self._answer(  # type: ignore[misc]
                        stored, failed, asks, settled
                    )
                )
            for prune in turn.prunes:
                writer.prune(prune.before)
            for signal in turn.signals:
                signal.set()
        self._lost = _tried_again(writer, waiting)
        writer.close()

    def _next(self, first: list[Fact]) -> tuple[_Turn, bool]:
        """Everything that waits, once something does, and whether it is the end; `first` are facts that an earlier
        commit did not take."""
        turn = _Turn(list(first), [], [], [])
        # Facts alone that failed are tried again a while later, or with whatever comes first.
        try:
            item = self._work.get(timeout=BUSY_S if first else None)
        except Empty:
            return turn, False
        while True:
            if item is None:
                return turn, True
            if isinstance(item, threading.Event):
                turn.signals.append(item)
            elif isinstance(item, _Prune):
                turn.prunes.append(item)
            elif isinstance(item, _Ask):
                turn.asks.append(item)
            else:
                turn.batch.append(item)
            if len(turn.batch) >= BATCH_MAX + len(first):
                return turn, False
            try:
                item = self._work.get_nowait()
            except Empty:
                return turn, False

    def _answer(self, stored: list[Record], failed: list[Record], asks: Sequence[_Ask], settled: bool) -> None:
        self._waiting -= len(stored) + len(failed)
        if stored or failed:
            self._answered(stored, failed)
        for ask in asks:
            ask.answered(settled)


class _Writer:
    """The writing side: its own connection, and the newest place of each session."""

    def __init__(self, database: sqlite3.Connection, life: int, rate_window_s: float) -> None:
        self._database = database
        self._life = life
        self._rate_window_s = rate_window_s
        self._places: dict[str, tuple[int, int]] = {}
        # Places as they were before the batch, of those sessions that it has touched.
        self._undo: dict[str, tuple[int, int] | None] = {}
        (self._number,) = database.execute("SELECT coalesce(max(number), 0) FROM messages").fetchone()

    def commit(self, batch: list[Record | Fact]) -> tuple[list[Record], list[Record], list[Fact]]:
        """One transaction: records stored, records that failed, and facts that must be tried again."""
        if not batch:
            return [], [], []
        self._undo, number = {}, self._number
        stored: list[Record] = []
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for item in batch:
                if isinstance(item, Record):
                    stored.append(self._store(item))
                else:
                    self._keep(item)
            self._database.execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            self._forget_batch()
            self._number = number
            records = [item for item in batch if isinstance(item, Record)]
            return [], records, _bounded([item for item in batch if not isinstance(item, Record)])
        return stored, [], []

    def _forget_batch(self) -> None:
        for session, place in self._undo.items():
            if place is None:
                self._places.pop(session, None)
            else:
                self._places[session] = place

    def _set(self, session: str, place: tuple[int, int]) -> None:
        self._undo.setdefault(session, self._places.get(session))
        self._places[session] = place

    def prune(self, before: float) -> None:
        """Remove old messages, and what is left of ended sessions; where the file cannot be written now, the next time
        will do."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._let_go("sent_at < ?", before)
            self._database.execute(
                "DELETE FROM spent WHERE sent_at < (SELECT max(sent_at) FROM spent) - ?", (self._rate_window_s,)
            )
            # Whoever opens and ends sessions all day fills no disk. That the newest epoch is remembered is enough: the
            # handler gives a name that is used anew a newer one.
            self._database.execute("DELETE FROM sessions WHERE ended AND epoch < (SELECT max(epoch) FROM sessions)")
            self._database.execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    def close(self) -> None:
        self._database.close()

    def _place(self, session: str, epoch: int) -> tuple[int, int]:
        """Epoch and newest seq of the session; it is made if it is not there, and begins anew in a newer epoch."""
        # Seqs count within epochs from 1 on; a record that names none is in the session's present one.
        epoch = max(epoch, 1)
        place = self._places.get(session)
        if place is not None and place[0] >= epoch:
            return place
        row = self._database.execute("SELECT epoch, seq, ended FROM sessions WHERE name = ?", (session,)).fetchone()
        if row is None:
            place = (epoch, 0)
            self._database.execute("INSERT INTO sessions (name, epoch, seq) VALUES (?, ?, 0)", (session, epoch))
        elif row[2] or row[0] < epoch:
            place = (max(epoch, row[0] + 1 if row[2] else 0), 0)
            self._database.execute(
                "UPDATE sessions SET epoch = ?, seq = 0, ended = 0, lasting = 0, expires_at = NULL, opener = NULL"
                " WHERE name = ?",
                (place[0], session),
            )
        else:
            place = (row[0], row[1])
        self._set(session, place)
        return place

    def _store(self, record: Record) -> Record:
        epoch, seq = self._place(record.session, record.epoch)
        seq += 1
        self._set(record.session, (epoch, seq))
        self._number += 1
        stored = record.placed(epoch, seq, _message_id(self._life, self._number))
        self._database.execute(
            "INSERT INTO messages (session, sender, conn, id, body, sent_at, epoch, seq, life, number)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.session,
                record.sender,
                record.conn,
                record.id,
                bytes(record.body),
                record.sent_at,
                epoch,
                seq,
                self._life,
                self._number,
            ),
        )
        self._database.execute("UPDATE sessions SET seq = ? WHERE name = ?", (seq, record.session))
        return stored

    def _keep(self, fact: Fact) -> None:
        execute = self._database.execute
        match fact:
            case Made(session, participants, expires_at, epoch, lasting, opener):
                self._place(session, epoch)
                execute(
                    "UPDATE sessions SET expires_at = ?, lasting = ?, opener = ? WHERE name = ?",
                    (expires_at, lasting, opener, session),
                )
                for user in participants:
                    execute("INSERT OR IGNORE INTO participants (session, user) VALUES (?, ?)", (session, user))
            case Added(session, user):
                self._place(session, 1)
                execute("INSERT OR IGNORE INTO participants (session, user) VALUES (?, ?)", (session, user))
            case Removed(session, user):
                # Who takes part no more is owed nothing either.
                for table in ("participants", "positions"):
                    execute(f"DELETE FROM {table} WHERE session = ? AND user = ?", (session, user))
            case Position(session, user, seq, starts):
                self._place(session, 1)
                execute(
                    "INSERT INTO positions (session, user, seq, starts) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (session, user) DO UPDATE SET seq = excluded.seq, starts = excluded.starts",
                    (session, user, seq, msgspec.json.encode(starts).decode() if starts else None),
                )
            case Parted(session, user):
                execute("DELETE FROM positions WHERE session = ? AND user = ?", (session, user))
            case Revoked(jti, user, at):
                execute("INSERT INTO revoked (jti, user, at) VALUES (?, ?, ?)", (jti, user, at))
                if user is not None:
                    # She takes part still, and is no receiver any more.
                    execute("DELETE FROM positions WHERE user = ?", (user,))
            case Ended(session):
                self._end(session)

    def _end(self, session: str) -> None:
        """Its history goes; its epoch stays, so that its name may be used anew without being taken for the old one."""
        execute = self._database.execute
        for table in ("participants", "positions"):
            execute(f"DELETE FROM {table} WHERE session = ?", (session,))
        self._let_go("session = ?", session)
        execute("UPDATE sessions SET ended = 1 WHERE name = ?", (session,))
        self._undo.setdefault(session, self._places.pop(session, None))

    def _let_go(self, where: str, value: str | float) -> None:
        """Remove messages; what the limiter may still count of them is remembered, since it counts against their
        author whatever becomes of them."""
        self._database.execute(
            f"INSERT INTO spent (user, sent_at) SELECT sender, sent_at FROM messages WHERE {where} AND sender != ?"
            " AND sent_at > (SELECT max(sent_at) FROM messages) - ?",
            (value, SERVER, self._rate_window_s),
        )
        self._database.execute(f"DELETE FROM messages WHERE {where}", (value,))


_COLUMNS = "session, sender, conn, id, body, sent_at, messages.epoch, messages.seq, life, number"


def _record(row: tuple[str, str, str, str, bytes, float, int, int, int, int]) -> Record:
    *head, body, sent_at, epoch, seq, life, number = row
    session, sender, conn, id_ = head
    return Record(session, sender, conn, id_, msgspec.Raw(body), sent_at, epoch, seq, _message_id(life, number))


def _message_id(life: int, number: int) -> str:
    """The name of a message, which no other ever has. Numbers alone begin anew at a start, above those that are still
    there: what a session had when it ended would be named once more. Life 0 is that of before lives were kept."""
    return f"m{life}-{number}" if life else f"m{number}"


def _tried_again(writer: _Writer, facts: list[Fact]) -> list[Fact]:
    """What cannot be written of these facts at the end of the log, however often it is tried for `LAST_S`."""
    until = time.monotonic() + LAST_S
    while facts and time.monotonic() + BUSY_S < until:
        time.sleep(RETRY_S)
        _, _, facts = writer.commit(list(facts))
    return facts


def _bounded(facts: list[Fact]) -> list[Fact]:
    """The facts that wait: beyond `FACTS_MAX`, of several positions of one user in one session the last will do, and
    then the oldest positions go. Everything else is kept, however long it takes."""
    if len(facts) <= FACTS_MAX:
        return facts
    last = {(fact.session, fact.user): place for place, fact in enumerate(facts) if isinstance(fact, Position)}
    kept = [
        fact
        for place, fact in enumerate(facts)
        if not isinstance(fact, Position) or last[fact.session, fact.user] == place
    ]
    surplus = len(kept) - FACTS_MAX
    found: list[Fact] = []
    for fact in kept:
        if surplus > 0 and isinstance(fact, Position):
            surplus -= 1
        else:
            found.append(fact)
    return found


async def hold(folder: Path, for_s: float) -> None:
    """Keep the log in this folder from being written for so long: another connection has it, as a backup might."""
    other = await asyncio.to_thread(opened, folder / FILE)
    try:
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        await asyncio.sleep(for_s)
        other.execute("ROLLBACK")
    finally:
        other.close()


def opened(path: Path) -> sqlite3.Connection:
    """A connection that commits when it is told, and to the disk."""
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    return database


def _locked(folder: Path) -> IO[str]:
    """The folder's lock, which the system lets go with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+")
    except OSError as problem:
        raise UsageError(
            f"The data folder {folder} cannot be written ({os.strerror(problem.errno or 0)}): give another with --data."
        ) from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise UsageError(
            f"Another server uses the data folder {folder}: stop it, or give another folder with --data."
        ) from None
    return lock
