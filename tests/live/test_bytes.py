"""Invariant: bytes mean what an independent parser says they mean, however they come, and hurt nobody but the sender.

What a peer sends here is anything: each bit of a frame's head, lengths that are told in too many bytes or are not true,
masks, fragments, requests that are none; in pieces of any size.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.frames import HeartbeatIn, encode
from chatsim.core.tokens import issue
from tests.live.running import SECRET
from tests.live.test_driver import EPOCH, FakeTransport
from tests.live.test_framing import client_frame, masks, parsed
from tests.live.test_protocol import Inside, upgrade
from tests.thorough import examples

HEAD_END = b"\r\n\r\n"
CAME_IN = {"receive", "malformed", "refresh", "refuse_refresh", "pong", "disconnect"}
WIDTHS = st.sampled_from([0, 0, 0, 2, 8])
TEXTS = [
    b"",
    b'{"type":"status","action":"join","session":"room"}',
    b'{"type":"message","id":"1","session":"room","body":"x"}',
    b'{"type":"message","id":"2","session":"@ann","body":[1]}',
    b'{"type":"ack","session":"room","up_to":1}',
    b'{"type":"typing","session":"room","active":true}',
    b'{"type":"status","action":"leave","session":"room"}',
    b'{"type":"heartbeat","t":1}',
    '{"type":"heartbeat","x":"\N{SNOWMAN}"}'.encode(),
    b'{"type":"heartbeat","x":"' + b"y" * 101 + b'"}',
    b'{"type":"heartbeat","x":"' + b"y" * 230 + b'"}',
    b"\xff",
    b"\x03\xe8bye",
    b"x" * 301,
]
PAYLOADS = st.sampled_from(TEXTS) | st.binary(max_size=130)


def any_frame(head: int, payload: bytes, mask: bytes | None, width: int, off: int) -> bytes:
    """A frame with this first byte, whose length is told in at least `width` bytes and is `off` from the truth."""
    told = max(len(payload) + off, 0)
    width = max(width, 0 if told < 126 else 2)
    second = told if not width else 126 if width == 2 else 127
    wide = told.to_bytes(width, "big") if width else b""
    if mask is None:
        return bytes((head, second)) + wide + payload
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes((head, 0x80 | second)) + wide + mask + masked


HEADS = st.sampled_from([0x81, 0x81, 0x81, 0x01, 0x80, 0x00, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0xA1, 0x91]) | st.integers(
    0, 255
)
STRANGE = st.builds(
    any_frame, HEADS, PAYLOADS, st.none() | masks | masks | masks, WIDTHS, st.sampled_from([0, 0, 0, 0, -1, 1, 300])
)
GOOD = st.builds(client_frame, st.just(1), st.sampled_from(TEXTS), masks)
FRAGMENTS = st.builds(
    lambda text, mask, cut: client_frame(1, text[:cut], mask, fin=False) + client_frame(0, text[cut:], mask),
    st.sampled_from(TEXTS[1:10]),
    masks,
    st.integers(0, 60),
)
STREAMS = st.lists(GOOD | GOOD | FRAGMENTS | STRANGE | st.binary(max_size=8), max_size=10).map(b"".join)
REQUESTS = [
    upgrade("junk"),
    upgrade("junk")[:-2],
    upgrade("junk").replace(b"/ws", b"/" + b"x" * 9000),
    b"GET /ws HTTP/1.1" + HEAD_END,
    b"POST /ws HTTP/1.1\r\nContent-Length: 5" + HEAD_END + b"hello",
    HEAD_END,
]
CUTS = st.lists(st.integers(0, 400), max_size=10)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    return (data[begin:end] for begin, end in pairwise(places))


@examples(300)
@given(STREAMS, CUTS)
def test_frames_are_the_same_by_either_parser_and_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    quick, slow = Inside(by_library=False), Inside(by_library=True)
    for piece in pieces(data, cuts):
        quick.feed(piece)
        slow.feed(piece)
    assert quick.outcome() == slow.outcome()


@examples(300)
@given(STREAMS, CUTS)
def test_frames_mean_the_same_whole_and_in_pieces(data: bytes, cuts: list[int]) -> None:
    whole, cut = Inside(by_library=False), Inside(by_library=False)
    whole.feed(data)
    for piece in pieces(data, cuts):
        cut.feed(piece)
    said = [[step[1:3] for step in inside.world.notes.steps if step[1] in CAME_IN] for inside in (whole, cut)]
    assert said[0] == said[1]


class Shared:
    """A node in memory that serves bob, and somebody else who sends what she likes."""

    def __init__(self) -> None:
        self.inside = Inside(by_library=False)
        self.bob = FakeTransport()
        self.protocol = self.inside.kind(_loop=cast(asyncio.AbstractEventLoop, self.inside.world.loop))
        self.protocol.connection_made(cast(asyncio.Transport, self.bob))
        good = issue(SECRET, "HS256", sub="bob", exp=EPOCH + 600, wall=EPOCH, jti="b", sessions=("room",))
        self.protocol.data_received(upgrade(good))
        self.beats = 0

    def stranger(self) -> tuple[Any, FakeTransport]:
        """One more connection, that has not said anything yet."""
        transport = FakeTransport()
        protocol = self.inside.kind(_loop=cast(asyncio.AbstractEventLoop, self.inside.world.loop))
        protocol.connection_made(cast(asyncio.Transport, transport))
        return protocol, transport

    def serves(self) -> bool:
        """Whether bob is answered, at once."""
        self.beats += 1
        self.protocol.data_received(client_frame(1, encode(HeartbeatIn(self.beats))))
        self.inside.world.loop.turn()
        heard = [bytes(frame.data) for frame in parsed(b"".join(self.bob.writes).partition(HEAD_END)[2])]
        return not self.bob.closed and any(b'"t":%d}' % self.beats in data for data in heard)


@examples(300)
@given(st.booleans(), st.binary(max_size=60) | st.sampled_from(REQUESTS), STREAMS, CUTS)
def test_whatever_one_sends_the_others_are_served(enters: bool, first: bytes, data: bytes, cuts: list[int]) -> None:
    shared = Shared()
    ann, transport = (shared.inside.protocol, shared.inside.transport) if enters else shared.stranger()
    for piece in pieces(data if enters else first + data, cuts):
        # Nobody reads from a transport that is closed.
        if not (transport.closed or transport.aborted):
            ann.data_received(piece)
        shared.inside.world.loop.turn()
    assert shared.serves()
    ann.connection_lost(None)
    shared.inside.world.loop.advance(20.0)
    assert shared.serves()
