"""Invariant: what is said arrives once and in order, over every reconnection, and whoever waits gets an answer."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec import Raw

from chatsim.core.client import ClientConfig
from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Record
from chatsim.core.frames import Delivered, Joined, Left, Presence, Refreshed, TokenExpiring, Typing
from chatsim.core.memory_log import MemoryLog
from chatsim.errors import (
    ChatClosedError,
    JoinRefusedError,
    MessageRefusedError,
    RateLimitedError,
    TokenRefusedError,
    UnreachableError,
    UsageError,
)
from chatsim.live.chat import Chat, connect
from chatsim.live.news import Connected, Disconnected, Event, Message, RenewalFailed
from chatsim.live.tls import client_context, self_signed
from tests.live.relay import Relay, relay
from tests.live.running import ADMIN, SECRET, Running, on_loop, running, token

QUICK = ClientConfig(backoff_base_s=0.02, backoff_s_max=0.1)
E = TypeVar("E", bound=Event)


@asynccontextmanager
async def chatting(server: Running, user: str = "ann", url: str = "", **options: Any) -> AsyncIterator[Chat]:
    """A chat of the user that comes back quickly."""
    given: dict[str, Any] = {"token": token(user), "config": QUICK} | options
    async with connect(url or server.ws, **given) as chat:
        yield chat


async def event(chat: Chat, kind: type[E]) -> E:
    """The next event of this kind; others before it are skipped."""
    async for found in chat.events():
        if isinstance(found, kind):
            return found
    raise AssertionError("the chat is over")


async def read(chat: Chat, count: int) -> list[Message]:
    return [await anext(chat) for _ in range(count)]


def test_two_people_talk() -> None:
    async def work() -> None:
        async with running() as server, chatting(server) as ann, chatting(server, "bob") as bob:
            assert (ann.user, ann.connected) == ("ann", True)
            first = await ann.join("room")
            assert (first.epoch > 0, first.seq, first.recovered) == (True, 0, False)
            assert {one.user for one in (await bob.join("room")).participants} == {"ann", "bob"}
            assert (await event(ann, Presence)).user == "bob"
            await ann.typing("room")
            assert (await event(bob, Typing)).active
            said = await ann.say("room", {"text": "grüß dich"})
            assert (said.session, said.seq) == ("room", 1)
            [message] = await read(bob, 1)
            assert (message.message_id, message.sender, message.seq) == (said.message_id, "ann", 1)
            assert message.body == {"text": "grüß dich"}
            assert (await event(ann, Delivered)).message_ids == (said.message_id,)
            await bob.presence("away")
            assert (await event(ann, Presence)).state == "away"

    on_loop(work)


def test_what_is_said_while_the_connection_is_gone_arrives_once_and_in_order() -> None:
    async def work() -> None:
        async with (
            running() as server,
            relay(server.port) as way,
            chatting(server, url=way.url) as ann,
            chatting(server, "bob", url=way.url) as bob,
        ):
            await ann.join("room")
            await bob.join("room")
            saying = []
            for number in range(40):
                saying.append(asyncio.ensure_future(ann.say("room", number)))
                if number % 10 == 5:
                    await asyncio.sleep(0)
                    way.cut()
                    assert (await event(ann, Disconnected)).code == 1006
                    await event(ann, Connected)
            said = await asyncio.gather(*saying)
            assert [one.seq for one in said] == list(range(1, 41))
            heard = await read(bob, 40)
            assert [message.body for message in heard] == list(range(40))
            assert [message.message_id for message in heard] == [one.message_id for one in said]

    on_loop(work)


def test_a_session_is_joined_again_after_a_reconnection() -> None:
    async def work() -> None:
        async with (
            running() as server,
            relay(server.port) as way,
            chatting(server, "bob") as bob,
            chatting(server, url=way.url) as ann,
        ):
            await ann.join("room")
            await bob.join("room")
            way.through = False
            way.cut()
            await event(ann, Disconnected)
            assert not ann.connected
            await bob.say("room", "while you were out")
            waits = asyncio.ensure_future(ann.join("room"))
            way.through = True
            again = await waits
            assert again.recovered
            assert (await anext(ann)).body == "while you were out"
            assert isinstance(await event(ann, Connected), Connected)
            assert (await event(ann, Joined)).recovered

    on_loop(work)


def test_who_may_not_join_is_told_and_who_leaves_is_out() -> None:
    async def work() -> None:
        async with running() as server, chatting(server) as ann, chatting(server, "bob") as bob:
            with pytest.raises(JoinRefusedError, match="elsewhere") as refused:
                await ann.join("elsewhere")
            assert refused.value.code == "no_such_session"
            await bob.join("room")
            with pytest.raises(JoinRefusedError):
                await ann.join("elsewhere")
            await ann.join("room")
            await ann.leave("room")
            assert (await event(ann, Left)).reason == "left"
            await ann.leave("room")
            await bob.say("room", "to nobody")
            await ann.join("room")
            await bob.say("room", "to ann")
            assert (await anext(ann)).body == "to ann"

    on_loop(work)


def test_a_refused_message_is_an_exception_and_the_chat_goes_on() -> None:
    async def work() -> None:
        async with running(config=HandlerConfig(rate_limit=2)) as server, chatting(server) as ann:
            await ann.join("room")
            with pytest.raises(MessageRefusedError, match="65536") as large:
                await ann.say("room", "x" * 70_000)
            assert large.value.code == "too_large"
            with pytest.raises(MessageRefusedError, match="no_such_session"):
                await ann.say("elsewhere", "x")
            assert [(await ann.say("room", number)).seq for number in range(2)] == [1, 2]
            with pytest.raises(RateLimitedError) as limited:
                await ann.say("room", "x")
            assert limited.value.retry_after_s is not None
            assert 0 < limited.value.retry_after_s <= 60
            with pytest.raises(ValueError, match="away"):
                await ann.presence("bored")  # type: ignore[arg-type]

    on_loop(work)


NAMELESS: list[Any] = ["", "x" * 129, "\ud800", None, 7]
UNSAYABLE: list[Any] = [object(), "\ud800", {"\udfff": 1}, float("inf"), [float("nan")], Raw(b'{"a":'), 10**5000]


def test_what_cannot_be_asked_is_a_value_error_at_once_and_nothing_comes_of_it() -> None:
    deep: list[Any] = []
    for _ in range(600):
        deep = [deep]

    async def work() -> None:
        async with running() as server, relay(server.port) as way, chatting(server, url=way.url) as ann:
            await ann.join("room")
            for name in NAMELESS:
                for asking in (ann.join(name), ann.leave(name), ann.say(name, "x"), ann.typing(name)):
                    with pytest.raises(ValueError, match="name"):
                        await asking
            for body in (*UNSAYABLE, deep):
                with pytest.raises(ValueError, match="body"):
                    await ann.say("room", body)
            with pytest.raises(ValueError, match="65536"):
                await ann.say("room", "x" * 70_000)
            assert await _says_in_next_connection(ann, way, "hello") == 1

    on_loop(work)


async def _says_in_next_connection(chat: Chat, way: Relay, text: str) -> int:
    way.cut()
    await event(chat, Disconnected)
    await event(chat, Connected)
    return (await chat.say("room", text)).seq


def test_every_body_is_shown_and_none_ends_the_connection() -> None:
    async def work() -> None:
        async with running() as server, server.peer("bob") as bob, chatting(server) as ann:
            await ann.join("room")
            await bob.join()
            for number, body in enumerate(("1e999", "9" * 5000, '{"a":1}')):
                await bob.socket.send(f'{{"type":"message","id":"{number}","session":"room","body":{body}}}')
            shown = await read(ann, 3)
            assert [(one.body, one.decoded) for one in shown] == [
                (inf, True), ("9" * 5000, False), ({"a": 1}, True),
            ]  # fmt: skip
            assert ann.connected

    on_loop(work)


@pytest.mark.parametrize("bad", ["a\nb", "\ud800", "\u00e9", 7])
def test_what_no_header_can_carry_is_no_token(bad: Any) -> None:
    async def work() -> None:
        async with running() as server:
            for given in (bad, lambda: bad):
                with pytest.raises(UsageError, match="token"):
                    async with chatting(server, token=given):
                        pytest.fail("it is in")

    on_loop(work)


class Faltering(MemoryLog):
    """A log that takes nothing the first few times."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def append(self, record: Record) -> Record:
        self.failures -= 1
        # The protocol of the driver's log has None for a failure; the memory log never has one.
        return super().append(record) if self.failures < 0 else None  # type: ignore[return-value]


