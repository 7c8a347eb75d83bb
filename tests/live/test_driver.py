"""Invariant: effects are performed in order, one write per connection and turn, and the journal is what happened."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from math import inf
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Opcode

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Close, Effects, Ping, Record, Send, Tell
from chatsim.core.facts import Fact
from chatsim.core.frames import (
    AckIn,
    Body,
    ClientFrame,
    Delivered,
    Fault,
    Heartbeat,
    HeartbeatIn,
    Message,
    Say,
    StatusIn,
    encode,
)
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims
from chatsim.live.driver import Driver, Handler
from chatsim.live.framing import close_frame, text_frame
from chatsim.live.log import LATER
from chatsim.live.outlets import CLOSE_TIMEOUT_S, WRITE_HIGH_BYTES, Outlet
from tests.live.test_framing import parsed

EPOCH = 1_700_000_000.0
ANN = Claims("ann", EPOCH + 3600)


class Timer:
    def __init__(self, act: Callable[[], object]) -> None:
        self.act: Callable[[], object] | None = act

    def cancel(self) -> None:
        self.act = None


class FakeLoop:
    """A loop whose clock moves when told to; it starts anywhere but at 0."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.soon: list[Callable[[], object]] = []
        self.timers: list[tuple[float, int, Timer]] = []
        self.made = 0

    def time(self) -> float:
        return self.at

    def call_soon(self, act: Callable[[], object]) -> None:
        self.soon.append(act)

    def call_at(self, when: float, act: Callable[[], object]) -> Timer:
        self.made += 1
        timer = Timer(act)
        heappush(self.timers, (when, self.made, timer))
        return timer

    def call_later(self, delay: float, act: Callable[[], object]) -> Timer:
        return self.call_at(self.at + delay, act)

    def waiting(self) -> int:
        return sum(timer.act is not None for _, _, timer in self.timers)

    def turn(self) -> None:
        """What was called soon, once; what comes of it waits for the next turn."""
        soon, self.soon = self.soon, []
        for act in soon:
            act()

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self.at + seconds
        while self.timers and self.timers[0][0] <= end:
            when, _, timer = heappop(self.timers)
            self.at = max(self.at, when)
            if timer.act is not None:
                timer.act()
            self.turn()
        self.at = end


class FakeLog:
    """Answers every append the same, and keeps nothing."""

    def __init__(self, answer: Record | None) -> None:
        self._answer = answer
        self.asked: list[Callable[[bool], None]] = []

    def append(self, record: Record) -> Record | None:
        return self._answer

    def note(self, fact: Fact) -> None:
        raise AssertionError("nobody said anything to note")

    def settled(self, answered: Callable[[bool], None]) -> None:
        self.asked.append(answered)

    def history(self, session: str, after: int, limit: int) -> list[Record]:
        return []


class FakeTransport:
    """Keeps what is written, call by call."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.buffered = 0
        self.closed = self.aborted = self.ended = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        assert low == 0 <= high

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def get_extra_info(self, name: str) -> None:
        return None

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = self.closed = True


class Script:
    """A handler that answers each input with what the test says, and remembers the inputs."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[..., Effects]] = {}
        self.heard: list[tuple[Any, ...]] = []
        self.next_at = inf

    def wake_at(self) -> float:
        return self.next_at

    def revocable(self, now: float, jti: str | None, user: str | None) -> bool:
        return jti != "one too many"

    def revoked(self, claims: Claims) -> bool:
        return False

    def standing(self, session: str) -> None:
        return None

    def remembers(self, now: float, user: str, *, earlier: bool) -> bool:
        return user == ("ann of old" if earlier else "ann")

    def __getattr__(self, door: str) -> Callable[..., Effects]:
        def enter(now: float, *args: Any) -> Effects:
            self.heard.append((now, door, *args))
            if door == "wake":
                self.next_at = inf
            answer = self.answers.get(door)
            return answer(*args) if answer is not None else ()

        return enter

    def doors(self) -> list[str]:
        return [heard[1] for heard in self.heard]


