"""The Replay law: a journal's inputs give a fresh handler's effects, and one changed word is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Append, Effects, Tell
from chatsim.core.frames import AckIn, Say, StatusIn, TypingIn
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims
from chatsim.errors import HarnessError
from chatsim.journal.replay import Difference, Replayed, difference, handler_of, replay, replay_whole
from chatsim.journal.steps import Header, JournalWriter, Step


def a_life(path: Path) -> int:
    """Journal ten minutes of two people; returns how many steps there were."""
    header = Header(config=HandlerConfig(), epoch=1.7e9, seed=3)
    handler = handler_of(header)
    writer = JournalWriter(path, header)
    log = MemoryLog()

    def do(now: float, door: str, *args: Any) -> None:
        effects: Effects = getattr(handler, door)(now, *args)
        writer.step(now, door, args, effects)
        for effect in effects:
            if isinstance(effect, Append):
                do(now, "appended", log.append(effect.record))
            elif isinstance(effect, Tell):
                do(now, "told", effect.session, effect.message)

    for user in ("ann", "bob"):
        do(0.5, "connect", user, Claims(user, 1.7e9 + 500.0, sessions=("s",)))
        do(0.5, "receive", user, StatusIn("join", "s"))
    do(1.0, "receive", "ann", TypingIn("s", True))
    do(2.0, "receive", "ann", Say("1", "s", msgspec.Raw(b'{"text": "hello"}')))
    do(2.0, "receive", "ann", Say("1", "s", msgspec.Raw(b'{"text": "hello"}')))
    do(3.0, "receive", "bob", AckIn("s", 1))
    do(4.0, "receive", "bob", Say("2", "s", msgspec.Raw(b"[\n]")))
    do(5.0, "malformed", "bob", "bad_json", "not JSON")
    while handler.wake_at() < 600.0:
        do(handler.wake_at(), "wake")
    writer.close()
    return writer.steps


def test_a_journal_replays_without_a_difference(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert a_life(path) > 15
    assert replay(path) is None


def test_the_first_step_that_went_otherwise_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    a_life(path)
    lines = path.read_text().splitlines()
    place = next(place for place, line in enumerate(lines) if '"delivered"' in line)
    lines[place] = lines[place].replace('"user":"bob"', '"user":"cem"')
    path.write_text("\n".join(lines) + "\n")
    found = replay(path)
    assert found is not None
    assert found.step == place
    assert found.at == float(lines[place][1:].partition(",")[0])
    assert f'"{found.door}"' in lines[place]
    assert '"cem"' in found.expected
    assert '"bob"' in found.got


def test_another_seed_is_another_life(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    a_life(path)
    path.write_text(path.read_text().replace('"seed":3', '"seed":4', 1))
    assert replay(path) is not None


def test_a_whole_journal_is_replayed_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    steps = a_life(path)
    assert replay_whole(path) == Replayed(steps, True, None)


def test_a_journal_without_its_end_is_told_from_one_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    steps = a_life(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert replay_whole(path) == Replayed(steps, False, None)
    path.write_bytes(b"".join(lines[:-2]) + lines[-2][:-9])
    with pytest.raises(HarnessError, match=rf":{steps + 1}: the journal is cut short"):
        replay_whole(path)
    assert replay_whole(path, followed=True) == Replayed(steps - 1, False, None)


class Broken(ChatHandler):
    """A handler that cannot be woken."""

    def wake(self, now: float) -> Effects:
        raise ZeroDivisionError("by nothing")


def test_a_handler_that_raises_went_otherwise() -> None:
    handler = Broken(HandlerConfig(), epoch=1.7e9, seed=3)
    found = difference(handler, 4, Step(9.0, "wake", (), NOTHING))
    assert found == Difference(4, 9.0, "wake", '[9.0,"wake",[],[]]', "ZeroDivisionError: by nothing")


def test_the_end_of_a_journal_with_a_difference_is_not_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    a_life(path)
    path.write_text(path.read_text().replace('"seed":3', '"seed":4', 1))
    found = replay_whole(path)
    assert found.closed is None
    assert found.difference is not None
    assert found.steps == found.difference.step
