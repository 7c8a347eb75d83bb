"""A handler with manual time does what the rules say, when they say it, and nothing between."""

from __future__ import annotations

import pytest

from chatsim.core.codes import NO_PONG
from chatsim.core.config import HandlerConfig
from chatsim.core.frames import Ack, Delivered, Error, Message, Typing, Welcome
from chatsim.testing.clocked import ClockedHandler


def test_what_one_says_the_other_hears_and_the_first_is_acked() -> None:
    chat = ClockedHandler()
    chat.arrive("ann", "bob")
    name = chat.say("ann", {"text": "hello"})
    (message,) = chat.heard("bob", Message)
    assert (message.sender, bytes(message.body)) == ("ann", b'{"text":"hello"}')
    assert [ack.id for ack in chat.heard("ann", Ack)] == [name]
    chat.ack("bob", message.seq)
    chat.advance(1.0)
    assert [told.user for told in chat.heard("ann", Delivered)] == ["bob"]


def test_time_stands_until_it_is_moved_and_then_every_retry_has_its_moment() -> None:
    chat = ClockedHandler(HandlerConfig(retry_interval_s=30.0, retries=3))
    chat.arrive("ann", "bob")
    chat.say("ann", "hello")
    assert chat.now == 0.0
    chat.advance(200.0)
    assert chat.now == 200.0
    moments = [sent.at for sent in chat.sent if sent.to == "bob" and isinstance(sent.frame, Message)]
    assert moments == [0.0, 30.0, 60.0, 90.0]


def test_who_is_silent_is_found_and_the_others_stay() -> None:
    chat = ClockedHandler()
    chat.arrive("ann", "bob")
    chat.silent.add("bob")
    chat.advance(60.0)
    assert [(closed.conn, closed.code) for closed in chat.closed] == [("bob", NO_PONG)]
    # A ping every 30 s, the first within half of that or all of it, and 10 s for its answer.
    assert 10.0 < chat.closed[0].at <= 40.0


def test_the_limit_of_messages_is_refused_until_the_minute_is_over() -> None:
    chat = ClockedHandler(HandlerConfig(rate_limit=2))
    chat.arrive("ann")
    for _ in range(3):
        chat.say("ann", "hello")
    assert [error.code for error in chat.heard("ann", Error)] == ["rate_limited"]
    chat.advance(60.0)
    chat.say("ann", "hello")
    assert len(chat.heard("ann", Ack)) == 3


def test_a_token_ends_when_it_says() -> None:
    chat = ClockedHandler()
    chat.connect("ann", ttl_s=100.0)
    chat.advance(99.0)
    assert chat.closed == []
    chat.advance(60.0)
    assert [closed.conn for closed in chat.closed] == ["ann"]


def test_who_is_gone_is_told_nothing_more() -> None:
    chat = ClockedHandler()
    chat.arrive("ann", "bob")
    chat.disconnect("bob")
    before = len([sent for sent in chat.sent if sent.to == "bob"])
    chat.typing("ann")
    chat.say("ann", "hello")
    chat.advance(10.0)
    assert len([sent for sent in chat.sent if sent.to == "bob"]) == before


def test_typing_is_told_and_a_second_device_is_the_same_user() -> None:
    chat = ClockedHandler()
    chat.arrive("ann")
    chat.connect("phone", "bob")
    chat.join("phone")
    chat.typing("ann")
    assert [told.active for told in chat.heard("phone", Typing)] == [True]
    assert [welcome.user for welcome in chat.heard("phone", Welcome)] == ["bob"]


def test_draining_closes_everybody_within_the_window() -> None:
    chat = ClockedHandler(HandlerConfig(drain_window_s=5.0))
    chat.arrive("ann", "bob")
    chat.drain()
    chat.advance(6.0)
    assert {closed.conn for closed in chat.closed} == {"ann", "bob"}


def test_time_does_not_go_back() -> None:
    with pytest.raises(AssertionError):
        ClockedHandler().advance(-1.0)
