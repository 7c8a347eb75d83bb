"""Two runs are the same where everybody was sent the same, in the same order, whatever the connections were called."""

from __future__ import annotations

from pathlib import Path

from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Effects
from chatsim.core.frames import Say, StatusIn
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims
from chatsim.journal.steps import Header, JournalWriter
from chatsim.verdict.trace import NODE, Trace, differences, parted, trace_of

EPOCH = 1000.0


class Run:
    """Ann, twice, and Bob in one session; `name` is how the wire calls connections."""

    def __init__(
        self, name: str = "c", journal: Path | None = None, word: bytes = b'"hi"', late_s: float = 0.0
    ) -> None:
        self.trace = Trace()
        config = HandlerConfig()
        self.handler = ChatHandler(config, epoch=EPOCH, seed=1)
        self.log = MemoryLog()
        self.journal = JournalWriter(journal, Header(config=config, epoch=EPOCH, seed=1))
        for number, user in enumerate(("ann", "bob", "ann")):
            conn = f"{name}{number}"
            self.do(1.0, "connect", conn, Claims(user, EPOCH + 3600.0, sessions=("s",)))
            self.do(1.0, "receive", conn, StatusIn("join", "s"))
        self.do(2.0 + late_s, "receive", f"{name}0", Say("x", "s", Raw(word)))
        self.do(3.0, "revoke", None, "bob")
        self.do(40.0, "wake")
        self.journal.close()

    def do(self, now: float, door: str, *args: object) -> None:
        effects: Effects = getattr(self.handler, door)(now, *args)
        self.trace.step(now, door, args, effects)
        self.journal.step(now, door, args, effects)
        for effect in effects:
            if type(effect).__name__ == "Append":
                self.do(now, "appended", self.log.append(effect.record))  # type: ignore[union-attr]


def said(trace: Trace, whose: str) -> list[tuple[float, str]]:
    """Moments and beginnings of what a connection had."""
    return [(entry.at, entry.what[:25]) for entry in trace.lines[whose]]


def test_lines_go_by_owner_and_turn() -> None:
    trace = Run().trace
    assert sorted(trace.lines) == ["ann/1", "ann/2", "bob/1", NODE]
    assert said(trace, NODE) == [(2.0, "accepted m1-1 s 1:1 ann x"), (3.0, "revoke")]
    assert said(trace, "bob/1") == [
        (1.0, "connected"),
        (1.0, '{"type":"status","status"'),
        (1.0, '{"type":"status","status"'),
        (2.0, '{"type":"message","messag'),
        (3.0, "close 4501 token revoked"),
    ]
    assert '"connection":"ann/2"' in trace.lines["ann/2"][1].what
    assert said(trace, "ann/1")[-1] == (40.0, "ping")


def test_the_names_of_connections_make_no_difference() -> None:
    assert differences(Run().trace, Run("d7-").trace) == []


def test_what_was_sent_and_when_does() -> None:
    (first, *more) = differences(Run().trace, Run(word=b'"ho"').trace)
    assert first.startswith("ann/2, entry ")
    assert '"hi"' in first
    assert '"ho"' in first
    assert len(more) == 1, "Bob has it too"
    late = Run(late_s=0.25).trace
    assert differences(Run().trace, late)
    assert parted(Run().trace, Run().trace) is None
    found = parted(Run().trace, late)
    assert found is not None
    assert found[1] == differences(Run().trace, late)[0]
    shorter = Run().trace.until(3.0)
    missing = differences(Run().trace, shorter)
    assert {line.partition(",")[0] for line in missing} == {"ann/1", "ann/2", "bob/1", NODE}
    assert all("against nothing" in line for line in missing)
    assert differences(Run().trace.until(3.0), shorter) == []


def test_moments_may_be_allowed_to_differ() -> None:
    frames = Run().trace.until(2.0)
    moved = Trace()
    moved.lines = {name: [type(e)(e.at + 0.1, e.what) for e in line] for name, line in frames.lines.items()}
    assert len(differences(frames, moved)) == 3
    assert differences(frames, moved, within_s=0.11) == []


def test_a_journal_gives_the_same_trace(tmp_path: Path) -> None:
    run = Run(journal=tmp_path / "journal.jsonl")
    assert differences(run.trace, trace_of(tmp_path / "journal.jsonl")) == []
