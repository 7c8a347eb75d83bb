"""One scenario on the virtual wire: the live server and the live crowd on one virtual clock, and what happened.

Decides when a run is over. Rule: nothing here depends on anything but the scenario and its seed, so the same seed gives
the same bytes; what is played is the scenario as it stands, since five minutes need no shrinking here.
Judging what happened is left to the verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from chatsim.core.snapshot import Snapshot
from chatsim.errors import HarnessError
from chatsim.journal.record import RunRecord
from chatsim.journal.steps import Header, JournalWriter
from chatsim.live.admin import Admin
from chatsim.live.calendar import Calendar
from chatsim.live.crowd import Crowd
from chatsim.live.mischief import Mischief
from chatsim.live.tokens import Purse
from chatsim.network.link import Link
from chatsim.people.people import Device
from chatsim.people.plan import Plan
from chatsim.people.script import EPOCH, SETTLE_S, Script, settle_s_max
from chatsim.people.streams import Streams
from chatsim.people.strikes import Opening, Order
from chatsim.people.ways import both_ways
from chatsim.scenario import events as ev
from chatsim.scenario.model import Scenario
from chatsim.verdict.collect import collect
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.invariants.devices import DeviceRules
from chatsim.verdict.invariants.watch import SLACK_S, Watch
from chatsim.verdict.tally import Tally
from chatsim.virtual.carried import Carried
from chatsim.virtual.loop import VirtualLoop
from chatsim.virtual.node import Node, Observer
from chatsim.virtual.ties import ShuffledCalendar

SECRET = b"the clock is virtual, and so is what this key guards"
ADMIN_KEY = b"the-admin-key-of-a-node-that-nobody-can-reach"


class VirtualOutcome(msgspec.Struct):
    """What came of a run; `exposition` is the last scrape of the server's metrics, `violations` the invariants that did
    not hold, and it lasted for `lasted_s` of the run's own time.

    Moments at which something happened first of which the simulation knows nothing (s, inf: never): `held_at`, somebody
    had so much unread that the rest waits at the server; `lingered_at`, there were so many notices of delivery that one
    was not written at once; `impatient_at`, the node was killed for having drained too long.
    """

    record: RunRecord
    trace_hash: str
    exposition: bytes
    violations: list[Violation]
    lasted_s: float
    held_at: float = inf
    lingered_at: float = inf
    impatient_at: float = inf


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
    with asyncio.Runner(loop_factory=partial(VirtualLoop, scenario.ties)) as runner:
        return runner.run(_play(scenario, journal, progress, observers))


async def _play(
    scenario: Scenario,
    journal: Path | None,
    progress: Callable[[float], None] | None,
    observers: tuple[Observer, ...],
) -> VirtualOutcome:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert isinstance(loop, VirtualLoop)
    assert task is not None
    task.set_name(f"the run of {scenario.name}")
    run = _Run(loop, scenario, journal, observers)
    try:
        return await run.play(progress)
    finally:
        run.journal.close()


class _Run:
    """Everything of one run."""

    def __init__(self, loop: VirtualLoop, scenario: Scenario, journal: Path | None, more: tuple[Observer, ...]) -> None:
        self.loop = loop
        # What fails in a callback would only be logged, and the run go on without it.
        self.failure: BaseException | None = None
        loop.set_exception_handler(self._fails)
        self.scenario = scenario
        self.streams = Streams(scenario.seed)
        self.plan = Plan(scenario, self.streams)
        self.purse = Purse(scenario, SECRET)
        self.tally = Tally()
        lasting = any(isinstance(event, ev.NodeEvent) for event in scenario.events)
        snapshot = Snapshot() if lasting else None
        self.journal = JournalWriter(
            journal, Header(config=scenario.handler, epoch=EPOCH, seed=scenario.seed, snapshot=snapshot)
        )
        self.watch = Watch(
            scenario.handler, EPOCH, snapshot, handler=lambda: self.node.handler, forged=self.purse.forged
        )
        self.carried = carried = Carried(
            scenario.handler,
            self.watch.findings,
            now=loop.time,
            newest=lambda session: self.node.log.kept.newest(session),
        )
        loop.on_settled = carried.settle
        observers: tuple[Observer, ...] = (self.tally, self.journal, self.watch, carried, *more)
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
            on_knock=self.watch.knocks,
            carried=carried,
        )
        self.admin = Admin(self.node.url, ADMIN_KEY)
        make = Calendar if scenario.ties is None else partial(ShuffledCalendar, ties=scenario.ties)
        self.calendar = make(loop, sampled=False, clock=loop.time, timer_s=0.0)
        self.crowd = Crowd(
            self.calendar,
            self.node.url,
            token=self.purse.token,
            links=self._links,
            wall=lambda: EPOCH + loop.time(),
            # TLS is not played, but its round trip is.
            flights=2 if scenario.tls else 1,
        )
        self.devices = DeviceRules(self.watch.findings, slack_s=SLACK_S, scale=scenario.played_scale)
        self.crowd.people.watch = self.devices
        self.mischief = Mischief(
            self.crowd, self.plan.victims, self.purse, self, scenario.duration_s, self.node.clock_jump, opens=True
        )

    async def play(self, progress: Callable[[float], None] | None) -> VirtualOutcome:
        """Have the people act, and wait until all is settled or time is up."""
        scenario, crowd = self.scenario, self.crowd
        await self.admin.revoke(self.purse.spoilt)
        Script(scenario, self.plan, self.streams, crowd.people, self.calendar)
        self.mischief.schedule(scenario.events)
        self.calendar.begin()
        settle_s = settle_s_max(scenario)
        end_at = scenario.duration_s
        while (now := self.loop.time()) < end_at + settle_s and not self._settled(now):
            self._check()
            if progress is not None:
                progress(min(now / end_at, 1.0))
            await asyncio.sleep(min(SETTLE_S, end_at - now) if now < end_at else SETTLE_S)
        self._check()
        crowd.people.finish()
        record = self._record()
        now = self.loop.time()
        self.carried.finish(self.devices.shown)
        violations = self.watch.finish(
            now,
            record,
            handler=self.node.handler if self.node.up else None,
            open_=self.node.driver.open(),
            settled=self._settled(now),
            shown=self.devices.shown,
        )
        scrape = self.node.scrape()
        outcome = VirtualOutcome(
            record,
            self.journal.trace_hash,
            scrape,
            violations,
            now,
            held_at=crowd.held_at,
            lingered_at=self.node.lingered_at,
            impatient_at=self.node.impatient_at,
        )
        await self.mischief.end()
        await crowd.end()
        self.node.driver.close()
        return outcome

    def _settled(self, now: float) -> bool:
        crowd, node = self.crowd, self.node
        if now < self.scenario.duration_s or not node.up or node.driver.draining or self.mischief.busy():
            return False
        if node.handler.ledger.waiting or self.watch.unanswered or crowd.away():
            return False
        if any(gone.vanished and node.handler.knows(gone.name) for gone in crowd.gone):
            return False
        # Whether a message of somebody who is there has had no answer yet: it, or the answer, is under way.
        return not any(
            device.wanted
            and device.joined
            and (peer := crowd.peers.get(device.number)) is not None
            and not peer.vanished
            for device in crowd.people.asking.values()
        )

    def _fails(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failure = self.failure or context.get("exception") or HarnessError(f"{context['message']}.")

    def _check(self) -> None:
        failure = self.failure or self.calendar.failure
        if isinstance(failure, HarnessError):
            raise failure
        if failure is not None:
            raise HarnessError(f"The server or the crowd failed: {failure!r}.") from failure
        if self.crowd.faults:
            raise HarnessError(f"The server is broken: {self.crowd.faults[0]}.")

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

    def _links(self, number: int, device: Device) -> tuple[Link, Link]:
        return both_ways(self.scenario.group(device.user.group).network, self.streams, number)

    # What is done to the server.

    async def revoke(self, devices: Sequence[Device]) -> None:
        """Have it refuse the tokens that these devices hold."""
        wall = self.crowd.wall()
        while not self.node.up:  # noqa: ASYNC110 - the clock is virtual, and looking costs nothing
            # Whoever gives the order tries again until somebody is there to take it.
            await asyncio.sleep(SETTLE_S)
        await self.admin.revoke([jti for device in devices for jti in self.purse.held(device, wall)])

    async def give(self, order: Order) -> None:
        """Have its session service do this."""
        while not self.node.up:  # noqa: ASYNC110 - the clock is virtual, and looking costs nothing
            # Whoever gives the order tries again until somebody is there to take it.
            await asyncio.sleep(SETTLE_S)
        if isinstance(order, Opening):
            # Over HTTP a server gives it a name of its own, which is in nobody's token.
            self.node.driver.open_session(order.session, order.participants, order.ttl_s, None)
        else:
            await self.admin.give(order)

    async def hold_log(self, for_s: float) -> None:
        """Keep its log from being written for so long."""
        self.node.log.down_until = self.loop.time() + for_s
        await asyncio.sleep(for_s)

    async def end_node(self, event: ev.NodeEvent) -> bool:
        """Have it end as the event says, and begin again; returns whether it was there to end."""
        # A node that is only drained is replaced by the next as soon as it is empty.
        down_s = 0.0 if isinstance(event, ev.DrainNode) else event.down_s
        return await self.node.end(down_s, in_order=not isinstance(event, ev.CrashNode))
