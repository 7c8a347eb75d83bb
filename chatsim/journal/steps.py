"""The journal of one node: every dated input of its handler, with the effects that answered it, one JSON line each.

Decides the form on disk: a header (config, epoch, seed, version, clock), then a line `[now, door, [arguments],
[effects], check]` for each step, and a footer. `check` is the CRC-32 of everything written up to there, checks left
out, so that a line that is altered, moved, missing or there twice does not fit: many an input has no effect that would
show it.
Rule: what is written decodes back equal, and no token is ever in it (the handler gets claims, never tokens).
Feeding a journal to a handler again is left to `replay`, counting to `verdict.tally`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Final, TypeAlias
from zlib import crc32

import msgspec

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Append, Close, Effect, Effects, Note, Ping, Record, Send, Tell, Watch
from chatsim.core.frames import (
    Body,
    ClientFrame,
    ServerFrame,
    decode_server,
)
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims
from chatsim.errors import HarnessError

VERSION: Final = 2
READABLE: Final = (1, 2)
"""Versions that can be read: those of the first have no checks, and nobody can tell what is missing of them."""

FLUSH_BYTES = 16 * 1024
"""Lines are collected up to this much before they are written. That takes a loop some 50 us, in which nobody is served;
much more at a time, as much longer."""

FLUSH_S = 0.1
"""A step that comes so long after the last writing has everything written, so that a journal may be followed."""

Args: TypeAlias = tuple[Any, ...]


class Header(msgspec.Struct, kw_only=True):
    """First line of a journal: what the handler was made of.

    `epoch` is the wall time of `now` = 0 in seconds since 1970. `clock_at` is what CLOCK_MONOTONIC read at `now` = 0,
    in seconds, so that another process on the same machine can place the steps on its own time line (0 where there is
    no such clock). `snapshot` is what a log that lasts knew at the start, None where the log forgets;
    `first_epoch` is the epoch of sessions that are new to it.
    """

    config: HandlerConfig
    epoch: float
    seed: int
    version: int = VERSION
    clock_at: float = 0.0
    snapshot: Snapshot | None = None
    first_epoch: int = 1


class Step(msgspec.Struct, array_like=True):
    """One input: when, which method of the handler, its arguments after `now`, and the effects it answered with."""

    now: float
    door: str
    args: Args
    effects: Effects


class Footer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Last line of a journal that was closed in order: what the node measured of itself, in seconds, and the names of
    the connections that it, and not its handler, had open then (None: it does not say). `check` is None but on the
    disk."""

    loop_lag_s: tuple[float, ...] = ()
    open: tuple[str, ...] | None = None
    check: int | None = None


class JournalWriter:
    """Writes one journal; with `path` None it only keeps the hash."""

    def __init__(self, path: Path | None, header: Header) -> None:
        """Raises HarnessError where the file cannot be made, or is there already."""
        self._hash = blake2b(digest_size=16)
        self._buffer = bytearray()
        self._encode_into = msgspec.json.Encoder().encode_into
        self._line = bytearray()
        self._file: IO[bytes] | None = None
        self._flush_at = FLUSH_S
        self.steps = 0
        head = msgspec.json.encode(header)
        self._check = crc32(head)
        if path is not None:
            try:
                self._file = path.open("xb")
            except OSError as problem:
                raise HarnessError(f"The journal {path} cannot be written ({problem.strerror}).") from problem
            self._file.write(head + b"\n")
            self._file.flush()

    def step(self, now: float, door: str, args: Sequence[Any], effects: Effects) -> None:
        """Note one input; it reaches the file when enough is collected, or at `flush` and `close`."""
        line = self._line
        self._encode_into((now, door, args, effects), line)
        # A body is kept as it came, and may have line ends between its tokens; a space means the same and is as long.
        if b"\n" in line:
            line = line.replace(b"\n", b" ")
        # Without the bracket at its end, as the reader has it too.
        del line[-1]
        self._check = crc32(line, self._check)
        self._buffer += line
        self._buffer += b",%d]\n" % self._check
        self.steps += 1
        if len(self._buffer) >= FLUSH_BYTES or now >= self._flush_at:
            self._flush_at = now + FLUSH_S
            self.flush()

    @property
    def trace_hash(self) -> str:
        """BLAKE2b over all lines after the header, hexadecimal."""
        digest = self._hash.copy()
        digest.update(self._buffer)
        return digest.hexdigest()

    def flush(self) -> None:
        """Hand everything noted so far to the operating system."""
        self._turn_over()
        if self._file is not None:
            self._file.flush()

    def close(self, footer: Footer | None = None) -> None:
        """Write what is left; afterwards only the hash may be asked for. The footer is no part of it."""
        self._turn_over()
        if self._file is not None:
            footer = footer or Footer()
            check = crc32(msgspec.json.encode(footer), self._check)
            self._file.write(msgspec.json.encode(msgspec.structs.replace(footer, check=check)) + b"\n")
            self._file.close()
            self._file = None

    def _turn_over(self) -> None:
        self._hash.update(self._buffer)
        if self._file is not None:
            self._file.write(self._buffer)
        self._buffer.clear()