class Notes:
    """A journal in memory."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, str, tuple[Any, ...], Effects]] = []

    def step(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None:
        self.steps.append((now, door, args, effects))


class World:
    """A driver on a fake loop, with a scripted handler."""

    def __init__(self, handler: Handler | None = None, *, life: int = 0, journaled: bool = True) -> None:
        self.loop = FakeLoop()
        self.script = Script()
        self.notes = Notes()
        self.driver = Driver(
            handler or cast(Handler, self.script),
            MemoryLog(),
            loop=cast(asyncio.AbstractEventLoop, self.loop),
            epoch=EPOCH,
            journal=self.notes if journaled else None,
            life=life,
        )

    def join(self, claims: Claims = ANN, *, packs: bool = False) -> tuple[Outlet, FakeTransport]:
        transport = FakeTransport()
        return self.driver.connect(cast(asyncio.Transport, transport), claims, packs=packs), transport


def beat(number: float = 0) -> Heartbeat:
    return Heartbeat(number, {})


def test_names_count_up_and_are_known() -> None:
    world = World()
    assert [world.join()[0].name for _ in range(3)] == ["c1", "c2", "c3"]
    assert world.driver.knew("c3", "ann")
    for name in ("", "c", "c0", "c4", "d1", "c-1", "c٣", "c" + "9" * 5000):
        assert not world.driver.knew(name, "ann")


def test_who_closes_or_has_left_is_not_open() -> None:
    world = World()
    first, second, third = (world.join()[0] for _ in range(3))
    assert world.driver.open() == ["c1", "c2", "c3"]
    world.driver.hang_up(second, 1002, "bad framing")
    world.driver.lost(third)
    assert world.driver.open() == [first.name]
    assert world.driver.connections() == 2, "one of them is still closing"


def test_a_name_is_worth_something_only_to_one_who_may_have_had_it() -> None:
    world = World()
    world.join()
    assert not world.driver.knew("c1", "bob")
    assert not world.driver.knew("c1", "ann of old")


def test_names_of_earlier_lives_are_known_and_never_given_again() -> None:
    world = World(life=3)
    assert [world.join()[0].name for _ in range(2)] == ["c3-1", "c3-2"]
    assert world.driver.knew("c3-2", "ann")
    assert all(world.driver.knew(name, "ann of old") for name in ("c2-1", "c1-999"))
    assert not world.driver.knew("c2-1", "ann")
    for name in ("c3-3", "c4-1", "c1", "c0-1", "c3-0", "c-3-1", "c3--1"):
        assert not (world.driver.knew(name, "ann"))
        assert not (world.driver.knew(name, "ann of old"))


@pytest.mark.parametrize("good", [True, False])
def test_what_is_stored_is_what_the_log_says_whenever_it_does(good: bool) -> None:
    async def work() -> None:
        log = FakeLog(LATER)
        driver = Driver(cast(Handler, Script()), log, loop=asyncio.get_running_loop(), epoch=EPOCH)
        waits, left = (asyncio.ensure_future(driver.stored()) for _ in range(2))
        # A turn of the loop: both have asked.
        await asyncio.sleep(0)
        assert (len(log.asked), waits.done()) == (2, False)
        left.cancel()
        for answered in log.asked:
            answered(good)
        assert await waits is good
        driver.close()

    asyncio.run(work())


def test_a_log_that_answers_later_answers_in_order() -> None:
    script = Script()
    loop = cast(asyncio.AbstractEventLoop, FakeLoop())
    driver = Driver(cast(Handler, script), FakeLog(LATER), loop=loop, epoch=EPOCH)
    record = Record("s", "ann", "c1", "1", msgspec.Raw(b"1"), EPOCH)
    script.answers["receive"] = lambda *_: (Append(record),)
    outlet = driver.connect(cast(asyncio.Transport, FakeTransport()), ANN)
    driver.receive(outlet, HeartbeatIn())
    assert script.doors() == ["connect", "receive"]
    driver.logged([record, record], [record])
    assert script.doors() == ["connect", "receive", "appended", "appended", "append_failed"]


def test_now_starts_at_zero_and_never_goes_back() -> None:
    world = World()
    assert world.driver.now() == 0.0
    world.loop.at += 5
    assert world.driver.now() == 5.0
    assert world.driver.wall() == EPOCH + 5
    world.loop.at -= 3
    assert world.driver.now() == 5.0


def test_a_clock_that_jumps_moves_the_wall_and_nothing_else() -> None:
    world = World()
    world.loop.at += 5
    world.driver.clock_jump(-3.5)
    assert (world.driver.now(), world.driver.wall()) == (5.0, EPOCH + 1.5)
    assert world.notes.steps == [(5.0, "clock_jump", (-3.5,), ())]
    assert world.script.heard == [(5.0, "clock_jump", -3.5)]


def test_what_is_due_when_the_clock_jumps_is_done_before() -> None:
    world = World()
    world.script.next_at = 5.0
    world.join()
    world.loop.at += 5
    world.driver.clock_jump(60.0)
    assert world.script.doors() == ["connect", "wake", "clock_jump"]
    world.loop.advance(10.0)
    assert world.script.doors() == ["connect", "wake", "clock_jump"]


def test_every_input_is_heard_and_journaled_with_its_effects() -> None:
    world = World()
    driver = world.driver
    answer = (Send(("c1",), beat()),)
    world.script.answers["receive"] = lambda *_: answer
    outlet, _ = world.join()
    frame = HeartbeatIn()
    driver.receive(outlet, frame)
    driver.malformed(outlet, Fault("bad_json", "no"))
    driver.violated(outlet, "binary", "text only")
    driver.pong(outlet)
    driver.refresh(outlet, ANN)
    driver.refuse_refresh(outlet, "token_expired")
    assert driver.revoke(jti="t")
    assert not driver.revoke(jti="one too many")
    driver.open_session("s", ("ann",), 5.0, "ann")
    driver.add_participant("s", "bob")
    driver.remove_participant("s", "bob")
    driver.end_session("s")
    body = msgspec.Raw(b"1")
    driver.post("ann", body, lambda _: None)
    driver.drain()
    driver.drain()
    driver.leave(outlet)
    driver.leave(outlet)
    heard = [
        ("connect", "c1", ANN),
        ("receive", "c1", frame),
        ("malformed", "c1", "bad_json", "no"),
        ("malformed", "c1", "binary", "text only"),
        ("pong", "c1"),
        ("refresh", "c1", ANN),
        ("refuse_refresh", "c1", "token_expired"),
        ("revoke", "t", None),
        ("open_session", "s", ("ann",), 5.0, "ann"),
        ("add_participant", "s", "bob"),
        ("remove_participant", "s", "bob"),
        ("end_session", "s"),
        ("post", "ann", "p1", body),
        ("drain",),
        ("disconnect", "c1"),
    ]
    assert [step[1:] for step in world.script.heard] == heard
    assert [(door, *args) for _, door, args, _ in world.notes.steps] == heard
    assert world.notes.steps[1][3] is answer


def test_the_journal_hears_before_anything_is_written() -> None:
    world = World()
    seen: list[int] = []
    outlet, transport = world.join()
    world.notes.step = lambda *_: seen.append(len(transport.writes))  # type: ignore[method-assign]
    world.script.answers["receive"] = lambda *_: (Send(("c1",), beat()),)
    world.driver.receive(outlet, HeartbeatIn())
    assert seen == [0]
    assert len(transport.writes) == 1


def test_one_receiver_with_nothing_pending_is_written_at_once() -> None:
    world = World()
    world.script.answers["receive"] = lambda *_: (Send(("c1",), beat()),)
    outlet, transport = world.join()
    world.driver.receive(outlet, HeartbeatIn())
    assert len(transport.writes) == 1
    assert not world.loop.soon


def test_many_frames_are_one_write_per_connection_and_turn() -> None:
    world = World()
    world.script.answers["receive"] = lambda *_: (Send(("c1", "c2", "c3"), beat(1)), Send(("c2",), beat(2)))
    transports = [world.join()[1] for _ in range(3)]
    outlet = world.join()[0]
    for _ in range(4):
        world.driver.receive(outlet, HeartbeatIn())
    assert [len(t.writes) for t in transports] == [0, 0, 0]
    assert len(world.loop.soon) == 1
    world.loop.turn()
    assert [len(t.writes) for t in transports] == [1, 1, 1]
    assert [len(parsed(t.writes[0])) for t in transports] == [4, 8, 4]
    times = [msgspec.json.decode(f.data)["server_time"] for f in parsed(transports[1].writes[0])]
    assert times == [1, 2] * 4
    assert world.driver.statistics()["flushes"] == 3
    assert world.driver.statistics()["frames_out"] == 16


def test_a_late_single_frame_does_not_overtake_what_waits() -> None:
    world = World()
    outlet, transport = world.join()
    world.join()
    world.script.answers["receive"] = lambda *_: (Send(("c1", "c2"), beat(1)),)
    world.script.answers["pong"] = lambda *_: (Send(("c1",), beat(2)),)
    world.driver.receive(outlet, HeartbeatIn())
    world.driver.pong(outlet)
    world.loop.turn()
    (data,) = transport.writes
    assert [msgspec.json.decode(f.data)["server_time"] for f in parsed(data)] == [1, 2]


def test_pings_go_to_everyone_named() -> None:
    world = World()
    world.script.answers["wake"] = lambda *_: (Ping(("c1", "c2")),)
    transports = [world.join()[1] for _ in range(2)]
    world.script.next_at = 1.0
    world.driver.pong(world.join()[0])
    world.loop.advance(1.0)
    world.loop.turn()
    assert [parsed(b"".join(t.writes))[0].opcode for t in transports] == [Opcode.PING] * 2
    assert world.driver.statistics()["pings"] == 2


def test_the_log_answers_in_turn_without_recursion() -> None:
    world = World()
    record = Record("s", "ann", "c1", "1", msgspec.Raw(b"1"), EPOCH)
    left = [5000]

    def again(done: Record) -> Effects:
        left[0] -= 1
        return (Append(record),) if left[0] else (Send(("c1",), beat(done.seq)),)

    world.script.answers["receive"] = lambda *_: (Append(record), Tell("s", beat()))
    world.script.answers["appended"] = again
    outlet, transport = world.join()
    world.driver.receive(outlet, HeartbeatIn())
    assert world.script.doors()[:4] == ["connect", "receive", "appended", "told"]
    assert world.script.doors().count("appended") == 5000
    assert b"5000" in transport.writes[0]


def test_a_log_that_cannot_take_it_is_an_input() -> None:
    script = Script()
    loop = cast(asyncio.AbstractEventLoop, FakeLoop())
    driver = Driver(cast(Handler, script), FakeLog(None), loop=loop, epoch=EPOCH)
    record = Record("s", "ann", "c1", "1", msgspec.Raw(b"1"), EPOCH)
    script.answers["receive"] = lambda *_: (Append(record),)
    outlet = driver.connect(cast(asyncio.Transport, FakeTransport()), ANN)
    driver.receive(outlet, HeartbeatIn())
    assert script.heard[-1][1:] == ("append_failed", record)
    said: list[Record | None] = []
    script.answers["post"] = lambda user, id_, body: (Append(Record("@ann", "@server", "", id_, body, EPOCH)),)
    driver.post("ann", msgspec.Raw(b"1"), said.append)
    assert said == [None]


def test_who_waits_for_the_log_at_the_end_is_answered_then() -> None:
    script = Script()
    driver = Driver(
        cast(Handler, script), FakeLog(LATER), loop=cast(asyncio.AbstractEventLoop, FakeLoop()), epoch=EPOCH
    )
    said: list[Record | None] = []
    script.answers["post"] = lambda user, id_, body: (Append(Record("@ann", "@server", "", id_, body, EPOCH)),)
    driver.post("ann", msgspec.Raw(b"1"), said.append)
    assert said == []
    driver.close()
    assert said == [None]


def test_a_broadcast_is_packed_once_for_all_who_pack() -> None:
    world = World()
    said = Body(b'"' + b"hello " * 50 + b'"')
    message = Message("m1", "s", 1, 1, "ann", said, EPOCH, 1)
    outlets, transports = zip(*(world.join(packs=packs) for packs in (True, False, True, False)), strict=True)
    everybody = tuple(outlet.name for outlet in outlets)
    for what in (message, beat(), Delivered(session="s", user="u", message_ids=("m",) * 50)):
        world.script.answers["pong"] = lambda *_, what=what: (Send(everybody, what),)
        world.driver.pong(outlets[0])
        world.loop.turn()
        first, second, third, fourth = (transport.writes.pop() for transport in transports)
        assert second is fourth
        assert first is third
        assert second == text_frame(encode(what))
        assert (first == second) == (what == beat()), "a short one is sent as it is"
        [frame] = parsed(first, PerMessageDeflate(True, True, 15, 15))
        assert bytes(frame.data) == encode(what)
    for outlet in outlets:
        world.driver.lost(outlet)
    ((_, transport),) = [world.join()]
    world.script.answers["pong"] = lambda *_: (Send(("c5",), message),)
    world.driver.pong(world.driver._outlets.by_name["c5"])
    assert transport.writes == [text_frame(encode(message))]


def test_a_post_is_answered_once_when_the_log_has_it() -> None:
    world = World(ChatHandler(HandlerConfig(sessions_max=1), epoch=EPOCH, seed=7))
    said: list[Record | None] = []
    for user in ("ann", "ann", "bob"):
        world.driver.post(user, msgspec.Raw(b'"hi"'), said.append)
    world.driver.open_session("s", ("ann",), None, None)
    assert world.driver.standing("s") is None, "what was said to ann may be replayed yet"
    assert [(record.session, record.seq) if record else None for record in said] == [("@ann", 1), ("@ann", 2), None]


def test_one_timer_serves_and_moves_only_to_earlier() -> None:
    world = World()
    outlet, _ = world.join()
    for next_at in (9.0, 5.0, 7.0):
        world.script.next_at = next_at
        world.driver.pong(outlet)
        assert world.loop.waiting() == 1
    world.loop.advance(5.0)
    assert world.script.heard[-1] == (5.0, "wake")
    world.loop.advance(100.0)
    assert world.script.doors().count("wake") == 1


def test_a_timer_that_rings_early_wakes_for_the_moment_it_was_set_for() -> None:
    world = World()
    outlet, _ = world.join()
    world.script.next_at = 5.0
    world.driver.pong(outlet)
    when, _, timer = world.loop.timers.pop()
    world.loop.at = when - 0.0005
    assert timer.act is not None
    timer.act()
    assert world.script.heard[-1] == (5.0, "wake")
    world.driver.pong(outlet)
    assert world.script.heard[-1][0] == 5.0


def test_closing_flushes_first_and_forgets() -> None:
    world = World()
    outlet, transport = world.join()
    world.script.answers["receive"] = lambda *_: (
        Send(("c1", "c1"), beat(1)),
        Close("c1", 4001, "no pong"),
        Send(("c1",), beat(2)),
    )
    world.driver.receive(outlet, HeartbeatIn())
    world.loop.turn()
    assert [f.opcode for f in parsed(b"".join(transport.writes))] == [Opcode.TEXT, Opcode.TEXT, Opcode.CLOSE]
    world.driver.lost(outlet)
    assert "disconnect" not in world.script.doors()
    assert world.driver.empty.is_set()
    assert world.loop.waiting() == 0


def test_a_peer_that_does_not_finish_closing_is_dropped() -> None:
    world = World()
    outlet, transport = world.join()
    world.script.answers["pong"] = lambda *_: (Close("c1", 4000, "slow"),)
    world.driver.paused(outlet)
    world.driver.pong(outlet)
    world.loop.advance(CLOSE_TIMEOUT_S - 0.1)
    assert not transport.aborted
    world.loop.advance(0.2)
    assert transport.aborted


def test_what_a_slow_reader_has_waiting_is_told_once_a_turn() -> None:
    world = World()
    outlet, transport = world.join()
    world.join()
    world.script.answers["receive"] = lambda *_: (Send(("c1", "c2"), beat()), Send(("c1", "c2"), beat()))
    world.driver.paused(outlet)
    transport.buffered = 1000
    size = len(text_frame(msgspec.json.encode(beat())))
    world.driver.receive(outlet, HeartbeatIn())
    world.loop.turn()
    assert world.script.heard[-1][1:] == ("pressure", "c1", 1000 + 2 * size, 2)
    assert transport.writes == []
    transport.buffered = 0
    world.driver.resumed(outlet)
    assert world.script.heard[-1][1:] == ("pressure", "c1", 0, 0)
    world.loop.turn()
    assert len(parsed(b"".join(transport.writes))) == 2


def test_a_healthy_reader_makes_no_pressure() -> None:
    world = World()
    outlet, transport = world.join()
    world.join()
    world.script.answers["receive"] = lambda *_: (Send(("c1", "c2"), beat()),) * 1000
    world.driver.receive(outlet, HeartbeatIn())
    world.loop.turn()
    world.driver.paused(outlet)
    world.driver.resumed(outlet)
    world.loop.turn()
    assert "pressure" not in world.script.doors()
    assert len(transport.writes) == 1


class Pipe(FakeTransport):
    """A transport with a peer at the other end: who reads takes everything at once, who does not fills it up."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = True
        self.high = WRITE_HIGH_BYTES
        self.pauses: Callable[[], None] = lambda: None

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        if not self.reads:
            before, self.buffered = self.buffered, self.buffered + len(data)
            if before <= self.high < self.buffered:
                self.pauses()

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        super().set_write_buffer_limits(high, low)
        self.high, before = high, self.high
        if high < self.buffered <= before:
            self.pauses()


