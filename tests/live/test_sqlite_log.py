"""Invariant: what was answered as stored is there after any end, in order and without gaps; what was not has no place.

The loop's part is played by the test's own thread, which makes the calls that the log asks for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Record
from chatsim.core.facts import Added, Ended, Fact, Made, Parted, Position, Removed, Revoked
from chatsim.core.service import SERVER
from chatsim.core.snapshot import SessionState, Snapshot
from chatsim.errors import UsageError
from chatsim.live import sqlite_log
from chatsim.live.log import LATER
from chatsim.live.sqlite_log import FILE, SqliteLog
from chatsim.live.sqlite_schema import VERSION
from tests.thorough import examples

PATIENCE_S = 20.0
WALL = 1_700_000_000.0
CONFIG = HandlerConfig()


def record(number: int, session: str = "s", sent_at: float = WALL) -> Record:
    return Record(session, "ann", "c1-1", str(number), Raw(b'"hi"'), sent_at)


class Desk:
    """A log, and the calls that it asks the loop's thread to make."""

    def __init__(self, folder: Path) -> None:
        self.calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.stored: list[Record] = []
        self.failed: list[Record] = []
        self.log = SqliteLog(folder, answer_in=self.calls.put)
        self.log.start(self._answered)

    def _answered(self, stored: list[Record], failed: list[Record]) -> None:
        self.stored += stored
        self.failed += failed

    def settle(self, count: int) -> None:
        """Make calls until so many records are answered in all."""
        while len(self.stored) + len(self.failed) < count:
            self.calls.get(timeout=PATIENCE_S)()

    def say(self, *numbers: int, session: str = "s") -> None:
        """Append, and wait for the answers."""
        wanted = len(self.stored) + len(self.failed) + len(numbers)
        for number in numbers:
            assert self.log.append(record(number, session)) is LATER
        self.settle(wanted)

    def settled(self) -> bool:
        """Make calls until the log says whether it has every fact."""
        said: list[bool] = []
        self.log.settled(said.append)
        while not said:
            self.calls.get(timeout=PATIENCE_S)()
        return said[0]

    def snapshot(self, config: HandlerConfig = CONFIG, wall: float = WALL) -> Snapshot:
        assert self.log.flush(PATIENCE_S)
        return self.log.snapshot(config, wall)


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    made = Desk(folder)
    try:
        yield made
    finally:
        made.log.close()


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """Somebody else holds the file."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def places(records: list[Record]) -> list[tuple[str, int, int, str]]:
    return [(found.session, found.epoch, found.seq, found.id) for found in records]


def test_records_get_their_places_in_order_and_ids_of_their_own(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.say(1, 2)
        one.say(1, session="t")
        one.say(3)
        assert places(one.stored) == [("s", 1, 1, "1"), ("s", 1, 2, "2"), ("t", 1, 1, "1"), ("s", 1, 3, "3")]
        assert len({found.message_id for found in one.stored}) == 4
        assert one.failed == []


def test_seq_and_epoch_go_on_after_a_restart(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.say(1, 2)
        assert one.log.life == 1
    with desk(tmp_path) as two:
        two.say(3)
        assert places(two.stored) == [("s", 1, 3, "3")]
        assert two.log.life == 2
        assert places(two.log.history("s", 0, 10)) == [("s", 1, 1, "1"), ("s", 1, 2, "2"), ("s", 1, 3, "3")]
        assert {found.message_id for found in two.log.history("s", 0, 10)} == {"m1-1", "m1-2", "m2-3"}


def test_a_message_id_is_never_given_again_whatever_has_gone(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.say(1, 2)
        one.log.note(Ended("s"))
        assert one.log.flush(PATIENCE_S)
        given = {found.message_id for found in one.stored}
    with desk(tmp_path) as two:
        two.say(3, 4, session="t")
        assert given.isdisjoint(found.message_id for found in two.stored)
        # What was told at the ack is told ever after.
        assert [found.message_id for found in two.log.history("t", 0, 10)] == [found.message_id for found in two.stored]


def test_messages_of_before_lives_were_kept_keep_their_ids(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.say(1)
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.execute("ALTER TABLE messages DROP COLUMN life")
        database.execute("ALTER TABLE positions DROP COLUMN starts")
        database.execute("DROP TABLE spent")
        database.execute("PRAGMA user_version = 2")
        database.commit()
    with desk(tmp_path) as two:
        two.say(2)
        assert [found.message_id for found in two.log.history("s", 0, 10)] == ["m1", "m2-2"]


def test_history_is_a_page_oldest_first(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.say(*range(1, 8))
        assert [found.seq for found in one.log.history("s", 2, 3)] == [3, 4, 5]
        assert one.log.history("t", 0, 3) == []
        assert bytes(one.log.history("s", 0, 1)[0].body) == b'"hi"'


def test_the_snapshot_is_what_was_noted(tmp_path: Path) -> None:
    facts: list[Fact] = [
        Made("s", ("ann", "bob"), WALL + 60, lasting=True, opener="ann"),
        Added("s", "cid"),
        Removed("s", "bob"),
        Position("s", "ann", 0),
        Position("s", "cid", 0),
        Position("s", "ann", 1, (("c1-1", 2), ("c1-2", 1))),
        Position("t", "dan", 0, (("c1-3", 1),)),
        Position("t", "dan", 0),
        Parted("s", "cid"),
        Revoked("j", None, WALL),
        Revoked(None, "eve", WALL),
    ]
    with desk(tmp_path) as one:
        for fact in facts:
            one.log.note(fact)
        one.say(1, 2)
        kept = one.stored
        found = one.snapshot()
    with desk(tmp_path) as two:
        assert two.snapshot() == found
    assert found == Snapshot(
        sessions=(
            SessionState(
                "s",
                1,
                2,
                ("ann", "cid"),
                WALL + 60,
                (("ann", 1),),
                tuple(kept),
                True,
                "ann",
                (("ann", (("c1-1", 2), ("c1-2", 1))),),
            ),
            SessionState("t", 1, 0, (), None, (("dan", 0),), ()),
        ),
        revoked=(Revoked("j", None, WALL), Revoked(None, "eve", WALL)),
        said=(("ann", WALL), ("ann", WALL)),
    )


def test_who_takes_part_no_more_or_was_revoked_is_owed_nothing(tmp_path: Path) -> None:
    facts: list[Fact] = [
        Made("s", ("ann", "bob", "eve"), None),
        Position("s", "ann", 0),
        Position("s", "bob", 0),
        Position("s", "eve", 0),
        Removed("s", "bob"),
        Revoked(None, "eve", WALL),
        Revoked("of-ann", None, WALL),
    ]
    with desk(tmp_path) as one:
        for fact in facts:
            one.log.note(fact)
        (state,) = one.snapshot().sessions
    assert (state.participants, state.positions) == (("ann", "eve"), (("ann", 0),))


def test_the_snapshot_holds_what_may_still_be_replayed_or_repeated(tmp_path: Path) -> None:
    config = HandlerConfig(retention_s=100.0, dedupe_for_s=50.0)
    with desk(tmp_path) as one:
        for number, age_s in ((1, 100.0), (2, 99.0), (3, 0.0)):
            one.log.append(record(number, sent_at=WALL - age_s))
        one.settle(3)
        (state,) = one.snapshot(config).sessions
        assert [found.id for found in state.records] == ["2", "3"]
        assert state.seq == 3


def test_whoever_said_something_within_the_window_did_so_whatever_became_of_it(tmp_path: Path) -> None:
    """Neither the end of its session, nor a new one of its name, nor its removal gives anybody's budget back."""
    config = HandlerConfig(retention_s=10.0, dedupe_for_s=10.0, rate_window_s=60.0)
    expected = (("ann", WALL - 59.0), ("ann", WALL - 20.0), ("ann", WALL - 5.0))
    with desk(tmp_path) as one:
        for number, (session, age_s) in enumerate((("s", 20.0), ("t", 60.0), ("u", 59.0), ("u", 5.0))):
            one.log.append(record(number, session, WALL - age_s))
        one.log.append(Record("s", SERVER, "", "posted", Raw(b'"hi"'), WALL))
        one.log.note(Ended("s"))
        one.log.note(Made("u", ("ann",), None, 2))
        one.settle(5)
        assert one.snapshot(config).said == expected
        one.log.prune(WALL - 8)
        assert one.snapshot(config).said == expected
        one.log.append(record(9, "v", WALL + 50))
        one.log.prune(WALL + 60)
        one.settle(6)
        assert one.snapshot(config, WALL + 51).said == (("ann", WALL - 5.0), ("ann", WALL + 50))
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        assert database.execute("SELECT count(*) FROM spent").fetchone() == (2,), "what counts no more is gone"


