"""Invariant: every route answers as the protocol says, and every refusal is JSON with a code and a sentence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Keys
from chatsim.live import sqlite_log
from chatsim.live.driver import Driver
from chatsim.live.gate import Gate
from chatsim.live.http import READY_LAG_S_MAX, Routes
from tests.live.running import ADMIN, SECRET, Peer, Running, on_loop, running, token
from tests.live.test_sqlite_log import taken

KEY = {"Authorization": "Bearer " + ADMIN.decode()}


class Patient(MemoryLog):
    """A log that says that it has everything when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: asyncio.Queue[Callable[[bool], None]] = asyncio.Queue()

    def settled(self, answered: Callable[[bool], None]) -> None:
        self.asked.put_nowait(answered)


def is_error(answer: httpx.Response, status: int, code: str) -> bool:
    body = answer.json()
    return (answer.status_code, body["error"], sorted(body)) == (status, code, ["error", "message"])


def test_health_is_told() -> None:
    async def work() -> None:
        async with running() as server:
            assert (await server.request("GET", "/health/live")).status_code == 200
            assert (await server.request("GET", "/health/ready")).json() == {"status": "ready"}

    on_loop(work)


def test_a_late_loop_is_not_ready() -> None:
    async def work() -> None:
        async with running() as server:
            # This blocks the server's own loop, as a handler that computes for too long would.
            end = time.monotonic() + READY_LAG_S_MAX + 0.2
            while time.monotonic() < end:
                pass
            assert is_error(await server.request("GET", "/health/ready"), 503, "overloaded")

    on_loop(work)


def test_draining_is_alive_but_not_ready() -> None:
    async def work() -> None:
        config = HandlerConfig()
        handler = ChatHandler(config, epoch=0.0, seed=1)
        driver = Driver(handler, MemoryLog(), loop=asyncio.get_running_loop(), epoch=0.0)
        routes = Routes(Gate(driver, Keys((SECRET,)), config), admin_key=ADMIN, minter=None, metrics=lambda: b"")
        transport = httpx.ASGITransport(routes.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            assert (await client.get("/health/ready")).status_code == 200
            driver.drain()
            assert is_error(await client.get("/health/ready"), 503, "draining")
            assert (await client.get("/health/live")).status_code == 200
            assert is_error(await client.post("/api/tokens", headers=KEY), 503, "unavailable")
        driver.close()

    on_loop(work)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/health/live/", 404, "not_found"),
        ("GET", "/api/tokens/x/y", 405, "method_not_allowed"),
        ("GET", "/api/token/x", 404, "not_found"),
        ("POST", "/health/live", 405, "method_not_allowed"),
        ("GET", "/api/tokens", 405, "method_not_allowed"),
        ("GET", "/ws", 426, "upgrade_required"),
        ("POST", "/api/tokens", 401, "token_missing"),
        ("DELETE", "/api/tokens/x", 401, "token_missing"),
        ("DELETE", "/api/users/x/tokens", 401, "token_missing"),
        ("GET", "/api/users/x/tokens", 405, "method_not_allowed"),
    ],
)
def test_refusals_are_json(method: str, path: str, status: int, code: str) -> None:
    async def work() -> None:
        async with running() as server:
            answer = await server.request(method, path)
            assert is_error(answer, status, code)
            if status == 405:
                assert answer.headers["Allow"]

    on_loop(work)


def test_metrics_are_prometheus_text_with_an_edge_at_100_ms() -> None:
    async def work() -> None:
        async with running() as server, server.peer():
            answer = await server.request("GET", "/metrics")
            assert answer.headers["Content-Type"].startswith("text/plain")
            lines = answer.text.splitlines()
            assert "chatsim_connections 1.0" in lines
            assert any(line.startswith('chatsim_loop_lag_seconds_bucket{le="0.1"} ') for line in lines)
            samples = [line for line in lines if not line.startswith("#")]
            assert all(float(line.rpartition(" ")[2]) >= 0 for line in samples)
            counts = [float(line.rpartition(" ")[2]) for line in samples if "lag_seconds_bucket" in line]
            assert counts == sorted(counts)

    on_loop(work)


async def make(server: Running, body: Any, headers: dict[str, Any] | None = None) -> httpx.Response:
    return await server.request("POST", "/api/tokens", json=body, headers=KEY if headers is None else headers)


def test_the_admin_makes_tokens_that_open_the_door() -> None:
    async def work() -> None:
        async with running(config=HandlerConfig(audience="chat", issuer="us")) as server:
            answer = await make(server, {"user": "ann", "ttl_s": 90, "sessions": ["room"]})
            assert answer.status_code == 201
            made = answer.json()
            assert sorted(made) == ["expires_at", "jti", "token"]
            claims = jwt.decode(made["token"], SECRET, ["HS256"], audience="chat", issuer="us")
            assert (claims["sub"], claims["sessions"], claims["jti"]) == ("ann", ["room"], made["jti"])
            assert abs(made["expires_at"] - time.time() - 90) < 5
            async with server.dial("?token=" + made["token"]) as socket:
                assert (await Peer(socket).read())["user"] == "ann"
                assert (await server.request("DELETE", f"/api/tokens/{made['jti']}", headers=KEY)).status_code == 204
                assert await Peer(socket).close_code() == 4501

    on_loop(work)


