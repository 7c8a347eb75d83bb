"""The memory log: one order per session, seqs without gaps, ids that never repeat."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from chatsim.core.effects import Record
from chatsim.core.memory_log import MemoryLog


def record(session: str, id_: str = "a") -> Record:
    return Record(session, "ann", "c1", id_, Raw(b'"hi"'), 12.5)


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