def test_a_session_that_ended_begins_anew_in_another_epoch(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.log.note(Made("s", ("ann",), None, lasting=True, opener="ann"))
        one.say(1, 2)
        one.log.note(Ended("s"))
        assert one.snapshot().sessions == ()
        assert one.log.history("s", 0, 10) == []
        one.say(3)
        assert places(one.stored)[-1] == ("s", 2, 1, "3")
        (state,) = one.snapshot().sessions
        assert (state.epoch, state.participants, len(state.records)) == (2, (), 1)
        assert (state.lasting, state.opener) == (False, None)


def test_old_messages_are_removed_and_seqs_stay(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.log.append(record(1, sent_at=WALL - 10))
        one.log.append(record(2, sent_at=WALL))
        one.settle(2)
        one.log.prune(WALL - 5)
        assert one.log.flush(PATIENCE_S)
        assert [found.seq for found in one.log.history("s", 0, 10)] == [2]
        one.say(3)
        assert one.stored[-1].seq == 3


def test_sessions_that_ended_leave_nothing_but_the_newest_epoch(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        for number in range(1, 6):
            one.log.note(Made(f"s{number}", ("ann",), None, number, lasting=True))
            one.log.note(Ended(f"s{number}"))
        one.log.note(Made("t", ("ann",), None, 3))
        one.log.prune(WALL)
        assert one.log.flush(PATIENCE_S)
        assert one.log.newest_epoch() == 5
        assert [state.name for state in one.snapshot().sessions] == ["t"]
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        assert database.execute("SELECT name FROM sessions ORDER BY name").fetchall() == [("s5",), ("t",)]


def test_a_locked_file_fails_what_was_to_be_stored_and_keeps_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long a commit waits for somebody else is part of the file's opening.
    monkeypatch.setattr(sqlite_log, "BUSY_S", 0.05)
    with desk(tmp_path) as one:
        one.say(1)
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        one.log.note(Added("s", "bob"))
        one.say(2, 3)
        assert places(one.failed) == [("s", 0, 0, "2"), ("s", 0, 0, "3")]
        other.execute("ROLLBACK")
        other.close()
        one.say(4)
        assert places(one.stored) == [("s", 1, 1, "1"), ("s", 1, 2, "4")]
        assert one.snapshot().sessions[0].participants == ("bob",)


def test_who_waits_hears_that_facts_are_stored_when_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that one commit is not enough.
    monkeypatch.setattr(sqlite_log, "BATCH_MAX", 2)
    with desk(tmp_path) as one, closing(sqlite3.connect(tmp_path / FILE)) as other:
        for number in range(5):
            one.log.note(Revoked(str(number), None, WALL))
        one.log.append(record(1))
        assert one.settled()
        assert other.execute("SELECT count(*) FROM revoked").fetchone() == (5,)
        assert one.settled()


def test_who_waits_hears_that_facts_cannot_be_stored_and_they_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_log, "BUSY_S", 0.05)
    with desk(tmp_path) as one:
        with taken(tmp_path):
            one.log.note(Revoked("a", None, WALL))
            assert not one.settled()
            one.log.note(Revoked("b", None, WALL))
            assert not one.settled()
            # Whoever asks anew hears of what waits since before.
            assert not one.settled()
        assert one.settled()
        assert one.snapshot().revoked == (Revoked("a", None, WALL), Revoked("b", None, WALL))


def test_at_its_end_the_log_tries_for_a_while_and_says_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_log, "BUSY_S", 0.02)
    monkeypatch.setattr(sqlite_log, "LAST_S", 0.2)
    one = Desk(tmp_path)
    with taken(tmp_path):
        one.log.note(Revoked("a", None, WALL))
        assert one.log.close() == [Revoked("a", None, WALL)]
    monkeypatch.setattr(sqlite_log, "LAST_S", PATIENCE_S)
    two = Desk(tmp_path)
    with taken(tmp_path):
        two.log.note(Revoked("b", None, WALL))
        assert not two.settled()
        lost: list[list[Fact]] = []
        ending = Thread(target=lambda: lost.append(two.log.close()))
        ending.start()
    ending.join()
    assert lost == [[]]
    with desk(tmp_path) as three:
        assert three.snapshot().revoked == (Revoked("b", None, WALL),)


def test_a_full_disk_fails_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    with desk(tmp_path) as one:
        one.say(1)

        def pages(most: int) -> None:
            # The limit is the connection's, so the writer must set it: it does whatever is between two batches.
            one.log._work.put(Added("s", "x"))
            assert one.log.flush(PATIENCE_S)
            one.log._writer._database.execute(f"PRAGMA max_page_count = {most}")

        pages(1)
        big = Record("s", "ann", "c1-1", "big", Raw(b'"' + b"x" * 200_000 + b'"'), WALL)
        one.log.append(big)
        one.settle(2)
        assert places(one.failed) == [("s", 0, 0, "big")]
        pages(1_000_000)
        one.log.append(big)
        one.settle(3)
        assert places(one.stored) == [("s", 1, 1, "1"), ("s", 1, 2, "big")]


def test_too_many_at_once_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "WAITING_MAX", 3)
    with desk(tmp_path) as one:
        answers = [one.log.append(record(number)) for number in range(4)]
        assert answers == [LATER, LATER, LATER, None]
        one.settle(3)
        assert one.log.append(record(5)) is LATER


