"""One scenario on the virtual wire: the live server and the live crowd on one virtual clock, and what happened.

Decides when a run is over. Rule: nothing here depends on anything but the scenario and its seed, so the same seed gives
the same bytes; what is played is the scenario as it stands, since five minutes need no shrinking here.
Judging what happened is left to the verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from chatsim.core.snapshot import Snapshot
from chatsim.journal.record import RunRecord
from chatsim.journal.steps import Header, JournalWriter
from chatsim.live.admin import Admin
from chatsim.live.calendar import Calendar
from chatsim.live.crowd import Crowd
from chatsim.live.mischief import Mischief, NodeEvent
from chatsim.live.tokens import Purse
from chatsim.load.people import Device
from chatsim.load.plan import Plan
from chatsim.load.script import Script
from chatsim.load.streams import UNIFORM, Streams
from chatsim.network.link import Link
from chatsim.scenario import events as ev
from chatsim.scenario.distributions import Constant
from chatsim.scenario.model import Scenario
from chatsim.verdict.collect import collect
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.invariants.watch import Watch
from chatsim.verdict.tally import Tally
from chatsim.virtual.loop import VirtualLoop
from chatsim.virtual.node import Node, Observer

EPOCH = 1_700_000_000.0
"""Wall time of the start of every run (s since 1970): a constant, so that journals of equal seeds are equal."""

SECRET = b"the clock is virtual, and so is what this key guards"
ADMIN_KEY = b"the-admin-key-of-a-node-that-nobody-can-reach"
NODE_EVENTS = (ev.RestartNode, ev.CrashNode, ev.DrainNode)
POLL_S = 0.5


class VirtualOutcome(msgspec.Struct):
    """What came of a run; `exposition` is the last scrape of the server's metrics, `violations` the invariants that did
    not hold, and it lasted for `lasted_s` of the run's own time."""

    record: RunRecord
    trace_hash: str
    exposition: bytes
    violations: list[Violation]
    lasted_s: float


