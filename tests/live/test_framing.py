"""Invariant: what is framed here, an independent parser reads back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from chatsim.live.framing import PING_FRAME, close_frame, text_frame


def parsed(data: bytes) -> list[Frame]:
    """Frames of a server, as the independent parser of `websockets` reads them."""
    reader = ClientProtocol(parse_uri("ws://here/"), state=State.OPEN, max_size=None)
    reader.receive_data(data)
    assert reader.parser_exc is None
    return [event for event in reader.events_received() if isinstance(event, Frame)]


@given(st.binary(max_size=200) | st.integers(0, 70_000).map(lambda n: b"x" * n))
def test_text_frames_read_back(payload: bytes) -> None:
    (frame,) = parsed(text_frame(payload))
    assert (frame.opcode, bytes(frame.data), frame.fin) == (Opcode.TEXT, payload, True)


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