def test_what_the_log_could_not_take_is_said_again() -> None:
    async def work() -> None:
        async with running(log=Faltering(3)) as server, chatting(server) as ann:
            await ann.join("room")
            assert (await ann.say("room", "at last")).seq == 1

    on_loop(work)


def test_a_message_that_nobody_waits_for_any_more_is_not_sent_again() -> None:
    async def work() -> None:
        async with running() as server, relay(server.port) as way, chatting(server, url=way.url) as ann:
            await ann.join("room")
            way.cut()
            await event(ann, Disconnected)
            saying = asyncio.ensure_future(ann.say("room", "never mind"))
            await asyncio.sleep(0)
            saying.cancel()
            await event(ann, Connected)
            assert (await ann.say("room", "this")).seq == 1

    on_loop(work)


def test_unread_messages_wait_at_the_server_and_none_is_lost() -> None:
    async def work() -> None:
        generous = HandlerConfig(rate_limit=100_000, retention_messages=10_000, outbound_frames=10_000)
        async with running(config=generous) as server, chatting(server) as ann, chatting(server, "bob") as bob:
            await ann.join("room")
            await bob.join("room")
            bob._messages.size = 8
            for number in range(40):
                await ann.say("room", [number, "x" * 30_000])
            # More than one read from the socket brings does not fit beyond the limit.
            assert len(bob._messages) < 40
            assert [message.body[0] for message in await read(bob, 40)] == list(range(40))

    on_loop(work)


