"""WebSocket frames as bytes (RFC 6455, 5.2): all that go out, and the one kind that nearly everything comes in as.

Decides nothing but the form. Rule: a server's frames are unmasked, so the bytes are the same for every receiver; of
what comes in, only whole text frames are read here, by a server short and masked ones, by a client those of at most two
bytes of length, exactly as the parser of `websockets` would. All other inbound frames are left to that parser, which
takes four times as long for a chat message.
"""

from __future__ import annotations

from itertools import pairwise

try:
    from websockets.speedups import apply_mask
except ImportError:  # it is there wherever the library was built with its C part
    from websockets.utils import apply_mask

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


_HEADERS = tuple(_text_header(length) for length in range(1024))


def text_frame(payload: bytes) -> bytes:
    """One whole text message; `payload` is UTF-8."""
    length = len(payload)
    return (_HEADERS[length] if length < 1024 else _text_header(length)) + payload


def packed_frame(packed: bytes) -> bytes:
    """One whole text message whose payload is packed (RFC 7692): it is marked by the first reserved bit."""
    frame = text_frame(packed)
    return b"\xc1" + frame[1:]


def close_frame(code: int, reason: str) -> bytes:
    """The closing frame; a reason that is too long is cut between characters."""
    payload = code.to_bytes(2, "big") + reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore").encode()
    return bytes((0x88, len(payload))) + payload


SHORT_BYTES_MAX = 1024
"""The longest payload read here: up to this, unmasking in one big number is quicker than asking the library."""

_WHOLE_TEXT, _MASKED = 0x81, 0x80
_MASK_BYTES = 4


def short_text(data: bytes, at: int, bytes_max: int) -> tuple[bytes, int] | None:
    """The payload of the frame that begins at `at`, unmasked but not checked to be UTF-8, and where the frame ends.

    None where it is anything but one whole masked text frame of at most `bytes_max` bytes of payload, all of it there.
    """
    if len(data) - at < 6 or data[at] != _WHOLE_TEXT:
        return None
    # Negative where the frame is not masked, which is the parser's to refuse.
    length = data[at + 1] - _MASKED
    start = at + 6
    if length == 126:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        start = at + 8
    elif length == 127 or length < 0:
        return None
    end = start + length
    if length > bytes_max or end > len(data):
        return None
    mask = (data[start - _MASK_BYTES : start] * (-(-length // _MASK_BYTES)))[:length]
    return (int.from_bytes(data[start:end]) ^ int.from_bytes(mask)).to_bytes(length), end


def masked_text(payload: bytes, mask: bytes) -> bytes:
    """One whole text message of a client; `payload` is UTF-8, `mask` four bytes that nobody can foretell."""
    length = len(payload)
    if length < 126:
        head = bytes((_WHOLE_TEXT, _MASKED | length))
    elif length < 65536:
        head = b"\x81\xfe" + length.to_bytes(2, "big")
    else:
        head = b"\x81\xff" + length.to_bytes(8, "big")
    return b"".join((head, mask, apply_mask(payload, mask)))


def masked_binary(payload: bytes, mask: bytes) -> bytes:
    """One whole binary message of a client, which no server of the protocol takes."""
    return b"\x82" + masked_text(payload, mask)[1:]


def whole_texts(data: bytes) -> list[bytes] | None:
    """The payloads of the frames of a server that these bytes are, not checked to be UTF-8.

    None where they are anything but whole, unmasked text frames of under 64 KiB.
    """
    at, size = 0, len(data)
    found = []
    while size - at >= 2:
        if data[at] != _WHOLE_TEXT:
            return None
        length = data[at + 1]
        start = at + 2
        if length >= 126:
            if length > 126 or size - at < 4:
                return None
            length = data[at + 2] << 8 | data[at + 3]
            start = at + 4
        at = start + length
        if at > size:
            return None
        found.append(data[start:at])
    return found if at == size else None


class Edge:
    """Where frames end in what comes in: whether the next byte begins one. Sees every byte, and reads headers only.

    It follows well-formed frames; after one that the parser refuses nothing is read any more. `reached` says whether
    the bytes so far end with a whole frame.
    """

    __slots__ = ("_head", "_lacks", "reached")

    def __init__(self) -> None:
        self.reached = True
        self._head = b""
        self._lacks = 0

    def passes(self, data: bytes) -> list[int]:
        """These bytes came, and went to the parser; the answer is where in them a frame ends, in order."""
        # The start of a header that was cut short is kept, and read again with what follows.
        kept = len(self._head)
        data = self._head + data
        self._head = b""
        at, size = self._lacks, len(data)
        ends = [at - kept] if 0 < at <= size else []
        while at < size:
            if size - at < 2:
                break
            second = data[at + 1]
            length, start = second & 0x7F, at + 2 + (_MASK_BYTES if second & _MASKED else 0)
            if length >= 126:
                wide = 2 if length == 126 else 8
                start += wide
                length = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
            if start > size:
                break
            at = start + length
            if at <= size:
                ends.append(at - kept)
        if at < size:
            self._head = data[at:]
            at = size
        self._lacks = at - size
        self.reached = not (self._lacks or self._head)
        return ends


_HEAD_END = b"\r\n\r\n"
_UPGRADED = b"HTTP/1.1 101"


class Slicer:
    """Cuts what a server sends into what it consists of: the answer to the upgrade, then frames.

    Nothing is held back: of a frame that comes in parts, each part is a piece. An answer that refuses is never cut.
    """

    __slots__ = ("_edge", "_head", "_refused")

    def __init__(self) -> None:
        self._head = b""
        self._refused = False
        self._edge: Edge | None = None

    @property
    def between(self) -> bool:
        """Whether the upgrade was answered, and the next byte begins a frame: a frame that comes whole then may be
        passed over."""
        return self._edge is not None and self._edge.reached

    def cut(self, data: bytes) -> list[bytes]:
        """These bytes came: their pieces, in order."""
        edge, at = self._edge, 0
        if edge is None:
            if self._refused:
                return [data]
            known = len(self._head)
            self._head += data
            self._refused = len(self._head) >= len(_UPGRADED) and not self._head.startswith(_UPGRADED)
            end = self._head.find(_HEAD_END)
            if self._refused or end < 0:
                return [data]
            at = end + len(_HEAD_END) - known
            self._head = b""
            edge = self._edge = Edge()
        ends = edge.passes(data[at:] if at else data)
        if not at and ends == [len(data)]:
            return [data]
        cuts = sorted({0, at, *(at + end for end in ends), len(data)})
        return [data[here:there] for here, there in pairwise(cuts)]
