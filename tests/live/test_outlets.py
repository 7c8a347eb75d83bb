"""Invariant: the frames of a connection leave in order and in few writes, and none waits longer than it may."""

from __future__ import annotations

import asyncio
from math import inf
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.notices import EAGER_MAX, LINGER_S
from chatsim.live.framing import close_frame
from chatsim.live.outlets import CLOSE_TIMEOUT_S, LOOK_FRAMES, WRITE_HIGH_BYTES, Outlet, Outlets
from tests.live.test_driver import FakeLoop, FakeTransport

MANY = EAGER_MAX + 1


class Ways:
    """Outlets on a fake loop, with as many connections as wanted: `c0`, `c1` ..."""

    def __init__(self, count: int, **limits: int) -> None:
        self.loop = FakeLoop()
        self.pressed: list[tuple[str, int, int]] = []
        self.outlets = Outlets(cast(asyncio.AbstractEventLoop, self.loop), self._press, **limits)
        self.transports = [FakeTransport() for _ in range(count)]
        self.each = [
            self.outlets.add(f"c{place}", cast(asyncio.Transport, transport))
            for place, transport in enumerate(self.transports)
        ]

    def _press(self, outlet: Outlet) -> None:
        self.pressed.append((outlet.name, outlet.pending_bytes(), outlet.pending_frames()))

    def notify(self, to: tuple[str, ...], payload: bytes) -> None:
        self.outlets.notify(self.loop.time(), to, payload)

    def crowd(self) -> None:
        """So many notices, to nobody, that the next one waits for company."""
        for _ in range(MANY):
            self.notify((), b"")

    def wrote(self, place: int = 0) -> list[bytes]:
        return self.transports[place].writes


def test_a_lone_frame_is_written_at_once_and_takes_along_what_waits() -> None:
    ways = Ways(1)
    ways.outlets.send(("c0",), b"a")
    assert ways.wrote() == [b"a"]
    ways.crowd()
    ways.notify(("c0",), b"n")
    ways.outlets.send(("c0",), b"b")
    assert ways.wrote() == [b"a", b"nb"]
    ways.loop.advance(2 * LINGER_S)
    assert ways.wrote() == [b"a", b"nb"]
    assert (ways.outlets.frames_out, ways.outlets.bytes_out) == (3, 3)


def test_notices_are_written_at_once_while_there_are_few() -> None:
    ways = Ways(1)
    for _ in range(3):
        ways.crowd()
        ways.loop.advance(LINGER_S)
        ways.notify(("c0",), b"n")
    assert ways.wrote() == [b"n"] * 3


def test_when_there_were_first_too_many_to_be_sent_at_once_is_known() -> None:
    ways = Ways(1)
    for place in range(EAGER_MAX):
        ways.notify(("c0",), b"%d" % place)
    ways.loop.advance(LINGER_S)
    assert ways.outlets.lingered_at == inf
    first_at = ways.loop.time()
    ways.crowd()
    ways.loop.advance(LINGER_S)
    ways.crowd()
    assert ways.outlets.lingered_at == first_at


def test_a_notice_waits_for_company_and_goes_alone_when_none_comes() -> None:
    ways = Ways(3)
    ways.crowd()
    ways.notify(("c0", "c1"), b"n")
    ways.notify(("c0",), b"m")
    ways.loop.advance(LINGER_S / 2)
    ways.outlets.send(("c1", "c2"), b"x")
    ways.loop.turn()
    assert [ways.wrote(place) for place in range(3)] == [[], [b"nx"], [b"x"]]
    ways.loop.advance(LINGER_S)
    assert [ways.wrote(place) for place in range(3)] == [[b"nm"], [b"nx"], [b"x"]]
    assert ways.loop.waiting() == 0


def test_one_timer_serves_all_who_wait() -> None:
    ways = Ways(3)
    ways.crowd()
    ways.notify(("c0",), b"a")
    ways.loop.advance(LINGER_S * 0.8)
    ways.crowd()
    ways.notify(("c1", "c2"), b"b")
    assert ways.loop.waiting() == 1
    ways.loop.advance(LINGER_S * 0.8)
    assert [ways.wrote(place) for place in range(3)] == [[b"a"], [], []]
    ways.loop.advance(LINGER_S * 0.8)
    assert [ways.wrote(place) for place in range(3)] == [[b"a"], [b"b"], [b"b"]]


