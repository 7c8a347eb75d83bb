"""One raw connection: opens, counts whole frames, answers pings, and knows the last message that it was told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chatsim.errors import HarnessError
from chatsim.live.calibration.line import Address, Line, ack, frame, request, whole_frames
from chatsim.live.framing import PING_FRAME, close_frame, short_text, text_frame

WELCOME = text_frame(b'{"type":"status","status":"welcome"}')
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
MESSAGE = text_frame(b'{"type":"message","message_id":"m","session":"s","epoch":1,"seq":7,"from":"bob","body":1}')
PATIENCE_S = 10.0


class Server:
    """Answers one request with the given pieces, each in a write of its own; then `peer` is the test's to use."""

    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self._listener.getsockname()[1])
        self.peer: socket.socket
        self.asked = b""
        self._thread = threading.Thread(target=self._serve, args=(pieces,))
        self._thread.start()

    def _serve(self, pieces: tuple[bytes, ...]) -> None:
        self.peer, _ = self._listener.accept()
        self.peer.settimeout(PATIENCE_S)
        while b"\r\n\r\n" not in self.asked:
            self.asked += self.peer.recv(4096)
        for piece in pieces:
            self.peer.sendall(piece)

    def ready(self) -> socket.socket:
        self._thread.join(PATIENCE_S)
        return self.peer

    def close(self) -> None:
        self.ready().close()
        self._listener.close()


@contextmanager
def opened(*pieces: bytes) -> Iterator[tuple[Line, socket.socket]]:
    server = Server(pieces or (UPGRADED + WELCOME,))
    try:
        line = Line(server.address, "a-token")
        try:
            yield line, server.ready()
        finally:
            line.close()
    finally:
        server.close()


def heard(line: Line, least: int) -> int:
    """Read until so much has come; what loopback carries comes soon, and never is a failure of the test's bound."""
    count = 0
    ready = threading.Event()
    for _ in range(10_000):
        count += line.read()
        if count >= least:
            break
        ready.wait(0.001)
    return count


def test_whole_frames_of_every_length_and_no_half_ones() -> None:
    payloads = [b"x" * size for size in (0, 5, 125, 126, 300, 65_535, 65_536)]
    data = b"".join(map(text_frame, payloads))
    assert [data[start:end] for _, start, end in whole_frames(data)] == payloads
    for cut in (1, 5, 100, len(data) - 1):
        assert (
            b"".join(text_frame(data[s:e]) for _, s, e in whole_frames(data[:cut]))
            == data[: sum(len(text_frame(data[s:e])) for _, s, e in whole_frames(data[:cut]))]
        )


@pytest.mark.parametrize("size", [0, 125, 126, 1000])
def test_the_server_reads_what_is_framed(size: int) -> None:
    data = frame(b"y" * size)
    assert short_text(data, 0, 1024) == (b"y" * size, len(data))


def test_the_token_is_shown_only_where_there_is_one() -> None:
    address = Address("127.0.0.1", 80)
    assert b"GET /ws?token=abc HTTP/1.1" in request(address, "abc")
    assert b"GET /ws HTTP/1.1" in request(address, "")


def test_a_welcome_that_comes_in_pieces() -> None:
    whole = UPGRADED + WELCOME
    with opened(whole[:10], whole[10:-3], whole[-3:] + MESSAGE) as (line, _):
        assert heard(line, 0) in (0, 1)


def test_frames_are_counted_pings_answered_and_messages_known() -> None:
    with opened() as (line, peer):
        assert line.seq == 0
        peer.sendall(PING_FRAME + MESSAGE + WELCOME[:5])
        assert heard(line, 1) == 1
        assert line.pinged == 1
        assert line.seq == 7
        peer.sendall(WELCOME[5:])
        assert heard(line, 1) == 1
        assert peer.recv(4096) == b"\x8a\x80\0\0\0\0"


@pytest.mark.parametrize(
    ("said", "hint"), [(close_frame(4000, "too slow"), "closed a connection"), (b"", "ended a connection")]
)
def test_a_server_that_goes_is_a_failure(said: bytes, hint: str) -> None:
    with opened() as (line, peer):
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
        with pytest.raises(HarnessError, match=hint):
            heard(line, 1)


def test_a_refusal_and_an_end_instead_of_an_answer() -> None:
    with pytest.raises(HarnessError, match="refused a connection"), opened(b"HTTP/1.1 401 Unauthorized\r\n\r\n"):
        pass
    server = Server((b"HTTP",))
    threading.Thread(target=lambda: server.ready().shutdown(socket.SHUT_WR)).start()
    with pytest.raises(HarnessError, match="ended a handshake"):
        Line(server.address, "")
    server.close()


@pytest.mark.parametrize(("settles", "acked"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4]), (8, [])])
def test_one_who_listens_acks_as_many_messages_at_a_time_as_she_is_told(settles: int, acked: list[int]) -> None:
    with opened() as (line, peer):
        line.acks, line.settles = b"s", settles
        for seq in range(1, 6):
            peer.sendall(MESSAGE.replace(b'"seq":7', b'"seq":%d' % seq))
            assert heard(line, 1) == 1
        assert line.acked == len(acked)
        said = b"".join(ack(b"s", seq) for seq in acked)
        assert (peer.recv(len(said)) if said else b"") == said
