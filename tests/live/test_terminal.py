"""Invariant: a person sees who is there and what is said, and nothing of it reaches the terminal raw."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.errors import JoinRefusedError, UndeliveredError
from chatsim.live.chat import Chat
from chatsim.live.line import Line
from chatsim.live.news import Message
from chatsim.live.terminal import Screen, printable
from tests.live.relay import relay
from tests.live.running import Running, on_loop, running, token
from tests.live.test_chat import chatting


@given(st.text())
def test_what_is_printable_has_no_control_character(text: str) -> None:
    assert printable(text).isprintable()
    assert not text.isprintable() or printable(text) == text


class Paper(list[str]):
    """What was written, and somebody who waits for a line."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def write(self, text: str) -> None:
        self.extend(text.split("\n"))
        self._news.set()

    async def line(self, pattern: str) -> str:
        """The first line that fits."""
        while True:
            for line in self:
                if re.search(pattern, line):
                    return line
            self._news.clear()
            await self._news.wait()


class Seat:
    """One person at a terminal."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.paper = Paper()
        self.screen = Screen(chat, self.paper.write)
        self.lines: Line[str] = Line(100)

    def type(self, line: str) -> None:
        self.lines.put(line)


@asynccontextmanager
async def seat(server: Running, user: str = "ann", url: str = "") -> AsyncIterator[Seat]:
    """Somebody who sits there."""
    mine = token(user, sessions=("room", "other"))
    async with chatting(server, user, url, token=mine) as chat:
        made = Seat(chat)
        works = [made.screen.follow(), made.screen.listen(), made.screen.obey(made.lines)]
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def test_two_people_see_each_other() -> None:
    async def work() -> None:
        async with running() as server, seat(server) as ann, seat(server, "bob") as bob:
            ann.type("/join room")
            await ann.paper.line(r"^\* in room: ann$")
            bob.type("/join room")
            await bob.paper.line(r"^\* in room: ann, bob$")
            await ann.paper.line(r"^\* bob is online$")
            await bob.chat.typing("room")
            await ann.paper.line(r"^\* bob is typing$")
            ann.type("good morning\r")
            await ann.paper.line(r"^\d\d:\d\d:\d\d \[1\] ann: good morning$")
            await bob.paper.line(r"^\d\d:\d\d:\d\d ann: good morning$")
            await ann.paper.line(r"^  \[1\] delivered to bob$")
            bob.type("/away")
            await ann.paper.line(r"^\* bob is away$")
            ann.type("/who")
            await ann.paper.line(r"^\* ann, bob \(away\)$")
            bob.type("//shrug")
            await ann.paper.line(r"bob: /shrug$")
            await bob.chat.say("room", {"x": 1})
            await ann.paper.line(r'bob: \{"x": 1\}$')

    on_loop(work)


def test_what_others_send_moves_no_cursor() -> None:
    async def work() -> None:
        async with running() as server, seat(server) as ann, chatting(server, "bob") as bob:
            ann.type("/join room")
            await ann.paper.line("in room")
            await bob.join("room")
            await bob.say("room", "\x1b[2J\nann: I agree\u202e")
            line = await ann.paper.line("agree")
            assert line.endswith(r"bob: \x1b[2J\nann: I agree\u202e")
            assert all(one.isprintable() for one in ann.paper)

    on_loop(work)


def test_what_cannot_be_done_is_said_in_a_line() -> None:
    async def work() -> None:
        async with running(config=HandlerConfig(rate_limit=1)) as server, seat(server) as ann:
            ann.type("hello?")
            await ann.paper.line(r"^! say where first")
            ann.type("/dance")
            await ann.paper.line(r"^! no such command: /join")
            ann.type("/join nowhere")
            await ann.paper.line(r"^! The session 'nowhere' cannot be joined")
            ann.type("/join " + "x" * 200)
            await ann.paper.line(r"^! a session's name")
            ann.type("/join room")
            ann.type("")
            ann.type("one")
            ann.type("two")
            await ann.paper.line(r"^! Too many messages for the server: this one waits (60|59) s\.$")
            ann.type("/who")
            await ann.paper.line(r"^\* ann$")

    on_loop(work)


def test_to_join_another_session_is_to_leave_the_first() -> None:
    async def work() -> None:
        async with running() as server, seat(server) as ann, chatting(server, "bob") as bob:
            await bob.join("room")
            for line in ("/join room", "/join other", "/leave", "/leave", "/who"):
                ann.type(line)
            await ann.paper.line(r"^\* left other$")
            await ann.paper.line(r"^\* ann$")
            assert ann.screen.session == ""
            assert not any("left room" in line for line in ann.paper)

    on_loop(work)


def test_the_end_of_the_connection_and_its_return_are_told() -> None:
    async def work() -> None:
        async with running() as server, relay(server.port) as way, seat(server, url=way.url) as ann:
            ann.type("/join room")
            await ann.paper.line("in room")
            way.cut()
            await ann.paper.line(r"^\* connection lost \(1006 ")
            await ann.paper.line(r"^\* connected again$")

    on_loop(work)


def test_quit_and_the_end_of_the_lines_end_it() -> None:
    async def work() -> None:
        async with running() as server, chatting(server) as ann:
            screen = Screen(ann, lambda _: None)
            lines: Line[str] = Line(10)
            lines.put("/quit")
            lines.put("/join room")
            await screen.obey(lines)
            assert screen.session == ""
            lines.end()
            await screen.obey(lines)
            assert screen.session == "room"

    on_loop(work)


@pytest.mark.parametrize("end", ["/quit", None])
@pytest.mark.parametrize("count", [1, 2])
def test_commands_and_the_end_are_obeyed_while_the_server_is_away(end: str | None, count: int) -> None:
    async def work() -> None:
        async with running() as server, relay(server.port) as way, chatting(server, url=way.url) as ann:
            paper, lines = Paper(), Line[str](100)
            screen = Screen(ann, paper.write)
            listening = asyncio.ensure_future(screen.listen())
            obeying = asyncio.ensure_future(screen.obey(lines, "room"))
            await paper.line("in room")
            way.through = False
            way.cut()
            await paper.line("connection lost")
            for number in range(count):
                lines.put(f"line {number}")
            lines.put("/who")
            await paper.line(r"^\* ann$")
            if end:
                lines.put(end)
            else:
                lines.end()
            with pytest.raises(UndeliveredError) as problem:
                await obeying
            assert (problem.value.lines, problem.value.exit_code) == (count, 4)
            assert ("One line was" if count == 1 else "2 lines were") in str(problem.value)
            listening.cancel()

    on_loop(work)


def test_lines_that_waited_arrive_in_order_when_the_server_is_back() -> None:
    async def work() -> None:
        async with (
            running() as server,
            relay(server.port) as way,
            chatting(server, "bob") as bob,
            seat(server, url=way.url) as ann,
        ):
            await bob.join("room")
            ann.type("/join room")
            await ann.paper.line("in room")
            way.through = False
            way.cut()
            await ann.paper.line("connection lost")
            for number in range(5):
                ann.type(f"line {number}")
            ann.type("/who")
            await ann.paper.line(r"^\* ann")
            way.through = True
            assert [(await anext(bob)).body for _ in range(5)] == [f"line {number}" for number in range(5)]

    on_loop(work)


def test_what_ends_in_a_pipe_is_said_to_the_end_and_what_is_too_much_waits() -> None:
    async def work() -> None:
        config = HandlerConfig(rate_limit=2, rate_window_s=0.05)
        async with running(config=config) as server, chatting(server, "bob") as bob, chatting(server) as ann:
            await bob.join("room")
            lines = Line[str](100)
            for number in range(6):
                lines.put(f"line {number}")
            lines.end()
            paper = Paper()
            await Screen(ann, paper.write, piped=True).obey(lines, "room")
            assert [(await anext(bob)).body for _ in range(6)] == [f"line {number}" for number in range(6)]
            assert any("Too many messages" in line for line in paper)

    on_loop(work)


@pytest.mark.parametrize("piped", [True, False])
def test_what_was_refused_is_a_failure_over_a_pipe_alone(piped: bool) -> None:
    async def work() -> None:
        async with running() as server, chatting(server) as ann:
            lines = Line[str](100)
            lines.put("where am I?")
            lines.end()
            ending = Screen(ann, lambda _: None, piped=piped).obey(lines)
            if piped:
                with pytest.raises(UndeliveredError, match="what was printed"):
                    await ending
            else:
                await ending

    on_loop(work)


def test_a_session_that_is_refused_at_the_start_ends_it() -> None:
    async def work() -> None:
        async with running() as server, chatting(server) as ann:
            lines = Line[str](100)
            lines.end()
            with pytest.raises(JoinRefusedError):
                await Screen(ann, lambda _: None, piped=True).obey(lines, "elsewhere")

    on_loop(work)


@pytest.mark.parametrize(
    ("body", "decoded", "line"),
    [
        (inf, True, "00:00:00 bob: Infinity"),
        ("9" * 5000, False, "00:00:00 bob: " + "9" * 5000),
        ([1, {"a": None}], True, '00:00:00 bob: [1, {"a": null}]'),
    ],
)
def test_every_body_has_a_line(body: Any, decoded: bool, line: str) -> None:
    assert line[8:] == _written(body, decoded, 0.0)[8:]


def test_what_no_clock_shows_and_what_nests_too_deep_is_written_all_the_same() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert _written(deep, True, 1e308) == "--:--:-- bob: (nested too deep to be shown)"


def _written(body: Any, decoded: bool, sent_at: float) -> str:
    async def work() -> str:
        async with running() as server, chatting(server) as ann:
            paper = Paper()
            screen = Screen(ann, paper.write)
            screen.session = "room"
            screen._show(
                Message(
                    message_id="m", session="room", epoch=1, seq=1, sender="bob", body=body, sent_at=sent_at,
                    attempt=1, decoded=decoded,
                )
            )  # fmt: skip
            return paper[0]

    return on_loop(work)
