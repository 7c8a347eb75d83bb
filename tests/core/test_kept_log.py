"""Invariant: what a node that begins again is told is what was appended and noted before it ended, and that is what
the node itself believed then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Note, Record
from chatsim.core.facts import Added, Ended, Made, Parted, Position, Removed, Revoked
from chatsim.core.handler import ChatHandler
from chatsim.core.kept_log import KeptLog
from chatsim.core.service import SERVER
from chatsim.core.snapshot import SessionState, Snapshot
from tests.core.stories import EPOCH, SMALL, STORIES, Draw, Life, Shell, Step, fresh
from tests.thorough import examples

WALL = 1_000.0
CONFIG = HandlerConfig(retention_s=100.0, dedupe_for_s=50.0)


def record(number: int, session: str = "s", sent_at: float = WALL) -> Record:
    return Record(session, "ann", "c1", str(number), Raw(b'"hi"'), sent_at)


def test_the_snapshot_is_what_was_noted() -> None:
    log = KeptLog()
    for fact in (
        Made("s", ("ann", "bob"), WALL + 60, lasting=True, opener="ann"),
        Added("s", "cid"),
        Removed("s", "bob"),
        Position("s", "ann", 0),
        Position("s", "cid", 0),
        Position("s", "ann", 1, (("c1", 2), ("c2", 1))),
        Position("s", "dan", 0, (("c3", 1),)),
        Position("s", "dan", 1),
        Parted("s", "cid"),
        Made("t", ("ann",), None),
        Ended("t"),
        Revoked("j", None, WALL),
    ):
        log.note(fact)
    kept = (log.append(record(1)), log.append(record(2)))
    assert log.snapshot(CONFIG, WALL) == Snapshot(
        sessions=(
            SessionState(
                "s",
                1,
                2,
                ("ann", "cid"),
                WALL + 60,
                (("ann", 1), ("dan", 1)),
                kept,
                True,
                "ann",
                (("ann", (("c1", 2), ("c2", 1))),),
            ),
        ),
        revoked=(Revoked("j", None, WALL),),
        said=(("ann", WALL), ("ann", WALL)),
    )


def test_whoever_said_something_within_the_window_did_so_whatever_became_of_it() -> None:
    """Neither the end of its session, nor a new one of its name, nor its age gives anybody's budget back."""
    config = HandlerConfig(retention_s=10.0, dedupe_for_s=10.0, rate_window_s=60.0)
    log = KeptLog()
    for number, (session, age_s) in enumerate((("s", 20.0), ("t", 60.0), ("u", 59.0), ("u", 5.0))):
        log.append(record(number, session, WALL - age_s))
    log.append(Record("s", SERVER, "", "posted", Raw(b'"hi"'), WALL))
    log.note(Ended("s"))
    log.note(Made("u", ("ann",), None, 2))
    for _ in range(2):
        said = log.snapshot(config, WALL).said
        assert said == (("ann", WALL - 59.0), ("ann", WALL - 20.0), ("ann", WALL - 5.0))


def test_the_newest_of_a_session_is_what_it_took_last() -> None:
    log = KeptLog()
    assert log.newest("s") is None
    log.append(record(1))
    stored = log.append(record(2))
    log.append(record(3, "t"))
    assert log.newest("s") == stored
    log.note(Ended("s"))
    assert log.newest("s") is None


def test_what_is_too_old_to_be_replayed_or_repeated_is_left_out() -> None:
    log = KeptLog()
    for number, age_s in ((1, 100.0), (2, 99.0), (3, 0.0)):
        log.append(record(number, sent_at=WALL - age_s))
    (state,) = log.snapshot(CONFIG, WALL).sessions
    assert [found.id for found in state.records] == ["2", "3"]
    assert state.seq == 3


def test_who_takes_part_no_more_or_was_revoked_is_owed_nothing() -> None:
    log = KeptLog()
    for fact in (
        Made("s", ("ann", "bob", "eve"), None),
        Position("s", "ann", 0),
        Position("s", "bob", 0),
        Position("s", "eve", 0),
        Removed("s", "bob"),
        Revoked(None, "eve", WALL),
        Revoked("of-ann", None, WALL),
    ):
        log.note(fact)
    (state,) = log.snapshot(CONFIG, WALL).sessions
    assert (state.participants, state.positions) == (("ann", "eve"), (("ann", 0),))


class LoggedShell(Shell):
    """A shell whose log lasts: it takes appends and notes in one order, and answers when the story says so."""

    def __init__(self, handler: ChatHandler) -> None:
        super().__init__(handler)
        self.log = KeptLog()
        self.stored: list[Record] = []

    def _one(self, what: str, args: tuple[Any, ...]) -> Iterator[Step]:
        if what not in ("appended", "append_failed"):
            yield from super()._one(what, args)
        elif self.stored:
            yield from self._give("appended", self.stored.pop(0))

    def _give(self, door: str, *args: Any) -> Iterator[Step]:
        for step in super()._give(door, *args):
            yield step
            for effect in step.effects:
                if isinstance(effect, Append):
                    self.stored.append(self.log.append(effect.record))
                elif isinstance(effect, Note):
                    self.log.note(effect.fact)

    def settle(self) -> None:
        """Let the log answer all, and the positions that wait be told."""
        ends = [Draw(0.0, "appended")] * len(self.stored) + [Draw(1.0, "wake")]
        for draw in ends:
            self.now += draw.gap_s
            for _ in self._one(draw.what, draw.args):
                pass


@examples(100)
@given(STORIES)
def test_the_log_knows_of_every_session_what_the_handler_does(story: list[Draw]) -> None:
    handler = fresh(Life(SMALL, Snapshot()))
    shell = LoggedShell(handler)
    for _ in shell.play(story):
        pass
    shell.settle()
    told = {
        state.name: (
            (state.epoch, state.seq, state.lasting, state.expires_at),
            {*state.participants},
            {user for user, _ in state.positions},
        )
        for state in shell.log.snapshot(SMALL, EPOCH + shell.now).sessions
    }
    believed = {
        name: (
            (session.epoch, session.seq, session.lasting, session.expires_at),
            {*session.participants},
            {*session.members},
        )
        for name, session in handler._sessions.by_name.items()
    }
    # A user's own session is made with the first message in it, and is told of by its messages alone.
    assert {name: known for name, known in told.items() if name[0] != "@"} == {
        name: known for name, known in believed.items() if name[0] != "@"
    }


def test_what_comes_after_the_end_of_its_session_is_not_kept_in_the_next() -> None:
    log = KeptLog()
    log.note(Made("s", ("ann",), None, 1))
    log.note(Ended("s"))
    log.note(Made("s", ("ann",), None, 2))
    assert log.append(record(1)).epoch == 1
    (state,) = log.snapshot(CONFIG, WALL).sessions
    assert (state.epoch, state.seq, state.records) == (2, 0, ())
