"""One scenario on real sockets: a server process, a crowd of real clients, and what happened.

Decides when a live run is over, and whether it may be believed. Rule: what the server did is read from its journal
alone, what people saw
from the crowd alone; a run in which the crowd itself was late is invalid.
Judging what happened is left to the verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvloop

from chatsim.core.frames import HeartbeatIn
from chatsim.errors import HarnessError
from chatsim.journal.lives import of_life
from chatsim.journal.record import RunRecord
from chatsim.live.admin import Admin
from chatsim.live.calendar import Calendar
from chatsim.live.cores import cores, held_to
from chatsim.live.crowd import Crowd
from chatsim.live.follower import SLACK_S, Follower
from chatsim.live.lives import Lives
from chatsim.live.metrics import connections, frames
from chatsim.live.mischief import Mischief, check_events
from chatsim.live.node import Node
from chatsim.live.notes import read as read_notes
from chatsim.live.pauses import no_collections, no_full_collections
from chatsim.live.sentinel import sentinels, stolen
from chatsim.live.speed import Glance
from chatsim.live.sqlite_log import hold
from chatsim.live.stalls import StallWatch
from chatsim.live.stolen import StolenWatch
from chatsim.live.timed import TimedCrowd
from chatsim.live.tls import client_context, self_signed
from chatsim.live.tokens import Purse
from chatsim.live.wakeful import Wakeful
from chatsim.network.link import Link
from chatsim.people.people import Device
from chatsim.people.plan import Plan
from chatsim.people.script import Script, settle_s_max
from chatsim.people.streams import Streams
from chatsim.people.strikes import Order
from chatsim.people.ways import both_ways
from chatsim.scenario import events as ev
from chatsim.scenario.model import Scenario
from chatsim.verdict.collect import collect
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.invariants.devices import DeviceRules
from chatsim.verdict.stalls import Stall, Stalls

LATE_S_MAX = 0.05
"""Beyond this, at the 99th percentile of its own lateness, the crowd and not the server is what was measured."""

POLL_S = 0.05
PAUSE_S = 0.01
"""How long the crowd's loop rests between two looks, and between two that have not yet come to the journal's end."""
FOLLOW_S_PLAYING = 0.005
FOLLOW_S_SETTLING = 0.02
"""How long the crowd's loop may be kept busy with the journal, once per poll: while people act, and after."""

POKE_S = 0.25
ACKS_S_MAX = 5.0
"""After the end of sending, acks that have not come for so long are waited for no more."""

CLOSED_BY_END = 1012

STALLS, SPEED = "stalls", "speed"
"""Files of what each life of the server notes of itself, as their names begin."""


class LiveOutcome(msgspec.Struct):
    """What came of a live run; `exposition` is the last scrape of the server's metrics, `health` how well the harness
    itself did (s, counts), `why_invalid` one sentence, `busy` says that it is the machine's fault, `violations` are the
    invariants that did not hold, `stalls` when the machine did not run the server or the crowd, and `late_s` by how
    much the crowd was late (s) in writing each message of the record, in its order. `glances` are those at the server's
    speed while people acted, and `stolen` when the host ran other guests meanwhile, of a run that was measured
    closely; moments are the run's."""

    record: RunRecord
    trace_hash: str
    exposition: bytes
    valid: bool
    why_invalid: str
    busy: bool
    health: dict[str, Any]
    violations: list[Violation]
    stalls: Stalls
    late_s: Sequence[float]
    glances: Sequence[Glance]
    stolen: Sequence[Stall]


