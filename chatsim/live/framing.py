"""Outbound WebSocket frames as bytes (RFC 6455, 5.2).

Decides nothing but the form. Rule: a server's frames are unmasked, so the bytes are the same for every receiver.
Inbound frames, which are masked, are left to the parser of `websockets`.
"""

from __future__ import annotations

REASON_BYTES_MAX = 123
"""What a close frame has left for its reason: control frames carry 125 bytes, and the code takes two."""

PING_FRAME = b"\x89\x00"
"""A ping without payload: which ping a pong answers does not matter, any sign of life counts."""


def _text_header(length: int) -> bytes:
    if length < 126:
        return bytes((0x81, length))
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


_SHORT_HEADERS = tuple(_text_header(length) for length in range(126))


def text_frame(payload: bytes) -> bytes:
    """One whole text message; `payload` is UTF-8."""
    length = len(payload)
    return (_SHORT_HEADERS[length] if length < 126 else _text_header(length)) + payload


def close_frame(code: int, reason: str) -> bytes:
    """The closing frame; a reason that is too long is cut between characters."""
    payload = code.to_bytes(2, "big") + reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore").encode()
    return bytes((0x88, len(payload))) + payload
