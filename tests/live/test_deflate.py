"""Invariant: what is packed is what was said, for any client that keeps to RFC 7692, and no bomb is unpacked."""

from __future__ import annotations

import contextlib
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode

from chatsim.core.config import HandlerConfig
from chatsim.live.deflate import UNPACKED_MAX, WINDOW_BITS, Deflate, Packed, pack, unpack
from tests.live.running import Peer, Running, on_loop, running, token
from tests.live.test_framing import parsed
from tests.live.test_protocol import write_frame

ON = HandlerConfig(compression=True)
BYTES_MAX = ON.message_bytes_max


def packed(payload: bytes) -> bytes:
    """As any library would pack one message."""
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


@given(st.binary(max_size=300) | st.binary(max_size=9).map(lambda piece: piece * 900))
def test_what_is_packed_reads_back_with_the_window_that_was_agreed(payload: bytes) -> None:
    frame = pack(payload)
    if frame is None:
        return
    [sent] = parsed(frame, PerMessageDeflate(True, True, WINDOW_BITS, WINDOW_BITS))
    assert (sent.opcode, bytes(sent.data)) == (Opcode.TEXT, payload)
    assert len(frame) < len(payload) + 4


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_no_more_is_unpacked_than_may_be(payload: bytes, bytes_max: int) -> None:
    assert unpack(packed(payload), bytes_max) == (payload if len(payload) <= bytes_max else None)


def test_a_bomb_is_not_unpacked() -> None:
    # A thousand times as large as what is allowed, in a message that is: to unpack it would take a gigabyte.
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(b"\0" * 2**20) for _ in range(60)) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < BYTES_MAX
    assert unpack(bomb, 1000) is None


@given(st.binary(min_size=1, max_size=100))
def test_what_is_not_packed_is_told(data: bytes) -> None:
    with contextlib.suppress(zlib.error):
        assert isinstance(unpack(data, 1000), bytes | None)


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ([], ["server_no_context_takeover", "client_no_context_takeover"]),
        ([("client_max_window_bits", None)], ["server_no_context_takeover", "client_no_context_takeover"]),
        (
            [("server_max_window_bits", "12"), ("client_max_window_bits", "9")],
            ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits",
             "client_max_window_bits"],
        ),
        ([("server_max_window_bits", "11")], None),
        ([("server_max_window_bits", "8")], None),
        ([("what_is_this", None)], None),
    ],
)  # fmt: skip
def test_what_is_agreed(offer: list[Any], answer: list[str] | None) -> None:
    if answer is None:
        with pytest.raises(NegotiationError):
            Deflate().process_request_params(offer, [])
        return
    params, agreed = Deflate().process_request_params(offer, [])
    assert [name for name, _ in params] == answer
    assert isinstance(agreed.decode(Frame(Opcode.TEXT, b"x", rsv1=True)), Packed)
    for other in (Frame(Opcode.TEXT, b"x"), Frame(Opcode.CONT, b"x", rsv1=True), Frame(Opcode.PING, b"x", rsv1=True)):
        assert agreed.decode(other) is other


async def swap(server: Running, one: Peer, other: Peer, body: Any) -> None:
    """One says it, and the other hears it."""
    await one.send(type="message", id=str(body)[:9], session="room", body=body)
    await one.read_type("ack")
    assert (await other.read_type("message"))["body"] == body


@pytest.mark.parametrize("bits", [None, 12, 15])
def test_packing_and_other_clients_talk(bits: int | None) -> None:
    async def work() -> None:
        async with running(config=ON) as server, server.peer("ann") as ann:
            factory = ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits)
            async with (
                server.peer("bob", compression="deflate") as bob,
                server.dial("?token=" + token("cid"), extensions=[factory]) as socket,
            ):
                cid = Peer(socket)
                for peer in (ann, bob, cid):
                    assert bool(peer.socket.protocol.extensions) == (peer is not ann)
                    await peer.join()
                for body in ("hi", "hello " * 400, ["ü" * 70] * 3, "x" * 30_000):
                    await swap(server, bob, ann, body)
                    assert (await cid.read_type("message"))["body"] == body
                    await swap(server, ann, bob, body * 2)
                    assert (await cid.read_type("message"))["body"] == body * 2

    on_loop(work)