def run_live(
    scenario: Scenario,
    *,
    seed: int,
    out_dir: Path,
    progress: Callable[[float], None] | None = None,
    closely: bool = False,
) -> LiveOutcome:
    """Play the scenario with its `live:` overrides; the journal and the server's log go into `out_dir`.

    `progress` hears the share done. What is measured `closely` has a core of its own for the server and one for the
    crowd, which then never sleeps (`wakeful`), where there are two, a server that runs `ahead` of what else the machine
    does, and a probe of its speed; its journal is read when people have stopped acting: the crowd's loop is never busy
    with it while latencies are measured, and a long run takes longer to end. Raises UsageError for what the live wire
    cannot play, HarnessError where it failed.
    """
    told = scenario.with_seed(seed).with_live_overrides()
    played = told.scaled()
    check_events(played.events, jumps=True)
    clock = _Clock() if any(isinstance(event, ev.ClockJump) for event in played.events) else None
    secret, admin_key = (secrets.token_urlsafe(48).encode() for _ in range(2))
    purse = Purse(played, secret)
    held = cores() if closely else None
    server_core, crowd_core = held or (None, None)
    journal = out_dir / "journal.jsonl"
    with contextlib.ExitStack() as stack:
        log = out_dir / "server.log"
        scale = told.time_scale
        notes = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chatsim-notes-")))
        # The log that lasts is what people run; what it holds is in the journal too, so it goes when the run is over.
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chatsim-data-")))
        kept = None if told.log.store == "memory" else data
        tls = stack.enter_context(self_signed()) if played.tls else None

        def make(life: int, port: int) -> Node:
            with held_to(server_core, ahead=True):
                return Node(
                    told.handler,
                    secret=secret,
                    admin_key=admin_key,
                    journal=of_life(journal, life),
                    data=kept,
                    log=of_life(log, life),
                    port=port,
                    tls=tls,
                    time_scale=scale,
                    clock_ahead_s=None if clock is None else clock.ahead_s,
                    stalls=of_life(notes / STALLS, life),
                    speed=of_life(notes / SPEED, life) if closely else None,
                )

        lives = Lives(make, lambda life: follower.begin(of_life(journal, life)))
        stack.callback(lives.stop)
        follower = stack.enter_context(contextlib.closing(Follower(journal, purse.forged)))
        trust = None if tls is None else client_context(tls.cert)
        run = _Run(
            played, lives, trust, purse, admin_key, follower, data, clock,
            follows=not closely, held=held,
        )  # fmt: skip
        with (
            sentinels(held or (), notes) as watched,
            held_to(crowd_core),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(run.play(progress))
        code = lives.stop()
        if code != 0:
            lives.check()
        for path in notes.glob(f"{STALLS}*"):
            run.stalls += read_notes(path, Stall, "stalls")
        for path in notes.glob(f"{SPEED}*"):
            run.glances += read_notes(path, Glance, "speed")
        if held and watched:
            run.taken = stolen(notes)
        return run.outcome()


class _Clock:
    """How far the server's wall clock is ahead of the machine's (s)."""

    def __init__(self) -> None:
        self.ahead_s = 0.0


class _Run:
    """Everything of one live run."""

    def __init__(
        self,
        scenario: Scenario,
        lives: Lives,
        trust: ssl.SSLContext | None,
        purse: Purse,
        admin_key: bytes,
        follower: Follower,
        data: Path,
        clock: _Clock | None,
        *,
        follows: bool,
        held: tuple[int, int] | None,
    ) -> None:
        """Who `follows` reads the journal while people act; a crowd that is `held` to the second of these cores, and
        its server to the first, never sleeps."""
        self.follows = follows
        self.held = held
        self.clock = clock
        self.data = data
        self.scenario = scenario
        self.lives = lives
        self.trust = trust
        self.follower = follower
        self.streams = Streams(scenario.seed)
        self.plan = Plan(scenario, self.streams)
        self.purse = purse
        self.admin_key = admin_key
        self.utilisation = self.stolen_s = self.lasted_s = 0.0
        self.busy: dict[str, float] = {}
        self.taken: list[Stall] = []
        self.stalls: list[Stall] = []
        self.glances: list[Glance] = []
        self.settled = False
        self.exposition = b""
        self.calendar: Calendar
        self.admin: Admin
        self.crowd: Crowd
        self.devices: DeviceRules
        self.mischief: Mischief

    async def play(self, progress: Callable[[float], None] | None) -> None:
        """Have the people act, and wait until all is settled or time is up."""
        scenario = self.scenario
        self.admin = Admin(self.lives.url, self.admin_key, self.trust)
        await self.admin.revoke(self.purse.spoilt)
        loop = asyncio.get_running_loop()
        self.calendar = calendar = Calendar(loop)
        narrow = {e.group for e in scenario.events if isinstance(e, ev.SlowReader)}
        self.crowd = (TimedCrowd if self.held else Crowd)(
            calendar,
            self.lives.url,
            token=self.purse.token,
            links=self._links,
            tls=self.trust,
            narrow=frozenset(g.name for g in scenario.groups if g.name in narrow or None in narrow),
            time_scale=scenario.played_scale,
        )
        self.devices = DeviceRules(self.follower.watch.findings, slack_s=SLACK_S, scale=scenario.played_scale)
        self.crowd.people.watch = self.devices
        self.mischief = Mischief(self.crowd, self.plan.victims, self.purse, self, scenario.duration_s, self.clock_jump)
        Script(scenario, self.plan, self.streams, self.crowd.people, calendar)
        self.mischief.schedule(scenario.events)
        with no_full_collections():
            cpu_s, crowd_s = self.lives.cpu_s(), time.process_time()
            calendar.begin()
            watch = StallWatch(loop, self.stalls.append)
            wakeful = Wakeful(loop, calendar.look) if self.held else None
            taken = StolenWatch(loop, self.held, self._taken) if self.held else None
            with no_collections() if self.held else contextlib.nullcontext():
                await self._until(scenario.duration_s, progress)
            self.utilisation = (self.lives.cpu_s() - cpu_s) / calendar.now()
            self.busy = {"crowd_cpu_s": time.process_time() - crowd_s}
            if taken is not None:
                taken.end()
            if wakeful is not None:
                wakeful.end()
                calendar.unwatched()
                self.busy = {"crowd_cpu_s": wakeful.busy_s, "crowd_wrote_s": wakeful.wrote_s, **self.crowd.health()}
            await self._settle()
            self.lasted_s = calendar.now()
        watch.end()
        if self.lives.up:
            # While people are still there: at the end nobody is left to be forgotten, or to be taken for another.
            self.follower.watch.rest(*connections(await self.admin.scrape()))
        self.crowd.people.finish()
        await self.mischief.end()
        await self.crowd.end()
        self.exposition = await self.admin.scrape()

    async def _until(self, moment: float, progress: Callable[[float], None] | None) -> None:
        while (now := self.calendar.now()) < moment:
            self._check()
            if self.follows:
                self.follower.follow(FOLLOW_S_PLAYING)
            if progress is not None:
                progress(now / moment)
            await asyncio.sleep(POLL_S)
        if progress is not None:
            progress(1.0)

    async def _settle(self) -> None:
        """Go on until nothing is in flight: every message has its end, and everybody is where she wants to be."""
        # The server may be late by as much as its watch allows.
        bound = self.calendar.now() + settle_s_max(self.scenario) + SLACK_S
        poke_at = 0.0
        while (now := self.calendar.now()) < bound:
            self._check()
            caught_up = self.follower.follow(FOLLOW_S_SETTLING)
            if caught_up and self._is_settled(now):
                self.settled = True
                return
            if now >= poke_at:
                # The journal is written as inputs come: where none comes, one is made.
                poke_at = now + POKE_S
                self._poke(now)
            await asyncio.sleep(POLL_S if caught_up else PAUSE_S)

    def _is_settled(self, now: float) -> bool:
        crowd = self.crowd
        if self.calendar.behind(now):
            # What was to be said in the last moment may be a little late, and nobody waits for it yet.
            return False
        if self.follower.handler.ledger.waiting or crowd.away() or self.mischief.busy():
            return False
        if self.follower.watch.unanswered:
            return False
        # A server that was killed meanwhile has closed nobody, and the next one knows nothing of them.
        if any(gone.vanished and self.follower.handler.knows(gone.name) for gone in crowd.gone):
            return False
        unacked = any(d.client.unacked for d in crowd.people.devices if d.number in crowd.peers)
        return not unacked or now > self.scenario.duration_s + ACKS_S_MAX

    def _poke(self, now: float) -> None:
        for number, peer in self.crowd.peers.items():
            if not peer.vanished and peer.frozen_until <= now:
                self.crowd.transmit(now, self.crowd.people.devices[number], HeartbeatIn())
                return

    def _check(self) -> None:
        self.lives.check()
        failure = self.calendar.failure
        if isinstance(failure, HarnessError):
            raise failure
        if failure is not None:
            raise HarnessError(f"The crowd failed: {failure!r}.") from failure
        if self.crowd.faults:
            raise HarnessError(f"The server is broken: {self.crowd.faults[0]}.")

    # What is done to the server.

    async def revoke(self, devices: Sequence[Device]) -> None:
        """Have it refuse the tokens that these devices hold."""
        wall = time.time()
        while not self.lives.up:  # noqa: ASYNC110 - a process begins when it begins, and nobody tells
            # Whoever gives the order tries again until somebody is there to take it.
            await asyncio.sleep(POLL_S)
        await self.admin.revoke([jti for device in devices for jti in self.purse.held(device, wall)])

    async def clock_jump(self, by_s: float) -> None:
        """Set its wall clock so far ahead (back, if negative), for this life and the next."""
        assert self.clock is not None, "a server whose clock is to jump was told so"
        self.clock.ahead_s += by_s
        if self.lives.up:
            await self.admin.clock_jump(by_s)

    async def give(self, order: Order) -> None:
        """Have its session service do this."""
        while not self.lives.up:  # noqa: ASYNC110 - a process begins when it begins, and nobody tells
            # Whoever gives the order tries again until somebody is there to take it.
            await asyncio.sleep(POLL_S)
        await self.admin.give(order)

    async def hold_log(self, for_s: float) -> None:
        """Keep its log from being written for so long."""
        await hold(self.data, for_s)

    async def end_node(self, event: ev.NodeEvent) -> bool:
        """Have it end as the event says, and begin again; returns whether it was there to end."""
        # A node that is only drained is replaced by the next as soon as it is empty.
        down_s = 0.0 if isinstance(event, ev.DrainNode) else event.down_s
        return await self.lives.end(down_s, in_order=not isinstance(event, ev.CrashNode))

    def _links(self, number: int, device: Device) -> tuple[Link, Link]:
        network = self.scenario.group(device.user.group).network
        return both_ways(network, self.streams, number)

    # What came of it.

    def outcome(self) -> LiveOutcome:
        """Read the rest of the journal, and put the rows together."""
        follower = self.follower
        while not follower.follow(1.0):
            pass
        record = self._record()
        late_s, lag_s = _p99(self.crowd.late_s), _p99(self.calendar.lag_s)
        why = ""
        if follower.difference is not None:
            why = f"the journal does not replay: step {follower.difference.step} went otherwise"
        elif late_s > LATE_S_MAX:
            why = f"the crowd sent {late_s * 1000:.0f} ms late (p99): the machine is too busy for this load"
        elif lag_s > LATE_S_MAX:
            why = (
                f"the crowd's event loop was {lag_s * 1000:.0f} ms behind (p99): the load is too much for this machine"
            )
        zero_at = self.calendar.started_at
        stalls = Stalls(self.stalls, zero_at)
        health = {
            "send_late_p99_s": max(late_s, 0.0),
            "send_late_max_s": max(self.crowd.late_s, default=0.0),
            "crowd_loop_lag_p99_s": lag_s,
            **self.busy,
            "frames_in": frames(self.exposition, "in"),
            "frames_out": frames(self.exposition, "out"),
            "lasted_s": self.lasted_s,
            "stolen_s": self.stolen_s,
            "stalled_s": stalls.total_s,
            "stalled_max_s": stalls.longest_s,
            "settled": self.settled,
            "journal_steps": follower.steps,
        }
        busy = bool(why) and follower.difference is None
        violations = follower.violations(record, settled=self.settled, shown=self.devices.shown)
        return LiveOutcome(
            record,
            follower.trace_hash,
            self.exposition,
            not why,
            why,
            busy,
            health,
            violations,
            stalls,
            self.crowd.late_s,
            self._while_acting(),
            [Stall(began_at - zero_at, ended_at - zero_at) for began_at, ended_at in sorted(self.taken)],
        )

    def _taken(self, between: Stall, took_s: float) -> None:
        self.taken.append(between)
        self.stolen_s += took_s

    def _while_acting(self) -> list[Glance]:
        """The glances of that time, with moments of the run."""
        began_at = self.calendar.started_at
        since = sorted(one._replace(at=one.at - began_at) for one in self.glances)
        return [one for one in since if 0.0 <= one.at < self.scenario.duration_s]

    def _record(self) -> RunRecord:
        follower = self.follower
        return collect(
            self.scenario,
            self.crowd.people,
            follower.tally,
            follower.handler.ledger,
            detections=self.crowd.found(self._closed_at),
            fired=self.mischief.fired,
            loop_lag_s=follower.loop_lag_s,
            utilisation=self.utilisation,
        )

    def _closed_at(self, name: str) -> float:
        closed = self.follower.tally.closed.get(name)
        if closed is None or closed[1] == CLOSED_BY_END:
            return inf
        return closed[0] + self.follower.header.clock_at - self.calendar.started_at


def _p99(samples: array[float]) -> float:
    return float(np.percentile(samples, 99)) if samples else 0.0
