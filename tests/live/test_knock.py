"""The one connection before all others: why there would be no use in more, with the cure and the exit code."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from chatsim.core.frames import Welcome
from chatsim.core.tokens import Minter
from chatsim.errors import TargetError
from chatsim.live.knock import knock
from chatsim.live.target import target
from chatsim.live.tls import self_signed, server_context
from tests.live.foreign import SECRET, Foreign, foreign

WALL = 1.0e10
"""Far enough in the future that no token of these tests has ended."""


def come(url: str, secret: bytes = SECRET, **options: Any) -> Welcome:
    minter = Minter(secret, "HS256")
    token = minter.mint("knock", WALL, wall=0.0, jti="t1", sessions=())
    return asyncio.run(knock(target(url, minter, **options), token))


def refused(url: str, secret: bytes = SECRET, **options: Any) -> TargetError:
    with pytest.raises(TargetError) as refusal:
        come(url, secret, **options)
    assert secret.decode() not in f"{refusal.value}"
    return refusal.value


def test_a_server_that_greets_is_tried() -> None:
    with foreign(Foreign()) as server:
        assert come(server.url).ping_interval_s == 20
    assert server.handshakes == 1


def test_a_wrong_secret_is_said_in_one_sentence_with_what_to_give() -> None:
    with foreign(Foreign()) as server:
        told = refused(server.url, b"another secret of more than 32 bytes")
    assert "refuses every handshake" in f"{told}"
    assert "401 token_invalid" in f"{told}"
    assert "--secret-file" in f"{told}"
    assert told.exit_code == 3


def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        told = refused(f"ws://127.0.0.1:{held.getsockname()[1]}/ws")
    assert "cannot be reached" in f"{told}"
    assert told.exit_code == 4


def test_a_server_that_speaks_otherwise_is_no_server_of_the_protocol() -> None:
    with foreign(Foreign("riddles")) as server:
        told = refused(server.url)
    assert "does not speak chatsim.v1" in f"{told}"
    assert told.exit_code == 4


def test_who_is_not_trusted_gets_no_token() -> None:
    with self_signed() as files, foreign(Foreign(), server_context(files.cert, files.key)) as server:
        told = refused(server.url)
        assert "is not trusted" in f"{told}"
        assert "--ca-file" in f"{told}"
        assert told.exit_code == 3
        assert server.handshakes == 0
        come(server.url, ca=files.cert)
        come(server.url, insecure=True)


def test_tls_where_there_is_none_is_said() -> None:
    with foreign(Foreign()) as server:
        told = refused(server.url.replace("ws:", "wss:"))
    assert "ws://" in f"{told}"


@pytest.mark.parametrize(
    ("answer", "why", "code"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "is no chat server", 3),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "takes nobody in now", 4),
        (b"", "did not answer", 4),
    ],
)
def test_other_answers_have_their_own_cures(answer: bytes, why: str, code: int) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
            with pytest.raises(TargetError, match=why) as refusal:
                await knock(target(url, Minter(SECRET, "HS256")), "t")
            assert refusal.value.exit_code == code

    asyncio.run(run())
