"""A real server and a real crowd on one loop, for tests: no process, no scenario file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from chatsim.core.client import ClientConfig
from chatsim.core.config import HandlerConfig
from chatsim.core.frames import Body
from chatsim.live.admin import Admin
from chatsim.live.calendar import Calendar
from chatsim.live.crowd import Crowd
from chatsim.live.server import ServerSettings, serve
from chatsim.live.tokens import Purse
from chatsim.network.link import Link
from chatsim.people.people import Device, Person
from chatsim.scenario.model import Scenario

SECRET = b"0123456789abcdef0123456789abcdef"
ADMIN_KEY = b"fedcba9876543210fedcba9876543210"
HELLO = Body(b'"hello"')
PATIENCE_S = 20.0


class Constant:
    """Draws that are all equal."""

    def __init__(self, value: float) -> None:
        self.constant: float | None = value

    def next(self) -> float:
        """The one value."""
        assert self.constant is not None
        return self.constant


class Arena:
    """What a test may do: let people arrive and speak, and wait until something is so."""

    def __init__(self, crowd: Crowd, purse: Purse, admin: Admin) -> None:
        self.crowd = crowd
        self.admin = admin
        self.calendar = crowd.calendar
        self.purse = purse

    def add(self, name: str, *, group: str = "g", devices: int = 1, arrive: bool = True) -> Person:
        """A person in the session `s`, who comes at once."""
        config = ClientConfig(backoff_base_s=0.02, backoff_s_max=0.1)
        person = self.crowd.people.add(name, group, "s", devices=devices, seed=1, config=config)
        if arrive:
            self.crowd.people.arrive(self.calendar.now(), person)
        return person

    def say(self, person: Person) -> None:
        """She says hello now."""
        now = self.calendar.now()
        self.crowd.people.say(now, person, now, HELLO)

    def received(self) -> int:
        """How many (message, user) pairs arrived."""
        return sum(len(users) for users in self.crowd.people.receipts.values())

    async def until(self, so: Callable[[], object]) -> None:
        """Wait until it is so; fails after a time that no healthy machine needs."""
        async with asyncio.timeout(PATIENCE_S):
            while not so():
                assert self.calendar.failure is None, repr(self.calendar.failure)
                await asyncio.sleep(0.002)

    async def revoke(self, devices: Sequence[Device]) -> None:
        """Have the server refuse what they hold."""
        wall = time.time()
        await self.admin.revoke([jti for device in devices for jti in self.purse.held(device, wall)])

    async def joined(self, *persons: Person) -> None:
        """Wait until all their devices are in the session."""
        await self.until(lambda: all(device.joined for person in persons for device in person.devices))


def free_links(number: int, device: Device) -> tuple[Link, Link]:
    """A network that costs nothing, and could lose."""
    return Link(loss_draws=Constant(0.5)), Link(loss_draws=Constant(0.5))


def play(
    test: Callable[[Arena], Awaitable[None]],
    *,
    config: HandlerConfig | None = None,
    links: Callable[[int, Device], tuple[Link, Link]] = free_links,
    **crowd: Any,
) -> Crowd:
    """Run the test between the server's first and last line; returns the crowd."""
    group = [{"name": "g", "users": 1}, {"name": "bad", "users": 1, "credentials": "expired"}]
    words = {"name": "x", "duration": "1s", "groups": group, "expect": ["lost == 0"]}
    purse = Purse(Scenario.of(words), SECRET)

    async def run() -> Crowd:
        stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
        settings = ServerSettings(config=config or HandlerConfig(), keys=(SECRET,), admin_key=ADMIN_KEY)
        serving = asyncio.create_task(serve(settings, ready=listening.set_result, stop=stop))
        url = "ws" + (await listening).removeprefix("http") + "/ws"
        calendar = Calendar(asyncio.get_running_loop())
        made = Crowd(calendar, url, token=purse.token, links=links, **crowd)
        calendar.begin()
        try:
            await test(Arena(made, purse, Admin(url, ADMIN_KEY)))
        finally:
            await made.end()
            stop.set()
            await serving
        return made

    return asyncio.run(run())
