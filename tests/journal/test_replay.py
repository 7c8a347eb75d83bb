"""The Replay law: a journal's inputs give a fresh handler's effects, and one changed word is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Append, Effects, Tell
from chatsim.core.frames import AckIn, Say, StatusIn, TypingIn
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims
from chatsim.errors import HarnessError
from chatsim.journal.replay import END, MISFIT, Difference, Replayed, difference, handler_of, replay, replay_whole
from chatsim.journal.steps import Header, JournalWriter, Step
from tests.thorough import examples


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
    do(5.5, "pong", "bob")
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


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines of a whole journal: its header, its steps, its footer."""
    path = tmp_path_factory.mktemp("whole") / "journal.jsonl"
    a_life(path)
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tampered") / "journal.jsonl"


def tampered(scratch: Path, lines: list[bytes]) -> Difference:
    """What is said of a journal of these lines."""
    scratch.write_bytes(b"".join(lines))
    found = replay_whole(scratch).difference
    assert found is not None
    return found


def test_a_step_without_effects_that_is_gone_is_found(lines: list[bytes], scratch: Path) -> None:
    place = next(place for place, line in enumerate(lines) if line.startswith(b'[5.5,"pong",["bob"],[],'))
    found = tampered(scratch, lines[:place] + lines[place + 1 :])
    assert (found.step, found.got) == (place, MISFIT)


@examples(60)
@given(st.data())
def test_whatever_is_done_to_a_line_the_first_that_is_not_as_written_is_named(
    lines: list[bytes], scratch: Path, data: st.DataObject
) -> None:
    made = list(lines)
    # The header is a place too, the footer is not: a killed process leaves none.
    place = data.draw(st.integers(1, len(made) - 2), "place")
    what = data.draw(st.sampled_from(("remove", "double", "swap", "alter")), "what")
    first = place
    if what == "remove":
        del made[place]
    elif what == "double":
        made.insert(place, made[place])
        first = place + 1
    elif what == "swap":
        other = data.draw(st.integers(1, len(made) - 2).filter(lambda n: n != place), "other")
        made[place], made[other] = made[other], made[place]
        first = min(place, other)
    else:
        # The moment of a step, by a hair: few handlers would answer otherwise.
        now, comma, rest = made[place].partition(b",")
        made[place] = b"[%.9f" % (float(now[1:]) + 1e-6) + comma + rest
    assert tampered(scratch, made).step == first


def test_what_is_altered_in_the_header_or_the_end_is_named_too(lines: list[bytes], scratch: Path) -> None:
    other = tampered(scratch, [lines[0].replace(b'"clock_at":0.0', b'"clock_at":1.0'), *lines[1:]])
    assert (other.step, other.got) == (1, MISFIT)
    end = tampered(scratch, [*lines[:-1], lines[-1].replace(b'"open":null', b'"open":["ann"]')])
    assert (end.step, end.door, end.got) == (len(lines) - 1, END, MISFIT)
    assert '"open":["ann"]' in end.expected
    assert tampered(scratch, [*lines, lines[-1]]).step == len(lines)


def test_a_journal_of_before_there_were_checks_is_replayed(lines: list[bytes], scratch: Path) -> None:
    old = [lines[0].replace(b'"version":2', b'"version":1')]
    old += [line[: line.rindex(b",")] + b"]\n" for line in lines[1:-1]]
    scratch.write_bytes(b"".join([*old, b'{"loop_lag_s":[],"open":null}\n']))
    assert replay_whole(scratch) == Replayed(len(lines) - 2, True, None)
    # Without its checks, one of today's is not taken for one of then.
    scratch.write_bytes(b"".join([lines[0], *old[1:]]))
    found = replay(scratch)
    assert found is not None
    assert (found.step, found.got) == (1, MISFIT)
