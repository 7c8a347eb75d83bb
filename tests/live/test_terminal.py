"""Invariant: a person sees who is there and what is said, and nothing of it reaches the terminal raw."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.live.chat import Chat
from chatsim.live.line import Line
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
            await ann.paper.line(r"^! The message was refused: .*rate_limited")

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
