"""Bytes in memory: in order, in the next turn, and waiting with the writer for a reader who does not read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from chatsim.virtual.loop import VirtualLoop
from chatsim.virtual.transport import HIGH_BYTES, MemoryServer, MemoryTransport


class Side(asyncio.Protocol):
    """Notes what it is told; `keeps` says whether it keeps its way open when the other has ended."""

    def __init__(self, *, keeps: bool = False) -> None:
        self.heard: list[object] = []
        self.keeps = keeps
        self.transport: MemoryTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(MemoryTransport, transport)
        self.heard.append("made")

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def eof_received(self) -> bool:
        self.heard.append("eof")
        return self.keeps

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        assert exc is None
        self.heard.append("lost")

    @property
    def got(self) -> bytes:
        return b"".join(data for data in self.heard if isinstance(data, bytes))


Scene = Callable[[Side, Side, MemoryServer], Awaitable[None]]


def play(scene: Scene, *, keeps: bool = False) -> None:
    """Have two sides connected, the client's first; the server's keeps its way open if asked to."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        here, there = Side(), Side(keeps=keeps)
        server = loop.listen(lambda: there)
        await loop.create_connection(lambda: here, "anywhere", server.port)
        await scene(here, there, server)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_is_written_in_one_turn_is_read_in_one_piece_in_the_next() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        for word in (b"a", bytearray(b"b"), memoryview(b"c"), b""):
            here.transport.write(word)
        there.transport.write(b"back")
        assert there.heard == ["made"]
        await turns(1)
        assert there.heard == ["made", b"abc"]
        here.transport.write(b"d")
        await turns()
        assert there.heard == ["made", b"abc", b"d"]
        assert here.heard == ["made", b"back"]

    play(scene)


def test_bytes_wait_for_a_reader_who_does_not_read_and_the_writer_is_told() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        out = here.transport
        out.set_write_buffer_limits(high=100, low=10)
        assert out.get_write_buffer_limits() == (10, 100)
        there.transport.pause_reading()
        assert not there.transport.is_reading()
        out.write(b"x" * 100)
        await turns()
        assert (here.heard, there.got, out.get_write_buffer_size()) == (["made"], b"", 100)
        out.write(b"y")
        assert here.heard == ["made", "pause"]
        out.write(b"z")
        await turns()
        assert here.heard == ["made", "pause"]
        there.transport.resume_reading()
        await turns()
        assert (here.heard, out.get_write_buffer_size()) == (["made", "pause", "resume"], 0)
        assert there.got == b"x" * 100 + b"yz"

    play(scene)


def test_a_reader_may_stop_in_the_middle_of_what_it_is_told() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        here.transport.write(b"first")
        await turns()
        there.transport.pause_reading()
        here.transport.write(b"second")
        await turns()
        there.transport.resume_reading()
        there.transport.pause_reading()
        await turns()
        assert there.got == b"first"
        there.transport.resume_reading()
        await turns()
        assert there.got == b"firstsecond"

    play(scene)


def test_the_marks_are_asyncios_where_nobody_sets_them() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        there.transport.pause_reading()
        here.transport.write(b"x" * HIGH_BYTES)
        assert here.heard == ["made"]
        here.transport.write(b"x")
        assert here.heard == ["made", "pause"]
        # Whoever lowers the marks is told at once.
        there.transport.set_write_buffer_limits(high=0)
        there.transport.write(b"x")
        here.transport.pause_reading()
        there.transport.write(b"y" * 10)
        assert there.heard == ["made", "pause"]

    play(scene)


def test_a_half_close_leaves_the_other_way_open() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        here.transport.write(b"all")
        assert here.transport.can_write_eof()
        here.transport.write_eof()
        here.transport.write(b"too late")
        await turns()
        assert there.heard == ["made", b"all", "eof"]
        there.transport.write(b"answer")
        await turns()
        assert here.heard == ["made", b"answer"]
        there.transport.close()
        await turns()
        assert here.heard[2:] == ["eof", "lost"]
        assert there.heard[3:] == ["lost"]

    play(scene, keeps=True)


def test_a_half_close_ends_a_side_that_keeps_nothing_open() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        here.transport.write_eof()
        await turns()
        assert there.heard == ["made", "eof", "lost"]
        assert here.heard == ["made", "eof", "lost"]

    play(scene)


def test_close_flushes_and_nothing_can_be_written_after_it() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        there.transport.pause_reading()
        here.transport.write(b"kept")
        here.transport.close()
        here.transport.close()
        here.transport.write(b"not")
        assert here.transport.is_closing()
        await turns()
        # A reader who does not read learns of neither the bytes nor the end.
        assert (here.heard, there.heard) == (["made"], ["made"])
        there.transport.resume_reading()
        await turns()
        assert there.heard == ["made", b"kept", "eof", "lost"]
        assert here.heard == ["made", "lost"]

    play(scene)


def test_abort_loses_what_is_queued() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        here.transport.write(b"lost")
        here.transport.abort()
        await turns()
        assert here.heard == ["made", "lost"]
        assert there.heard == ["made", "eof", "lost"]
        # And what the other end says to it goes nowhere.
        there.transport.write(b"nobody")
        await turns()
        assert here.heard == ["made", "lost"]

    play(scene)


def test_who_does_not_read_learns_of_the_end_when_it_reads_again() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        there.transport.pause_reading()
        here.transport.abort()
        await turns()
        assert (here.heard, there.heard) == (["made", "lost"], ["made"])
        there.transport.resume_reading()
        await turns()
        assert there.heard == ["made", "eof", "lost"]

    play(scene)


def test_a_killed_server_hears_nothing_more_and_its_peers_find_the_connection_cut() -> None:
    async def scene(here: Side, there: Side, server: MemoryServer) -> None:
        here.transport.write(b"on its way")
        there.transport.write(b"never sent")
        server.kill()
        await turns()
        assert there.heard == ["made"]
        assert here.heard == ["made", "eof", "lost"]
        assert not server.is_serving()

    play(scene)


def test_a_connection_that_ended_is_not_killed_again() -> None:
    async def scene(here: Side, there: Side, server: MemoryServer) -> None:
        here.transport.close()
        await turns()
        server.kill()
        await turns()
        assert there.heard == ["made", "eof", "lost"]

    play(scene)


def test_who_wants_to_know_is_told_of_both_ends_and_of_every_write() -> None:
    async def scene(here: Side, there: Side, server: MemoryServer) -> None:
        ends: list[tuple[MemoryTransport, MemoryTransport]] = []
        written: list[bytes] = []
        server.on_accept = lambda one, other: ends.append((one, other))
        server.accepted(there.transport)
        assert ends == [(there.transport, here.transport)]
        here.transport.on_write = written.append
        here.transport.write(b"one")
        here.transport.write(b"two")
        there.transport.write(b"another")
        here.transport.close()
        here.transport.write(b"too late")
        assert written == [b"one", b"two"]

    play(scene)


def test_a_protocol_can_be_replaced() -> None:
    async def scene(here: Side, there: Side, _: MemoryServer) -> None:
        other = Side()
        there.transport.set_protocol(other)
        assert there.transport.get_protocol() is other
        here.transport.write(b"for the other")
        await turns()
        assert (there.heard, other.heard) == (["made"], [b"for the other"])
        assert here.transport.get_extra_info("peername")[0] == "127.0.0.1"

    play(scene)
