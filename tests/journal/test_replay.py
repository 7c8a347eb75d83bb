"""The Replay law: a journal's inputs give a fresh handler's effects, and one changed word is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Effects, Tell
from chatsim.core.frames import AckIn, Say, StatusIn, TypingIn
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims
from chatsim.journal.replay import handler_of, replay
from chatsim.journal.steps import Header, JournalWriter


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
    assert '"cem"' in found.expected
    assert '"bob"' in found.got


def test_another_seed_is_another_life(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    a_life(path)
    path.write_text(path.read_text().replace('"seed":3', '"seed":4', 1))
    assert replay(path) is not None