class Hall:
    """1,000 people in one session of a real handler; `stopped` is one of them who may read nothing at all."""

    def __init__(self, stops: bool) -> None:
        # Where nobody acks, what slides out of retention would be told to whoever said it.
        config = HandlerConfig(rate_limit=10_000, retention_messages=10_000, retention_bytes=2**30)
        self.world = World(ChatHandler(config, epoch=EPOCH, seed=1), journaled=False)
        driver = self.world.driver
        self.outlets, self.pipes = [], []
        for number in range(1000):
            pipe = Pipe()
            claims = Claims(f"u{number}", EPOCH + 3600, sessions=("s",))
            outlet = driver.connect(cast(asyncio.Transport, pipe), claims)
            pipe.pauses = partial(driver.paused, outlet)
            driver.receive(outlet, StatusIn("join", "s"))
            self.outlets.append(outlet)
            self.pipes.append(pipe)
        self.world.loop.turn()
        self.hear()
        self.stopped, self.stopped_pipe = self.outlets[-1], self.pipes[-1]
        self.stopped_pipe.reads = not stops

    def hear(self) -> list[list[bytes]]:
        """What was written to each of the others since the last time."""
        heard = []
        for pipe in self.pipes[:-1]:
            heard.append(pipe.writes)
            pipe.writes = []
        return heard

    def ack(self, seq: int) -> None:
        """Everybody who reads has everything up to there."""
        for outlet, pipe in zip(self.outlets, self.pipes, strict=True):
            if pipe.reads:
                self.world.driver.receive(outlet, AckIn("s", seq))
        self.world.loop.advance(1.0)
        # Who reads has taken what was written.
        for pipe in self.pipes:
            pipe.writes.clear()

    def say(self, number: int, size_bytes: int, *, speaker: int) -> None:
        """One of the others says so much, and the loop has one turn."""
        frame = Say(f"{number}", "s", Body(b'"' + b"x" * size_bytes + b'"'))
        self.world.driver.receive(self.outlets[speaker], frame)
        self.world.loop.turn()


