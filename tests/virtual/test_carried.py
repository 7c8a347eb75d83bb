"""What the shell carries is watched: a shell that loses nothing shows nothing, each loss or change of order does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Close, Effect, Note, Ping, Record, Send
from chatsim.core.facts import Made
from chatsim.core.frames import AckIn, Delivered, HeartbeatIn, Say, ServerFrame, StatusIn, Typing, encode
from chatsim.live.framing import PING_FRAME, close_frame, text_frame
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.virtual.carried import CLOSE, NOTICE_S_MAX, PING, TEXT, Carried, FrameCutter
from chatsim.virtual.transport import MemoryTransport
from tests.frames import welcome

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
ASKED = b"GET /ws HTTP/1.1\r\n\r\n"


def masked(payload: bytes) -> bytes:
    """A client's text frame."""
    mask = b"\x01\x02\x03\x04"
    size = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x81" + size + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


class Transport:
    """As much of a transport as is asked for: what it holds, and who is told of its writes."""

    def __init__(self) -> None:
        self.held = 0
        self.closing = False
        self.on_write: Callable[[bytes], object] = lambda data: None

    def get_write_buffer_size(self) -> int:
        return self.held

    def is_closing(self) -> bool:
        return self.closing


class Shell:
    """One connection, `c1`, and a shell that does what the test says."""

    def __init__(self, path: bytes = b"/ws", /, **settings: int) -> None:
        self.now = 0.0
        self.findings = Findings()
        self.stored: Record | None = None
        config = HandlerConfig(**settings)  # type: ignore[arg-type]
        self.carried = Carried(config, self.findings, now=lambda: self.now, newest=lambda session: self.stored)
        self.server, self.client = Transport(), Transport()
        self.carried.accepted(cast(MemoryTransport, self.server), cast(MemoryTransport, self.client))
        self.ask(ASKED.replace(b"/ws", path))
        hello = welcome(connection="c1")
        self.step("connect", "c1", None, effects=(Send(("c1",), hello),))
        self.write(UPGRADED, text_frame(encode(hello)))

    @property
    def broken(self) -> list[str]:
        self.carried.settle()
        return [violation.name for violation in self.findings.all()]

    def step(self, door: str, *args: Any, effects: tuple[Effect, ...] = ()) -> None:
        self.carried.step(self.now, door, args, effects)

    def send(self, *frames: ServerFrame) -> list[bytes]:
        """The handler sends these; how they are to be written."""
        self.step("wake", effects=tuple(Send(("c1",), frame) for frame in frames))
        return [text_frame(encode(frame)) for frame in frames]

    def write(self, *data: bytes) -> None:
        for one in data:
            self.server.on_write(one)

    def ask(self, *data: bytes) -> None:
        for one in data:
            self.client.on_write(one)


def typing(place: int) -> Typing:
    return Typing("s", f"u{place}", True)


def notice(*message_ids: str) -> Delivered:
    return Delivered(session="s", user="bob", message_ids=message_ids)


def test_what_is_sent_is_written_in_order_in_as_few_writes_as_there_are() -> None:
    shell = Shell()
    one, two = shell.send(typing(1), typing(2))
    shell.step("wake", effects=(Ping(("c1",)),))
    shell.write(one + two[:5])
    shell.write(two[5:] + PING_FRAME)
    assert shell.broken == []


@pytest.mark.parametrize("places", [(1, 0), (1,), (0, 1, 1), (0,), ()])
def test_another_order_a_loss_and_an_echo_are_found(places: tuple[int, ...]) -> None:
    shell = Shell()
    frames = shell.send(typing(1), typing(2))
    shell.write(*(frames[place] for place in places))
    assert shell.broken == ["written"]


def test_what_a_transport_holds_up_is_no_loss_until_it_is_free() -> None:
    shell = Shell()
    shell.server.held = 10
    shell.send(typing(1))
    assert shell.broken == []
    shell.server.held = 0
    assert shell.broken == ["written"]


@pytest.mark.parametrize(("first", "broken"), [(True, []), (False, ["written"])])
def test_a_close_comes_behind_what_was_sent_before_it(first: bool, broken: list[str]) -> None:
    shell = Shell()
    (frame,) = shell.send(typing(1))
    shell.step("wake", effects=(Close("c1", 4001, "no pong"),))
    shell.write(*([frame] if first else []), close_frame(4001, "no pong"))
    assert shell.broken == broken


def test_another_code_is_another_close() -> None:
    shell = Shell()
    shell.step("wake", effects=(Close("c1", 4001, "no pong"),))
    shell.write(close_frame(4000, "no pong"))
    assert shell.broken == ["written"]


