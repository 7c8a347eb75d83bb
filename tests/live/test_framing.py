"""Invariant: what is framed here, an independent parser reads back; what is read here, it reads in the same way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions import Extension
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from chatsim.live.framing import (
    PING_FRAME,
    SHORT_BYTES_MAX,
    Edge,
    Slicer,
    close_frame,
    masked_binary,
    masked_text,
    short_text,
    text_frame,
    whole_texts,
)


def parsed(data: bytes, *extensions: Extension) -> list[Frame]:
    """Frames of a server, as the independent parser of `websockets` reads them with what was agreed."""
    reader = ClientProtocol(parse_uri("ws://here/"), state=State.OPEN, max_size=None)
    reader.extensions = list(extensions)
    reader.receive_data(data)
    assert reader.parser_exc is None
    return [event for event in reader.events_received() if isinstance(event, Frame)]


def client_frame(opcode: int, payload: bytes, mask: bytes = b"\1\2\3\4", *, fin: bool = True) -> bytes:
    """A client's frame, whatever it says."""
    length = len(payload)
    wide = b"" if length < 126 else length.to_bytes(2 if length < 65536 else 8, "big")
    head = bytes(((0x80 if fin else 0) | opcode, 0x80 | (length if not wide else 126 if len(wide) == 2 else 127)))
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return head + wide + mask + masked


def read_by_library(data: bytes, bytes_max: int | None = None) -> tuple[list[Frame], bool]:
    """The frames that the library reads from a client, and whether it has come to no fault."""
    reader = ServerProtocol(state=State.OPEN, max_size=bytes_max)
    reader.receive_data(data)
    return [event for event in reader.events_received() if isinstance(event, Frame)], reader.parser_exc is None


masks = st.binary(min_size=4, max_size=4)
frames = st.builds(
    client_frame,
    st.sampled_from([0, 1, 1, 1, 2, 9, 10]),
    st.binary(max_size=140) | st.sampled_from([125, 126, 127, 1023, 1024, 1025, 65535, 65536]).map(lambda n: b"x" * n),
    masks,
    fin=st.sampled_from([True, True, True, False]),
)


@given(frames | st.binary(max_size=20), st.binary(max_size=20), st.sampled_from([3, 100, SHORT_BYTES_MAX]))
def test_a_short_text_is_what_the_library_reads(data: bytes, more: bytes, bytes_max: int) -> None:
    found = short_text(b"xyz" + data + more, 3, bytes_max)
    if found is None:
        return
    payload, end = found
    (frame,), fine = read_by_library((data + more)[: end - 3], bytes_max)
    assert fine
    assert (frame.opcode, bytes(frame.data), frame.fin) == (Opcode.TEXT, payload, True)
    assert not any((frame.rsv1, frame.rsv2, frame.rsv3))


@given(st.binary(max_size=200), masks)
def test_every_short_text_is_read(payload: bytes, mask: bytes) -> None:
    data = client_frame(1, payload, mask)
    assert short_text(data, 0, 200) == (payload, len(data))
    assert short_text(data, 0, len(payload) - 1) is None
    assert all(short_text(data[:cut], 0, 200) is None for cut in range(len(data)))


@pytest.mark.parametrize("head", [0x01, 0x80, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0xA1, 0x91])
def test_nothing_else_is_read(head: int) -> None:
    assert short_text(bytes((head, 0x82, 0, 0, 0, 0)) + b"hi", 0, 100) is None
    assert short_text(b"\x81\x02hi" + b"x" * 20, 0, 100) is None
    assert short_text(b"\x81\xff" + (5).to_bytes(8, "big") + b"maskhello", 0, 100) is None


