"""The fixtures, as people's own tests use them."""

from __future__ import annotations

import threading

import pytest

from tests.pytest_plugin.sessions import session


def test_a_server_for_plain_and_for_async_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio, json
        import chatsim, pytest
        from websockets.sync.client import connect

        def test_plain(chat_server):
            server = chat_server(rate_limit="7/min")
            with connect(server.url_of("ann"), proxy=None) as socket:
                assert json.loads(socket.recv(10))["rate_limit"]["messages"] == 7

        async def talk(server):
            async with (
                chatsim.connect(server.url, token=server.token("ann")) as ann,
                chatsim.connect(server.url, token=server.token("bob")) as bob,
            ):
                await ann.join("lobby")
                await bob.join("lobby")
                await ann.say("lobby", "hello")
                async for message in bob:
                    return message.body

        def test_on_a_loop_of_its_own(chat_server):
            assert asyncio.run(talk(chat_server())) == "hello"

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_async(chat_server, anyio_backend):
            assert await talk(chat_server()) == "hello"

        def test_two_of_them(chat_server):
            assert chat_server().url != chat_server(tls=True).url
        """
    )
    session(pytester).assert_outcomes(passed=4)
    assert "chatsim-hosted" not in {thread.name for thread in threading.enumerate()}


def test_a_wrong_word_is_refused_with_the_nearest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from chatsim.errors import UsageError

        @pytest.mark.parametrize("name", ["chat_server", "chat_clock"])
        def test_wrong(name, request):
            with pytest.raises(UsageError, match="did you mean rate_limit"):
                request.getfixturevalue(name)(rate_limt="7/min")
        """
    )
    session(pytester).assert_outcomes(passed=2)


def test_a_simulation_and_its_tables(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        WORDS = {
            "name": "mine",
            "duration": "20s",
            "groups": [{"name": "people", "users": 2, "session_size": 2,
                        "messages": {"arrivals": "periodic", "rate": "30/min"}}],
            "expect": ["lost == 0"],
        }

        def test_mine(chat_sim):
            run = chat_sim(WORDS, {"groups.people.users": 6}, seed=3)
            assert run.ok, run
            assert run.messages.sender.nunique() == 6

        def test_virtual(chat_sim):
            assert chat_sim(WORDS, on="virtual").result.wire == "virtual"

        def test_it_says_what_failed(chat_sim):
            run = chat_sim(WORDS, {"expect": ["sent == 0"]})
            assert not run.ok
            assert "FAIL" in repr(run)
        """
    )
    session(pytester).assert_outcomes(passed=3)


def test_a_handler_with_manual_time(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from chatsim.core import frames

        def test_mine(chat_clock):
            chat = chat_clock(retry_interval="10s")
            chat.arrive("ann", "bob")
            chat.say("ann", "hello")
            chat.advance(10)
            assert [message.attempt for message in chat.heard("bob", frames.Message)] == [1, 2]
        """
    )
    session(pytester).assert_outcomes(passed=1)
