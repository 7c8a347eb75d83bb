"""What the shell carries, watched at both ends: between what a handler says and what is written, between what clients
write and what a handler hears, and how much waits in between.

Decides whether the shell between core and transport is one that loses nothing and changes no order. Rule: what is sent,
written, asked and heard is counted here from effects, inputs and bytes alone; nothing is asked of the shell.
A frame of notices that nobody waits for may go with the next one, and those of one turn in one: of them it is counted
only that they come. Moments are seconds of the run.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Close, Effects, Note, Ping, Record, Send
from chatsim.core.facts import Made
from chatsim.core.frames import (
    ClientFrame,
    Delivered,
    Fault,
    StatusIn,
    Welcome,
    decode_client,
    decode_server,
    encode,
)
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.virtual.transport import MemoryTransport

TEXT, BINARY, CLOSE, PING = 0x1, 0x2, 0x8, 0x9
"""Opcodes (RFC 6455, section 5.2)."""

NOTICE_S_MAX: Final = 0.2
"""A notice that has not gone out for so long, with nothing in its way, is lost: as long as an ack may be delayed."""

_HEAD_END = b"\r\n\r\n"
_FRAMES_IN = frozenset({"receive", "malformed", "refresh", "refuse_refresh"})


class FrameCutter:
    """Cuts the bytes of one direction into the frames behind its HTTP head; a frame may come in several pieces.

    A head that begins otherwise is that of another conversation, and nothing of it is a frame; `head` is the one that
    was asked for, once it is whole.
    """

    def __init__(self, begins: bytes) -> None:
        self.head = b""
        self._begins = begins
        self._rest = b""
        self._head_is_over = self._is_other = False

    def cut(self, data: bytes) -> list[tuple[int, bytes, int]]:
        """Opcode, payload (unmasked) and size on the wire (bytes) of each frame that is whole now."""
        if self._is_other:
            return []
        rest = self._rest + data
        if not self._head_is_over:
            end = rest.find(_HEAD_END)
            if end < 0:
                self._rest = rest
                return []
            if not rest.startswith(self._begins):
                self._is_other, self._rest = True, b""
                return []
            self._head_is_over = True
            self.head = rest[:end]
            rest = rest[end + len(_HEAD_END) :]
        found = []
        while (size := _size(rest)) and size <= len(rest):
            found.append((rest[0] & 0xF, _payload(rest[:size]), size))
            rest = rest[size:]
        self._rest = rest
        return found


def _size(data: bytes) -> int:
    """Bytes of the frame that begins here, 0 where its header is not whole."""
    if len(data) < 2:
        return 0
    length, start = data[1] & 0x7F, 2
    if length >= 126:
        start += 2 if length == 126 else 8
        if len(data) < start:
            return 0
        length = int.from_bytes(data[2:start], "big")
    return start + (4 if data[1] & 0x80 else 0) + length


def _payload(frame: bytes) -> bytes:
    start = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
    if not frame[1] & 0x80:
        return frame[start:]
    masked = frame[start + 4 :]
    mask = (frame[start : start + 4] * (-(-len(masked) // 4)))[: len(masked)]
    return (int.from_bytes(masked) ^ int.from_bytes(mask)).to_bytes(len(masked))


class _Line:
    """What was sent to one connection and is not written yet: text, or `None` for a ping, or the code of a close.

    `notices` are messages of which it is still to be told that somebody has them, the oldest since `notice_at`.
    """

    def __init__(self) -> None:
        self.due: deque[bytes | int | None] = deque()
        self.notices: Counter[tuple[str, str, str]] = Counter()
        self.notice_at = 0.0
        self.open = True
        self.left = False
        self.way: _Way | None = None

    def queued(self) -> tuple[int, int]:
        """Bytes and frames that are not written yet, or that the transport has not got rid of."""
        texts = [frame for frame in self.due if isinstance(frame, bytes)]
        size, count = sum(map(len, texts)), len(texts)
        if self.way is None:
            return size, count
        held, frames = self.way.held()
        return size + held, count + frames


class _Way:
    """One connection as its bytes show it: the server's transport, the sizes of the frames that it was given, and what
    its client has written that the handler has not heard."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self.name = ""
        self.out, self.into = FrameCutter(b"HTTP/1.1 101 "), FrameCutter(b"GET ")
        self.sizes: deque[int] = deque()
        self.asked: deque[tuple[int, bytes]] = deque()

    def held(self) -> tuple[int, int]:
        """Bytes and frames that wait in the transport."""
        left = size = self.transport.get_write_buffer_size()
        frames = 0
        for one in reversed(self.sizes):
            if left <= 0:
                break
            left -= one
            frames += 1
        while len(self.sizes) > frames:
            self.sizes.popleft()
        return size, frames