def test_the_answer_to_a_close_of_the_peer_is_the_shells_own() -> None:
    shell = Shell()
    shell.step("disconnect", "c1")
    shell.write(close_frame(1000, ""))
    assert shell.broken == []


def test_notices_go_along_and_together_and_are_not_lost() -> None:
    shell = Shell()
    shell.send(notice("m1"), notice("m2"))
    (frame,) = shell.send(typing(1))
    shell.write(frame)
    assert shell.broken == []
    shell.now = NOTICE_S_MAX / 2
    shell.write(text_frame(encode(notice("m1", "m2"))))
    shell.now = 2 * NOTICE_S_MAX
    assert shell.broken == []


@pytest.mark.parametrize("told", [(), ("m1",), ("m1", "m2", "m3"), ("m1", "m2", "m2")])
def test_other_notices_are_found(told: tuple[str, ...]) -> None:
    shell = Shell()
    shell.send(notice("m1", "m2"))
    shell.write(*([text_frame(encode(notice(*told)))] if told else []))
    assert shell.broken == ([] if len(told) < 2 else ["written"])
    shell.now = 2 * NOTICE_S_MAX
    assert shell.broken == ["written"]


@pytest.mark.parametrize("goes_out", [True, False])
def test_notices_that_were_held_up_may_go_out_before_a_close(goes_out: bool) -> None:
    shell = Shell()
    shell.send(notice("m1"))
    shell.step("wake", effects=(Close("c1", 4000, "too slow a reader"),))
    shell.now = 2 * NOTICE_S_MAX
    shell.write(*([text_frame(encode(notice("m1")))] if goes_out else []), close_frame(4000, "too slow a reader"))
    assert shell.broken == []


def test_the_first_that_is_written_is_a_welcome() -> None:
    shell = Shell()
    other, client = Transport(), Transport()
    shell.carried.accepted(cast(MemoryTransport, other), cast(MemoryTransport, client))
    other.on_write(UPGRADED + text_frame(encode(typing(1))))
    assert shell.broken == ["written"]


def test_what_is_no_websocket_is_not_looked_at() -> None:
    shell = Shell()
    other, client = Transport(), Transport()
    shell.carried.accepted(cast(MemoryTransport, other), cast(MemoryTransport, client))
    client.on_write(b"DELETE /api/tokens/x HTTP/1.1\r\n\r\n\x81\x01x")
    other.on_write(b"HTTP/1.1 204 No Content\r\n\r\n\x81\x01x")
    assert shell.broken == []


SAY, BEAT = Say("1", "s", Raw(b'"' + b"x" * 200 + b'"')), HeartbeatIn()


def test_what_clients_write_is_heard_in_order() -> None:
    shell = Shell()
    refresh = StatusIn("refresh", token="t")
    shell.ask(masked(encode(SAY)) + masked(b"{"), masked(encode(refresh)))
    shell.step("receive", "c1", SAY)
    shell.step("malformed", "c1", "bad_json", "not JSON")
    shell.step("refresh", "c1", None)
    assert shell.broken == []


@pytest.mark.parametrize("heard", [(BEAT, SAY), (SAY,), (SAY, BEAT, BEAT), (AckIn("s", 1),), ()])
def test_other_frames_than_were_written_are_found(heard: tuple[Any, ...]) -> None:
    shell = Shell()
    shell.ask(masked(encode(SAY)), masked(encode(BEAT)))
    for frame in heard:
        shell.step("receive", "c1", frame)
    assert shell.broken == ["heard"]


@pytest.mark.parametrize("code", ["bad_json", "binary", "bad_utf8", "too_large"])
def test_another_fault_is_found_and_one_without_a_frame(code: str) -> None:
    for asked in ((), (masked(encode(BEAT)),)):
        shell = Shell()
        shell.ask(*asked)
        shell.step("malformed", "c1", code, "")
        assert shell.broken == ["heard"]


BINARY_FRAME = b"\x82" + masked(b"\x00")[1:]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (BINARY_FRAME, "binary"),
        (masked(b'"\xff"'), "bad_utf8"),
        (masked(b'"' + b"x" * 100 + b'"'), "too_large"),
        (b"\x82" + masked(b"\x00" * 101)[1:], "too_large"),
    ],
)
def test_what_cannot_be_answered_is_heard_for_what_it_is_and_behind_what_came_before(data: bytes, code: str) -> None:
    for heard, broken in ((code, []), ("bad_json", ["heard"])):
        shell = Shell(message_bytes_max=100)
        shell.ask(masked(encode(BEAT)) + data)
        shell.step("receive", "c1", BEAT)
        shell.step("malformed", "c1", heard, "")
        assert shell.broken == broken
    shell = Shell(message_bytes_max=100)
    shell.ask(masked(encode(BEAT)) + data)
    shell.step("malformed", "c1", code, "", effects=(Close("c1", 1003, ""),))
    shell.write(close_frame(1003, ""))
    assert shell.broken == ["heard"]