def test_a_timer_that_rings_early_is_taken_at_its_word() -> None:
    ways = Ways(1)
    ways.crowd()
    ways.notify(("c0",), b"n")
    when, _, timer = ways.loop.timers.pop()
    ways.loop.at = when - 0.0005
    assert timer.act is not None
    timer.act()
    ways.loop.turn()
    assert ways.wrote() == [b"n"]


def test_what_a_slow_reader_has_waiting_is_told_notices_too() -> None:
    ways = Ways(2)
    ways.outlets.paused(ways.each[0])
    ways.transports[0].buffered = 100
    ways.crowd()
    ways.notify(("c0", "c1"), b"n")
    ways.outlets.send(("c0",), b"x")
    ways.loop.turn()
    assert ways.pressed == [("c0", 102, 2)]
    assert ways.wrote() == []
    ways.outlets.resumed(ways.each[0])
    ways.loop.turn()
    assert ways.wrote() == [b"nx"]


def test_who_leaves_takes_the_wait_along() -> None:
    ways = Ways(2)
    ways.crowd()
    ways.notify(("c0", "c1"), b"n")
    ways.outlets.remove(ways.each[0])
    ways.outlets.close()
    assert ways.loop.waiting() == 0
    ways.outlets.send(("c0", "c1"), b"x")
    ways.loop.turn()
    assert [ways.wrote(place) for place in range(2)] == [[], [b"nx"]]


def test_shutting_flushes_and_then_loses_patience() -> None:
    ways = Ways(2)
    ways.crowd()
    ways.notify(("c0",), b"n")
    ways.outlets.shut(ways.each[0], 1012, "bye")
    ways.outlets.shut(ways.each[0], 1012, "bye")
    ways.each[1].half_close = True
    ways.outlets.queue(("c1",), b"y")
    ways.loop.turn()
    assert ways.wrote() == [b"n" + close_frame(1012, "bye")]
    assert (ways.wrote(1), ways.transports[1].ended) == ([b"y"], True)
    ways.loop.advance(CLOSE_TIMEOUT_S)
    assert [transport.aborted for transport in ways.transports] == [True, False]
    ways.outlets.abort()
    assert ways.transports[1].aborted


def test_the_patience_with_those_who_close_can_be_set() -> None:
    ways = Ways(1)
    ways.outlets = Outlets(cast(asyncio.AbstractEventLoop, ways.loop), ways._press, close_timeout_s=0.5)
    ways.outlets.shut(ways.each[0], 1012, "bye")
    ways.loop.advance(0.4)
    assert not ways.transports[0].aborted
    ways.loop.advance(0.2)
    assert ways.transports[0].aborted


class Stuck(FakeTransport):
    """A transport whose peer takes only what it is told to take, and which pauses as transports do."""

    def __init__(self) -> None:
        super().__init__()
        self.high = WRITE_HIGH_BYTES
        self.told_to_pause = False
        self.ways: Ways

    def write(self, data: bytes) -> None:
        super().write(data)
        self.buffered += len(data)
        self._judge()

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        super().set_write_buffer_limits(high, low)
        self.high = high
        self._judge()

    def take(self, size: int) -> None:
        """The peer reads so many bytes."""
        self.buffered -= size
        if self.told_to_pause and not self.buffered:
            self.told_to_pause = False
            self.ways.outlets.resumed(self.ways.each[0])

    def _judge(self) -> None:
        if self.buffered > self.high and not self.told_to_pause:
            self.told_to_pause = True
            self.ways.outlets.paused(self.ways.each[0])


def stuck(**limits: int) -> tuple[Ways, Stuck]:
    """A way to somebody who does not read."""
    ways, transport = Ways(1, **limits), Stuck()
    transport.ways = ways
    transport.high = ways.outlets._high_bytes
    ways.transports[0] = transport
    ways.each[0].transport = cast(asyncio.Transport, transport)
    return ways, transport


def test_what_waits_for_who_does_not_read_is_counted_frame_by_frame() -> None:
    ways, transport = stuck()
    for number in range(300):
        ways.outlets.send(("c0",), b"x" * 100)
        ways.loop.turn()
        assert ways.each[0].pending_frames() == number + 1
        assert ways.each[0].pending_bytes() == 100 * (number + 1)
    assert transport.buffered < WRITE_HIGH_BYTES
    assert ways.pressed == [("c0", 100 * count, count) for count in range(LOOK_FRAMES + 1, 301)]


