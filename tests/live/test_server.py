"""Invariant: a server listens where its url says, ends when told to, and refuses wrong settings in one sentence."""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import signal
import socket
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from websockets.exceptions import InvalidStatus

from chatsim.core.config import ALGORITHMS, HandlerConfig
from chatsim.core.tokens import issue
from chatsim.errors import HarnessError, UsageError
from chatsim.journal.replay import replay
from chatsim.journal.steps import read
from chatsim.live import sqlite_log
from chatsim.live.outlets import CLOSE_TIMEOUT_S
from chatsim.live.server import CLOSE_TIMEOUT_S_MIN, DRAIN_S_MAX, END_S_MAX, ServerSettings, run
from chatsim.live.tls import client_context, self_signed
from tests.live.running import ADMIN, SECRET, on_loop, running, token
from tests.live.test_sqlite_log import taken


def test_everything_is_served_over_tls_on_one_port() -> None:
    async def work() -> None:
        with self_signed() as files:
            trust = client_context(files.cert)
            async with running(trust, tls_cert=files.cert, tls_key=files.key) as server:
                assert server.url.startswith("https://127.0.0.1:")
                assert (await server.request("GET", "/health/live")).status_code == 200
                async with server.peer("ann") as ann, server.peer("bob") as bob:
                    await ann.join()
                    await bob.join()
                    await ann.send(type="message", id="1", session="room", body="x" * 60_000)
                    assert (await ann.read_type("ack"))["seq"] == 1
                    assert len((await bob.read_type("message"))["body"]) == 60_000
                    await ann.socket.send("x" * 70_000)
                    assert await ann.close_code() == 1009
                    await bob.socket.send(b"binary")
                    assert await bob.close_code() == 1003

    on_loop(work)


def test_a_self_signed_server_needs_no_files() -> None:
    async def work() -> None:
        async with running(tls_self_signed=True) as server:
            assert server.url.startswith("https://")
            with socket.create_connection(("127.0.0.1", server.port)):
                pass

    on_loop(work)


def test_it_ends_at_once_where_nobody_is_connected() -> None:
    async def work() -> float:
        async with running() as server:
            async with server.peer():
                pass
            start = time.monotonic()
            assert (await server.end())["connections"] == 0
            return time.monotonic() - start

    assert on_loop(work) < 5


def test_it_ends_within_the_hard_stop() -> None:
    assert DRAIN_S_MAX + END_S_MAX + sqlite_log.LAST_S < 30


def test_what_the_log_loses_at_the_end_is_told_and_the_end_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_log, "BUSY_S", 0.02)
    monkeypatch.setattr(sqlite_log, "LAST_S", 0.1)

    async def work() -> None:
        with ExitStack() as longer:
            async with running(data=tmp_path) as server:
                longer.enter_context(taken(tmp_path))
                headers = {"Authorization": "Bearer " + ADMIN.decode()}
                for jti in ("a", "b"):
                    assert (await server.request("DELETE", f"/api/tokens/{jti}", headers=headers)).status_code == 503

    with pytest.raises(HarnessError, match="2 facts are lost") as caught:
        on_loop(work)
    assert caught.value.exit_code == 4
    [line] = [line for line in caplog.records if line.getMessage() == "facts lost"]
    assert (line.levelname, line.__dict__["fields"]) == ("ERROR", {"revoked": 2})


def test_connections_are_closed_with_1012_when_it_ends() -> None:
    async def work() -> None:
        async with running() as server, server.peer("ann") as ann, server.peer("bob") as bob:
            server.stop.set()
            assert (await ann.read_type("status"))["status"] == "draining"
            assert [await ann.close_code(), await bob.close_code()] == [1012, 1012]
            assert (await server.done)["connections_total"] == 2

    on_loop(work)


def test_a_signal_ends_it() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        statistics = run(ServerSettings(keys=(SECRET,)), ready=lambda _, number=number: os.kill(os.getpid(), number))  # type: ignore[misc]
        assert statistics["draining"]


