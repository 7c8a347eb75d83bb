"""Bytes of a peer travel over its links: late by their latency, each frame by its own, and never out of order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol

from chatsim.live.calendar import Calendar
from chatsim.live.framing import PING_FRAME, close_frame, text_frame
from chatsim.live.peer import ABNORMAL, Peer, resuming
from chatsim.network.link import HELD_BYTES_MAX, Link
from chatsim.people.people import Device
from chatsim.virtual.loop import VirtualLoop
from tests.live.arena import Arena, Constant, play


class Falling:
    """Latencies that fall from draw to draw, so that without care later bytes would overtake."""

    constant: float | None = None

    def __init__(self) -> None:
        self.value = 0.05

    def next(self) -> float:
        self.value = max(0.0, self.value - 0.005)
        return self.value


def test_who_had_a_connection_names_it_in_the_address() -> None:
    assert resuming("ws://host/ws", "") == "ws://host/ws"
    assert resuming("ws://host/ws", "c2-7") == "ws://host/ws?resume=c2-7"
    assert resuming("ws://host/ws?room=a", "a b&") == "ws://host/ws?room=a&resume=a%20b%26"


class Listed:
    """Latencies out of a list."""

    constant: float | None = None

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def next(self) -> float:
        return self.values.pop(0)


def test_both_ways_cost_their_latency() -> None:
    def links(number: int, device: Device) -> tuple[Link, Link]:
        return Link(Constant(0.02)), Link(Constant(0.03))

    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann"), arena.add("bob")
        await arena.joined(ann, bob)
        arena.say(ann)
        await arena.until(lambda: arena.received() == 1 and arena.crowd.people.sent[0].message_id)
        (row,) = arena.crowd.people.sent
        assert arena.crowd.people.receipts[row.message_id]["bob"] - row.intended_at >= 0.0499
        assert row.acked_at - row.intended_at >= 0.0499

    play(test, links=links)


def test_order_is_kept_when_latency_falls() -> None:
    def links(number: int, device: Device) -> tuple[Link, Link]:
        return Link(Falling()), Link(Falling())

    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann"), arena.add("bob")
        await arena.joined(ann, bob)
        for _ in range(30):
            arena.say(ann)
        await arena.until(lambda: arena.received() == 30)

    crowd = play(test, links=links)
    assert crowd.people.out_of_order == crowd.people.duplicates == 0
    assert crowd.faults == []


class Server(asyncio.Protocol):
    """Takes everybody in, and notes when what comes."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str]] = []
        self.parser = ServerProtocol()
        self.transport: asyncio.Transport

    def note(self, what: str) -> None:
        self.heard.append((round(asyncio.get_running_loop().time(), 9), what))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.parser.receive_data(data)
        for event in self.parser.events_received():
            if isinstance(event, Request):
                self.parser.send_response(self.parser.accept(event))
                self.transport.write(b"".join(self.parser.data_to_send()))
            elif isinstance(event, Frame):
                self.note(bytes(event.data).decode("latin-1"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("lost")


class Ears:
    """Notes when a peer hears what."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str]] = []

    def opened(self, now: float, peer: Any) -> None:
        self.heard.append((round(now, 9), "opened"))

    def refused(self, now: float, peer: Any, status: int, retry_after_s: float | None) -> None:
        self.heard.append((round(now, 9), f"refused {status}"))

    def text(self, now: float, peer: Any, data: bytes) -> None:
        self.heard.append((round(now, 9), data.decode()))

    def pinged(self, now: float, peer: Any) -> None:
        self.heard.append((round(now, 9), "ping"))

    def closed(self, now: float, peer: Any, code: int) -> None:
        self.heard.append((round(now, 9), f"closed {code}"))


Heard = Sequence[tuple[float, str]]
Scene = Callable[[Peer[str], Server], Awaitable[None]]


def connected(scene: Scene, up: Link, down: Link) -> tuple[Heard, Heard]:
    """Have a peer dial at 0 s in virtual time; what it heard, and the server, till 100 s."""
    ears, server = Ears(), Server()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        port = loop.listen(lambda: server).port
        calendar = Calendar(loop, sampled=False, clock=loop.time, timer_s=0.0)
        calendar.begin()
        peer = Peer(ears, calendar, "ann", f"ws://here:{port}/ws", None, (up, down))
        await loop.create_connection(lambda: peer, "here", port)
        await asyncio.sleep(1.0)
        await scene(peer, server)
        await asyncio.sleep(99.0)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    return ears.heard, server.heard


def test_a_server_that_breaks_the_protocol_is_left_at_once_and_told_why() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        server.transport.write(text_frame(b"a") + b"\xff\xff" + text_frame(b"b"))
        await asyncio.sleep(1.0)
        assert peer.reason == "what came is no WebSocket frame"
        assert not peer.lost
        await asyncio.sleep(10.0)
        assert peer.lost

    heard, told = connected(scene, Link(), Link())
    assert heard == [(0.0, "opened"), (1.0, "a"), (1.0, f"closed {ABNORMAL}")]
    assert told == [(1.0, "\x03\xea" + told[0][1][2:]), (6.0, "lost")]


def test_what_answers_in_no_http_is_refused_at_once() -> None:
    class Stranger(Server):
        def data_received(self, data: bytes) -> None:
            self.transport.write(b"SSH-2.0-OpenSSH\r\n\r\n")

    ears = Ears()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        port = loop.listen(Stranger).port
        calendar = Calendar(loop, sampled=False, clock=loop.time, timer_s=0.0)
        calendar.begin()
        peer = Peer(ears, calendar, "ann", f"ws://here:{port}/ws", None, (Link(), Link()))
        await loop.create_connection(lambda: peer, "here", port)
        await asyncio.sleep(30.0)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    assert ears.heard == [(0.0, "refused 0")]


def test_each_frame_of_one_write_has_a_way_of_its_own() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        server.transport.write(text_frame(b"a") + text_frame(b"b") + text_frame(b"c" * 200) + text_frame(b"d"))

    heard, _ = connected(scene, Link(), Link(Listed(0.5, 0.1, 0.4, 0.2, 0.6)))
    assert heard == [(0.5, "opened"), (1.1, "a"), (1.4, "b"), (1.4, "c" * 200), (1.6, "d")]


def test_the_answer_and_the_first_frame_in_one_write_are_two() -> None:
    class Eager(Server):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.write(text_frame(b"welcome"))

    async def scene(peer: Peer[str], server: Server) -> None:
        pass

    ears, server = Ears(), Eager()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        port = loop.listen(lambda: server).port
        calendar = Calendar(loop, sampled=False, clock=loop.time, timer_s=0.0)
        calendar.begin()
        links = Link(), Link(Listed(0.1, 0.3))
        await loop.create_connection(lambda: Peer(ears, calendar, "ann", f"ws://here:{port}/ws", None, links), "", port)
        await asyncio.sleep(1.0)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    assert ears.heard == [(0.1, "opened"), (0.3, "welcome")]


def test_what_is_cut_anywhere_is_read_as_it_was_sent() -> None:
    """A tail that looks like a frame (the second byte of this letter and what follows it) is none."""
    letter = "\u00c1\x01b"
    frames = [text_frame(b"a"), text_frame(letter.encode()), PING_FRAME, text_frame(b"x" * 200), text_frame(b"c")]
    data = b"".join(frames)
    assert b"\x81\x01b" in data

    for down in (Link(), Link(Constant(0.25)), Link(Falling())):
        for cut in range(1, 20):

            async def scene(peer: Peer[str], server: Server, cut: int = cut) -> None:
                server.transport.write(data[:cut])
                await asyncio.sleep(1.0)
                server.transport.write(data[cut:])

            heard, _ = connected(scene, Link(), down)
            assert [what for _, what in heard] == ["opened", "a", letter, "ping", "x" * 200, "c"]


def test_inside_a_message_in_parts_the_parser_is_asked() -> None:
    """RFC 6455, 5.4: no other message begins there."""

    async def scene(peer: Peer[str], server: Server) -> None:
        server.transport.write(bytes((0x01, 2)) + b"pa")
        await asyncio.sleep(1.0)
        server.transport.write(text_frame(b"other"))

    heard, _ = connected(scene, Link(), Link())
    assert heard[-1] == (2.0, f"closed {ABNORMAL}")


def test_each_frame_waits_for_bandwidth_by_itself() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        peer.down.bandwidth_bit_per_s = 80.0
        server.transport.write(text_frame(b"x" * 8) + text_frame(b"y" * 18))

    heard, _ = connected(scene, Link(), Link())
    assert heard[1:] == [(2.0, "x" * 8), (4.0, "y" * 18)]


def test_what_was_under_way_when_a_connection_is_dropped_arrives_and_then_its_end() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        peer.send(b"said")
        server.transport.write(text_frame(b"not heard"))
        await asyncio.sleep(0.1)
        peer.drop(1.1)
        peer.send(b"too late")

    heard, said = connected(scene, Link(Constant(0.25)), Link(Constant(0.25)))
    assert said == [(1.25, "said"), (1.35, "lost")]
    assert heard == [(0.5, "opened")]


def test_whoever_gives_up_behind_a_partition_is_not_heard_of_before_it_heals() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        peer.up.blocked_until = 20.0
        peer.close(1001)

    _, said = connected(scene, Link(), Link())
    (close_at, close), (lost_at, lost) = said
    assert (close[:2], lost) == ("\x03\xe9", "lost")
    assert close_at == lost_at >= 20.0


def test_whoever_is_not_answered_cuts_the_connection_in_the_end() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        peer.close(1001)

    _, said = connected(scene, Link(), Link())
    assert [what for _, what in said] == ["\x03\xe9", "lost"]
    assert said[1][0] == said[0][0] + 5.0


def test_what_was_under_way_when_a_peer_vanished_arrives_and_nothing_after_it() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        peer.send(b"said")
        await asyncio.sleep(0.1)
        peer.vanish()
        peer.send(b"never")
        server.transport.write(text_frame(b"nobody"))

    heard, said = connected(scene, Link(Constant(0.25)), Link())
    assert said == [(1.25, "said")]
    assert heard == [(0.25, "opened")]


def test_the_frozen_read_what_has_come_when_they_wake_and_the_rest_waits_at_the_server() -> None:
    held: list[tuple[bool, int]] = []
    since: list[float] = []

    async def scene(peer: Peer[str], server: Server) -> None:
        peer.on_hold = since.append
        peer.freeze(1.0, 5.0)
        server.transport.write(text_frame(b"early"))
        await asyncio.sleep(1.0)
        server.transport.write(text_frame(b"x" * HELD_BYTES_MAX))
        await asyncio.sleep(1.0)
        server.transport.write(text_frame(b"late"))
        await asyncio.sleep(1.0)
        held.append((peer._transport.is_reading(), server.transport.get_write_buffer_size()))  # type: ignore[union-attr]

    heard, _ = connected(scene, Link(), Link(Constant(0.25)))
    # A kernel takes so much and no more; what waits beyond it has the way still before it.
    assert held == [(False, 6)]
    assert since == [2.0]
    assert heard == [(0.25, "opened"), (5.0, "early"), (5.0, "x" * HELD_BYTES_MAX), (5.25, "late")]


def test_who_is_frozen_again_before_she_woke_reads_all_in_its_order() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        peer.freeze(1.0, 3.0)
        server.transport.write(text_frame(b"first"))
        await asyncio.sleep(1.0)
        peer.freeze(2.0, 4.0)
        server.transport.write(text_frame(b"second"))
        await asyncio.sleep(0.5)
        server.transport.write(close_frame(4001, "no pong"))

    heard, _ = connected(scene, Link(), Link(Constant(0.25)))
    assert heard == [(0.25, "opened"), (4.0, "first"), (4.0, "second"), (4.0, "closed 4001")]


def test_the_end_of_a_connection_travels_like_all_that_came_before_it() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        server.transport.write(text_frame(b"last"))
        await asyncio.sleep(0.5)
        server.transport.abort()

    heard, _ = connected(scene, Link(), Link(Constant(0.25)))
    assert heard == [(0.25, "opened"), (1.25, "last"), (1.75, "closed 1006")]


def test_the_servers_close_comes_behind_its_frames_and_is_answered() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        server.transport.write(text_frame(b"last") + close_frame(4001, "no pong"))

    heard, said = connected(scene, Link(Constant(0.2)), Link(Constant(0.1)))
    assert heard == [(0.3, "opened"), (1.1, "last"), (1.1, "closed 4001")]
    assert said[0] == (1.3, "\x0f¡no pong")
    assert said[1:] == [(6.1, "lost")], "a server that does not hang up is left after five seconds"


def half_closed(scene: Scene, *, last: bytes) -> tuple[Heard, Heard]:
    """A server that reads no more after its last word, as one does that cannot read what comes."""

    async def whole(peer: Peer[str], server: Server) -> None:
        await scene(peer, server)
        server.transport.write(text_frame(b"said") + last)
        server.transport.write_eof()

    return connected(whole, Link(Constant(0.2)), Link(Constant(0.1)))


def test_whoever_reads_the_servers_last_word_is_gone_when_her_answer_has_come() -> None:
    """Found by exploring (seed 2369 on agreement: place-of-the-closed.yaml): her place was free before she could
    know."""

    async def scene(peer: Peer[str], server: Server) -> None:
        peer.send(b"meanwhile")

    heard, said = half_closed(scene, last=close_frame(1009, "large"))
    assert heard == [(0.3, "opened"), (1.1, "said"), (1.1, "closed 1009")]
    assert said == [(1.2, "meanwhile"), (1.3, "\x03\xf1large"), (1.3, "lost")]


def test_whoever_is_frozen_reads_the_servers_last_word_when_she_wakes() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        peer.freeze(1.0, 4.0)

    heard, said = half_closed(scene, last=close_frame(1009, "large"))
    assert heard == [(0.3, "opened"), (4.0, "said"), (4.0, "closed 1009")]
    assert said == [(4.2, "\x03\xf1large"), (4.2, "lost")]


def test_whoever_is_left_without_a_word_is_gone_one_way_later() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        pass

    heard, said = half_closed(scene, last=b"")
    assert heard == [(0.3, "opened"), (1.1, "said"), (1.1, f"closed {ABNORMAL}")]
    assert said == [(1.3, "lost")]


def test_whoever_closes_before_she_reads_the_servers_last_word_is_gone_with_her_close() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        asyncio.get_running_loop().call_later(0.05, peer.close, 1001)

    heard, said = half_closed(scene, last=close_frame(1009, "large"))
    assert heard == [(0.3, "opened")]
    assert said == [(1.25, "\x03\xe9"), (1.25, "lost")]


def test_over_tls_a_connection_is_closed_in_both_directions_and_what_was_said_is_still_read() -> None:
    async def scene(peer: Peer[str], server: Server) -> None:
        assert peer._transport is not None
        peer._transport._extra["ssl_object"] = object()  # type: ignore[attr-defined]

    heard, said = half_closed(scene, last=close_frame(1009, "large"))
    assert heard == [(0.3, "opened"), (1.1, "said"), (1.1, "closed 1009")]
    assert said == [(1.0, "lost")]