@pytest.mark.parametrize(("frames_max", "bytes_max"), [(4, WRITE_HIGH_BYTES), (256, 500)])
def test_small_limits_are_kept_as_well(frames_max: int, bytes_max: int) -> None:
    ways, transport = stuck(frames_max=frames_max, bytes_max=bytes_max)
    for _ in range(6):
        ways.outlets.send(("c0",), b"x" * 100)
        ways.loop.turn()
        ways.loop.turn()
    assert [pressed for pressed in ways.pressed if pressed[2] in (4, 5, 6)] == [
        ("c0", 400, 4),
        ("c0", 500, 5),
        ("c0", 600, 6),
    ]
    assert transport.buffered <= 300


def test_what_a_transport_holds_when_it_pauses_us_is_reported_without_another_word() -> None:
    ways, _ = stuck()
    ways.outlets.send(("c0",), b"x" * (WRITE_HIGH_BYTES + 1))
    assert ways.pressed == []
    ways.loop.turn()
    assert ways.pressed == [("c0", WRITE_HIGH_BYTES + 1, 1)]


def test_frames_that_have_left_the_transport_wait_no_more() -> None:
    ways, transport = stuck()
    for _ in range(3):
        ways.outlets.queue(("c0",), b"x" * 10)
        ways.outlets.queue(("c0",), b"y" * 10)
        ways.loop.turn()
    found = []
    for size in (0, 5, 5, 10, 25, 10, 5):
        transport.take(size)
        found.append(ways.each[0].pending_frames())
    assert found == [6, 6, 5, 4, 2, 1, 0]


def test_a_burst_that_nobody_takes_is_reported_without_another_word() -> None:
    ways, transport = stuck()
    for _ in range(200):
        ways.outlets.queue(("c0",), b"x" * 100)
    ways.loop.turn()
    ways.loop.turn()
    assert ways.pressed == [("c0", 20_000, 200)]
    ways.outlets.send(("c0",), b"y")
    ways.loop.turn()
    assert len(transport.writes) == 1
    transport.take(20_000)
    ways.loop.turn()
    assert transport.writes[1:] == [b"y"]
    assert (transport.high, transport.told_to_pause) == (WRITE_HIGH_BYTES, False)


def test_what_a_transport_writes_at_the_end_of_the_turn_is_no_pressure() -> None:
    ways, transport = stuck()
    for _ in range(300):
        ways.outlets.send(("c0",), b"x")
    transport.take(300)
    ways.loop.turn()
    assert ways.pressed == []
    assert not transport.told_to_pause


_acts = st.tuples(st.sampled_from(["send", "queue", "notify", "turn", "pause", "resume", "wait"]), st.integers(1, 7))


@given(st.lists(_acts, max_size=60))
def test_every_frame_leaves_once_in_order_and_in_time(acts: list[tuple[str, int]]) -> None:
    ways = Ways(3)
    ways.crowd()
    said: list[list[int]] = [[], [], []]
    for number, (act, who) in enumerate(acts):
        places = [place for place in range(3) if who >> place & 1]
        if act in ("send", "queue", "notify"):
            way = ways.notify if act == "notify" else getattr(ways.outlets, act)
            way(tuple(f"c{place}" for place in places), bytes([number]))
            for place in places:
                said[place].append(number)
        elif act == "turn":
            ways.loop.turn()
        elif act == "wait":
            ways.loop.advance(LINGER_S / 4)
        else:
            for place in places:
                (ways.outlets.paused if act == "pause" else ways.outlets.resumed)(ways.each[place])
    for place in range(3):
        written = list(b"".join(ways.wrote(place)))
        assert written == said[place][: len(written)]
        ways.outlets.resumed(ways.each[place])
    ways.loop.turn()
    ways.loop.advance(2 * LINGER_S)
    assert [list(b"".join(ways.wrote(place))) for place in range(3)] == said


def test_what_waits_is_counted_for_all_and_what_has_left_is_not() -> None:
    ways = Ways(3)
    assert ways.outlets.waiting() == (0, 0)
    ways.outlets.send(("c0",), b"gone")
    ways.outlets.paused(ways.each[1])
    ways.transports[1].buffered = 100
    ways.outlets.send(("c1", "c2"), b"four")
    assert ways.outlets.waiting() == (2, 108)
    ways.loop.turn()
    assert ways.outlets.waiting() == (1, 104)
