"""Effects: a journal line of them decodes back to equal effects, and nothing to do is one shared tuple."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from chatsim.core.effects import (
    NOTHING,
    Append,
    ClientEffect,
    Close,
    Dial,
    Effect,
    HangUp,
    Ping,
    Record,
    Send,
    Tell,
    Transmit,
)
from chatsim.core.frames import Error, HeartbeatIn, Typing

HANDLER_EFFECTS: list[Effect] = [
    Send(("c1", "c2"), Typing("s", "ann", True)),
    Ping(("c1",)),
    Close("c1", 4001, "no pong"),
    Append(Record("s", "ann", "c1", "id", Raw(b'{"x":1}'), 3.25, 1, 2, "m1-1")),
    Tell("s", Typing("s", "ann", False)),
]
CLIENT_EFFECTS: list[ClientEffect] = [Dial(1.5), HangUp(1000, "bye"), Transmit(HeartbeatIn(4))]


@pytest.mark.parametrize("effect", HANDLER_EFFECTS, ids=lambda e: type(e).__name__)
def test_an_effect_encodes_as_one_tagged_array(effect: Effect) -> None:
    line = msgspec.json.decode(msgspec.json.encode(effect))
    assert isinstance(line, list)
    assert line[0] == type(effect).__name__.lower()


@pytest.mark.parametrize("effect", [*HANDLER_EFFECTS[1:4], *CLIENT_EFFECTS], ids=lambda e: type(e).__name__)
def test_an_effect_comes_back_equal(effect: Effect | ClientEffect) -> None:
    assert msgspec.json.decode(msgspec.json.encode(effect), type=type(effect)) == effect


def test_effects_are_equal_by_value() -> None:
    assert Send(("c",), Error("x", "y")) == Send(("c",), Error("x", "y"))
    assert Send(("c",), Error("x", "y")) != Send(("d",), Error("x", "y"))


def test_nothing_is_an_empty_tuple() -> None:
    assert NOTHING == ()
    assert isinstance(NOTHING, tuple)


def test_the_log_gives_a_record_its_place_and_nothing_else() -> None:
    asked = Record("s", "ann", "c1", "id", Raw(b'{"x":1}'), 3.25, 4)
    placed = asked.placed(5, 2, "m1-1")
    assert placed == Record("s", "ann", "c1", "id", Raw(b'{"x":1}'), 3.25, 5, 2, "m1-1")
    assert (asked.epoch, asked.seq, asked.message_id) == (4, 0, "")
