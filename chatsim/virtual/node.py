"""The server of the live wire inside a virtual loop: one life after another, with one log.

Decides how a life begins and ends. Rule: what serves is what the live wire serves, from the first byte on; here is only
what a process and a disk are to it: a log that outlives it, and an end that nobody inside hears of.
Costs are none: on this wire the node's work takes no time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Protocol

from uvicorn.server import ServerState

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Effects, Record
from chatsim.core.facts import Fact
from chatsim.core.handler import ChatHandler
from chatsim.core.kept_log import KeptLog
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Keys
from chatsim.live.driver import Driver
from chatsim.live.front import Front
from chatsim.live.gate import Denial, Gate
from chatsim.live.http import Routes
from chatsim.live.log import LATER
from chatsim.live.metrics import scrape
from chatsim.live.protocol import HANDSHAKE_TIMEOUT_S
from chatsim.live.server import DRAIN_S_MAX, uvicorn_config
from chatsim.people.streams import Draws
from chatsim.virtual.carried import Carried
from chatsim.virtual.loop import VirtualLoop
from chatsim.virtual.transport import MemoryServer


class Observer(Protocol):
    """Hears of every input with the effects it had."""

    def step(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None: ...


class _Door(Gate):
    """The gate, and somebody who hears how it answers whoever knocks with a good token."""

    on_knock: Callable[[float, str, str, str], None]

    def _room(self, resume: str, user: str) -> Denial | None:
        found = super()._room(resume, user)
        self.on_knock(self.driver.now(), user, resume, "" if found is None else found.code)
        return found


class SlowLog:
    """The port of a log in memory that takes its time, and may be out of order for a while (moments in s)."""

    def __init__(self, loop: VirtualLoop, latency: Draws) -> None:
        self.kept = KeptLog()
        self.down_until = -inf
        self.driver: Driver | None = None
        self._loop = loop
        self._latency = latency

    def append(self, record: Record) -> Record:
        """Stored at once where that takes no time, else the driver hears of it later."""
        now = self._loop.time()
        latency_s = self._latency.next()
        if latency_s <= 0.0 and now >= self.down_until:
            return self.kept.append(record)
        self._loop.call_at(now + latency_s, self._answer, record, self.driver)
        return LATER

    def _answer(self, record: Record, asked: Driver | None) -> None:
        if self.driver is None or asked is not self.driver:
            return  # it was on its way when the node ended, and nobody was told that it was stored
        if self._loop.time() < self.down_until:
            self.driver.logged((), (record,))
        else:
            self.driver.logged((self.kept.append(record),), ())

    def note(self, fact: Fact) -> None:
        """Keep a fact."""
        self.kept.note(fact)

    def settled(self, answered: Callable[[bool], None]) -> None:
        """Say at once that every fact is kept: only messages take their time."""
        answered(True)

    def history(self, session: str, after: int, limit: int) -> list[Record]:
        """What was said, oldest first."""
        return self.kept.history(session, after, limit)


class Node:
    """One server on one port of the loop, whose clock is the run's: moment 0 is the loop's 0."""

    def __init__(
        self,
        loop: VirtualLoop,
        config: HandlerConfig,
        *,
        seed: int,
        epoch: float,
        secret: bytes,
        admin_key: bytes,
        latency: Draws,
        lasting: bool,
        observers: tuple[Observer, ...],
        on_begin: Callable[[Snapshot], None],
        on_knock: Callable[[float, str, str, str], None] = lambda now, user, former, reason: None,
        carried: Carried | None = None,
    ) -> None:
        """`epoch` is the wall time of moment 0, `latency` how long an append takes (s); a node that is not `lasting`
        never begins again, and is told nothing of what its log keeps. `on_begin` hears of each further life, `on_knock`
        when a user asked to be let in, the former connection that she named, and why she is not ("": she is), `carried`
        of every connection and of each end."""
        self.loop = loop
        self.log = SlowLog(loop, latency)
        self._config = config
        self._epoch = epoch
        self._keys = Keys((secret,), config.algorithms)
        self._admin_key = admin_key
        self._observers = observers
        self._on_begin = on_begin
        self._on_knock = on_knock
        self._carried = carried
        self._life = 0
        self._lasting = lasting
        self._port = 0
        self.handler: ChatHandler
        self.driver: Driver
        self._gate: Gate
        self._server: MemoryServer
        self.up = False
        # When first it was killed for having drained too long (s, inf: never).
        self.impatient_at = inf
        self._lingered_at = inf
        snapshot = Snapshot() if lasting else None
        self._serve(ChatHandler(config, epoch=epoch, seed=seed, snapshot=snapshot))

    def step(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None:
        """The driver's journal."""
        for observer in self._observers:
            observer.step(now, door, args, effects)

    @property
    def url(self) -> str:
        """Where the chat is."""
        return f"ws://127.0.0.1:{self._port}/ws"

    @property
    def lingered_at(self) -> float:
        """When first there were so many notices of delivery, in any life, that one was not written at once (s, inf:
        never)."""
        return min(self._lingered_at, self.driver.lingered_at)

    def scrape(self) -> bytes:
        """The text exposition of the node, now."""
        return scrape(self.handler, self.driver, self._gate)

    def _serve(self, handler: ChatHandler) -> None:
        loop = self.loop
        self.handler = handler
        self.driver = driver = Driver(
            handler,
            self.log,
            loop=loop,
            epoch=self._epoch,
            journal=self,
            # A log that lasts counts its first life as one.
            life=self._life + self._lasting,
            zero_at=0.0,
            outbound_frames=self._config.outbound_frames,
            outbound_bytes=self._config.outbound_bytes,
        )
        self.log.driver = driver
        self._gate = gate = _Door(driver, self._keys, self._config, seed=self._life)
        gate.on_knock = self._on_knock
        metrics = partial(scrape, handler, driver, gate)
        app = Routes(gate, admin_key=self._admin_key, minter=None, metrics=metrics).app()
        made = uvicorn_config(app, gate, None, HANDSHAKE_TIMEOUT_S)
        state = ServerState()
        self._server = loop.listen(lambda: Front(made, state, {}, loop), self._port)
        if self._carried is not None:
            self._server.on_accept = self._carried.accepted
        self._port = self._server.port
        self.up = True

    def clock_jump(self, by_s: float) -> None:
        """Its wall clock is set so far ahead (back, if negative), for this life and the next."""
        self._epoch += by_s
        if self.up:
            self.driver.clock_jump(by_s)

    # Ends and beginnings.

    async def end(self, down_s: float, *, in_order: bool) -> bool:
        """End this life, killed or in order, and begin the next `down_s` after its end; False where it has ended.

        Who drains can be killed, and then the next begins as after any kill; it cannot be told a second time to drain.
        """
        if not self.up or (in_order and self.driver.draining):
            return False
        driver = self.driver
        if in_order:
            driver.drain()
            try:
                async with asyncio.timeout(DRAIN_S_MAX):
                    await driver.empty.wait()
            except TimeoutError:
                self.impatient_at = min(self.impatient_at, self.loop.time())
        # Who was killed while it drained is another's to begin again.
        if self.driver is driver and self.up:
            self._die()
            await asyncio.sleep(down_s)
            self._begin()
        return True

    def _die(self) -> None:
        """Nothing more is stored or sent, and whoever is connected finds the connection cut."""
        self.up = False
        self._life += 1
        self._lingered_at = self.lingered_at
        self.log.driver = None
        if self._carried is not None:
            self._carried.ended()
        self._server.kill()
        self.driver.close()
        # Whoever waits until everybody has gone waits no longer.
        self.driver.empty.set()

    def _begin(self) -> None:
        """Another process takes over, with what the log knows."""
        now, old, seed = self.loop.time(), self._config, self._life
        snapshot = self.log.kept.snapshot(old, self._epoch + now)
        first = self.log.kept.newest_epoch + 1
        handler = ChatHandler(old, epoch=self._epoch, seed=seed, snapshot=snapshot, first_epoch=first, start=now)
        self.step(now, "begin", (snapshot, self._epoch, seed, first), NOTHING)
        self._serve(handler)
        self._on_begin(snapshot)