def test_what_is_no_text_is_not_heard_as_one() -> None:
    shell = Shell()
    shell.ask(b"\x82" + masked(encode(BEAT))[1:])
    shell.step("receive", "c1", BEAT)
    assert shell.broken == ["heard"]


@pytest.mark.parametrize(
    ("settings", "broken"),
    [
        ({}, []),
        ({"outbound_frames": 3}, []),
        ({"outbound_frames": 2}, ["queue_limit"]),
        ({"outbound_bytes": 60}, ["queue_limit"]),
    ],
)
def test_what_waits_is_measured_where_it_waits(settings: dict[str, int], broken: list[str]) -> None:
    shell = Shell(**settings)
    one, two, _ = shell.send(typing(1), typing(2), typing(3))
    shell.write(one + two)
    shell.server.held = len(one) + len(two) - 5
    assert shell.broken == broken


def test_who_is_closed_has_no_limit_any_more() -> None:
    shell = Shell(outbound_frames=1)
    shell.server.held = 10
    shell.send(typing(1), typing(2))
    shell.step("wake", effects=(Close("c1", 4000, "too slow a reader"),))
    assert shell.broken == []


@pytest.mark.parametrize(("closing", "broken"), [(True, []), (False, ["written"])])
def test_a_close_that_was_held_up_is_written_when_nothing_is_in_its_way(closing: bool, broken: list[str]) -> None:
    shell = Shell()
    shell.server.held = 10
    shell.step("wake", effects=(Close("c1", 4000, "too slow a reader"),))
    assert shell.broken == []
    shell.server.held, shell.server.closing = 0, closing
    assert shell.broken == broken


def test_who_has_left_is_owed_nothing() -> None:
    shell = Shell()
    shell.send(typing(1))
    shell.step("disconnect", "c1")
    assert shell.broken == []


def test_what_is_said_to_be_stored_is_in_the_log() -> None:
    shell = Shell()
    shell.stored = Record("s", "ann", "c1", "1", Raw(b"1"), 0.0, 1, 1, "m1")
    shell.step("appended", shell.stored)
    assert shell.broken == []
    # The session ended while another was under way, and is the next of its name by now.
    shell.step("wake", effects=(Note(Made("s", ("ann",), None, 2)),))
    shell.step("appended", shell.stored.placed(1, 2, "m2"))
    assert shell.broken == []
    shell.step("appended", shell.stored.placed(2, 1, "m3"))
    assert shell.broken == ["ack_after_store"]


def test_the_end_of_a_node_is_the_end_of_what_it_meant_to_do() -> None:
    shell = Shell()
    shell.send(typing(1))
    shell.carried.ended()
    assert shell.broken == []


def test_frames_are_cut_wherever_the_bytes_are() -> None:
    data = (
        UPGRADED
        + text_frame(b"x" * 200)
        + PING_FRAME
        + masked(b"{}")
        + close_frame(1000, "")
        + text_frame(b"y" * 70_000)
    )
    for step in (1, 7, len(data)):
        cutter = FrameCutter(b"HTTP/1.1 101 ")
        found = [frame for at in range(0, len(data), step) for frame in cutter.cut(data[at : at + step])]
        assert [(opcode, len(payload)) for opcode, payload, _ in found] == [
            (TEXT, 200),
            (PING, 0),
            (TEXT, 2),
            (CLOSE, 2),
            (TEXT, 70_000),
        ]
        assert sum(size for *_, size in found) == len(data) - len(UPGRADED)
        assert found[2][1] == b"{}"


@pytest.mark.parametrize(
    ("asked", "shown", "broken"),
    [
        (b"/ws", "", []),
        (b"/ws?resume=c0", "c0", []),
        (b"/ws?token=x&resume=c%300", "c00", []),
        (b"/ws", "c0", ["resume"]),
        (b"/ws?resume=c9", "c0", ["resume"]),
        (b"/ws?resume=c0", "", ["resume"]),
    ],
)
def test_what_a_device_means_to_name_at_the_door_is_in_its_request(asked: bytes, shown: str, broken: list[str]) -> None:
    shell = Shell(asked)
    shell.carried.finish({"c1": shown, "never": "c0"})
    assert shell.broken == broken
