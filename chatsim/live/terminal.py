"""A chat for a person: lines from stdin go out, what comes in is written as lines.

Decides what is written for what happens, and what a line that begins with a slash asks for. Rule: nothing that others
say reaches the terminal raw: what is not printable is written escaped, so that no name or message moves the cursor.
Talking to the server is left to `chatsim.live.chat`, flags and exit codes to the command line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl as tls
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from chatsim.core.frames import Delivered, Draining, Joined, Left, Presence, Typing, Undelivered
from chatsim.errors import UndeliveredError
from chatsim.live.chat import Chat, Token, connect
from chatsim.live.line import Line
from chatsim.live.news import Connected, Disconnected, Event, Message, RenewalFailed
from chatsim.live.outbox import ERRANDS_MAX, Outbox

LINES_MAX = 64
"""Lines of stdin that are read ahead; whoever pipes in more waits."""

GRACE_S, PATIENCE_S = 1.0, 30.0
"""How long the server may leave everything unanswered before the end is not held up any more, and what was said counts
as not delivered: at a terminal, where there is a connection at all, and over a pipe."""

READ_BYTES = 65_536
SENT_MAX = 1000
"""Own messages of which it is remembered where they stand, for the marks when they are delivered."""

HELP = "/join S, /leave, /who, /away, /online, /quit; //text says /text"


def run(
    url: str, *, token: Token | None, ssl: tls.SSLContext | None, session: str | None, write: Callable[[str], None]
) -> bool:
    """Chat until stdin ends or `/quit`; `write` takes whole lines. Returns whether Ctrl-C ended it.

    Raises ChatError where the server cannot be reached, refuses the token or the session, or ends the chat, and its
    UndeliveredError where lines have not reached the server; over a pipe, where nobody reads why, refused ones too.
    """

    async def talk() -> None:
        async with connect(url, token=token, ssl=ssl) as chat:
            screen = Screen(chat, write, piped=not os.isatty(0))
            await _first_of(screen.follow(), screen.listen(), screen.obey(_stdin_lines(), session))

    async def work() -> bool:
        interrupted = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
        await _first_of(talk(), interrupted.wait())
        return interrupted.is_set()

    return asyncio.run(work())


async def _first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Until the first of them is done; raises what it raised."""
    tasks = [asyncio.create_task(work, name=getattr(work, "__qualname__", None)) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Screen:
    """What one person sees and does; `piped` where it is no person who types."""

    def __init__(self, chat: Chat, write: Callable[[str], None], *, piped: bool = False) -> None:
        self.session = ""
        self._chat = chat
        self._write = write
        self._piped = piped
        self._outbox = Outbox(lambda problem: write(f"! {printable(problem)}"))
        self._states: dict[str, str] = {}
        self._sent: dict[str, int] = {}
        self._connections = 0

    # What comes in.

    async def follow(self) -> None:
        """Write each message, until the chat is over."""
        async for message in self._chat:
            self._show(message)

    def _show(self, message: Message) -> None:
        where = "" if message.session == self.session else f" [{printable(message.session)}]"
        self._write(f"{_clock(message.sent_at)}{where} {printable(message.sender)}: {_text(message)}")

    async def listen(self) -> None:
        """Write each notice. Ends never: the end of the chat is told by its messages."""
        async for event in self._chat.events():
            line = self._line(event)
            if line:
                self._write(line)
        await asyncio.Event().wait()

    def _line(self, event: Event) -> str:
        """A notice in a line; empty for what nobody needs to know."""
        if isinstance(event, (Presence, Typing)):
            return self._line_of_somebody(event)
        if isinstance(event, Delivered):
            places = [self._sent[id_] for id_ in event.message_ids if id_ in self._sent]
            return f"  [{', '.join(map(str, places))}] delivered to {printable(event.user)}" if places else ""
        if isinstance(event, Undelivered):
            place = self._sent.get(event.message_id, "?")
            return f"  [{place}] not delivered to {printable(event.user)}: {printable(event.reason)}"
        if isinstance(event, Joined):
            return self._entered(event)
        if isinstance(event, Left):
            return f"* left {printable(event.session)}: {printable(event.reason)}" if event.reason != "left" else ""
        return self._line_of_the_connection(event)

    def _line_of_somebody(self, event: Presence | Typing) -> str:
        who = printable(event.user)
        if isinstance(event, Presence):
            self._states[event.user] = event.state
            return f"* {who} is {event.state}"
        return f"* {who} is typing" if event.active else ""

    def _line_of_the_connection(self, event: Event) -> str:
        if isinstance(event, Connected):
            self._connections += 1
            return "* connected again" if self._connections > 1 else ""
        if isinstance(event, Disconnected):
            return f"* connection lost ({event.code}{' ' if event.reason else ''}{printable(event.reason)})"
        if isinstance(event, Draining):
            return "* the server is going away for a while"
        if isinstance(event, RenewalFailed):
            return f"* no new token could be fetched: {type(event.problem).__name__}"
        return ""

    def _entered(self, joined: Joined) -> str:
        self._states |= {one.user: one.state for one in joined.participants}
        lost = self._connections > 1 and not joined.recovered and joined.session == self.session
        gap = "\n* messages from before may be missing" if lost else ""
        return f"* in {printable(joined.session)}: {self.who()}{gap}"

    # What goes out.

    async def obey(self, lines: Line[str], session: str | None = None) -> None:
        """Go into the session, if one is told, and do what each line says, until they end or one says to quit.

        What needs no server is done at once, whatever waits for an answer. Raises JoinRefusedError where that session
        is refused, UndeliveredError where something said has not reached the server.
        """
        if session is not None:
            first = session
            self._outbox.put(lambda: self.join(first), vital=True)
        await _first_of(self._read(lines), self._outbox.run())

    async def _read(self, lines: Line[str]) -> None:
        """Obey until the end, and see that what was said gets where it should."""
        stalled = False
        with suppress(StopAsyncIteration):
            while not stalled and (line := await lines.get()).strip() != "/quit":
                await self.do(line)
                if self._outbox.full:
                    stalled = not await self._outbox.shrink(ERRANDS_MAX - 1, PATIENCE_S)
        patience_s = PATIENCE_S if self._piped else GRACE_S if self._chat.connected else 0.0
        if not stalled:
            await self._outbox.shrink(0, patience_s, obedient=self._piped)
        left, refused = self._outbox.lines, self._outbox.refused if self._piped else 0
        if left:
            raise UndeliveredError(left + refused, "it has not answered")
        if refused:
            raise UndeliveredError(refused, "what was printed says why")

    async def do(self, line: str) -> None:
        """One line: something to say, or a command. What the server has to answer waits for its turn."""
        word, _, rest = line.strip().partition(" ")
        if not word.startswith("/") or word.startswith("//"):
            text = line.rstrip("\r\n")
            text = text.removeprefix("/") if word.startswith("//") else text
            if text:
                self._outbox.put(lambda: self._say(text), line=True)
        elif word == "/join" and rest.strip():
            session = rest.strip()
            self._outbox.put(lambda: self.join(session))
        elif word == "/leave":
            self._outbox.put(self._leave)
        elif word == "/who":
            self._write(f"* {self.who()}")
        elif word == "/away":
            await self._chat.presence("away")
        elif word == "/online":
            await self._chat.presence("online")
        else:
            self._write(f"! no such command: {HELP}")

    async def join(self, session: str) -> None:
        """Go into a session, and out of the one before."""
        await self._chat.join(session)
        before, self.session = self.session, session
        if before and before != session:
            await self._chat.leave(before)

    async def _leave(self) -> None:
        if self.session:
            left, self.session = self.session, ""
            await self._chat.leave(left)
            self._write(f"* left {printable(left)}")
            self._states.clear()

    async def _say(self, text: str) -> None:
        if not self.session:
            raise ValueError("say where first: /join S")
        said = await self._chat.say(self.session, text)
        self._sent[said.message_id] = said.seq
        if len(self._sent) > SENT_MAX:
            del self._sent[next(iter(self._sent))]
        self._write(f"{_clock(time.time())} [{said.seq}] {printable(self._chat.user)}: {printable(text)}")

    def who(self) -> str:
        """Who is there, and how; the person herself is."""
        states = self._states | {self._chat.user: self._states.get(self._chat.user, "online")}
        return ", ".join(
            printable(name) if state == "online" else f"{printable(name)} ({state})"
            for name, state in sorted(states.items())
        )


def printable(text: str) -> str:
    """Text that moves no cursor and turns no line around: whatever is not printable is escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _text(message: Message) -> str:
    body = message.body
    if isinstance(body, str):
        return printable(body)
    try:
        return printable(json.dumps(body, ensure_ascii=False))
    except RecursionError:
        return "(nested too deep to be shown)"


def _clock(at: float) -> str:
    """A moment (seconds since the Unix epoch) as this person's clock shows it; dashes for one that no clock has."""
    try:
        return time.strftime("%H:%M:%S", time.localtime(at))
    except (OverflowError, ValueError, OSError):
        return "--:--:--"


class _Lines(Line[str]):
    """Lines, and the room that whoever reads them makes."""

    def __init__(self, size: int, room: threading.Semaphore) -> None:
        super().__init__(size)
        self._room = room

    async def get(self) -> str:
        line = await super().get()
        self._room.release()
        return line


def _stdin_lines() -> Line[str]:
    """The lines of stdin, whatever it is: a terminal, a pipe or a file.

    A thread reads it, since a file cannot be waited for otherwise; it is a daemon, and reads without Python's buffer,
    which a thread that is still reading would keep locked at the end.
    """
    loop = asyncio.get_running_loop()
    room = threading.Semaphore(LINES_MAX)

    lines = _Lines(LINES_MAX, room)

    def read() -> None:
        rest = b""
        # The loop may be closed when the last line comes.
        with suppress(RuntimeError):
            while data := _read():
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    room.acquire()
                    loop.call_soon_threadsafe(lines.put, line.decode(errors="replace"))
            if rest:
                loop.call_soon_threadsafe(lines.put, rest.decode(errors="replace"))
            loop.call_soon_threadsafe(lines.end)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return lines


def _read() -> bytes:
    try:
        return os.read(0, READ_BYTES)
    except OSError:
        return b""
