"""The memory log: one order per session, seqs without gaps, ids that never repeat."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from chatsim.core.effects import Record
from chatsim.core.facts import Ended, Removed
from chatsim.core.memory_log import FORGET_MAX, PRUNE_MAX, MemoryLog


def record(session: str, id_: str = "a", *, at: float = 12.5) -> Record:
    return Record(session, "ann", "c1", id_, Raw(b'"hi"'), at)


@settings(deadline=None)
@given(st.lists(st.sampled_from("xyz"), max_size=60))
def test_each_session_counts_from_1_without_gaps(sessions: list[str]) -> None:
    log = MemoryLog()
    stored = [log.append(record(session)) for session in sessions]
    for session in "xyz":
        seqs = [r.seq for r in stored if r.session == session]
        assert seqs == list(range(1, len(seqs) + 1))
    assert len({r.message_id for r in stored}) == len(stored)


def test_a_record_comes_back_with_its_place_and_nothing_else_changed() -> None:
    given_ = record("s", "id-1")
    stored = MemoryLog(epoch=7).append(given_)
    assert (stored.session, stored.sender, stored.conn, stored.id) == ("s", "ann", "c1", "id-1")
    assert (bytes(stored.body), stored.sent_at) == (b'"hi"', 12.5)
    assert (stored.epoch, stored.seq) == (7, 1)
    assert given_.seq == 0
    assert given_.message_id == ""


def test_two_lives_of_a_log_share_no_message_id() -> None:
    assert MemoryLog(epoch=1).append(record("s")).message_id != MemoryLog(epoch=2).append(record("s")).message_id


def seqs(log: MemoryLog, session: str = "s", after: int = 0, limit: int = 100) -> list[int]:
    return [stored.seq for stored in log.history(session, after, limit)]


def test_the_newest_are_kept_for_history() -> None:
    log = MemoryLog(history_messages=3, history_messages_max=4)
    for session in "sssssttt":
        log.append(record(session))
    assert seqs(log, "t") == [1, 2, 3]
    assert seqs(log) == [5], "of the newest four in all"
    assert seqs(log, "t", after=1, limit=1) == [2]
    assert seqs(log, "t", after=3) == seqs(log, "u") == []
    log.append(record("t"))
    assert seqs(log, "t") == [2, 3, 4]


def test_without_being_told_nothing_is_kept() -> None:
    for log in (MemoryLog(), MemoryLog(history_messages=5), MemoryLog(history_messages_max=5)):
        log.append(record("s"))
        assert log.history("s", 0, 10) == []


def test_history_is_kept_for_its_time_and_then_gone() -> None:
    log = MemoryLog(history_messages=10, history_messages_max=10, history_for_s=60.0)
    for at in (0.0, 10.0, 60.0):
        log.append(record("s", at=at))
    assert seqs(log) == [1, 2, 3], "60 s old is not too old"
    log.append(record("t", at=61.0))
    assert seqs(log) == [2, 3], "whatever session time passes in"
    log.prune(60.5)
    assert seqs(log) == []
    assert seqs(log, "t") == [1], "without another word"


def test_a_message_forgets_few_others_and_what_is_too_old_is_hidden_meanwhile() -> None:
    log = MemoryLog(history_messages=2000, history_messages_max=2000, history_for_s=60.0)
    for _ in range(1000):
        log.append(record("s", at=0.0))
    for number in range(1, 500):
        log.append(record("s", at=100.0))
        assert log.kept == 1000 + number - FORGET_MAX * number
        assert len(seqs(log, limit=1000)) == number
    log.append(record("t", at=100.0))
    assert (log.kept, seqs(log, "t")) == (500, [1])


def test_pruning_is_done_in_pieces() -> None:
    log = MemoryLog(history_messages=3 * PRUNE_MAX, history_messages_max=3 * PRUNE_MAX)
    for _ in range(2 * PRUNE_MAX + 1):
        log.append(record("s", at=0.0))
    log.append(record("s", at=9.0))
    left = []
    for _ in range(4):
        log.prune(5.0)
        left.append(log.kept)
        assert seqs(log) == [2 * PRUNE_MAX + 2]
    assert left == [PRUNE_MAX + 2, 2, 1, 1]


def test_a_session_that_ended_begins_anew_in_a_newer_epoch() -> None:
    log = MemoryLog(history_messages=10, history_messages_max=10)
    log.append(record("s"))
    log.note(Removed("s", "bob"))
    assert seqs(log) == [1]
    log.note(Ended("s"))
    log.note(Ended("s"))
    assert seqs(log) == []
    again = record("s")
    again.epoch = 2
    assert [(stored.epoch, stored.seq) for stored in (log.append(again), log.append(again))] == [(2, 1), (2, 2)]
    again.epoch = 3
    assert (log.append(again).seq, seqs(log)) == (1, [1])


@settings(deadline=None)
@given(st.lists(st.sampled_from(["s", "t", "u", "end s"]), max_size=60))
def test_history_is_bounded_and_has_no_gaps(story: list[str]) -> None:
    log = MemoryLog(history_messages=3, history_messages_max=7)
    for word in story:
        if word == "end s":
            log.note(Ended("s"))
        else:
            newest = log.append(record(word)).seq
            found = seqs(log, word)
            assert found == list(range(newest - len(found) + 1, newest + 1))
            assert len(found) <= 3
        assert sum(len(seqs(log, session)) for session in "stu") <= 7


def test_what_an_ended_session_had_under_way_is_none_of_the_next_of_its_name() -> None:
    log = MemoryLog(history_messages=10, history_messages_max=10)
    older = record("s", "late")
    log.append(record("s"))
    log.note(Ended("s"))
    newer = Record("s", "ann", "c1", "new", Raw(b'"hi"'), 12.5, 2)
    first = log.append(newer)
    late = log.append(older)
    second = log.append(newer)
    assert [(r.epoch, r.seq) for r in (first, late, second)] == [(2, 1), (1, 1), (2, 2)]
    assert len({r.message_id for r in (first, late, second)}) == 3
    assert log.history("s", 0, 10) == [first, second]


def test_everything_is_kept_at_once_and_for_as_long_as_the_log_is() -> None:
    heard: list[bool] = []
    MemoryLog().settled(heard.append)
    assert heard == [True]
