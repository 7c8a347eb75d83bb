"""Invariant: what a node that begins again is told is what was appended and noted before it ended."""

from __future__ import annotations

from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Record
from chatsim.core.facts import Added, Ended, Made, Parted, Position, Removed, Revoked
from chatsim.core.kept_log import KeptLog
from chatsim.core.snapshot import SessionState, Snapshot

WALL = 1_000.0
CONFIG = HandlerConfig(retention_s=100.0, dedupe_for_s=50.0)


def record(number: int, session: str = "s", sent_at: float = WALL) -> Record:
    return Record(session, "ann", "c1", str(number), Raw(b'"hi"'), sent_at)


def test_the_snapshot_is_what_was_noted() -> None:
    log = KeptLog()
    for fact in (
        Made("s", ("ann", "bob"), WALL + 60),
        Added("s", "cid"),
        Removed("s", "bob"),
        Position("s", "ann", 0),
        Position("s", "cid", 0),
        Position("s", "ann", 1),
        Parted("s", "cid"),
        Made("t", ("ann",), None),
        Ended("t"),
        Revoked("j", None, WALL),
    ):
        log.note(fact)
    kept = (log.append(record(1)), log.append(record(2)))
    assert log.snapshot(CONFIG, WALL) == Snapshot(
        sessions=(SessionState("s", 1, 2, ("ann", "cid"), WALL + 60, (("ann", 1),), kept),),
        revoked=(Revoked("j", None, WALL),),
    )


def test_what_is_too_old_to_be_replayed_or_repeated_is_left_out() -> None:
    log = KeptLog()
    for number, age_s in ((1, 100.0), (2, 99.0), (3, 0.0)):
        log.append(record(number, sent_at=WALL - age_s))
    (state,) = log.snapshot(CONFIG, WALL).sessions
    assert [found.id for found in state.records] == ["2", "3"]
    assert state.seq == 3


def test_who_takes_part_no_more_is_no_receiver() -> None:
    log = KeptLog()
    log.note(Made("s", ("ann", "bob"), None))
    log.note(Position("s", "bob", 3))
    log.note(Removed("s", "bob"))
    [state] = log.snapshot(HandlerConfig(), 0.0).sessions
    assert (state.participants, state.positions) == (("ann",), ())