class Carried:
    """Watches the shell of one node over its lives; `now` tells the run's time (s), `newest` the record that the log
    took last in a session."""

    def __init__(
        self,
        config: HandlerConfig,
        findings: Findings,
        *,
        now: Callable[[], float],
        newest: Callable[[str], Record | None],
    ) -> None:
        self._config = config
        self._add = findings.add
        self._now = now
        self._newest = newest
        self._lines: dict[str, _Line] = {}
        # Whose line, or whose client, may have something that waits: looked at before time passes.
        self._busy: dict[str, None] = {}
        self._epochs: dict[str, int] = {}
        self._named: dict[str, str] = {}

    # What the transports say.

    def accepted(self, server: MemoryTransport, client: MemoryTransport) -> None:
        """A connection was made: these are its two ends."""
        way = _Way(server)
        server.on_write = lambda data: self._written(way, data)
        client.on_write = lambda data: self._asked(way, data)

    def _asked(self, way: _Way, data: bytes) -> None:
        for opcode, payload, _ in way.into.cut(data):
            if opcode in (TEXT, BINARY):
                way.asked.append((opcode, payload))
                self._busy[way.name] = None

    def _written(self, way: _Way, data: bytes) -> None:
        for opcode, payload, size in way.out.cut(data):
            way.sizes.append(size)
            if not way.name and opcode == TEXT:
                self._names(way, payload)
            self._busy[way.name] = None
            line = self._lines.get(way.name)
            if line is not None:
                self._goes_out(way.name, line, opcode, payload)

    def _names(self, way: _Way, payload: bytes) -> None:
        """The first frame of a connection says what the server calls it."""
        welcome = decode_server(payload)
        line = self._lines.get(welcome.connection) if isinstance(welcome, Welcome) else None
        if not isinstance(welcome, Welcome) or line is None:
            self._add("written", self._now(), f"{type(welcome).__name__} is the first that is written to somebody.")
            return
        way.name, line.way = welcome.connection, way
        self._named[way.name] = _resumed(way.into.head)

    def _goes_out(self, name: str, line: _Line, opcode: int, payload: bytes) -> None:
        """One frame is written: it has to be the one that was sent first of those that are not written."""
        if opcode == TEXT and b'"status":"delivered"' in payload[:64]:
            self._notices_go_out(name, line, payload)
            return
        if opcode not in (TEXT, PING, CLOSE) or (opcode == CLOSE and not line.open and not line.due):
            # An answer to a ping of the peer's, or to her close.
            return
        what: bytes | int | None = payload if opcode == TEXT else None
        if opcode == CLOSE:
            what = int.from_bytes(payload[:2], "big")
        first = line.due.popleft() if line.due else b"nothing"
        if what != first:
            line.due.clear()
            self._add("written", self._now(), f"{name} gets {_told(what)}, and was to get {_told(first)}.")

    def _notices_go_out(self, name: str, line: _Line, payload: bytes) -> None:
        notice = decode_server(payload)
        assert isinstance(notice, Delivered)
        for message_id in notice.message_ids:
            key = notice.session, notice.user, message_id
            if not line.notices[key]:
                self._add("written", self._now(), f"{name} is told of {message_id}, and was not to be.")
            line.notices[key] -= 1
        line.notices = +line.notices

    # What the handler hears and says.

    def ended(self) -> None:
        """The node is gone, and with it all that it was about to do."""
        self._lines.clear()
        self._busy.clear()

    def step(self, now: float, door: str, args: Sequence[Any], effects: Effects) -> None:
        """One input of the handler, and what it answered, before any of that is done."""
        if door == "connect":
            self._lines[args[0]] = _Line()
        elif door == "disconnect":
            self._ends(args[0], left=True)
        elif door == "appended":
            record: Record = args[0]
            # Of a session that has ended meanwhile, and is another by now, the log keeps nothing.
            over = record.epoch < self._epochs.get(record.session, 0)
            if not over and self._newest(record.session) != record:
                self._add("ack_after_store", now, f"the log does not have {record.id} of {record.sender}.")
        elif door in _FRAMES_IN:
            self._heard(now, door, args)
        for effect in effects:
            if isinstance(effect, Send):
                self._sent(now, effect)
            elif isinstance(effect, Ping):
                for name in effect.to:
                    self._due(name, None)
            elif isinstance(effect, Close):
                self._due(effect.to, effect.code)
                self._ends(effect.to)
            elif isinstance(effect, Note) and isinstance(effect.fact, Made):
                self._epochs[effect.fact.session] = effect.fact.epoch

    def _heard(self, now: float, door: str, args: Sequence[Any]) -> None:
        """One frame came in: it has to be the one that its client wrote first of those that were not heard."""
        line = self._lines.get(args[0])
        way = None if line is None else line.way
        if way is None:
            return
        if not way.asked:
            self._add("heard", now, f"something is heard of {args[0]}, who has written nothing.")
            return
        opcode, payload = way.asked.popleft()
        found = self._read(opcode, payload)
        if isinstance(found, str):
            same = door == "malformed" and found == args[1]
        elif door == "receive":
            same = found == args[1]
        else:
            same = door != "malformed" and isinstance(found, StatusIn) and found.action == "refresh"
        if not same:
            way.asked.clear()
            self._add("heard", now, f"{door} of {args[0]} is not {_told(payload)}, which she wrote first.")

    def _read(self, opcode: int, payload: bytes) -> ClientFrame | str:
        """What a client has written, or the code of what is wrong with it."""
        if len(payload) > self._config.message_bytes_max:
            return "too_large"
        if opcode == BINARY:
            return "binary"
        try:
            payload.decode()
        except UnicodeDecodeError:
            return "bad_utf8"
        frame = decode_client(payload)
        return frame.code if isinstance(frame, Fault) else frame

    def _sent(self, now: float, effect: Send) -> None:
        message = effect.message
        if isinstance(message, Delivered):
            for name in effect.to:
                line = self._lines.get(name)
                if line is not None and line.open:
                    if not line.notices:
                        line.notice_at = now
                    line.notices.update((message.session, message.user, one) for one in message.message_ids)
                    self._busy[name] = None
            return
        payload = encode(message)
        for name in effect.to:
            self._due(name, payload)

    def _due(self, name: str, what: bytes | int | None) -> None:
        line = self._lines.get(name)
        if line is not None and line.open:
            line.due.append(what)
            self._busy[name] = None

    def _ends(self, name: str, *, left: bool = False) -> None:
        """The handler knows the connection no more: what was sent before is still written, in its order, or may be
        where it is the peer who `left`; notices may be in any case."""
        line = self._lines.get(name)
        if line is not None and line.open:
            line.open, line.left = False, left
            line.notice_at = inf

    def finish(self, shown: Mapping[str, str]) -> None:
        """The run is over: what was named at the door is what its devices mean to have named (`shown`)."""
        for name, former in shown.items():
            named = self._named.get(name, former)
            if named != former:
                self._add("resume", self._now(), f"{name} was asked for by {named or 'nobody'}, not by {former}.")
                return

    # Before time passes.

    def settle(self) -> None:
        """All that could be done at this moment has been done: what waits now, waits for its reader."""
        now, busy = self._now(), self._busy
        self._busy = {}
        for name in busy:
            line = self._lines.get(name)
            way = None if line is None else line.way
            if line is None or line.left or (way is not None and way.transport.is_closing()):
                continue
            if way is None or not way.transport.get_write_buffer_size():
                self._nothing_waits(now, name, line)
            elif line.open:
                self._is_within_limits(now, name, line)
            held = way is not None and way.transport.get_write_buffer_size()
            if held or line.due or (line.notices and line.open):
                self._busy[name] = None

    def _nothing_waits(self, now: float, name: str, line: _Line) -> None:
        """Nothing is in the way: all that was sent is written, and all that came is heard."""
        if line.due:
            self._add("written", now, f"{_told(line.due[0])} is not written to {name}, and nothing is in its way.")
            line.due.clear()
        if line.notices and now > line.notice_at + NOTICE_S_MAX:
            self._add("written", now, f"that {next(iter(line.notices))} has come is not written to {name}.")
            line.notices.clear()
        if line.way is not None and line.way.asked and line.open:
            self._add("heard", now, f"{_told(line.way.asked[0][1])} of {name} is not heard.")
            line.way.asked.clear()

    def _is_within_limits(self, now: float, name: str, line: _Line) -> None:
        size, frames = line.queued()
        if size > self._config.outbound_bytes or frames > self._config.outbound_frames:
            self._add("queue_limit", now, f"{frames} frames and {size} bytes wait for {name}, who is connected.")


def _resumed(head: bytes) -> str:
    """The former connection that a request names, "" where it names none."""
    query = urlsplit(head.split(b" ", 2)[1].decode("ascii")).query
    return parse_qs(query).get("resume", [""])[0]


def _told(what: bytes | int | None) -> str:
    """One thing that is written, in a few words."""
    if isinstance(what, bytes):
        return what[:100].decode(errors="replace")
    return "a ping" if what is None else f"a close of {what}"
