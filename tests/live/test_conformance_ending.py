"""The wire protocol as it can be seen from outside, continued: what a slow reader is spared, how connections end, what
a server says that goes away, and that nothing is acked before it is stored.

That nothing was sent is seen by a heartbeat: its answer comes after whatever was on its way.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from websockets.exceptions import ConnectionClosed

from chatsim.core.effects import Record
from chatsim.core.facts import Fact
from chatsim.live.sqlite_log import FILE
from tests.live.outside import Place, Wire, against, bearer

# The ack is never sent before the store has it.


@against(lasting=True)
async def test_the_ack_is_never_sent_before_the_store_has_it(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        await ann.find("presence", user="bob")
        with held(place) as outsider:
            await ann.send("message", id="1", session="room", body="held")
            assert await ann.rest() == []
            assert await bob.rest() == []
            outsider.execute("COMMIT")
            # The server's patience with the file may have ended: then the repetition is the first.
            ack = await ann.say("1", "held")
            assert outsider.execute("SELECT id FROM messages WHERE seq = ?", (ack["seq"],)).fetchall() == [("1",)]
        assert (await bob.find("message"))["body"] == "held"


@against(lasting=True)
async def test_unavailable_the_log_cannot_take_it_nothing_was_accepted_try_again(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        with held(place) as outsider:
            await ann.send("message", id="1", session="room", body="x")
            refused = await ann.find("error")
            assert (refused["code"], refused["id"]) == ("unavailable", "1")
            outsider.execute("COMMIT")
        assert [frame for frame in await bob.rest() if frame["type"] == "message"] == []
        assert (await ann.say("1")).items() >= {"seq": 1, "duplicate": False}.items()


@contextmanager
def held(place: Place) -> Iterator[sqlite3.Connection]:
    """The server's log, held by somebody else: nothing is committed until she is done."""
    assert place.data is not None
    outsider = sqlite3.connect(place.data / FILE, isolation_level=None)
    try:
        outsider.execute("BEGIN IMMEDIATE")
        yield outsider
    finally:
        outsider.close()


# Slow readers.


@against(rate_limit=10_000, outbound_bytes=4 * 2**20, message_bytes_max=2**18)
async def test_above_half_of_the_outbound_limit_typing_and_presence_frames_are_dropped_first(place: Place) -> None:
    async with (
        place.wire(joins=True) as ann,
        place.wire("bob", joins=True) as bob,
        place.wire("cat", joins=True) as slow,
    ):
        slow.socket.transport.pause_reading()
        said = 0
        while await place.gauge("chatsim_outbound_queue_bytes") <= 2 * 2**20:
            said += 1
            await ann.say(str(said), "x" * 200_000)
            await bob.find("message", seq=said)
        # One that is not of her messages makes what waits be looked at.
        await ann.say("last")
        await ann.send("typing", session="room", active=True)
        await ann.send("presence", state="away")
        await ann.send("presence", state="online")
        await bob.find("typing")
        await bob.find("presence", state="online")
        slow.socket.transport.resume_reading()
        frames = [await slow.next()]
        while frames[-1]["type"] != "presence":
            frames.append(await slow.next())
        # First what may not be dropped, and then how it stands: of what she was spared the newest.
        heard = [frame["seq"] if frame["type"] == "message" else frame["type"] for frame in frames]
        assert heard == [*range(1, said + 2), "typing", "presence"]
        assert (frames[-1]["user"], frames[-1]["state"]) == ("ann", "online")
        await bob.send("typing", session="room", active=True)
        assert (await slow.find("typing"))["user"] == "bob"


# Closing.


class Broken:
    """A log with a fault of ours in it."""

    def append(self, record: Record) -> NoReturn:
        raise RuntimeError("a fault in the server")

    def note(self, fact: Fact) -> None:
        pass

    def settled(self, answered: Callable[[bool], None]) -> None:
        answered(True)

    def history(self, session: str, after: int, limit: int) -> list[Record]:
        return []


