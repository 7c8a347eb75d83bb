"""The list of attacks, each made against the real server: what is stopped, and that everybody else is served meanwhile.

Rule: one attack, one test, and its name says what is tried. What an attacker has at hand stands in `attacker`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
import subprocess
import sys
import time
import tracemalloc
import zlib
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.frames import Opcode

from chatsim.core.config import HandlerConfig
from chatsim.live.node import Node
from chatsim.live.protocol import HANDSHAKE_TIMEOUT_S
from chatsim.live.server import ServerSettings
from chatsim.live.sqlite_log import FILE, LOCK
from chatsim.live.tls import client_context, self_signed
from tests.live.attacker import (
    DESCRIPTORS_SPARE,
    at_every_door,
    descriptors,
    frame,
    hand_in_every_way,
    handshake,
    memory_bytes,
    raw,
    signed,
    silent,
)
from tests.live.outside import Place, Wire, against, bearer
from tests.live.running import ADMIN, PATIENCE_S, SECRET, Running, on_loop, running
from tests.live.test_protocol import write_frame
from tests.live.test_server import new_key

ROOT = Path(__file__).parents[2]
ADMIN_HEADER = {"Authorization": "Bearer " + ADMIN.decode()}


async def is_served(server: Running) -> None:
    """Somebody else says something, and hears that it is stored."""
    async with Place(server).wire("somebody", joins=True, jti=None) as somebody:
        await somebody.say("still here")


# Tokens.


def claims(**said: Any) -> dict[str, Any]:
    return {"sub": "ann", "exp": time.time() + 600, "aud": "chat"} | said


OTHER_KEY = b"another secret of thirty-two bytes"

FORGED = {
    "alg none": lambda: bearer(key=None, algorithm="none", aud="chat"),
    "alg none, in other letters": lambda: signed(claims(), b"", alg="nOnE").rpartition(".")[0] + ".",
    "no alg": lambda: signed(claims(), alg=None),
    "an algorithm that is not pinned": lambda: bearer(key=SECRET * 2, algorithm="HS512", aud="chat"),
    "the wrong key": lambda: bearer(key=OTHER_KEY, aud="chat"),
    "the empty key": lambda: signed(claims(), b""),
    "a key of its own in the header": lambda: signed(claims(), OTHER_KEY, jwk={"kty": "oct", "k": "YW5vdGhlcg"}),
    "a key file of its own choice": lambda: signed(claims(), b"", kid="../../../../dev/null"),
    "no signature": lambda: bearer(aud="chat").rpartition(".")[0] + ".",
    "the signature of another token": lambda: ".".join(
        [*signed(claims(sub="root")).split(".")[:2], bearer(aud="chat").split(".")[2]]
    ),
    "the wrong audience": lambda: signed(claims(aud="bank")),
    "the wrong audiences": lambda: signed(claims(aud=["bank", "mail"])),
    "no audience": lambda: bearer(),
    "an end as text": lambda: signed(claims(exp=f"{time.time() + 600}")),
    "an end that is true": lambda: signed(claims(exp=True)),
    "no end": lambda: bearer(exp=None, aud="chat"),
    "a beginning in the future": lambda: signed(claims(nbf=time.time() + 300)),
    "made in the future": lambda: signed(claims(iat=time.time() + 300)),
    "a list of users": lambda: signed(claims(sub=["ann", "bob"])),
    "nobody": lambda: signed(claims(sub="")),
}  # fmt: skip


@pytest.mark.parametrize("trick", FORGED)
def test_forged_tokens_open_no_door(trick: str) -> None:
    async def work() -> None:
        async with running(config=HandlerConfig(audience="chat")) as server:
            answers = await at_every_door(Place(server), FORGED[trick](), bearer(aud="chat"))
            assert answers == ((401, "token_invalid"), (401, "token_invalid"), 4500)

    on_loop(work)


@pytest.mark.parametrize("key_as", [bytes, bytes.strip, lambda key: b"".join(key.splitlines()[1:-1])])
def test_the_public_key_is_no_secret(key_as: Any) -> None:
    async def work() -> None:
        private, public = new_key("RS256")
        async with running(keys=(public,), config=HandlerConfig(algorithms=("RS256",))) as server:
            good = bearer(key=private, algorithm="RS256")
            answers = await at_every_door(Place(server), signed(claims(), key_as(public)), good)
            assert answers == ((401, "token_invalid"), (401, "token_invalid"), 4500)

    on_loop(work)


@against()
async def test_a_revoked_token_opens_no_door(place: Place) -> None:
    stolen = bearer(jti="stolen")
    async with place.wire(jti="stolen") as thief:
        await place.revoke("stolen")
        assert await thief.code() == 4501
    answers = await at_every_door(place, stolen, bearer())
    assert answers == ((401, "token_revoked"), (401, "token_revoked"), 4501)


@against()
async def test_a_replayed_refresh_makes_nobody_somebody_else(place: Place) -> None:
    overheard = json.dumps({"type": "status", "action": "refresh", "token": bearer("bob")})
    async with place.wire("bob") as bob, place.wire("eve") as eve:
        await eve.socket.send(overheard)
        assert await eve.code() == 4500
        assert await bob.rest() == []


@against()
async def test_a_user_is_no_administrator_and_the_admin_key_is_no_user(place: Place) -> None:
    user = {"Authorization": "Bearer " + bearer("ann")}
    for method, path in [
        ("POST", "/api/tokens"),
        ("DELETE", "/api/tokens/of-bob"),
        ("POST", "/api/users/bob/messages"),
    ]:
        answer = await place.server.request(method, path, headers=user)
        assert (answer.status_code, answer.json()["error"]) == (401, "token_invalid")
    assert await place.with_token(ADMIN.decode()) == (401, "token_invalid")


@against()
async def test_another_users_session_is_neither_joined_nor_written_nor_read(place: Place) -> None:
    ann_too = {"Authorization": "Bearer " + bearer("ann", sessions=None)}
    made = await place.server.request("POST", "/api/sessions", headers=ann_too, json={"participants": ["bob"]})
    room = made.json()["session"]
    async with place.wire("ann", sessions=None) as ann, place.wire("bob", sessions=None) as bob:
        await ann.join(room)
        await bob.join(room)
        await ann.find("presence")
        said = await ann.say("1", "between us", room)
        await bob.find("message")
        for sessions, own in ((None, "@bob"), (["room"], "@ann")):
            async with place.wire("eve", sessions=sessions) as eve:
                for frame_ in (
                    {"type": "status", "action": "join", "session": room, "last_seq": 0},
                    {"type": "status", "action": "join", "session": room, "replaces": bob.welcome["connection"]},
                    {"type": "status", "action": "join", "session": own, "last_seq": 0},
                    {"type": "status", "action": "leave", "session": room},
                    {"type": "message", "id": "x", "session": room, "body": "let me in"},
                    {"type": "message", "id": "x", "session": own, "body": "let me in"},
                    {"type": "typing", "session": room, "active": True},
                ):
                    await eve.socket.send(json.dumps(frame_))
                    assert (await eve.next())["code"] in ("not_a_participant", "no_such_session"), frame_
                # Nor does she take away what is owed to bob.
                await eve.send("ack", session=room, up_to=said["seq"])
                await eve.send("ack", message_id=said["message_id"])
                assert await eve.rest() == []
            headers = {"Authorization": "Bearer " + bearer("eve", sessions=sessions)}
            for path in ("", "/messages"):
                answer = await place.server.request("GET", f"/api/sessions/{room}{path}", headers=headers)
                assert (answer.status_code, answer.json()["error"]) == (403, "not_a_participant")
        assert await ann.rest() == await bob.rest() == []
        await bob.send("ack", session=room, up_to=1)
        assert (await ann.find("status", status="delivered"))["message_ids"] == [said["message_id"]]


@against()
async def test_a_page_from_elsewhere_opens_nothing(place: Place) -> None:
    here = place.server.url
    query = "?token=" + bearer()
    async with place.dial(query, origin=here) as socket:
        assert (await Wire(socket).next())["status"] == "welcome"
    next_door = f"http://127.0.0.1:{place.server.port + 1}"
    for origin in ("https://evil.example", here + ".evil.example", next_door, "null", "file://", here + "@evil"):
        assert await place.refusal(query, origin=origin) == (403, "origin_forbidden")
    two = [("Origin", here), ("Origin", "https://evil.example")]
    assert await place.refusal(query, additional_headers=two) == (400, "bad_request")
    # Nor does a browser let it read what HTTP answers.
    answer = await place.server.request("GET", "/api/sessions/@ann" + query, headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


OPAQUE = "opaque-0123456789"
ADMIN_KEY = "the-admin-key-of-one-server-in-a-test"


@pytest.mark.parametrize("as_json", [True, False])
def test_no_token_is_in_anything_that_a_server_writes(as_json: bool, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "admin").write_text(ADMIN_KEY)
    log, journal = tmp_path / "log", tmp_path / "journal.jsonl"
    flags = ["--port", "0", "--secret-file", f"{tmp_path / 'secret'}", "--admin-key-file", f"{tmp_path / 'admin'}"]
    flags += ["--data", f"{tmp_path / 'data'}", "--journal", f"{journal}", "--log-level", "debug"]
    command = [sys.executable, "-X", "dev", "-m", "chatsim", "serve", *flags, *(["--log-json"] if as_json else [])]
    used = [SECRET.decode(), ADMIN_KEY, OPAQUE]
    with log.open("wb") as stderr, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().decode().removeprefix("listening on ").strip()
            on_loop(partial(hand_in_every_way, url, used, opaque=OPAQUE, admin=ADMIN_KEY))
        finally:
            server.terminate()
            rest = server.stdout.read().decode()
    written = rest + log.read_text() + journal.read_text()
    written += "".join(path.read_text("latin-1") for path in (tmp_path / "data").iterdir())
    for event in ("connection closed", "handshake refused", "Invalid HTTP request", "/health/live"):
        assert event in written
    for secret in used:
        for part in (secret, *secret.split(".")[1:]):
            assert part not in written
    if as_json:
        assert all(json.loads(line)["event"] for line in log.read_text().splitlines())


# Frames.

BYTES_MAX = 4096
TEXT, CONT, FIN = 0x01, 0x00, 0x80

OVERSIZE = {
    "a frame": frame(FIN | TEXT, b"x" * (BYTES_MAX + 1)),
    "a frame that promises exabytes": frame(FIN | TEXT, b"x", 2**62),
    "two fragments": frame(TEXT, b"x" * BYTES_MAX) + frame(FIN | CONT, b"x"),
    "a small fragment, then exabytes": frame(TEXT, b"x") + frame(CONT, b"x", 2**62),
    "very many fragments of one byte": frame(TEXT, b"x") + frame(CONT, b"x") * BYTES_MAX,
    "the same, and never an end": frame(TEXT, b"") + (frame(CONT, b"") + frame(CONT, b"x")) * (BYTES_MAX + 1),
    "a binary one": frame(FIN | 0x02, b"x" * (BYTES_MAX + 1)),
}  # fmt: skip


@pytest.mark.parametrize("trick", OVERSIZE)
def test_oversize_messages_are_not_taken_in(trick: str) -> None:
    async def work() -> None:
        async with running(config=HandlerConfig(message_bytes_max=BYTES_MAX)) as server, Place(server).wire() as ann:
            ann.socket.transport.write(OVERSIZE[trick])
            assert await ann.code() == 1009
            await is_served(server)

    on_loop(work)


@against(message_bytes_max=BYTES_MAX, ping_interval_s=0.2, pong_timeout_s=0.2)
async def test_fragments_that_never_end_keep_nobody_alive(place: Place) -> None:
    async with raw(place.server) as eve:
        eve.write(handshake("eve"))
        await eve.reader.readuntil(b'"welcome"')
        eve.write(frame(TEXT, b"{"))
        # The server's pings go unanswered: not one whole frame comes in.
        said = await eve.drip(frame(CONT, b""), every_s=0.02, until=b"no pong")
        assert b"\x88\x09" + (4001).to_bytes(2, "big") + b"no pong" in said
    await is_served(place.server)


@against(message_bytes_max=BYTES_MAX)
async def test_fragments_that_never_end_hold_up_nobody_else(place: Place) -> None:
    async with place.wire("eve") as eve:
        eve.socket.transport.write(frame(TEXT, b"x" * (BYTES_MAX // 2)) + frame(CONT, b"x", BYTES_MAX // 2)[:-100])
        await is_served(place.server)
        eve.socket.transport.write(frame(CONT, b"x" * BYTES_MAX))
        assert await eve.code() in (1002, 1009)


@pytest.mark.parametrize("empty", [frame(FIN | 0x09, b""), frame(FIN | 0x0A, b""), frame(CONT, b"")])
def test_a_flood_of_frames_that_say_nothing_is_a_flood(empty: bytes) -> None:
    async def work() -> None:
        async with running(config=HandlerConfig(frame_limit=20, frame_window_s=0.2)) as server, raw(server) as eve:
            eve.write(handshake("eve"))
            await eve.reader.readuntil(b'"welcome"')
            eve.write(frame(TEXT, b"{"))
            said = await eve.drip(empty * 10, every_s=0.01, until=b"flood")
            assert (4003).to_bytes(2, "big") + b"frame flood" in said
            await is_served(server)

    on_loop(work)


def test_a_compression_bomb_is_not_unpacked() -> None:
    """A gigabyte in a megabyte; the server may hold ten times its limit of 64 KiB for it, and nobody else notices."""
    config = HandlerConfig(compression=True)
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(60)) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert 50_000 < len(bomb) < config.message_bytes_max

    async def work() -> None:
        async with running(config=config) as server:
            for pieces in ([bomb], [bomb[:30_000], bomb[30_000:]]):
                async with server.peer("eve", compression="deflate") as eve:
                    tracemalloc.start()
                    for number, piece in enumerate(pieces):
                        opcode = Opcode.CONT if number else Opcode.TEXT
                        await write_frame(eve.socket, opcode, piece, piece is pieces[-1], rsv1=not number)
                    assert await eve.close_code() == 1009
                    _, peak = tracemalloc.get_traced_memory()
                    tracemalloc.stop()
                    assert peak < 30 * config.message_bytes_max
            await is_served(server)

    on_loop(work)


@against(compression=True)
async def test_a_bomb_is_not_passed_on_to_others(place: Place) -> None:
    """What the server packs for its clients is what somebody was allowed to say, and no more."""
    limit = HandlerConfig().message_bytes_max
    async with (
        place.server.peer("ann", compression="deflate") as ann,
        place.server.peer("bob", compression="deflate") as bob,
    ):
        await ann.join()
        await bob.join()
        await ann.send(type="message", id="1", session="room", body="\0" * limit)
        assert len((await bob.read_type("message"))["body"]) == limit
        await ann.send(type="message", id="2", session="room", body="x" * 10 * limit)
        assert await ann.close_code() == 1009
        await bob.send(type="heartbeat", t=1)
        assert (await bob.read_type("heartbeat"))["seqs"]["room"] == 1


@against()
async def test_a_bomb_in_http_is_not_unpacked_and_an_endless_body_is_not_read(place: Place) -> None:
    headers = {"Authorization": "Bearer " + bearer("eve", sessions=None), "Content-Encoding": "gzip"}
    bomb = gzip.compress(b" " * 10_000_000 + b"{}")
    answer = await place.server.request("POST", "/api/sessions", content=bomb, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
    head = f"POST /api/sessions HTTP/1.1\r\nHost: here\r\nAuthorization: {headers['Authorization']}\r\n"
    chunk = b"2710\r\n" + b" " * 10_000 + b"\r\n"
    for kind, body in (("Content-Length: 99999999999", chunk * 7), ("Transfer-Encoding: chunked", chunk * 7)):
        async with raw(place.server) as peer:
            peer.write(f"{head}{kind}\r\n\r\n".encode() + body)
            assert b" 413 " in await asyncio.wait_for(peer.reader.readline(), PATIENCE_S)
    await is_served(place.server)


# Sockets.

SLOW = {
    "nothing": b"",
    "half a line": b"GET /ws HTT",
    "headers without end": b"GET /ws HTTP/1.1\r\nHost: here\r\nX-Wait: ",
    "a body without end": b"POST /api/sessions HTTP/1.1\r\nHost: here\r\nContent-Length: 9999\r\n\r\n{",
    "half of a TLS handshake": bytes.fromhex("16030100ba010000b60303"),
}


@pytest.mark.parametrize("drips", [False, True])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("first", SLOW)
def test_a_slow_handshake_is_dropped_and_holds_up_nobody(first: str, tls: bool, drips: bool) -> None:
    """Ten of them; under TLS the same bytes stall the TLS handshake, or break it."""

    async def work() -> None:
        with self_signed() as files:
            secure = {"tls_cert": files.cert, "tls_key": files.key} if tls else {}
            async with running(
                client_context(files.cert) if tls else None, handshake_timeout_s=0.5, **secure
            ) as server:

                async def stall() -> None:
                    async with raw(server) as peer:
                        peer.write(SLOW[first])
                        await (peer.drip(b"x", every_s=0.05) if drips else peer.answer())

                stalling = [asyncio.ensure_future(stall()) for _ in range(10)]
                async with server.peer("somebody") as somebody:
                    await somebody.join()
                    await asyncio.gather(*stalling)

    on_loop(work)


def test_who_says_nothing_after_a_tls_handshake_is_dropped() -> None:
    async def work() -> None:
        with self_signed() as files:
            trust = client_context(files.cert)
            async with running(trust, tls_cert=files.cert, tls_key=files.key, handshake_timeout_s=0.5) as server:
                async with raw(server, trust) as peer:
                    assert await peer.answer() == b""
                async with server.peer():
                    pass

    on_loop(work)


@pytest.mark.slow
def test_ten_thousand_sockets_that_never_speak_are_gone_after_10_s(tmp_path: Path) -> None:
    """As many as the descriptors allow that the system grants to one process, and 10,000 at most; half of them begin a
    request. Two people talk all the while."""
    assert ServerSettings().handshake_timeout_s == HANDSHAKE_TIMEOUT_S == 10.0
    with descriptors(10_000 + DESCRIPTORS_SPARE) as granted:
        count = granted - DESCRIPTORS_SPARE
        journal, log = tmp_path / "journal.jsonl", tmp_path / "log"
        config = HandlerConfig(rate_limit=1_000_000, frame_limit=1_000_000)
        with Node(config, secret=SECRET, journal=journal, log=log) as node:
            url = node.url.replace("ws", "http", 1).removesuffix("/ws")
            lives, waits, growth = on_loop(partial(_crowded, url, node.pid, count))
    assert len(lives) == count, "some are still there"
    assert max(lives) < HANDSHAKE_TIMEOUT_S + 2.0
    assert max(waits) < 2.0
    assert growth < count * 16 * 1024


async def _crowded(url: str, pid: int, count: int) -> tuple[list[float], list[float], int]:
    """How long each silent socket lived (s), how long each ack took meanwhile (s), and how the server's memory grew."""
    server = Running(url, asyncio.Event(), asyncio.get_running_loop().create_future(), None)  # type: ignore[arg-type]
    port = server.port
    async with server.peer("ann") as ann, server.peer("bob") as bob:
        await ann.join()
        await bob.join()
        before = peak = memory_bytes(pid)
        attack = asyncio.ensure_future(asyncio.to_thread(silent, port, count, b"GET /ws HTTP/1.1\r\n"))
        waits: list[float] = []
        while not attack.done():
            began = time.monotonic()
            await ann.send(type="message", id=f"{len(waits)}", session="room", body="hello")
            await ann.read_type("ack")
            await bob.read_type("message")
            waits.append(time.monotonic() - began)
            peak = max(peak, memory_bytes(pid))
            await asyncio.wait([attack], timeout=0.1)
        return await attack, waits, peak - before


