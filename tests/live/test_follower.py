"""Following a journal gives the writer's own tally and ledger, and finds the step that went otherwise."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Effects
from chatsim.core.frames import AckIn, Say, StatusIn
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims
from chatsim.journal.replay import handler_of
from chatsim.journal.steps import Footer, Header, JournalWriter
from chatsim.live.follower import SLACK_S, Follower
from tests.verdict.invariants.steps import nothing_seen


class Restless(ChatHandler):
    """A handler that wants to be woken again at the moment at which it was."""

    at = -1.0

    def wake(self, now: float) -> Effects:
        self.at = now
        return super().wake(now)

    def wake_at(self) -> float:
        return self.at if self.at > 0.0 else super().wake_at()


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


def broken(
    path: Path, *, bend: Callable[[Follower], None] = lambda follower: None, settled: bool | None = True
) -> list[str]:
    """What does not hold of the server of this journal, whose handler is bent when the journal has been read."""
    with closing(Follower(path)) as follower:
        assert follower.follow(10.0)
        bend(follower)
        return [violation.name for violation in follower.violations(nothing_seen(), settled=settled)]


def ended(path: Path, *open_: str) -> Path:
    """The journal of a server that had two connections, and these open when it ended."""
    Life(path).writer.close(Footer(open=open_))
    return path


def test_a_sound_server_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    life = Life(path)
    life.do(6.0, "wake")
    life.writer.close(Footer(open=("ann", "bob")))
    assert broken(path) == []


def test_who_comes_in_by_a_forged_token_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    life = Life(path)
    life.do(1.0, "connect", "eve", Claims("eve", 1.7e9 + 60.0, jti="t9"))
    life.writer.close(Footer(open=("ann", "bob", "eve")))
    for forged, broken in ((set(), []), ({"t9"}, ["good_token"])):
        with closing(Follower(path, forged)) as follower:
            assert follower.follow(10.0)
            assert [violation.name for violation in follower.violations(nothing_seen())] == broken


@pytest.mark.parametrize("open_", [("ann",), ("ann", "bob", "cid"), ()])
def test_connections_that_only_the_server_or_only_its_handler_has_are_told(
    tmp_path: Path, open_: tuple[str, ...]
) -> None:
    assert broken(ended(tmp_path / "journal.jsonl", *open_)) == ["pool"]


def test_so_they_are_of_a_life_that_another_followed(tmp_path: Path) -> None:
    first, second = tmp_path / "journal.jsonl", tmp_path / "journal-2.jsonl"
    ended(first, "ann")
    begun = Header(config=HandlerConfig(), epoch=1.7e9 + 9.0, seed=3, clock_at=9.0, snapshot=Snapshot())
    JournalWriter(second, begun).close()
    with closing(Follower(first)) as follower:
        follower.begin(second)
        assert [violation.name for violation in follower.watch.findings.all()] == ["pool"]


def bend_pool(follower: Follower) -> None:
    follower.handler._users["ann"].names = ()


def bend_ledger(follower: Follower) -> None:
    follower.handler.ledger.delivered += 1


def bend_bound(follower: Follower) -> None:
    handler = follower.handler
    handler._sessions.by_name["s"].participants.update((f"u{n}", None) for n in range(handler.config.participants_max))


@pytest.mark.parametrize(
    ("bend", "name"),
    [(bend_pool, "pool"), (bend_ledger, "ledger"), (bend_bound, "bounded")],
)
def test_what_is_wrong_inside_the_servers_handler_is_told(
    tmp_path: Path, bend: Callable[[Follower], None], name: str
) -> None:
    assert broken(ended(tmp_path / "journal.jsonl", "ann", "bob"), bend=bend) == [name]


def test_a_timer_that_a_server_has_forgotten_is_told(tmp_path: Path) -> None:
    """The journal has no `wake` at which the end of the grace of who left would have been told."""
    path = tmp_path / "journal.jsonl"
    life = Life(path)
    life.do(1.0, "disconnect", "bob")
    life.do(1.0 + HandlerConfig().presence_grace_s + SLACK_S + 1.0, "pong", "ann")
    life.writer.close(Footer(open=("ann",)))
    assert "leftovers" in broken(path)


def test_a_server_whose_handler_does_not_rest_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    life = Life(path)
    life.do(6.0, "wake")
    life.writer.close(Footer(open=("ann", "bob")))
    with closing(Follower(path)) as follower:
        header = follower.header
        follower.handler = Restless(header.config, epoch=header.epoch, seed=header.seed)
        assert follower.follow(10.0)
        assert [violation.name for violation in follower.violations(nothing_seen())] == ["rest"]


def test_what_does_not_come_to_rest_or_is_never_answered_is_told(tmp_path: Path) -> None:
    assert broken(ended(tmp_path / "journal.jsonl", "ann", "bob"), settled=False) == ["convergence"]
    # The server's log never said that it has the message.
    path = tmp_path / "other.jsonl"
    life = Life(path)
    said = Say("1", "s", msgspec.Raw(b'"hi"'))
    life.writer.step(1.0, "receive", ("ann", said), life.handler.receive(1.0, "ann", said))
    life.writer.close(Footer(open=("ann", "bob")))
    assert broken(path) == ["answered"]


def test_after_a_step_that_went_otherwise_nothing_inside_is_looked_at(tmp_path: Path) -> None:
    path = ended(tmp_path / "journal.jsonl", "ann", "bob")
    path.write_text(path.read_text().replace('"ping_interval_s":30.0,"pong', '"ping_interval_s":31.0,"pong', 1))
    # What it said by then is judged all the same.
    assert broken(path, bend=bend_pool) == ["welcome"]


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
