"""Whatever a server sends, it ends in an error of the library or in another connection, and raises in no callback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol

from chatsim.core.client import ClientConfig
from chatsim.core.frames import Draining, Error, encode
from chatsim.errors import ChatError
from chatsim.live.chat import Chat, connect
from chatsim.live.framing import close_frame, text_frame
from tests.core.test_frames import SERVER
from tests.frames import welcome
from tests.live.running import on_loop
from tests.thorough import examples

ODD: dict[type, list[Any]] = {
    str: ["", "s", "elsewhere", "@ann", "ann", "x" * 300, "rate_limited", "unavailable", "bad_frame"],
    int: [0, -1, 10**18, 10**400, -(10**400)],
    float: [0.0, -1.0, 1e308, -1e308, 10**400],
    bool: [True, False],
}
ONCE = ClientConfig(reconnect=False)


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A frame of the server with odd values in some of its fields, mostly of the kind that belongs there."""
    told: dict[str, Any] = json.loads(encode(draw(st.sampled_from(SERVER))))
    for name, value in told.items():
        if name not in ("type", "status") and draw(st.booleans()):
            told[name] = draw(st.sampled_from(ODD.get(type(value), [None, [], {}, ["m"], {"room": 10**400}])))
    return json.dumps(told).encode()


MESSAGE = encode(SERVER[0])
BODIES = [b"1e999", b"9" * 5000, b"[" * 600 + b"]" * 600, b"[" * 9000 + b"]" * 9000, b'"\xff"', b'"\\ud800"']
FRAMES = st.one_of(
    changed().map(text_frame),
    changed().map(text_frame),
    st.sampled_from(BODIES).map(lambda body: text_frame(MESSAGE.replace(b'"hi"', body))),
    st.binary(max_size=200).map(text_frame),
    st.sampled_from([b"\x89\x00", b"\x8a\x00", b"\x82\x01x", b"\x01\x01{", b"\x80\x00", close_frame(4502, "over")]),
    st.binary(max_size=125).map(lambda data: bytes([0x88, len(data)]) + data),
    st.binary(max_size=50),
)


class Hostile(asyncio.Protocol):
    """Takes somebody in, says what it has to say, and hangs up; `answer` is said instead of taking anybody in."""

    def __init__(self, said: bytes, answer: bytes = b"") -> None:
        self.said = said
        self.answer = answer
        self.parser = ServerProtocol()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.receive_data(data)
        for event in self.parser.events_received():
            if isinstance(event, Request):
                self.parser.send_response(self.parser.accept(event))
                taken_in = b"".join(self.parser.data_to_send()) + text_frame(encode(welcome()))
                self.transport.write(self.answer or taken_in)
                if self.answer:
                    self.transport.close()
            elif isinstance(event, Frame) and b'"message"' in event.data:
                # The client has asked for what it wants, and waits for its answers.
                self.transport.write(self.said)
                self.transport.close()


@asynccontextmanager
async def hostile(said: bytes, answer: bytes = b"") -> AsyncIterator[tuple[str, list[Any]]]:
    """The address of such a server, and what has raised in a callback."""
    loop = asyncio.get_running_loop()
    raised: list[Any] = []
    loop.set_exception_handler(lambda _, context: raised.append(context))
    server = await loop.create_server(lambda: Hostile(said, answer), "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", raised
    finally:
        server.close()


async def ask_for_all(chat: Chat) -> None:
    """Want everything that a chat can give, until it is over."""

    async def reading() -> None:
        async for _ in chat:
            pass

    async def told() -> None:
        async for _ in chat.events():
            pass

    wanted = (chat.join("s"), chat.say("elsewhere", "x"), reading(), told())
    for found in await asyncio.gather(*wanted, return_exceptions=True):
        assert found is None or isinstance(found, ChatError) or not isinstance(found, BaseException), found


@examples(150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FRAMES, max_size=6).map(b"".join))
def test_nothing_that_a_server_says_raises_in_a_callback(said: bytes) -> None:
    async def work() -> None:
        async with hostile(said) as (url, raised):
            async with connect(url, token="t", config=ONCE) as chat:
                await ask_for_all(chat)
                assert chat._calendar.failure is None
            assert raised == []

    on_loop(work)


ANSWERS = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.builds(
        lambda status, wait, body: (
            b"HTTP/1.1 %d X\r\nRetry-After: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, wait, len(body), body)
        ),
        st.sampled_from([101, 200, 301, 401, 429, 500, 503]),
        st.sampled_from([b"1", b"9" * 400, b"-1", b"soon"]),
        st.sampled_from([b"", b"{", b'{"error":1}', b'{"error":"draining"}', b"[" * 5000, b"\xff"]),
    ),
)


@examples(60, suppress_health_check=[HealthCheck.too_slow])
@given(ANSWERS)
def test_no_answer_to_the_handshake_raises_in_a_callback(answer: bytes) -> None:
    async def work() -> None:
        async with hostile(b"", answer) as (url, raised):
            with pytest.raises(ChatError):
                async with connect(url, token="t", config=ONCE):
                    pytest.fail("it is in")
            assert raised == []

    on_loop(work)


HOSTILE = [
    Error("unavailable", "never again", retry_after_ms=10**400),
    Draining(reconnect_after_ms=-(10**400)),
    *SERVER,
]


def test_one_who_comes_back_lives_through_it() -> None:
    """A client that comes back meets the same again and again, and never fails."""

    async def work() -> None:
        said = b"".join(text_frame(encode(frame)) for frame in HOSTILE) + b"\xff\xff"
        quick = ClientConfig(backoff_base_s=0.001, backoff_s_max=0.002)
        async with hostile(said) as (url, raised), connect(url, token="t", config=quick) as chat:
            saying = asyncio.ensure_future(chat.say("elsewhere", "x"))
            await _connections(chat, 4)
            saying.cancel()
            assert raised == []

    async def _connections(chat: Chat, count: int) -> None:
        async for event in chat.events():
            count -= type(event).__name__ == "Connected"
            if not count:
                return

    on_loop(work)
