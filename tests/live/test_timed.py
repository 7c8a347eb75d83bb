"""The crowd that is measured: how often it read, what was there, and how long that took."""

from __future__ import annotations

import asyncio

import pytest

from chatsim.core.client import ClientConfig
from chatsim.core.frames import Heartbeat, ServerFrame, encode
from chatsim.live.calendar import Calendar
from chatsim.live.peer import Peer
from chatsim.live.timed import TimedCrowd
from chatsim.people.people import Device
from tests.live.arena import free_links

FRAME = encode(Heartbeat(1.0, {}))


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_frames_of_one_connection_at_one_moment_were_read_together() -> None:
    async def test() -> None:
        calendar, clock = Calendar(asyncio.get_running_loop()), Clock()
        url = "ws://127.0.0.1:1/ws"
        crowd = TimedCrowd(calendar, url, token=lambda device, wall: None, links=free_links, clock=clock)
        people = [crowd.people.add(name, "g", "s", devices=1, seed=1, config=ClientConfig()) for name in ("ann", "bob")]
        devices = [device for person in people for device in person.devices]
        ann, bob = (Peer[Device](crowd, calendar, device, url, None, free_links(1, device)) for device in devices)

        def hears(now: float, device: Device, frame: ServerFrame) -> None:
            clock.now += 0.5

        crowd.on_frame = hears
        for now, peer in ((1.0, ann), (1.0, ann), (1.0, bob), (2.0, bob), (3.0, ann), (3.0, ann)):
            crowd.text(now, peer, FRAME)
        assert crowd.health() == {"crowd_reads": 4, "crowd_frames": 6, "crowd_heard_s": pytest.approx(3.0)}
        crowd.text(3.0, ann, b"nonsense")
        assert crowd.frames == 7, "it took its time, too"

    asyncio.run(test())