def test_packed_fragments_make_one_message_and_pings_may_come_between() -> None:
    whole = packed(b'{"type":"heartbeat","t":7,"x":"' + b"y" * 5 * BYTES_MAX + b'"}')
    cut = len(whole) // 2

    async def work() -> None:
        async with running(config=ON) as server, server.peer(compression="deflate") as ann:
            await write_frame(ann.socket, Opcode.TEXT, whole[:cut], False, rsv1=True)
            await write_frame(ann.socket, Opcode.PING, b"between")
            await write_frame(ann.socket, Opcode.CONT, b"", False)
            await write_frame(ann.socket, Opcode.CONT, whole[cut:])
            assert (await ann.read_type("heartbeat"))["t"] == 7
            await write_frame(ann.socket, Opcode.TEXT, b'{"type":"heartbeat",', False)
            await write_frame(ann.socket, Opcode.CONT, b'"t":8}')
            assert (await ann.read_type("heartbeat"))["t"] == 8

    on_loop(work)


HEAD, END = b'{"type":"heartbeat","t":7,"x":"', b'"}'
LARGEST = HEAD + b"x" * (UNPACKED_MAX * BYTES_MAX - len(HEAD) - len(END)) + END


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(Opcode.TEXT, packed(LARGEST + b" "), True, True)], 1009),
        ([(Opcode.TEXT, packed(LARGEST + b" ")[:500], False, True),
          (Opcode.CONT, packed(LARGEST + b" ")[500:], True, False)], 1009),
        ([(Opcode.TEXT, b"\0" * (BYTES_MAX + 1), True, True)], 1009),
        ([(Opcode.TEXT, b"\0" * BYTES_MAX, False, True), (Opcode.CONT, b"\0", True, False)], 1009),
        # What is not packed may be no larger than without compression.
        ([(Opcode.TEXT, LARGEST[: BYTES_MAX + 1], True, False)], 1009),
        ([(Opcode.TEXT, b"\xff\xff\xff", True, True)], 1002),
        ([(Opcode.TEXT, packed(b"{}")[:2], False, True), (Opcode.CONT, b"x", True, True)], 1002),
        ([(Opcode.TEXT, packed(b'"\xff"'), True, True)], 1007),
        ([(Opcode.BINARY, packed(b"x"), True, True)], 1003),
        ([(Opcode.PING, b"x", True, True)], 1002),
    ],
)  # fmt: skip
def test_what_is_too_large_unpacked_or_packed_or_neither_closes(
    frames: list[tuple[Opcode, bytes, bool, bool]], code: int
) -> None:
    async def work() -> None:
        async with running(config=ON) as server, server.peer("bob") as bob:
            async with server.peer(compression="deflate") as ann:
                for opcode, data, fin, rsv1 in frames:
                    await write_frame(ann.socket, opcode, data, fin, rsv1=rsv1)
                assert await ann.close_code() == code
            await bob.send(type="heartbeat", t=5)
            assert (await bob.read_type("heartbeat"))["t"] == 5

    on_loop(work)


def test_the_largest_message_passes() -> None:
    async def work() -> None:
        async with running(config=ON) as server, server.peer(compression="deflate") as ann:
            await write_frame(ann.socket, Opcode.TEXT, packed(LARGEST), rsv1=True)
            assert (await ann.read_type("heartbeat"))["t"] == 7

    on_loop(work)


def test_where_it_is_off_an_offer_is_declined_and_a_packed_frame_breaks_the_protocol() -> None:
    async def work() -> None:
        async with running() as server, server.peer(compression="deflate") as ann:
            assert not ann.socket.protocol.extensions
            await write_frame(ann.socket, Opcode.TEXT, packed(b"{}"), rsv1=True)
            assert await ann.close_code() == 1002

    on_loop(work)
