"""Compressed text messages (permessage-deflate, RFC 7692): what is agreed at the handshake, and packing and unpacking.

Decides that nothing is remembered from one message to the next, in either direction: an idle connection costs nothing,
and one packed frame is the same for every receiver, so that a broadcast is packed once.
Rule: what comes in is left packed until the message is whole and within its limit on the wire; then no more of it is
unpacked than is allowed. Which connections agreed is left to the protocol, who is sent what to the driver.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from websockets.exceptions import NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionParameter

from chatsim.live.framing import packed_frame

UNPACKED_MAX = 10
"""How many times `message_bytes_max` a message may have unpacked (protocol.md, section 1)."""

PACKED_FROM_BYTES = 128
"""Shorter messages are sent as they are: packed without a memory of others they hardly shrink."""

WINDOW_BITS, MEMORY_LEVEL = 12, 5
"""Window and memory of the packing: frames of chat are short, and a client may ask for a window of 4 KiB."""

_TAIL = b"\x00\x00\xff\xff"


class Packed(Frame):
    """A frame that begins a packed message: its payload is as it came."""


class _LeftPacked(PerMessageDeflate):
    """The agreed extension: it says which messages are packed, and leaves them so."""

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        # A further fragment, or a control frame, may not be marked: the parser refuses the bit where it is left set.
        if frame.rsv1 and frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            return Packed(frame.opcode, frame.data, frame.fin, False, frame.rsv2, frame.rsv3)
        return frame


class Deflate(ServerPerMessageDeflateFactory):
    """What the server offers: neither side remembers a message, and the server's window is `WINDOW_BITS`."""

    def __init__(self) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """The answer to one offer; raises NegotiationError where nothing comes of it."""
        answer, agreed = super().process_request_params(params, accepted_extensions)
        if agreed.local_max_window_bits < WINDOW_BITS:
            raise NegotiationError("frames are packed once for all, with a larger window than that")
        return answer, _LeftPacked(True, True, agreed.remote_max_window_bits, agreed.local_max_window_bits)


def pack(payload: bytes) -> bytes | None:
    """One whole packed text message; None where it would be no shorter."""
    packer = zlib.compressobj(wbits=-WINDOW_BITS, memLevel=MEMORY_LEVEL)
    packed = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
    # What every flush ends with is left out on the wire.
    return packed_frame(packed[: -len(_TAIL)]) if len(packed) < len(payload) else None


def unpack(packed: bytes, bytes_max: int) -> bytes | None:
    """The payload of a packed message; None where it has more than `bytes_max`, of which no more is unpacked.

    Raises zlib.error where it is not packed at all.
    """
    data = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(packed + _TAIL, bytes_max + 1)
    return data if len(data) <= bytes_max else None