# Reading. A `status` frame says twice what it is, so server frames are decoded in two stages, as on the wire.


class _SendHead(msgspec.Struct, array_like=True, tag="send"):
    to: tuple[str, ...]
    message: msgspec.Raw


class _TellHead(msgspec.Struct, array_like=True, tag="tell"):
    session: str
    message: msgspec.Raw


class _Line(msgspec.Struct, array_like=True):
    now: float
    door: str
    args: tuple[msgspec.Raw, ...]
    effects: tuple[_SendHead | _TellHead | Ping | Close | Append | Note | Watch, ...]
    check: int | None = None


_ARGS: dict[str, tuple[Any, ...]] = {
    "connect": (str, Claims),
    "disconnect": (str,),
    "receive": (str, ClientFrame),
    "malformed": (str, str, str),
    "pong": (str,),
    "pressure": (str, int, int),
    "refresh": (str, Claims),
    "refuse_refresh": (str, str),
    "revoke": (str | None, str | None),
    "open_session": (str, tuple[str, ...], float | None, str | None),
    "add_participant": (str, str),
    "remove_participant": (str, str),
    "end_session": (str,),
    "post": (str, str, Body),
    "drain": (),
    "clock_jump": (float,),
    "begin": (Snapshot, float, int, int),
    "appended": (Record,),
    "append_failed": (Record,),
    "told": (str, ServerFrame),
    "wake": (),
}
DOORS = frozenset(_ARGS)
"""Every input that a journal can hold: the methods of a handler, and the beginning of another one."""
_LEAST = {"pressure": 2, "open_session": 3}
"""Doors whose last arguments may be left out, with how many there must be."""

_decoders: dict[str, tuple[Any, ...]] = {
    door: tuple(decode_server if kind is ServerFrame else msgspec.json.Decoder(kind).decode for kind in kinds)
    for door, kinds in _ARGS.items()
}
_UNREADABLE = (msgspec.DecodeError, KeyError, UnicodeDecodeError, RecursionError)
"""What bytes that are no line of a journal raise."""

_header_decoder = msgspec.json.Decoder(Header)
_footer_decoder = msgspec.json.Decoder(Footer)
_line_decoder = msgspec.json.Decoder(_Line)


