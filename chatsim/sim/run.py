"""One scenario in virtual time: puts node, crowd, script and faults together, plays them, and hands over what happened.

Rule: nothing here depends on anything but the scenario and its seed, so the same seed gives the same bytes.
Sending stops at the scenario's duration; the run goes on until all is settled, within a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from chatsim.core.handler import ChatHandler
from chatsim.core.histogram import Histogram
from chatsim.core.kept_log import KeptLog
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims
from chatsim.journal.record import RunRecord
from chatsim.journal.steps import Header, JournalWriter
from chatsim.network.link import Link
from chatsim.people.lateness import ON_TIME, Lateness
from chatsim.people.people import Device
from chatsim.people.plan import Plan
from chatsim.people.script import EPOCH, SETTLE_S, Script, settle_s_max
from chatsim.people.streams import Streams
from chatsim.people.tokens import REVOKED_JTI
from chatsim.people.ways import both_ways
from chatsim.scenario.events import NodeEvent, Revoke, hands_in_revoked
from chatsim.scenario.model import Group, Scenario
from chatsim.sim.crowd import SPOILT, BusyCrowd, Crowd, Knock
from chatsim.sim.engine import Engine, ShuffledEngine
from chatsim.sim.event_loop import EventLoop
from chatsim.sim.faults import Faults
from chatsim.sim.node import Node, Observer
from chatsim.sim.pipe import lane
from chatsim.telemetry.figures import LAG_EDGES_S, Family, Shell, families
from chatsim.verdict.collect import collect
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.invariants.devices import DeviceRules
from chatsim.verdict.invariants.watch import SLACK_S, Watch
from chatsim.verdict.tally import Tally

LAG_SAMPLE_S = 0.1
QUANTUM_S = 0.25


class Simulated(msgspec.Struct):
    """What came of a simulated run; `families` are what a scrape of the node at its end would tell, `violations` the
    invariants that did not hold, and it lasted for `lasted_s` of the run's own time; `commits` are when
    each commit of the log's own thread began and was to end."""

    record: RunRecord
    trace_hash: str
    families: list[Family]
    violations: list[Violation]
    lasted_s: float
    commits: list[tuple[float, float]] = []


def simulate(
    scenario: Scenario,
    *,
    journal: Path | None = None,
    progress: Callable[[float], None] | None = None,
    observers: tuple[Observer, ...] = (),
    loop: EventLoop | None = None,
    late: Lateness = ON_TIME,
) -> Simulated:
    """Play the scenario; `journal` is where the node's journal goes (None: only its hash), `progress` hears the share
    done, `observers` hear of every step of the node, and `loop` is the node's, where somebody measures it. The crowd
    writes as `late` as another did.

    Raises UsageError for what the simulation cannot play.
    """
    world = _World(scenario, journal, observers, loop, late)
    try:
        return world.play(progress)
    finally:
        world.journal.close()