@given(st.lists(frames, max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_the_edge_of_a_frame_is_found_however_the_bytes_come(made: list[bytes], cuts: list[int]) -> None:
    data = b"".join(made)
    ends = {sum(map(len, made[:count])) for count in range(len(made) + 1)}
    edge = Edge()
    assert edge.reached
    places = sorted({*cuts, 0, len(data)})
    found = {0}
    for begin, end in pairwise(places):
        found |= {begin + place for place in edge.passes(data[begin:end])}
        assert edge.reached == (min(end, len(data)) in ends)
    assert found == ends


UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


@given(st.lists(st.binary(max_size=140), max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_what_a_server_sends_is_cut_into_the_answer_and_its_frames(texts: list[bytes], cuts: list[int]) -> None:
    parts = [UPGRADED, *(text_frame(text) for text in texts)]
    data = b"".join(parts)
    ends = {sum(map(len, parts[:count])) for count in range(len(parts) + 1)}
    places = sorted({*cuts, 0, len(data)})
    slicer, found = Slicer(), [0]
    for begin, end in pairwise(places):
        for piece in slicer.cut(data[begin:end]):
            found.append(found[-1] + len(piece))
    # Nothing is held back, and nothing is cut but where something ends, or where it came in parts.
    assert found[-1] == len(data)
    assert ends <= set(found) <= ends | set(places)


def test_nothing_may_be_passed_over_but_between_two_frames() -> None:
    slicer, frame = Slicer(), text_frame(b"hello")
    found = []
    for piece in (UPGRADED[:9], UPGRADED[9:], frame, frame + frame[:1], frame[1:4], frame[4:]):
        slicer.cut(piece)
        found.append(slicer.between)
    assert found == [False, True, True, False, False, True]


def test_an_answer_that_refuses_is_one_piece_with_its_body() -> None:
    answer = b'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n\r\n{"error":"overloaded"}'
    assert Slicer().cut(answer) == [answer]
    slicer = Slicer()
    assert [slicer.cut(answer[:60]), slicer.cut(answer[60:])] == [[answer[:60]], [answer[60:]]]


@given(st.binary(max_size=200) | st.integers(0, 70_000).map(lambda n: b"x" * n))
def test_text_frames_read_back(payload: bytes) -> None:
    (frame,) = parsed(text_frame(payload))
    assert (frame.opcode, bytes(frame.data), frame.fin) == (Opcode.TEXT, payload, True)


@given(st.binary(max_size=200) | st.sampled_from([65535, 65536]).map(lambda n: b"x" * n), masks)
def test_a_client_frames_as_the_library_reads(payload: bytes, mask: bytes) -> None:
    for made, opcode in ((masked_text, Opcode.TEXT), (masked_binary, Opcode.BINARY)):
        data = made(payload, mask)
        assert data == client_frame(opcode, payload, mask)
        (frame,), fine = read_by_library(data)
        assert fine
        assert (frame.opcode, bytes(frame.data), frame.fin) == (opcode, payload, True)


texts = st.lists(
    st.binary(max_size=140) | st.sampled_from([125, 126, 65535]).map(lambda n: b"x" * n), min_size=1, max_size=5
)


@given(texts, st.integers(1, 20))
def test_whole_texts_are_what_the_library_reads(payloads: list[bytes], cut: int) -> None:
    data = b"".join(map(text_frame, payloads))
    assert whole_texts(data) == payloads == [bytes(frame.data) for frame in parsed(data)]
    # Whatever is cut off, or is there of a frame more: the rest is the parser's.
    ends = {sum(map(len, map(text_frame, payloads[:count]))) for count in range(len(payloads) + 1)}
    left = max(len(data) - cut, 0)
    assert (whole_texts(data[:left]) is None) == (left not in ends)
    assert whole_texts(data + text_frame(b"more")[:-cut]) in (None, payloads)


@given(texts, st.sampled_from([0x01, 0x80, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0xA1, 0x91]), st.integers(0, 5))
def test_no_other_frame_is_taken_for_a_text(payloads: list[bytes], head: int, place: int) -> None:
    frames = list(map(text_frame, payloads))
    for other in (bytes((head, 2)) + b"hi", client_frame(1, b"hi"), text_frame(b"x" * 65536)):
        assert whole_texts(b"".join((*frames[:place], other, *frames[place:]))) is None


@given(st.sampled_from([1000, 1012, 4000, 4999]), st.text(max_size=200))
def test_close_frames_read_back(code: int, reason: str) -> None:
    (frame,) = parsed(close_frame(code, reason))
    assert frame.opcode is Opcode.CLOSE
    assert int.from_bytes(frame.data[:2], "big") == code
    said = bytes(frame.data[2:]).decode()
    assert reason.startswith(said)
    assert len(reason.encode()) > 123 or said == reason


def test_a_ping_reads_back() -> None:
    (frame,) = parsed(PING_FRAME)
    assert (frame.opcode, bytes(frame.data)) == (Opcode.PING, b"")