def test_of_many_positions_that_wait_the_last_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "FACTS_MAX", 2)
    facts: list[Fact] = [Position("s", "ann", 1), Added("s", "bob"), Position("s", "ann", 2)]
    assert sqlite_log._bounded(facts) == [Added("s", "bob"), Position("s", "ann", 2)]


def test_what_waits_for_a_disk_forgets_positions_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "FACTS_MAX", 3)
    others: list[Fact] = [Revoked("j", None, WALL), Made("s", ("ann",), None), Removed("s", "bob")]
    positions: list[Fact] = [Position("s", name, 1) for name in ("ann", "cid", "dan")]
    assert sqlite_log._bounded([*others[:2], *positions, others[2]]) == others
    assert sqlite_log._bounded([others[0], *positions]) == [others[0], *positions[1:]]
    assert sqlite_log._bounded([*others, Ended("s")]) == [*others, Ended("s")]


def test_two_servers_do_not_share_a_folder(tmp_path: Path) -> None:
    with desk(tmp_path), pytest.raises(UsageError, match="Another server uses"):
        SqliteLog(tmp_path, answer_in=lambda call: None)
    with desk(tmp_path) as again:
        again.say(1)


def test_what_is_no_log_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("this is no database, and long enough to be seen as none" * 50)
    with pytest.raises(UsageError, match="cannot be opened"):
        SqliteLog(tmp_path, answer_in=lambda call: None)
    (tmp_path / FILE).unlink()
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(UsageError, match="cannot be written"):
        SqliteLog(tmp_path / "folder", answer_in=lambda call: None)