class _World:
    """Everything of one simulated run."""

    def __init__(
        self,
        scenario: Scenario,
        journal: Path | None,
        more: tuple[Observer, ...],
        loop: EventLoop | None = None,
        late: Lateness = ON_TIME,
    ) -> None:
        self.scenario = scenario
        self.streams = streams = Streams(scenario.seed)
        self.engine = engine = (
            Engine(quantum_s=QUANTUM_S)
            if scenario.ties is None
            else ShuffledEngine(scenario.ties, lane, quantum_s=QUANTUM_S)
        )
        # A log that lasts costs memory and notes, so there is one only where somebody will ask for what it knows.
        log = KeptLog() if any(isinstance(event, NodeEvent) for event in scenario.events) else None
        snapshot = None if log is None else Snapshot()
        handler = ChatHandler(scenario.handler, epoch=EPOCH, seed=scenario.seed, snapshot=snapshot)
        self.plan = Plan(scenario, streams)
        self.tally = Tally()
        header = Header(config=scenario.handler, epoch=EPOCH, seed=scenario.seed, snapshot=snapshot)
        self.journal = JournalWriter(journal, header)
        # A clock that counts in steps is late for a ping by one of them, and for its missing pong by another.
        step_s = 0.0 if scenario.costs.timer_step is None else scenario.costs.timer_step.mean
        self._slack_s = slack_s = SLACK_S + 2 * step_s
        self.watch = Watch(scenario.handler, EPOCH, snapshot, slack_s=slack_s, handler=lambda: self.node.handler)
        observers: tuple[Observer, ...] = (self.tally, self.journal, self.watch, *more)
        durable = scenario.log.store == "sqlite"
        self.node = Node(
            engine, handler, streams, scenario.spent, scenario.log.latency, observers, log, durable=durable, loop=loop
        )
        self.node.on_begin = lambda snapshot: self.tally.begin(snapshot, self.node.handler.ledger.pairs())
        self.node.on_knock = self.watch.knocks
        knocks = {group.name: _knock(group, scenario, self.plan) for group in scenario.groups}
        # Names of tokens cost memory, so that they have some only where somebody will ask for them.
        named = any(isinstance(event, Revoke) and event.of == "tokens" for event in scenario.events)
        self.crowd = (BusyCrowd if late.busy else Crowd)(engine, self.node, self._links, knocks, named=named)
        if isinstance(self.crowd, BusyCrowd):
            self.crowd.reads_s, self.crowd.frames_s, self.crowd.writes_s = late.reads_s, late.frames_s, late.writes_s
        self.devices = DeviceRules(self.watch.findings, slack_s=slack_s, scale=scenario.played_scale)
        self.crowd.people.watch = self.devices
        self.script = Script(scenario, self.plan, streams, self.crowd.people, engine, late)
        self.faults = Faults(engine, self.node, self.crowd, self.plan.victims, scenario.duration_s)
        self.faults.schedule(scenario.events)
        if hands_in_revoked(scenario.events) or any(group.credentials == "revoked" for group in scenario.groups):
            engine.at(0.0, self.node.revoke, lambda: (REVOKED_JTI,))
        self.lags: list[float] = []
        self.utilisation = 0.0
        engine.at(LAG_SAMPLE_S, self._sample)
        engine.at(scenario.duration_s, self._ends)
        engine.at(scenario.duration_s, self._look)

    def play(self, progress: Callable[[float], None] | None) -> Simulated:
        """Run to the end, and collect."""
        scenario = self.scenario
        bound = scenario.duration_s + settle_s_max(scenario)
        told = None if progress is None else lambda now: progress(min(now / scenario.duration_s, 1.0))
        self.engine.run(bound, progress=told)
        if told is not None:
            told(self.engine.now)
        self.crowd.people.finish()
        self.journal.close()
        record, now = self._record(), self.engine.now
        violations = self.watch.finish(
            now,
            record,
            handler=self.node.handler if self.node.up else None,
            open_=self._open(),
            settled=now >= scenario.duration_s and self._settled(),
            shown=self.devices.shown,
        )
        spans = [] if self.node.commits is None else self.node.commits.spans
        return Simulated(record, self.journal.trace_hash, self._families(), violations, now, spans)

    def _open(self) -> list[str]:
        """The connections that the node has, by name."""
        return [name for name, pipe in self.node.pipes.items() if pipe.server_open]

    def _families(self) -> list[Family]:
        node = self.node
        lag = Histogram(LAG_EDGES_S)
        for lag_s in self.lags:
            lag.observe(lag_s)
        shell = Shell(
            open=len(self._open()),
            departed=node.departed,
            refused=node.handshakes_refused,
            loop_lag=lag,
            queued_bytes=int(node.queued_bytes(self.engine.now)),
            draining=node.draining,
        )
        return families(node.handler, shell)

    def _record(self) -> RunRecord:
        return collect(
            self.scenario,
            self.crowd.people,
            self.tally,
            self.node.handler.ledger,
            detections=self.crowd.found(),
            fired=self.faults.fired,
            loop_lag_s=self.lags,
            utilisation=self.utilisation,
        )

    def _look(self, now: float, _: Any, __: Any) -> None:
        """Look whether all is settled, behind whatever else is due at this moment."""
        self.engine.at(now, self._judge)

    def _judge(self, now: float, _: Any, __: Any) -> None:
        """End the run if all is settled, or look again a while later."""
        if self._settled():
            self.engine.stop()
        self.engine.at(now + SETTLE_S, self._look)

    def _settled(self) -> bool:
        if not self.node.up or self.node.draining or self.script.writing:
            return False
        if self.node.handler.ledger.waiting or self.watch.unanswered:
            return False
        if self.crowd.undetected() or self.crowd.unanswered():
            return False
        return not any(device.wanted and device.client.state == "waiting" for device in self.crowd.people.devices)

    def _sample(self, now: float, _: Any, __: Any) -> None:
        lag_s = self.node.loop.lag_s(now)
        self.lags.append(lag_s)
        # Who waits for the loop is served no sooner than that, and no rule promises otherwise.
        self.watch.slack_s = max(self.watch.slack_s, self._slack_s + lag_s)
        if self.node.limits:
            for pipe in self.node.pipes.values():
                if pipe.limited:
                    self.watch.holds(now, pipe.name, int(pipe.queued_bytes(now)))
        if now + LAG_SAMPLE_S <= self.scenario.duration_s:
            self.engine.at(now + LAG_SAMPLE_S, self._sample)

    def _ends(self, now: float, _: Any, __: Any) -> None:
        # Work that was begun and ends after this moment belongs to the time after.
        self.utilisation = (self.node.loop.busy_s - self.node.loop.lag_s(now)) / now

    def _links(self, number: int, device: Device) -> tuple[Link, Link]:
        network = self.scenario.group(device.user.group).network
        return both_ways(network, self.streams, number)


def _knock(group: Group, scenario: Scenario, plan: Plan) -> Knock:
    sessions = {user.name: (user.session,) for user in plan.users if user.group == group.name}
    spoilt = SPOILT.get(group.credentials)

    def claims(user: str, now: float) -> Claims | None:
        if spoilt is None:
            return None
        wall = EPOCH + now
        return spoilt(Claims(sub=user, exp=wall + group.token_ttl_s, iat=wall, sessions=sessions[user]))

    return Knock(claims, verified=group.credentials != "missing", tls=scenario.tls)