def run_virtual(
    scenario: Scenario,
    *,
    journal: Path | None = None,
    progress: Callable[[float], None] | None = None,
    observers: tuple[Observer, ...] = (),
) -> VirtualOutcome:
    """Play the scenario; `journal` is where the server's journal goes (None: only its hash), `progress` hears the share
    done, and `observers` hear of every step of the server's handler.

    Raises UsageError for what this wire cannot play, HarnessError where it failed.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_play(scenario, journal, progress, observers))


async def _play(
    scenario: Scenario,
    journal: Path | None,
    progress: Callable[[float], None] | None,
    observers: tuple[Observer, ...],
) -> VirtualOutcome:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    run = _Run(loop, scenario, journal, observers)
    try:
        return await run.play(progress)
    finally:
        run.journal.close()


class _Run:
    """Everything of one run."""

    def __init__(self, loop: VirtualLoop, scenario: Scenario, journal: Path | None, more: tuple[Observer, ...]) -> None:
        self.loop = loop
        self.scenario = scenario
        self.streams = Streams(scenario.seed)
        self.plan = Plan(scenario, self.streams)
        self.purse = Purse(scenario, SECRET)
        self.tally = Tally()
        lasting = any(isinstance(event, NODE_EVENTS) for event in scenario.events)
        snapshot = Snapshot() if lasting else None
        self.journal = JournalWriter(
            journal, Header(config=scenario.handler, epoch=EPOCH, seed=scenario.seed, snapshot=snapshot)
        )
        self.watch = Watch(scenario.handler, EPOCH, snapshot, handler=lambda: self.node.handler)
        observers: tuple[Observer, ...] = (self.tally, self.journal, self.watch, *more)
        self.node = Node(
            loop,
            scenario.handler,
            seed=scenario.seed,
            epoch=EPOCH,
            secret=SECRET,
            admin_key=ADMIN_KEY,
            latency=self.streams.draws("log/latency", 0, scenario.log.latency),
            lasting=lasting,
            observers=observers,
            on_begin=lambda snapshot: self.tally.begin(snapshot, self.node.handler.ledger.pairs()),
        )
        self.admin = Admin(self.node.url, ADMIN_KEY)
        self.calendar = Calendar(loop, sampled=False, clock=loop.time, timer_s=0.0)
        self.crowd = Crowd(
            self.calendar, self.node.url, token=self.purse.token, links=self._links, wall=lambda: EPOCH + loop.time()
        )
        self.mischief = Mischief(self.crowd, self._choose, self.purse.expiring, self, scenario.duration_s)

    async def play(self, progress: Callable[[float], None] | None) -> VirtualOutcome:
        """Have the people act, and wait until all is settled or time is up."""
        scenario, crowd = self.scenario, self.crowd
        await self.admin.revoke(self.purse.spoilt)
        Script(scenario, self.plan, self.streams, crowd.people, self.calendar)
        self.mischief.schedule(scenario.events)
        self.calendar.begin()
        handler = scenario.handler
        settle_s = (
            handler.retry_interval_s * (handler.retries + 1)
            + handler.retention_s
            + handler.stale_after_s
            + handler.sweep_interval_s
            + 60.0 * scenario.played_scale
        )
        while (now := self.loop.time()) < scenario.duration_s + settle_s and not self._settled(now):
            self._check()
            if progress is not None:
                progress(min(now / scenario.duration_s, 1.0))
            await asyncio.sleep(POLL_S)
        self._check()
        crowd.people.finish()
        record = self._record()
        now = self.loop.time()
        violations = self.watch.finish(
            now, record, handler=self.node.handler if self.node.up else None, settled=self._settled(now)
        )
        outcome = VirtualOutcome(record, self.journal.trace_hash, self.node.scrape(), violations, now)
        await self.mischief.end()
        await crowd.end()
        self.node.driver.close()
        return outcome

    def _settled(self, now: float) -> bool:
        crowd, node = self.crowd, self.node
        if now < self.scenario.duration_s or not node.up or node.driver.draining or self.mischief.busy():
            return False
        if node.handler.ledger.waiting or crowd.away():
            return False
        if any(gone.vanished and node.handler.knows(gone.name) for gone in crowd.gone):
            return False
        return not any(d.client.unacked for d in crowd.people.devices if d.wanted and d.number in crowd.peers)

    def _check(self) -> None:
        if self.calendar.failure is not None:
            raise self.calendar.failure
        assert not self.crowd.faults, self.crowd.faults

    def _record(self) -> RunRecord:
        return collect(
            self.scenario,
            self.crowd.people,
            self.tally,
            self.node.handler.ledger,
            detections=self.crowd.found(self._closed_at),
            fired=self.mischief.fired,
            # The node's work takes no time on this wire, so that its loop is never late.
            loop_lag_s=[0.0],
            utilisation=0.0,
        )

    def _closed_at(self, name: str) -> float:
        closed = self.tally.closed.get(name)
        return inf if closed is None else closed[0]

    def _choose(self, number: int, event: ev.VictimEvent, there: list[int]) -> Sequence[int]:
        return self.plan.victims(number, event, there)

    def _links(self, number: int, device: Device) -> tuple[Link, Link]:
        network = self.scenario.group(device.user.group).network
        return self._link("up", number, network), self._link("down", number, network)

    def _link(self, way: str, number: int, network: Any) -> Link:
        latency = network.latency
        return Link(
            None if latency == Constant(value=0.0) else self.streams.draws(f"latency/{way}", number, latency),
            network.loss,
            self.streams.draws(f"loss/{way}", number, UNIFORM),
            network.bandwidth_bits_per_s,
        )

    # What is done to the server.

    async def revoke(self, devices: Sequence[Device]) -> None:
        """Have it refuse the tokens that these devices hold."""
        wall = self.crowd.wall()
        while not self.node.up:  # noqa: ASYNC110 - the clock is virtual, and looking costs nothing
            # Whoever gives the order tries again until somebody is there to take it.
            await asyncio.sleep(POLL_S)
        await self.admin.revoke([jti for device in devices for jti in self.purse.held(device, wall)])

    async def hold_log(self, for_s: float) -> None:
        """Keep its log from being written for so long."""
        self.node.log.down_until = self.loop.time() + for_s
        await asyncio.sleep(for_s)

    async def end_node(self, event: NodeEvent) -> bool:
        """Have it end as the event says, and begin again; returns whether it was there to end."""
        # A node that is only drained is replaced by the next as soon as it is empty.
        down_s = 0.0 if isinstance(event, ev.DrainNode) else event.down_s
        return await self.node.end(down_s, in_order=not isinstance(event, ev.CrashNode))