def test_notices_that_nobody_reads_do_not_pile_up() -> None:
    async def work() -> None:
        async with running(config=HandlerConfig(rate_limit=100_000)) as server, chatting(server) as ann:
            ann._events.size = 4
            for _ in range(10):
                await ann.join("room")
            assert len(ann._events) == 4
            assert ann._events.dropped == 7

    on_loop(work)


class Purse:
    """Hands out tokens, and can be empty."""

    def __init__(self, *lives_s: float) -> None:
        self.lives_s = list(lives_s)
        self.fetched = 0

    async def __call__(self) -> str:
        self.fetched += 1
        life_s = self.lives_s.pop(0) if len(self.lives_s) > 1 else self.lives_s[0]
        if not life_s:
            raise OSError("the issuer is away")
        return token(life_s=life_s)


def test_a_token_about_to_end_is_fetched_anew_and_handed_in() -> None:
    async def work() -> None:
        purse = Purse(61.0, 0.0, 3600.0)
        config = ClientConfig(backoff_base_s=0.02, backoff_s_max=0.1, renew_before_s=1.0)
        # Warned 60.5 s before the end, that is half a second after the beginning.
        async with (
            running(config=HandlerConfig(token_warning_s=60.5)) as server,
            chatting(server, token=purse, config=config) as ann,
        ):
            await event(ann, TokenExpiring)
            assert isinstance((await event(ann, RenewalFailed)).problem, OSError)
            assert (await event(ann, Refreshed)).expires_in_s > 3000
            assert purse.fetched == 3

    on_loop(work)


def test_a_token_may_come_from_a_plain_function_and_is_renewed_before_dialling() -> None:
    fetched = []

    def fetch() -> str:
        fetched.append(time.monotonic())
        return token(life_s=30.0)

    async def work() -> None:
        async with (
            running() as server,
            relay(server.port) as way,
            chatting(server, url=way.url, token=fetch) as ann,
        ):
            assert len(fetched) == 1
            await event(ann, Connected)
            way.cut()
            await event(ann, Connected)
            assert len(fetched) >= 2

    on_loop(work)


def test_the_failure_of_the_first_fetch_is_the_callers() -> None:
    async def work() -> None:
        async with running() as server:
            with pytest.raises(OSError, match="issuer"):
                async with chatting(server, token=Purse(0.0)):
                    pytest.fail("it is in")

    on_loop(work)


def test_a_token_that_is_refused_is_not_quoted() -> None:
    bad = token()[:-8] + "AAAAAAAA"

    async def work() -> None:
        async with running() as server:
            for given in (bad, token(life_s=-1), lambda: bad):
                with pytest.raises(TokenRefusedError) as refused:
                    async with chatting(server, token=given):
                        pytest.fail("it is in")
                assert refused.value.code in ("token_invalid", "token_expired")
                assert refused.value.exit_code == 3
                assert "eyJ" not in repr(refused.value)
            with pytest.raises(TokenRefusedError, match="token_missing"):
                async with connect(server.ws):
                    pytest.fail("it is in")
            async with connect(server.ws + "?token=" + token("bob")) as bob:
                assert bob.user == "bob"

    on_loop(work)


def test_no_token_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mine = token()

    async def work() -> None:
        async with running() as server, chatting(server, token=mine) as ann:
            await ann.join("room")

    on_loop(work)
    assert mine not in caplog.text


def test_a_server_that_cannot_be_reached_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def work() -> None:
        with pytest.raises(UnreachableError, match=rf"{port}: Connect") as problem:
            async with connect(f"ws://127.0.0.1:{port}/ws", token="t"):
                pytest.fail("it is in")
        assert problem.value.exit_code == 4
        async with running() as server:
            with pytest.raises(UnreachableError, match="404"):
                async with connect(server.ws + "s", token="t"):
                    pytest.fail("it is in")
        async with running(config=HandlerConfig(connections_max=1)) as server, chatting(server):
            with pytest.raises(UnreachableError, match="overloaded"):
                async with chatting(server, "bob"):
                    pytest.fail("it is in")

    on_loop(work)


