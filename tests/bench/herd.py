"""The herd of the live bench: thousands of real clients are told when to come back, and then all are dropped at once.

Decides how the server ends: it is asked to drain, and killed as soon as everybody has been told, so that what spreads
them is what they were told and nothing else. Rule: the clients are the library's own, and the next server is on the
same port and folder.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from chatsim.core.client import ClientConfig
from chatsim.core.config import HandlerConfig
from chatsim.errors import HarnessError
from chatsim.live.calendar import Calendar
from chatsim.live.crowd import Crowd
from chatsim.live.node import Node
from chatsim.live.pauses import no_full_collections
from chatsim.live.peer import Peer
from chatsim.live.tokens import Purse
from chatsim.network.link import Link
from chatsim.people.people import Device
from chatsim.scenario.model import Scenario

SECRET = b"a secret of the bench, known to all"
SESSION_SIZE = 10
ARRIVE_PER_S = 400.0
"""Below the accept rate of a server with default settings."""

WINDOW_S = 0.1
PATIENCE_S = 120.0
POLL_S = 0.02
_SCENARIO = Scenario.of({"name": "x", "duration": "1s", "groups": [{"name": "g", "users": 1}], "expect": ["lost == 0"]})


class Told(Crowd):
    """A crowd that counts who has been told when to come back."""

    told = 0

    def text(self, now: float, peer: Peer[Device], data: bytes) -> None:
        self.told += b'"draining"' in data
        super().text(now, peer, data)


async def _until(crowd: Crowd, so: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not so():
            if crowd.calendar.failure is not None:
                raise HarnessError(f"The herd failed: {crowd.calendar.failure!r}.")
            await asyncio.sleep(POLL_S)


async def _come_back(folder: Path, count: int) -> list[float]:
    """When each of so many people was back, in seconds since all were dropped."""

    def node(life: int, port: int) -> Node:
        return Node(
            HandlerConfig(),
            secret=SECRET,
            journal=folder / f"journal-{life}.jsonl",
            log=folder / f"log-{life}.txt",
            data=folder / "data",
            port=port,
        )

    def links(number: int, device: Device) -> tuple[Link, Link]:
        return Link(), Link()

    server = node(1, 0)
    calendar = Calendar(asyncio.get_running_loop())
    crowd = Told(calendar, server.url, token=Purse(_SCENARIO, SECRET).token, links=links)
    people = crowd.people
    try:
        calendar.begin()
        for number in range(count):
            session = f"s{number // SESSION_SIZE}"
            person = people.add(f"u{number}", "g", session, devices=1, seed=number, config=ClientConfig())

            def arrive(now: float, who: Any, _: object) -> None:
                people.arrive(now, who)

            calendar.at(number / ARRIVE_PER_S, arrive, person)
        await _until(crowd, lambda: all(device.joined for device in people.devices))
        os.kill(server.pid, signal.SIGTERM)
        await _until(crowd, lambda: crowd.told == count)
        port = urlsplit(server.url).port
        assert port is not None
        await asyncio.to_thread(server.kill)
        dropped_at = calendar.now()
        server = await asyncio.to_thread(node, 2, port)
        await _until(crowd, lambda: len(people.outages) == count and all(d.joined for d in people.devices))
    finally:
        await crowd.end()
        server.kill()
    return [row.joined_at - dropped_at for row in people.outages]


def come_back(count: int) -> list[float]:
    """The moments of one herd (s)."""
    with (
        tempfile.TemporaryDirectory(prefix="chatsim-bench-herd-") as name,
        # One of them takes as long as two windows, with so many clients in this process, and bunches what it delays.
        no_full_collections(),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_come_back(Path(name), count))


def busiest(moments: list[float]) -> float:
    """The share of the fullest 100 ms, wherever they begin."""
    ordered = sorted(moments)
    return max(bisect_left(ordered, at + WINDOW_S) - place for place, at in enumerate(ordered)) / len(ordered)