@pytest.mark.parametrize("path", ["a%2Fb%20c", "a/b%20c"])
def test_a_token_is_revoked_whatever_its_id(path: str) -> None:
    async def work() -> None:
        async with running() as server, server.peer("ann", jti="a/b c") as ann:
            assert (await server.request("DELETE", f"/api/tokens/{path}", headers=KEY)).status_code == 204
            assert await ann.close_code() == 4501
            assert is_error(await server.request("DELETE", "/api/tokens/", headers=KEY), 400, "bad_request")

    on_loop(work)


def test_a_revocation_is_answered_when_the_log_has_it() -> None:
    async def work() -> None:
        log = Patient()
        async with running(log=log) as server, server.peer("ann", jti="lost") as ann:
            for good in (True, False):
                asking = asyncio.ensure_future(server.request("DELETE", "/api/tokens/lost", headers=KEY))
                answered = await log.asked.get()
                # It is in force, and not answered: another request is, before it.
                assert await ann.close_code() == 4501
                assert (await server.request("GET", "/health/live")).status_code == 200
                assert not asking.done()
                answered(good)
                answer = await asking
                if good:
                    assert answer.status_code == 204
                else:
                    assert is_error(answer, 503, "unavailable")
                    assert int(answer.headers["Retry-After"]) > 0

    on_loop(work)


def test_a_revocation_that_cannot_be_stored_is_in_force_and_stored_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_log, "BUSY_S", 0.05)
    lost = {"Authorization": "Bearer " + token("ann", jti="lost")}

    async def work() -> None:
        async with running(data=tmp_path) as server:
            with taken(tmp_path):
                revoked = await server.request("DELETE", "/api/tokens/lost", headers=KEY)
                assert is_error(revoked, 503, "unavailable")
                answer = await server.request("GET", "/api/sessions/@ann", headers=lost)
                assert is_error(answer, 401, "token_revoked")
        async with running(data=tmp_path) as server:
            answer = await server.request("GET", "/api/sessions/@ann", headers=lost)
            assert is_error(answer, 401, "token_revoked")

    on_loop(work)


def test_a_revoked_user_stays_revoked_over_a_restart(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(data=tmp_path) as server, server.peer("a/b c") as peer:
            answer = await server.request("DELETE", "/api/users/a%2Fb%20c/tokens", headers=KEY)
            assert answer.status_code == 204
            assert await peer.close_code() == 4501
            headers = {"Authorization": "Bearer " + token("a/b c", wall=time.time() - 60)}
        async with running(data=tmp_path) as server:
            answer = await server.request("GET", "/api/sessions/x", headers=headers)
            assert is_error(answer, 401, "token_revoked")

    on_loop(work)


def test_the_wrong_key_makes_and_revokes_nothing() -> None:
    async def work() -> None:
        async with running() as server:
            for wrong in (b"Bearer wrong", b"Bearer the admin ke\xff", b"Bearer " + SECRET):
                headers = {"Authorization": wrong}
                assert is_error(await make(server, {"user": "a"}, headers), 401, "token_invalid")
                assert is_error(await server.request("DELETE", "/api/tokens/x", headers=headers), 401, "token_invalid")
            assert is_error(await make(server, {"user": "a"}, {"Authorization": "Basic x"}), 401, "token_missing")
        async with running(admin_key=None) as server:
            assert is_error(await make(server, {"user": "a"}), 401, "token_invalid")

    on_loop(work)


def test_bodies_that_ask_for_no_token_are_refused() -> None:
    wrong = [
        [],
        {},
        {"user": ""},
        {"user": 7},
        {"user": "a" * 129},
        {"user": "@server"},
        {"user": "@ann"},
        {"user": "a", "ttl_s": 0},
        {"user": "a", "ttl_s": "1h"},
        {"user": "a", "ttl_s": 1e12},
        {"user": "a", "sessions": "room"},
    ]

    async def work() -> None:
        async with running() as server:
            for body in wrong:
                assert is_error(await make(server, body), 400, "bad_request")
            for content in (b"", b"{", b"\xff", b"[" * 5000):
                answer = await server.request("POST", "/api/tokens", content=content, headers=KEY)
                assert is_error(answer, 400, "bad_request")
            answer = await server.request("POST", "/api/tokens", content=b"x" * 70_000, headers=KEY)
            assert is_error(answer, 413, "too_large")

    on_loop(work)