@pytest.mark.parametrize(
    "url", ["http://x/ws", "ws:///ws", "chat", "ws://a:b@h/ws", "ws://h:99999999/ws", "ws://[/ws", "ws://h/ws#x"]
)
def test_what_is_no_address_is_refused_without_its_query(url: str) -> None:
    async def work() -> None:
        with pytest.raises(UsageError, match="wss://host/ws") as problem:
            async with connect(url + "?token=secret"):
                pytest.fail("it is in")
        assert "secret" not in str(problem.value)

    on_loop(work)


def test_tls_is_verified_unless_another_context_says_otherwise() -> None:
    async def work(cert: Path, key: Path) -> None:
        async with running(client_context(cert), tls_cert=cert, tls_key=key) as server:
            assert server.ws.startswith("wss://")
            with pytest.raises(UnreachableError, match="certificate"):
                async with chatting(server):
                    pytest.fail("it is in")
            async with chatting(server, ssl=client_context(cert)) as ann:
                await ann.join("room")

    with self_signed() as files:
        on_loop(lambda: work(files.cert, files.key))


def test_a_terminal_close_ends_the_chat_for_whoever_waits() -> None:
    async def work() -> None:
        async with running() as server, relay(server.port) as way, chatting(server, url=way.url) as ann:
            await ann.join("room")
            reading = asyncio.ensure_future(anext(ann))
            headers = {"Authorization": "Bearer " + ADMIN.decode()}
            assert (await server.request("DELETE", "/api/tokens/t-ann", headers=headers)).status_code == 204
            with pytest.raises(TokenRefusedError, match="revoked"):
                await reading
            for work in (ann.say("room", "x"), ann.join("room"), ann.typing("room"), anext(ann)):
                with pytest.raises(TokenRefusedError):
                    await work
            assert [type(one) for one in [e async for e in ann.events()]][-1] is Disconnected

    on_loop(work)


def test_the_oldest_of_too_many_connections_is_over() -> None:
    async def work() -> None:
        async with (
            running(config=HandlerConfig(connections_per_user=1)) as server,
            chatting(server) as ann,
            chatting(server),
        ):
            with pytest.raises(ChatClosedError) as closed:
                await anext(ann)
            assert closed.value.code == 4502

    on_loop(work)


def test_close_ends_the_reading_and_tells_the_server() -> None:
    async def work() -> None:
        async with (
            running() as server,
            chatting(server) as ann,
        ):
            await ann.join("room")
            waits = asyncio.ensure_future(ann.join("room"))
            reading = [message async for message in _until_closed(ann)]
            assert reading == []
            assert (await waits).session == "room"
            with pytest.raises(ChatClosedError):
                await ann.say("room", "late")
            assert (await server.end())["connections"] == 0

    async def _until_closed(chat: Chat) -> AsyncIterator[Message]:
        await chat.join("room")
        await chat.close()
        await chat.close()
        async for message in chat:
            yield message

    on_loop(work)


def test_it_comes_back_to_a_server_that_was_drained() -> None:
    async def work() -> None:
        async with running() as server, relay(server.port) as way, chatting(server, url=way.url) as ann:
            await ann.join("room")
            server.stop.set()
            assert (await event(ann, Disconnected)).code == 1012
            await server.done
            async with running() as next_server:
                way._port = next_server.port
                await event(ann, Connected)
                assert (await event(ann, Joined)).seq == 0
                assert (await ann.say("room", "a new beginning")).seq == 1

    on_loop(work)


def test_who_comes_back_names_her_former_connection_and_is_let_in_before_others() -> None:
    async def work() -> None:
        async with (
            running(config=HandlerConfig(accept_rate_per_s=0.001)) as server,
            relay(server.port) as way,
            chatting(server, url=way.url) as ann,
        ):
            await event(ann, Connected)
            way.cut()
            assert (await event(ann, Connected)).connection == "c2"

    on_loop(work)


def test_the_example_of_the_readme_runs() -> None:
    text = (Path(__file__).parents[2] / "chatsim" / "README.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    example = text.partition("## A client")[2].partition("```python\n")[2].partition("```")[0]
    exec(example, names)

    async def work() -> None:
        async with running() as server, chatting(server, "bob", token=token("bob", sessions=("lobby",))) as bob:
            await bob.join("lobby")
            talking = asyncio.ensure_future(names["talk"](server.ws, token("ann", sessions=("lobby",))))
            hello = await anext(bob)
            assert (hello.sender, hello.body) == ("ann", "hello")
            said = await bob.say("lobby", "hello, ann")
            assert (await anext(bob)).body == {"re": said.message_id}
            talking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await talking

    on_loop(work)


def test_secrets_of_the_tests_are_not_in_the_representation() -> None:
    async def work() -> None:
        async with running() as server, chatting(server) as ann:
            assert "eyJ" not in repr(ann)
            assert SECRET.decode() not in repr(ann)

    on_loop(work)