@against(log=Broken())
async def test_1011_internal_error_costs_that_connection_and_no_other(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        await ann.send("message", id="1", session="room", body="x")
        assert await ann.code() == 1011
        assert await bob.rest() == []
        assert await place.refused("admin", "POST", "/api/users/bob/messages", {"body": 1}) == (500, "internal")


@against()
async def test_4500_token_refused_and_4501_token_revoked_at_a_refresh(place: Place) -> None:
    await place.revoke("lost")
    for token, code in (("junk", 4500), (bearer(key=b"another secret of thirty-two bytes"), 4500),
                        (bearer(jti="lost"), 4501)):  # fmt: skip
        async with place.wire() as ann:
            await ann.send("status", action="refresh", token=token)
            assert await ann.code() == code


@against(frame_limit=20, frame_window_s=0.3)
async def test_4003_comes_back_after_retry_after_ms(place: Place) -> None:
    async with place.wire() as ann:
        flooding = asyncio.ensure_future(_flood(ann))
        heard = []
        while True:
            try:
                heard.append(await ann.next())
            except ConnectionClosed:
                break
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert ann.socket.close_code == 4003
        last = [frame for frame in heard if frame["type"] == "error"][-1]
        assert last["code"] == "frame_rate"
        assert 0 < last["retry_after_ms"] <= 300


async def _flood(wire: Wire) -> None:
    while True:
        await wire.send("heartbeat")
        await asyncio.sleep(0.001)


# Draining.


@against()
async def test_draining_every_client_is_told_reconnect_after_ms_drawn_from_0_to_w_then_1012(place: Place) -> None:
    async with place.wire() as one, place.wire("bob", joins=True) as two, place.wire("bob") as three:
        place.server.stop.set()
        for wire in (one, two, three):
            notice = await wire.find("status", status="draining")
            # For so few the window is a second.
            assert 0 <= notice.pop("reconnect_after_ms") <= 1000
            assert notice == {"type": "status", "status": "draining"}
            assert await wire.code() == 1012


@against()
async def test_draining_closes_are_spread_over_w(place: Place) -> None:
    async with place.wire() as one, place.wire() as two, place.wire() as three, place.wire() as four:
        began_at = time.monotonic()
        place.server.stop.set()
        assert [await wire.code() for wire in (one, two, three, four)] == [1012] * 4
        # The last of four comes in the last quarter of a window of 1 s.
        assert time.monotonic() - began_at > 0.7


@against()
async def test_draining_readiness_turns_503_and_no_new_connections(place: Place) -> None:
    async with place.wire() as ann, place.wire("bob") as last:
        assert await place.ask(None, "GET", "/health/ready") == (200, {"status": "ready"})
        # One who does not read keeps the server up while it drains.
        last.socket.transport.pause_reading()
        place.server.stop.set()
        await ann.find("status", status="draining")
        assert await place.refused(None, "GET", "/health/ready") == (503, "draining")
        assert await place.ask(None, "GET", "/health/live") == (200, {"status": "live"})
        assert await place.with_token(bearer("cat")) == (503, "draining")
        assert await place.refusal("?resume=" + ann.welcome["connection"] + "&token=" + bearer()) == (503, "draining")
        # What is already open goes on until its close.
        assert await ann.code() == 1012
        last.socket.transport.resume_reading()
        assert await last.code() == 1012


@against(rate_limit=10_000)
async def test_draining_outbound_queues_are_flushed(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as slow:
        slow.socket.transport.pause_reading()
        said = 0
        while await place.gauge("chatsim_outbound_queue_bytes") < 200_000:
            said += 1
            await ann.say(str(said), "x" * 60_000)
        place.server.stop.set()
        assert await ann.code() == 1012
        slow.socket.transport.resume_reading()
        for seq in range(1, said + 1):
            assert (await slow.find("message"))["seq"] == seq
        assert await slow.find("status", status="draining")
        assert await slow.code() == 1012