def test_it_uses_all_the_descriptors_that_it_is_granted() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = min(200, hard)
    seen = []

    def ready(_: str) -> None:
        seen.append(resource.getrlimit(resource.RLIMIT_NOFILE))
        os.kill(os.getpid(), signal.SIGTERM)

    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        run(ServerSettings(keys=(SECRET,)), ready=ready)
        assert seen == [(hard, hard)]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (few, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_live_journal_replays_to_the_same_effects(tmp_path: Path) -> None:
    config = HandlerConfig(ping_interval_s=0.05)
    path = tmp_path / "journal.jsonl"

    async def work() -> None:
        async with running(journal=path, config=config) as server, server.peer("ann") as ann, server.peer("bob") as bob:
            await ann.join()
            await bob.join()
            for number in range(20):
                await ann.send(type="message", id=str(number), session="room", body=number)
                await bob.send(type="ack", message_id=(await bob.read_type("message"))["message_id"])
            await ann.send(type="status", action="refresh", token=token("ann"))
            await ann.send(type="nonsense")
            assert (await ann.read_type("error"))["code"] == "unknown_type"
            await ann.socket.close()
            while "chatsim_pings_total 0\n" in (await server.request("GET", "/metrics")).text:
                pass

    on_loop(work)
    doors = {step.door for step in read(path)}
    assert {"connect", "receive", "appended", "told", "refresh", "malformed", "wake", "disconnect", "drain"} <= doors
    assert replay(path) is None
    written = path.read_bytes()
    assert SECRET not in written
    # Every JWT begins so: it is the header's opening brace and quote in base64.
    assert b"eyJ" not in written


def pem(key: Any) -> tuple[bytes, bytes]:
    """The private and the public key as PEM."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def new_key(algorithm: str) -> tuple[bytes, bytes]:
    """A key that signs and one that checks."""
    if algorithm == "HS256":
        secret = secrets.token_hex(32).encode()
        return secret, secret
    if algorithm == "RS256":
        return pem(rsa.generate_private_key(65537, 2048))
    return pem(
        ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_opens_the_door_while_keys_change(algorithm: str) -> None:
    (new, _), (old, old_public), (foreign, _) = (new_key(algorithm) for _ in range(3))

    async def work() -> None:
        wall = time.time()
        said: dict[str, Any] = {"sub": "ann", "exp": wall + 60, "wall": wall, "jti": "t"}
        config = HandlerConfig(algorithms=(algorithm,))
        async with running(keys=(new, old_public), config=config) as server:
            made = await server.request(
                "POST", "/api/tokens", json={"user": "ann"}, headers={"Authorization": "Bearer " + ADMIN.decode()}
            )
            tokens = [made.json()["token"], *(issue(key, algorithm, **said) for key in (new, old))]
            for good in tokens:
                async with server.dial("?token=" + good) as socket:
                    assert '"welcome"' in str(await socket.recv())
            with pytest.raises(InvalidStatus, match="401"):
                async with server.dial("?token=" + issue(foreign, algorithm, **said)):
                    pass

    on_loop(work)


def test_a_public_key_makes_no_tokens() -> None:
    async def work() -> None:
        _, public = new_key("ES256")
        async with running(keys=(public,), config=HandlerConfig(algorithms=("RS256", "ES256"))) as server:
            headers = {"Authorization": "Bearer " + ADMIN.decode()}
            answer = await server.request("POST", "/api/tokens", json={"user": "ann"}, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")

    on_loop(work)


def test_a_server_that_is_played_faster_has_as_much_less_patience_with_those_who_go() -> None:
    found = {
        scale: (ServerSettings(time_scale=scale).close_timeout_s, ServerSettings(time_scale=scale).drain_s_max)
        for scale in (1.0, 0.1, 0.001, 2.0)
    }
    assert found == {
        1.0: (CLOSE_TIMEOUT_S, DRAIN_S_MAX),
        0.1: (0.1 * CLOSE_TIMEOUT_S, 0.1 * DRAIN_S_MAX),
        0.001: (CLOSE_TIMEOUT_S_MIN, 0.001 * DRAIN_S_MAX),
        2.0: (2 * CLOSE_TIMEOUT_S, 2 * DRAIN_S_MAX),
    }


def test_a_fast_server_does_not_wait_its_five_seconds_for_a_peer_that_has_vanished() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        async with running(time_scale=0.01) as server, server.peer() as peer:
            peer.socket.transport.pause_reading()
            began_at = loop.time()
            await server.end()
            assert loop.time() - began_at < CLOSE_TIMEOUT_S / 2
            # It is back, or the client of this test would wait for ten seconds for an end that it does not read.
            peer.socket.transport.resume_reading()

    on_loop(work)


def test_time_scale_plays_the_same_rules_faster() -> None:
    async def work() -> None:
        async with (
            running(time_scale=0.1) as server,
            server.dial(additional_headers={"Authorization": f"Bearer {token()}"}) as ann,
        ):
            assert '"ping_interval_s":3.0' in str(await ann.recv())

    on_loop(work)


@pytest.mark.parametrize("lasts", [False, True], ids=["in memory", "in SQLite"])
def test_history_ends_after_its_time_whatever_it_is_kept_in(tmp_path: Path, lasts: bool) -> None:
    async def work() -> None:
        config = HandlerConfig(history_for_s=0.1)
        async with running(config=config, data=tmp_path if lasts else None) as server, server.peer() as ann:
            await ann.join()
            await ann.send(type="message", id="1", session="room", body="hello")
            assert (await ann.read_type("ack"))["seq"] == 1
            ask = partial(server.request, headers={"Authorization": f"Bearer {token()}"})
            while (said := (await ask("GET", "/api/sessions/room/messages")).json())["messages"]:
                pass
            assert said["seq"] == 1

    on_loop(work)


def test_wrong_settings_are_refused_in_one_sentence(tmp_path: Path) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"port": port}, f"port {port} .*in use"),
        ({"port": 70_000}, "70000 is no port"),
        ({"host": "nowhere.invalid", "insecure": True}, "not known here"),
        ({"host": "192.0.2.1", "insecure": True}, "Cannot listen on 192.0.2.1"),
        ({"host": "0.0.0.0"}, "--insecure"),
        ({"keys": ()}, "need one key"),
        ({"keys": (b"short",)}, "at least 32 bytes"),
        ({"tls_cert": tmp_path / "cert.pem"}, "give both"),
        ({"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}, "cannot be read"),
        ({"tls_cert": tmp_path / "cert.pem", "tls_self_signed": True}, "exclude each other"),
    ]

    async def work(settings: dict[str, Any]) -> None:
        async with running(**settings):
            pytest.fail("it listens")

    with taken:
        for settings, complaint in wrong:
            with pytest.raises(UsageError, match=complaint) as problem:
                on_loop(lambda settings=settings: work(settings))  # type: ignore[misc]
            assert "\n" not in str(problem.value)


def test_an_open_address_is_served_where_insecure_was_said() -> None:
    async def work() -> None:
        async with running(host="0.0.0.0", insecure=True) as server:
            assert server.url.startswith("http://0.0.0.0:")

    on_loop(work)


def test_ipv6_loopback_has_its_brackets() -> None:
    if not socket.has_dualstack_ipv6():
        return

    async def work() -> None:
        async with running(host="::1") as server:
            assert server.url.startswith("http://[::1]:")
            assert (await server.request("GET", "/health/live")).status_code == 200

    on_loop(work)