class JournalReader:
    """Reads one journal, which may still be growing. `footer` is None until it was closed in order.

    `misfit` is the first line (counted from 1) that is not the one that was written there, None while there is none.
    """

    def __init__(self, path: Path) -> None:
        """Raises HarnessError where the file cannot be read, or does not begin as a journal does."""
        self._path = path
        self._hash = blake2b(digest_size=16)
        self._number = 1
        self._rest = b""
        self.footer: Footer | None = None
        self.misfit: int | None = None
        try:
            self._file = path.open("rb")
        except OSError as problem:
            raise HarnessError(f"The journal {path} cannot be read: {problem.strerror}.") from problem
        try:
            head = self._file.readline()
            self.header = _header(path, head)
        except HarnessError:
            self._file.close()
            raise
        self._check = crc32(head.rstrip(b"\n"))

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def check_whole(self) -> None:
        """Raises HarnessError where the last line read is one that was cut short."""
        if self._rest:
            raise HarnessError(
                f"{self._path}:{self._number + 1}: the journal is cut short within this line: copy it again from where "
                "it was written, or delete the line to use what stands before it."
            )

    @property
    def trace_hash(self) -> str:
        """BLAKE2b over the lines of the steps read so far, hexadecimal."""
        return self._hash.hexdigest()

    def steps(self) -> Iterator[Step]:
        """The steps written since the last call, in order; the line being written waits for the next call.

        Raises HarnessError at a line that is no step.
        """
        for piece in self._file:
            line = self._rest + piece
            self._rest = b""
            if not line.endswith(b"\n"):
                self._rest = line
                return
            self._number += 1
            try:
                if line.startswith(b"{"):
                    end = _footer_decoder.decode(line)
                    self.footer = msgspec.structs.replace(end, check=None)
                    self._fits(end.check, crc32(msgspec.json.encode(self.footer), self._check))
                    continue
                found = _line_decoder.decode(line)
                step = _step(found)
            except _UNREADABLE as problem:
                where = f"{self._path}:{self._number}"
                raise HarnessError(f"{where}: not a step of a journal: {problem}.") from problem
            self._fits(found.check, crc32(line[: line.rfind(b",")], self._check))
            self._hash.update(line)
            yield step

    def _fits(self, check: int | None, expected: int) -> None:
        """Whether the line just read is the one that was written there, by what it says and by what was read."""
        if check != expected and self.misfit is None and self.header.version > 1:
            self.misfit = self._number
        self._check = expected


def read_header(path: Path) -> Header:
    """The first line of a journal. Raises HarnessError where it is none."""
    with JournalReader(path) as reader:
        return reader.header


def read(path: Path) -> Iterator[Step]:
    """The steps of a journal in order. Raises HarnessError at a line that is none; a last line cut short ends it."""
    with JournalReader(path) as reader:
        yield from reader.steps()


def decode_step(line: bytes) -> Step:
    """One line as the step that was written. Raises msgspec.DecodeError, KeyError (an unknown door),
    UnicodeDecodeError or RecursionError where it is none."""
    return _step(_line_decoder.decode(line))


def _step(found: _Line) -> Step:
    decoders = _decoders[found.door]
    if not _LEAST.get(found.door, len(decoders)) <= len(found.args) <= len(decoders):
        raise msgspec.ValidationError(f"{found.door} with {len(found.args)} arguments")
    args = tuple(decode(raw) for decode, raw in zip(decoders, found.args, strict=False))
    effects = tuple(_effect(head) for head in found.effects) or NOTHING
    return Step(found.now, found.door, args, effects)


def encode_step(now: float, door: str, args: Sequence[Any], effects: Effects) -> bytes:
    """The line of one step, without its check and its end."""
    return msgspec.json.encode((now, door, args, effects)).replace(b"\n", b" ")


def _effect(head: _SendHead | _TellHead | Ping | Close | Append | Note | Watch) -> Effect:
    if isinstance(head, _SendHead):
        return Send(head.to, decode_server(head.message))
    if isinstance(head, _TellHead):
        return Tell(head.session, decode_server(head.message))
    return head


def _header(path: Path, line: bytes) -> Header:
    try:
        header = _header_decoder.decode(line)
    except _UNREADABLE as problem:
        raise HarnessError(f"{path}: not a journal: {problem}.") from problem
    if header.version not in READABLE:
        readable = " and ".join(map(str, READABLE))
        raise HarnessError(f"{path}: a journal of version {header.version}; this chatsim reads versions {readable}.")
    return header