# Names.

NAMES = (
    "a/b",
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/passwd",
    "file:///etc/passwd",
    "'; DROP TABLE messages; --",
    '" OR ""="',
    "x' UNION SELECT jti, user, at FROM revoked --",
    "%_",
    "\x00",
    "a\x00b",
    "\r\nSet-Cookie: x=y\r\n",
    "\x1b[2J\x07",
    "%2e%2e%2f",
    "%00",
    "ü ?#&",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "\N{PILE OF POO}" * 32,
    "$(touch pwned)",
    "{{7*7}}",
    " ",
    "CON",
    "x" * 128,
)


def test_strange_names_are_just_names_and_no_file_is_touched(tmp_path: Path) -> None:
    """As user, session, client's id, body, and token's id; over WebSocket and HTTP; kept, and kept apart, in SQLite."""
    data = tmp_path / "data"
    settings: dict[str, Any] = {"data": data, "config": HandlerConfig(accept_rate_per_s=1e4)}

    async def said(server: Running, name: str) -> list[tuple[str, Any]]:
        headers = {"Authorization": "Bearer " + bearer(name, sessions=[name])}
        path = f"/api/sessions/{quote(name, safe='')}"
        answer = await server.request("GET", path + "/messages", headers=headers)
        assert (await server.request("GET", path, headers=headers)).json()["session"] == name
        return [(message["from"], message["body"]) for message in answer.json()["messages"]]

    async def work() -> None:
        async with running(**settings) as server:
            place = Place(server)
            for name in NAMES:
                async with place.wire(name, sessions=[name]) as wire:
                    await wire.join(name)
                    await wire.say(name[:64], {name: name}, name)
                posted = await server.request(
                    "POST", f"/api/users/{quote(name, safe='')}/messages", headers=ADMIN_HEADER, json={"body": name}
                )
                assert posted.status_code == 202
                async with place.wire(name, jti=name) as thief:
                    await place.revoke(quote(name, safe=""))
                    assert await thief.code() == 4501
            # And all of them together in one session, one after the other put out of it.
            everybody = {"participants": NAMES}
            headers = {"Authorization": "Bearer " + bearer("ann", sessions=None)}
            made = (await server.request("POST", "/api/sessions", headers=headers, json=everybody)).json()["session"]
            path = f"/api/sessions/{made}"
            assert (await server.request("GET", path, headers=headers)).json()["participants"] == ["ann", *NAMES]
            for name in NAMES:
                there = f"{path}/participants/{quote(name, safe='')}"
                assert (await server.request("DELETE", there, headers=headers)).status_code == 204
            assert (await server.request("GET", path, headers=headers)).json()["participants"] == ["ann"]
            for wrong in ("x" * 129, "%FF", "%ED%A0%80"):
                answer = await server.request("GET", "/api/sessions/" + wrong, headers=headers)
                assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
        async with running(**settings) as server:
            for name in NAMES:
                assert await said(server, name) == [(name, {name: name})]
                assert await Place(server).with_token(bearer(name, jti=name)) == (401, "token_revoked")

    on_loop(work)
    assert {path.name for path in tmp_path.rglob("*")} <= {data.name, FILE, FILE + "-wal", FILE + "-shm", LOCK}
    with closing(sqlite3.connect(data / FILE)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables == {"lives", "sessions", "participants", "positions", "messages", "revoked", "spent"}
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (2 * len(NAMES),)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@against()
async def test_a_path_leads_nowhere_but_to_the_routes(place: Place) -> None:
    for path in ("/../../etc/passwd", "//etc/passwd", "/api/sessions/../../etc/passwd", "/ws/../metrics", "/%2e%2e/x"):
        async with raw(place.server) as peer:
            peer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
            answer = await peer.answer()
            assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 401"))
            assert b"root:" not in answer


@against()
async def test_headers_without_bounds_are_refused(place: Place) -> None:
    many = "".join(f"X-{number}: y\r\n" for number in range(5000))
    for head in (f"X: {'y' * 70_000}\r\n", many):
        for path in ("/ws", "/metrics"):
            async with raw(place.server) as peer:
                peer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n{head}\r\n".encode())
                assert b"200 OK" not in await peer.answer()
    await is_served(place.server)
