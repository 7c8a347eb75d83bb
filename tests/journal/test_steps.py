"""What a journal writes it reads back equal, and its hash is over the lines after the header."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Close, Effects, Note, Ping, Record, Send, Tell
from chatsim.core.facts import Added, Ended, Fact, Made, Parted, Position, Removed, Revoked
from chatsim.core.frames import (
    Ack,
    AckIn,
    Delivered,
    Draining,
    Error,
    Heartbeat,
    HeartbeatIn,
    Joined,
    Left,
    Message,
    Participant,
    Presence,
    PresenceIn,
    Refreshed,
    Say,
    StatusIn,
    TokenExpiring,
    Typing,
    TypingIn,
    Undelivered,
)
from chatsim.core.tokens import Claims
from chatsim.errors import HarnessError
from chatsim.journal.steps import (
    Footer,
    Header,
    JournalReader,
    JournalWriter,
    Step,
    decode_step,
    encode_step,
    read,
    read_header,
)
from tests.frames import welcome

HEADER = Header(config=HandlerConfig(retries=2), epoch=1.7e9, seed=5, clock_at=12.5)
RAW = msgspec.Raw(b'{"a":\n [1, "\xc3\xa9"]}')
FACTS: tuple[Fact, ...] = (
    Made("s", ("ann", "bob"), None),
    Made("t", ("ann",), 1.8e9),
    Made("u", ("ann",), None, 7, True, "ann"),
    Added("s", "cid"),
    Removed("s", "bob"),
    Position("s", "ann", 3),
    Parted("s", "bob"),
    Revoked("j", None, 1.7e9),
    Revoked(None, "bob", 1.7e9),
    Ended("t"),
)

RECORD = Record("s", "ann", "c1", "a", msgspec.Raw(b'"x"'), 1.7e9, 1, 3, "m1-3")
STEPS: list[tuple[str, tuple[Any, ...], Effects]] = [
    ("connect", ("c1", Claims("ann", 2e9, jti="j", sessions=("s",))), ()),
    (
        "connect",
        ("c2", Claims("bob", 2e9)),
        (
            Send(
                ("c2",),
                welcome("c2", "bob", expires_in_s=5.5),
            ),
        ),
    ),
    (
        "receive",
        ("c1", StatusIn("join", "s", 1, 0, "c0")),
        (
            Send(
                ("c1",),
                Joined(
                    session="s",
                    epoch=1,
                    seq=2,
                    recovered=True,
                    replayed=0,
                    participants=(Participant("ann", "online"),),
                ),
            ),
            Tell("s", Presence("ann", "online", 1.7e9)),
        ),
    ),
    ("receive", ("c1", Say("a", "s", msgspec.Raw(b"[1, 2]"))), (Append(RECORD),)),
    ("receive", ("c1", AckIn("s", 3)), (Send((), Delivered(session="s", user="ann", message_ids=("m",))),)),
    ("receive", ("c1", AckIn(message_id="m")), ()),
    ("receive", ("c1", TypingIn("s", True)), (Tell("s", Typing("s", "ann", True)),)),
    ("receive", ("c1", PresenceIn("away")), ()),
    ("receive", ("c1", HeartbeatIn(1)), (Send(("c1",), Heartbeat(1.7e9, {"s": 3}, 1)),)),
    ("receive", ("c1", HeartbeatIn()), (Send(("c1",), Heartbeat(1.7e9, {})),)),
    ("malformed", ("c1", "bad_json", "not JSON"), (Send(("c1",), Error("bad_json", "not JSON")),)),
    ("pong", ("c1",), ()),
    ("clock_jump", (-3.5,), ()),
    ("disconnect", ("c1",), tuple(Note(fact) for fact in FACTS)),
    ("pressure", ("c1", 100, 3), (Close("c1", 4000, "too slow a reader"),)),
    ("pressure", ("c1", 100), ()),
    ("refresh", ("c1", Claims("ann", 3e9)), (Send(("c1",), Refreshed(expires_in_s=9.0)),)),
    ("refuse_refresh", ("c1", "token_invalid"), (Close("c1", 4500, "token_invalid"),)),
    ("revoke", ("j", None), ()),
    ("open_session", ("s", ("ann", "bob"), 60.5), (Note(FACTS[0]),)),
    ("open_session", ("s", ("ann",), None), ()),
    ("open_session", ("s", ("ann",), None, "ann"), ()),
    ("add_participant", ("s", "cid"), (Note(FACTS[3]),)),
    ("remove_participant", ("s", "bob"), ()),
    ("end_session", ("s",), ()),
    ("post", ("ann", "p1", msgspec.Raw(b'{"a": [1]}')), ()),
    ("drain", (), (Send(("c1",), Draining(reconnect_after_ms=7)),)),
    (
        "appended",
        (RECORD,),
        (
            Send(("c1",), Ack("a", "m1-3", "s", 1, 3, False)),
            Send(("c2",), Message("m1-3", "s", 1, 3, "ann", msgspec.Raw(b'"x"'), 1.7e9, 1)),
        ),
    ),
    ("append_failed", (RECORD,), (Send(("c1",), Error("unavailable", "later", "a", 5)),)),
    ("told", ("s", Typing("s", "ann", False)), (Send(("c2",), Typing("s", "ann", False)),)),
    (
        "wake",
        (),
        (
            Ping(("c1", "c2")),
            Send(("c1",), Undelivered(message_id="m", session="s", user="bob", reason="no_ack")),
            Send(("c1",), TokenExpiring(expires_in_s=60.0)),
            Send(("c1",), Left(session="s", reason="ended")),
        ),
    ),
    ("disconnect", ("c1",), ()),
]


def write(path: Path | None) -> JournalWriter:
    writer = JournalWriter(path, HEADER)
    for place, (door, args, effects) in enumerate(STEPS):
        writer.step(place + 0.1, door, args, effects)
    return writer


def test_every_door_and_effect_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    writer = write(path)
    writer.close()
    assert read_header(path) == HEADER
    assert list(read(path)) == [
        Step(place + 0.1, door, args, effects) for place, (door, args, effects) in enumerate(STEPS)
    ]


def test_the_hash_is_over_the_lines_after_the_header(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    writer = write(path)
    before = writer.trace_hash
    writer.close()
    lines = path.read_bytes().split(b"\n", 1)[1].rsplit(b"\n", 2)[0] + b"\n"
    assert before == writer.trace_hash == blake2b(lines, digest_size=16).hexdigest() == write(None).trace_hash
    assert before != JournalWriter(None, HEADER).trace_hash


def test_line_ends_inside_a_body_do_not_end_the_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    writer = JournalWriter(path, HEADER)
    writer.step(1.0, "receive", ("c", Say("a", "s", RAW)), ())
    writer.flush()
    assert path.read_bytes().count(b"\n") == 2
    (step,) = read(path)
    assert bytes(step.args[1].body) == bytes(RAW).replace(b"\n", b" ")
    writer.close()


def test_a_last_line_cut_short_ends_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path).close()
    path.write_bytes(path.read_bytes().rsplit(b"\n", 2)[0][:-7])
    assert len(list(read(path))) == len(STEPS) - 1


def test_a_growing_journal_is_followed_to_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    writer = JournalWriter(path, HEADER)
    with JournalReader(path) as reader:
        assert list(reader.steps()) == []
        # The first step comes long after the opening, and is written; the second waits for company.
        writer.step(5.0, "pong", ("c1",), ())
        writer.step(5.0, "pong", ("c2",), ())
        assert [step.args for step in reader.steps()] == [("c1",)]
        writer.step(6.0, "pong", ("c3",), ())
        assert [step.args for step in reader.steps()] == [("c2",), ("c3",)]
        footer = reader.footer
        assert footer is None
        writer.close(Footer(loop_lag_s=(0.001, 0.002)))
        assert list(reader.steps()) == []
        footer = reader.footer
        assert footer == Footer(loop_lag_s=(0.001, 0.002))
        lines = path.read_bytes().splitlines(keepends=True)
        assert reader.trace_hash == blake2b(b"".join(lines[1:-1]), digest_size=16).hexdigest()


@pytest.mark.parametrize("line", [b'{"x":1}\n', b'[1.0,"fly",[],[]]\n', b'[1.0,"connect",[1],[]]\n', b"?\n"])
def test_a_line_that_is_no_step_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    write(path).close()
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(HarnessError, match=rf"journal\.jsonl:{len(STEPS) + 3}: not a step"):
        list(read(path))


@pytest.mark.parametrize("head", [b"", b"{}\n", b"[]\n"])
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "other.jsonl"
    path.write_bytes(head)
    with pytest.raises(HarnessError, match="not a journal"):
        read_header(path)


def test_a_journal_of_another_version_and_one_that_is_there_already_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(msgspec.json.encode(Header(config=HandlerConfig(), epoch=0.0, seed=0, version=9)) + b"\n")
    with pytest.raises(HarnessError, match="version 9"):
        read_header(path)
    with pytest.raises(HarnessError, match="cannot be written"):
        JournalWriter(path, HEADER)


@given(st.floats(0, 1e9), st.text(min_size=1, max_size=20).filter(str.isprintable), st.integers(0, 2**53))
def test_one_step_reads_back_equal_whatever_the_words(now: float, word: str, number: int) -> None:
    frame = Message(word, word, 1, number, word, msgspec.Raw(msgspec.json.encode(word)), now, 1)
    line = encode_step(now, "told", (word, frame), (Send((word,), frame),))
    assert decode_step(line) == Step(now, "told", (word, frame), (Send((word,), frame),))


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with path.open("wb", buffering=0) as file:
        file.write(msgspec.json.encode(HEADER) + b'\n[7.0,"wake"')
        with JournalReader(path) as reader:
            assert list(reader.steps()) == []
            file.write(b",[],[]")
            assert list(reader.steps()) == []
            file.write(b"]\n")
            assert list(reader.steps()) == [Step(7.0, "wake", (), ())]