def test_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with desk(tmp_path):
        pass
    database = sqlite3.connect(tmp_path / FILE)
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(UsageError, match="newer chatsim"):
        SqliteLog(tmp_path, answer_in=lambda call: None)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from("st"), st.integers(1, 5)),
        st.tuples(st.just("end"), st.sampled_from("st"), st.just(0)),
        st.tuples(st.just("restart"), st.just(""), st.just(0)),
    ),
    max_size=12,
)


@examples(15)
@given(STEPS)
def test_seqs_have_no_gaps_within_an_epoch_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    places_now: dict[str, tuple[int, int]] = {}
    ended: set[str] = set()
    one = Desk(folder)
    number = 0
    for what, session, count in steps:
        if what == "restart":
            one.log.close()
            one = Desk(folder)
        elif what == "end":
            one.log.note(Ended(session))
            if session in places_now:
                ended.add(session)
        else:
            before = len(one.stored)
            one.say(*range(number, number + count), session=session)
            number += count
            epoch, seq = places_now.get(session, (1, 0))
            if session in ended:
                ended.remove(session)
                epoch, seq = epoch + 1, 0
            assert [(found.epoch, found.seq) for found in one.stored[before:]] == [
                (epoch, seq + place) for place in range(1, count + 1)
            ]
            places_now[session] = (epoch, seq + count)
    one.log.close()
