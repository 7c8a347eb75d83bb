"""Following a journal gives the writer's own tally and ledger, and finds the step that went otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append
from chatsim.core.frames import AckIn, Say, StatusIn
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims
from chatsim.journal.replay import handler_of
from chatsim.journal.steps import Footer, Header, JournalWriter
from chatsim.live.follower import Follower


class Life:
    """A handler of two people that is journaled."""

    def __init__(self, path: Path) -> None:
        header = Header(config=HandlerConfig(), epoch=1.7e9, seed=3)
        self.handler = handler_of(header)
        self.writer = JournalWriter(path, header)
        self._log = MemoryLog()
        for user in ("ann", "bob"):
            self.do(0.5, "connect", user, Claims(user, 1.7e9 + 500.0, sessions=("s",)))
            self.do(0.5, "receive", user, StatusIn("join", "s"))

    def do(self, now: float, door: str, *args: Any) -> None:
        effects = getattr(self.handler, door)(now, *args)
        self.writer.step(now, door, args, effects)
        for effect in effects:
            if isinstance(effect, Append):
                self.do(now, "appended", self._log.append(effect.record))


def test_a_follower_knows_what_is_owed_while_the_server_lives(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    life = Life(path)
    life.do(1.0, "receive", "ann", Say("1", "s", msgspec.Raw(b'"hi"')))
    life.writer.flush()
    follower = Follower(path)
    assert follower.follow(10.0)
    assert follower.handler.ledger.waiting == life.handler.ledger.waiting == 1
    life.do(2.0, "receive", "bob", AckIn("s", 1))
    life.writer.close(Footer(loop_lag_s=(0.002,)))
    assert follower.follow(10.0)
    assert follower.handler.ledger.waiting == 0
    assert follower.tally.owed == {follower.tally.accepted["ann", "1"]: {"bob": "delivered"}}
    assert follower.steps == life.writer.steps
    assert follower.trace_hash == life.writer.trace_hash
    assert follower.loop_lag_s == [0.002]
    assert follower.difference is None
    follower.close()


def test_the_first_step_that_went_otherwise_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    life = Life(path)
    life.writer.close()
    text = path.read_text().replace('"ping_interval_s":30.0,"pong', '"ping_interval_s":31.0,"pong', 1)
    path.write_text(text)
    follower = Follower(path)
    assert follower.follow(10.0)
    assert follower.loop_lag_s == []
    assert follower.difference is not None
    assert follower.difference.step == 1
    follower.close()


def test_it_reads_no_longer_than_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    life = Life(path)
    for place in range(200):
        life.do(1.0 + place, "pong", "ann")
    life.writer.close()
    follower = Follower(path)
    assert not follower.follow(0.0)
    assert 0 < follower.steps < 100
    while not follower.follow(0.0):
        pass
    assert follower.steps == life.writer.steps
    follower.close()