@pytest.mark.parametrize("size_bytes", [100, 10_000], ids=["small frames", "large frames"])
def test_one_of_a_thousand_who_stops_reading_delays_nobody_and_is_closed_at_her_limit(
    size_bytes: int,
) -> None:
    hall = Hall(stops=True)
    config, outlet, frame = HandlerConfig(), hall.stopped, b""
    closed_after = most_bytes = most_frames = 0
    for number in range(600):
        hall.say(number, size_bytes, speaker=number)
        heard = hall.hear()
        (ack,) = parsed(b"".join(heard.pop(number)))
        assert b'"ack"' in ack.data
        # The very same bytes, once each, in the turn in which they were said.
        (frame,) = heard[0]
        assert f'"seq":{number + 1},'.encode() in frame
        assert heard == [[frame]] * 998
        if not outlet.closing:
            closed_after = number + 1
            most_bytes, most_frames = max(most_bytes, outlet.pending_bytes()), max(most_frames, outlet.pending_frames())
    assert outlet.closing
    assert outlet.queue[-1] == close_frame(4000, "too slow a reader")
    assert most_bytes <= config.outbound_bytes
    assert most_frames <= config.outbound_frames
    # It was one of her two limits that she met.
    if size_bytes == 100:
        assert closed_after == config.outbound_frames
    else:
        assert closed_after == pytest.approx(config.outbound_bytes // len(frame), abs=3)
    assert outlet.pending_bytes() <= config.outbound_bytes + 2 * len(frame)
    hall.world.loop.advance(CLOSE_TIMEOUT_S)
    assert hall.stopped_pipe.aborted
    hall.world.driver.lost(outlet)
    assert outlet.queue == []


def test_one_of_a_thousand_who_stops_reading_costs_less_than_two_mebibytes() -> None:
    size_bytes, count, grown = 20_000, 80, []
    for stops in (False, True):
        hall = Hall(stops)
        hall.say(0, size_bytes, speaker=0)
        tracemalloc.start()
        try:
            before = most = tracemalloc.get_traced_memory()[0]
            for number in range(1, count):
                hall.say(number, size_bytes, speaker=0)
                if number % 25 == 0:
                    hall.ack(number)
                most = max(most, tracemalloc.get_traced_memory()[0])
            hall.ack(count)
            grown.append((most - before, tracemalloc.get_traced_memory()[0] - before))
        finally:
            tracemalloc.stop()
        assert hall.stopped.closing is stops
    # Both keep what was said for replay, and while it happens what has not been acked.
    for with_her, without in zip(grown[1], grown[0], strict=True):
        assert with_her - without < 2 * 1024 * 1024


def test_lag_is_what_the_clock_says() -> None:
    world = World()
    world.driver.watch_lag()
    world.driver.watch_lag()
    world.loop.advance(0.35)
    world.loop.at += 0.5
    assert abs(world.driver.loop_lag_s() - 0.45) < 1e-9
    world.loop.advance(0.0)
    statistics = world.driver.statistics()
    assert len(statistics["loop_lag_s"]) == 4
    assert abs(statistics["loop_lag_s"][-1] - 0.45) < 1e-9
    assert sum(world.driver.lag.counts) == 4
    assert world.driver.lag.counts[7] == 1


_frames: st.SearchStrategy[ClientFrame] = st.one_of(
    st.builds(HeartbeatIn, t=st.integers(0, 9)),
    st.builds(StatusIn, action=st.sampled_from(["join", "leave"]), session=st.sampled_from(["r", "@ann", "x"])),
    st.builds(
        Say,
        id=st.sampled_from("abc"),
        session=st.sampled_from(["r", "@ann"]),
        body=st.builds(msgspec.Raw, st.sampled_from([b"1", b'"x"'])),
    ),
    st.builds(AckIn, session=st.just("r"), up_to=st.integers(0, 4)),
)


@given(st.lists(st.tuples(st.integers(0, 2), _frames, st.sampled_from([0.0, 0.5, 31.0])), max_size=30))
def test_replay_a_journal_gives_the_same_effects(plan: list[tuple[int, ClientFrame, float]]) -> None:
    world = World(ChatHandler(HandlerConfig(), epoch=EPOCH, seed=7))
    outlets = [world.join(Claims(user, EPOCH + 900, sessions=("r",)))[0] for user in ("ann", "ann", "bob")]
    for place, frame, wait_s in plan:
        if not outlets[place].closing:
            world.driver.receive(outlets[place], frame)
        world.loop.advance(wait_s)
    fresh: Any = ChatHandler(HandlerConfig(), epoch=EPOCH, seed=7)
    last = 0.0
    for now, door, args, effects in world.notes.steps:
        assert now >= last
        last = now
        assert getattr(fresh, door)(now, *args) == effects
