"""A server in a thread: plain and async tests talk to it, and nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect as dial

import chatsim
from chatsim.core.config import HandlerConfig
from chatsim.errors import UsageError
from chatsim.live.hosted import Hosted, hosted

PATIENCE_S = 10.0


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "chatsim-hosted"]


def listens(server: Hosted) -> bool:
    place = urlsplit(server.http)
    with socket.socket() as probe:
        return probe.connect_ex((place.hostname, place.port)) == 0


def test_a_plain_test_talks_to_it_and_afterwards_it_is_gone() -> None:
    with hosted(HandlerConfig(drain_window_s=0.0)) as server:
        with dial(server.url_of("ann"), open_timeout=PATIENCE_S, proxy=None) as socket_:
            welcome = json.loads(socket_.recv(PATIENCE_S))
            assert (welcome["status"], welcome["user"]) == ("welcome", "ann")
        assert httpx.get(f"{server.http}/health/ready", trust_env=False).status_code == 200
        assert threads()
    assert not threads()
    assert not listens(server)


def test_an_async_test_talks_to_it_over_its_own_loop() -> None:
    async def talk(server: Hosted) -> str:
        ann = chatsim.connect(server.url, token=server.token("ann"))
        bob = chatsim.connect(server.url, token=server.token("bob"))
        async with asyncio.timeout(PATIENCE_S), ann as hers, bob as his:
            await hers.join("lobby")
            await his.join("lobby")
            await hers.say("lobby", "hello")
            async for message in his:
                return f"{message.sender}: {message.body}"
        return "nothing"

    with hosted(HandlerConfig(drain_window_s=0.0)) as server:
        assert asyncio.run(talk(server)) == "ann: hello"


def test_the_configuration_is_in_force() -> None:
    with (
        hosted(HandlerConfig(rate_limit=7, drain_window_s=0.0)) as server,
        dial(server.url_of("ann"), open_timeout=PATIENCE_S, proxy=None) as socket_,
    ):
        assert json.loads(socket_.recv(PATIENCE_S))["rate_limit"]["messages"] == 7


def test_with_tls_only_who_trusts_its_certificate_gets_in() -> None:
    with hosted(HandlerConfig(drain_window_s=0.0), tls=True) as server:
        assert server.url.startswith("wss://127.0.0.1:")
        assert server.ca is not None
        assert httpx.get(f"{server.http}/health/live", verify=server.trust or False, trust_env=False).is_success
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.http}/health/live", trust_env=False)
    assert not server.ca.exists()


def test_the_admin_key_opens_the_admin_routes() -> None:
    with hosted() as server:
        asked = {"user": "carol", "ttl_s": 60}
        url = f"{server.http}/api/tokens"
        assert httpx.post(url, json=asked, trust_env=False).status_code == 401
        key = {"Authorization": f"Bearer {server.admin_key}"}
        assert httpx.post(url, json=asked, headers=key, trust_env=False).is_success


def test_what_keeps_it_from_starting_is_raised_here() -> None:
    def second(port: int | None) -> None:
        with hosted(port=port):
            pytest.fail("two listen on one port")

    with hosted() as server, pytest.raises(UsageError, match="Cannot listen"):
        second(urlsplit(server.http).port)
    assert not threads()


def test_two_of_them_do_not_know_each_other() -> None:
    with hosted() as one, hosted() as other:
        assert one.url != other.url
        code = httpx.get(f"{other.http}/api/sessions/s", headers={"Authorization": f"Bearer {one.token('ann')}"})
        assert code.status_code == 401
