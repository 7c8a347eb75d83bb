"""One scenario on a server that somebody else runs: a crowd of real clients, and what they could tell.

Decides when such a run is over. Rule: whatever is said of the server was heard by a client; nothing is asked of it that
a client could not ask, but for orders over HTTP where there is an admin key. It lives at its own pace, so that no time
scale is applied, and users and sessions have names that no other run has, so that nothing is mistaken for theirs.
Judging what happened is left to the verdict.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Any, Final

import msgspec
import numpy as np
import uvloop

from chatsim.core.config import HandlerConfig
from chatsim.core.frames import ClientFrame, Welcome
from chatsim.errors import HarnessError
from chatsim.journal.record import RunRecord
from chatsim.live.absence import Absence
from chatsim.live.admin import Admin
from chatsim.live.calendar import Calendar
from chatsim.live.crowd import Crowd
from chatsim.live.knock import knock
from chatsim.live.mischief import Mischief, check_events
from chatsim.live.pauses import no_full_collections
from chatsim.live.peer import ABNORMAL, Peer
from chatsim.live.run import ACKS_S_MAX, LATE_S_MAX, POLL_S
from chatsim.live.stalls import StallWatch
from chatsim.live.target import Target
from chatsim.live.tokens import Purse
from chatsim.network.link import Link
from chatsim.people.people import Device
from chatsim.people.plan import Plan
from chatsim.people.script import Script, settle_s_max
from chatsim.people.streams import Streams
from chatsim.people.strikes import Order
from chatsim.people.ways import both_ways
from chatsim.scenario import events as ev
from chatsim.scenario.expectations import Expectation
from chatsim.scenario.model import Scenario
from chatsim.scenario.units import quantity
from chatsim.verdict.heard import Heard
from chatsim.verdict.outside import Outside
from chatsim.verdict.stalls import Stall, Stalls

SETTLE_POLL_S = 0.25
SLACK_S = 5.0
"""How late a server may be with what it owes (s): the network is a real one."""

NOTICE_S_MAX = 1.0
"""When everybody has everything, its senders are told so within the delay of an ack and a turn of the server."""

_GONE: Final = frozenset({1001, ABNORMAL, 1011, 1012})
"""Ends of a connection that say nothing of the one whose it was: the server, or what is before it, is not there."""
_TURNED_AWAY = 503

_REFUSALS: Final = frozenset({"errors", "rate_limited"})
"""Counters of what a server answers a message with that it does not take."""


class RemoteOutcome(msgspec.Struct):
    """What came of a run on somebody else's server: `outside` says what is not known of it, `notes` are sentences for
    whoever reads the verdict, `health` is how well the crowd did, `stalls` when the machine did not run it.

    `unanswered` says which messages were left without an answer that no promise counts, `took_none` that not one was
    acked, though nobody promised that ("": neither): where no promise is broken, that proves nothing."""

    scenario: Scenario
    record: RunRecord
    outside: Outside
    notes: list[str]
    valid: bool
    why_invalid: str
    unanswered: str
    took_none: str
    busy: bool
    health: dict[str, Any]
    stalls: Stalls


def run_remote(scenario: Scenario, target: Target, *, progress: Callable[[float], None] | None = None) -> RemoteOutcome:
    """Play the scenario with its `live:` overrides, but for `time_scale`; `progress` hears the share done.

    Raises NotApplicableError for what cannot be asked of the server, TargetError where it lets nobody in, UsageError
    for what the crowd cannot play, HarnessError where the server breaks the protocol.
    """
    played = scenario.with_live_overrides()
    target.check(played)
    check_events(played.events)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run = _Run(played, target)
        runner.run(run.play(progress))
        return run.outcome()


class _Listening(Crowd):
    """The crowd, with somebody who hears all that it reads and writes, and who sees when nobody gets in any more.

    `cut_off` are the numbers of the devices whose connection, or try to have one, ended as if there were no server;
    the last connection on which somebody was welcomed ended at `lost_at` (s).
    """

    heard: Heard
    absence: Absence
    cut_off: set[int]
    lost_at = 0.0

    def is_anybody_in(self) -> bool:
        """Whether somebody was welcomed and is still there; who has vanished would not know."""
        return any(peer.name and not peer.vanished for peer in self.peers.values())

    def look(self) -> None:
        """See whether somebody is in."""
        if self.is_anybody_in():
            self.absence.disproved()

    def _not_in(self, now: float, peer: Peer[Device]) -> None:
        """She was not let in; who goes on trying has something to say of the server."""
        if self.is_anybody_in():
            self.absence.disproved()
        elif peer.device.client.state == "waiting":
            self.absence.failed(now)

    def transmit(self, now: float, device: Device, frame: ClientFrame) -> None:
        if device.number in self.peers:
            self.heard.wrote(now, device.number, frame)
        super().transmit(now, device, frame)

    def hang_up(self, now: float, device: Device, code: int) -> None:
        if device.number in self.peers:
            # What was on its way to her is read by nobody.
            self.heard.closed(now, device.number, ABNORMAL)
        super().hang_up(now, device, code)

    def opened(self, now: float, peer: Peer[Device]) -> None:
        super().opened(now, peer)
        if self.peers.get(peer.device.number) is peer:
            self.cut_off.discard(peer.device.number)
            self.heard.opened(peer.device.number, peer.device.user.name)

    def refused(self, now: float, peer: Peer[Device], status: int, retry_after_s: float | None) -> None:
        super().refused(now, peer, status, retry_after_s)
        # Who is told no, or to come later, has an answer.
        if status == 0 or (status >= 500 and status != _TURNED_AWAY):
            self.cut_off.add(peer.device.number)
        else:
            self.cut_off.discard(peer.device.number)
        self._not_in(now, peer)

    def pinged(self, now: float, peer: Peer[Device]) -> None:
        self.heard.pinged()
        super().pinged(now, peer)

    def vanish(self, now: float, peer: Peer[Device], for_s: float | None) -> None:
        self.heard.muffled()
        super().vanish(now, peer, for_s)

    def freeze(self, now: float, peer: Peer[Device], for_s: float) -> None:
        self.heard.muffled()
        super().freeze(now, peer, for_s)

    def _lose(self, now: float, peer: Peer[Device], code: int) -> None:
        hers = self.peers.get(peer.device.number) is peer
        if hers:
            self.heard.closed(now, peer.device.number, code)
            if code in _GONE:
                self.cut_off.add(peer.device.number)
        super()._lose(now, peer, code)
        if hers and peer.name:
            self.lost_at = now
            self.absence.disproved()
        elif hers:
            self._not_in(now, peer)


class _Run:
    """Everything of one run."""

    def __init__(self, scenario: Scenario, target: Target) -> None:
        self.scenario = scenario
        self.target = target
        self.streams = Streams(scenario.seed)
        self.plan = Plan(scenario, self.streams)
        # What another run has said to these people a minute ago is not to count against their limits, nor its ids to be
        # taken for ours.
        self.mark = secrets.token_hex(4)
        self.plan.users = [
            msgspec.structs.replace(user, name=f"{user.name}-{self.mark}", session=f"{user.session}-{self.mark}")
            for user in self.plan.users
        ]
        self.purse = Purse(scenario, b"", target.minter, f"{self.mark}-")
        self.heard = Heard(self._intended_at)
        self.stalls: list[Stall] = []
        self.absence = Absence()
        self.settled = False
        self.ended_at = 0.0
        self.away = self.unanswered = self.none = ""
        self.moved_at = 0.0
        self.open: set[tuple[str, str]] = set()
        self.counted = 0
        self.welcome: Welcome
        self.admin: Admin | None = None
        self.devices: dict[str, list[Device]] = {}
        self.record: RunRecord
        self.outside: Outside
        self.calendar: Calendar
        self.crowd: _Listening
        self.mischief: Mischief

    async def play(self, progress: Callable[[float], None] | None) -> None:
        """Have the people act, and wait until all is settled or time is up."""
        scenario, target = self.scenario, self.target
        loop = asyncio.get_running_loop()
        self.welcome = await knock(target, self.purse.stranger(f"knock-{self.mark}", time.time()))
        if target.admin_key is not None:
            self.admin = Admin(target.url, target.admin_key, target.tls)
            await self.admin.revoke(self.purse.spoilt)
        self.calendar = calendar = Calendar(loop)
        narrow = {e.group for e in scenario.events if isinstance(e, ev.SlowReader)}
        self.crowd = crowd = _Listening(
            calendar,
            target.url,
            token=self.purse.token,
            links=self._links,
            tls=target.tls,
            narrow=frozenset(g.name for g in scenario.groups if g.name in narrow or None in narrow),
        )
        crowd.heard, crowd.absence, crowd.cut_off = self.heard, self.absence, set()
        crowd.on_frame = self._read
        self.mischief = Mischief(crowd, self.plan.victims, self.purse, self, scenario.duration_s)
        Script(scenario, self.plan, self.streams, crowd.people, calendar)
        self.devices = {person.name: person.devices for person in crowd.people.persons}
        self.mischief.schedule(scenario.events)
        try:
            with no_full_collections():
                calendar.begin()
                watch = StallWatch(loop, self.stalls.append)
                await self._until(scenario.duration_s, progress)
                await self._settle()
            watch.end()
            crowd.look()
            self.ended_at = calendar.now()
            crowd.people.finish()
            # While they are still there: who is not cannot have heard everything.
            self.record, self.outside = self._record()
            self.away, self.unanswered, self.none = self._went_away(), self._left_unanswered(), self._took_none()
        finally:
            await self.mischief.end()
            await crowd.end()

    def _read(self, now: float, device: Device, frame: Any) -> None:
        self.heard.read(now, device.number, frame)

    def _intended_at(self, id_: str) -> float | None:
        sent = self.crowd.people.sent
        return sent[int(id_)].intended_at if id_.isdecimal() and int(id_) < len(sent) else None

    async def _until(self, moment: float, progress: Callable[[float], None] | None) -> None:
        while (now := self.calendar.now()) < moment and not self._is_gone():
            self._check()
            if progress is not None:
                progress(now / moment)
            await asyncio.sleep(min(POLL_S, moment - now))
        if progress is not None:
            progress(1.0)

    async def _settle(self) -> None:
        """Go on until nothing is in flight: every message has its end, and everybody is where she wants to be; or until
        there is nothing more to wait for."""
        handler = self.scenario.handler
        self.moved_at = began_at = self.calendar.now()
        all_s = settle_s_max(self.scenario) + SLACK_S
        retries_s = handler.retry_interval_s * (handler.retries + 1) + SLACK_S
        had_at = inf
        while not self._is_gone():
            self._check()
            now = self.calendar.now()
            open_ = self._open()
            busy = self.crowd.away() or self.mischief.busy()
            # Who has only just come back has written it all again.
            waiting = self._is_unacked() and now <= self.moved_at + ACKS_S_MAX
            if not (open_ or busy or waiting):
                had_at = min(had_at, now)
                if not self._untold() or now >= had_at + NOTICE_S_MAX:
                    self.settled = True
                    return
            else:
                had_at = inf
            if busy:
                self.moved_at = now
            # Who has been there all the time has had all retries; others may wait for as long as anything is retained.
            there = not busy and all(map(self._is_there, {user for _, user in open_}))
            if now >= began_at + all_s or (there and not waiting and open_ and now >= self.moved_at + retries_s):
                return
            await asyncio.sleep(SETTLE_POLL_S)

    def _is_gone(self) -> bool:
        """Whether nobody has got in for so long that the server is waited for no more."""
        self.crowd.look()
        return self.absence.gone

    def _open(self) -> set[tuple[str, str]]:
        """The pairs of message and receiver of which neither is known: that she has it, nor that it was given up."""
        heard = self.heard
        retention_s = self.scenario.handler.retention_s
        for told in heard.acked[self.counted :]:
            self.open |= {(told.message_id, user) for user in heard.receivers(told, retention_s)}
        self.counted = len(heard.acked)
        if self.open:
            receipts = self.crowd.people.receipts
            self.open = {
                (message_id, user)
                for message_id, user in self.open
                if user not in receipts.get(message_id, {}) and (message_id, user) not in heard.told
            }
        return self.open

    def _untold(self) -> bool:
        """Whether some sender has still to hear of a message that its receivers have."""
        heard, retention_s = self.heard, self.scenario.handler.retention_s
        return any(
            (told.message_id, user) not in heard.told
            for told in heard.acked
            for user in heard.receivers(told, retention_s)
        )

    def _is_there(self, user: str) -> bool:
        return any(map(self._is_in, self.devices[user]))

    def _is_in(self, device: Device) -> bool:
        """Whether the device is in its session, and reads what it is sent."""
        return device.joined and self._reads(device)

    def _reads(self, device: Device) -> bool:
        """Whether the device is connected, and reads what it is sent: in its session or not, it may be answered."""
        peer = self.crowd.peers.get(device.number)
        return peer is not None and not peer.vanished and peer.frozen_until <= self.calendar.now()

    def _is_unacked(self) -> bool:
        return any(d.client.unacked for d in self.crowd.people.devices if d.number in self.crowd.peers)

    def _check(self) -> None:
        failure = self.calendar.failure
        if isinstance(failure, HarnessError):
            raise failure
        if failure is not None:
            raise HarnessError(f"The crowd failed: {failure!r}.") from failure
        if self.crowd.faults:
            raise HarnessError(f"{self.target.shown} breaks the protocol: {self.crowd.faults[0]}.")

    def _links(self, number: int, device: Device) -> tuple[Link, Link]:
        return both_ways(self.scenario.group(device.user.group).network, self.streams, number)

    # What is done to the server: it was checked before that there is an admin key for it.

    async def revoke(self, devices: Sequence[Device]) -> None:
        """Have it refuse the tokens that these devices hold."""
        assert self.admin is not None
        wall = time.time()
        await self.admin.revoke([jti for device in devices for jti in self.purse.held(device, wall)])

    async def give(self, order: Order) -> None:
        """Have its session service do this."""
        assert self.admin is not None
        await self.admin.give(order)

    async def hold_log(self, for_s: float) -> None:
        raise AssertionError("nobody outside can hold the log of a server")

    async def end_node(self, event: ev.NodeEvent) -> bool:
        raise AssertionError("nobody outside can end a server")

    # What came of it.

    def _record(self) -> tuple[RunRecord, Outside]:
        people, heard, scenario = self.crowd.people, self.heard, self.scenario
        receipts = people.receipts
        owed = heard.owed(receipts, self._deaf(), scenario.handler.retention_s)
        accepted = {(row.user, row.id): row.message_id for row in people.sent if row.message_id in owed}
        unanswered = {(device.user.name, id_) for id_, device in people.asking.items() if self._reads(device)}
        record = RunRecord(
            sent=list(people.sent),
            accepted=accepted,
            receipts=receipts,
            owed=owed,
            groups={person.name: person.group for person in people.persons},
            outages=people.outages,
            detections=[],
            fired=self.mischief.fired,
            drain_time_s=[],
            loop_lag_s=[],
            utilisation=[],
            counters={
                "auth_refused": people.auth_refused,
                "turned_away": people.turned_away,
                "copies": people.copies,
                "duplicates": people.duplicates + heard.repeated,
                "out_of_order": people.out_of_order + heard.misplaced,
            },
            duration_s=scenario.duration_s,
            warmup_s=scenario.warmup_s,
            unanswered=unanswered,
        )
        return record, heard.outside(record, sum(id_ in heard.written for id_ in people.asking))

    def _went_away(self) -> str:
        """That the server is no more there for anybody, in one sentence; nothing where somebody is in, or wants not."""
        crowd = self.crowd
        if self.absence.since < inf:
            how = f"from {self.absence.since:.1f} s on nobody could connect"
        elif not crowd.is_anybody_in() and any(map(self._is_cut_off, self._untouched())):
            how = f"from {crowd.lost_at:.1f} s on nobody was connected"
        else:
            return ""
        sent, open_ = len(crowd.people.sent), len(crowd.people.asking)
        return (
            f"{self.target.shown} went away: {how}, until the run was ended at {self.ended_at:.1f} s; "
            f"{open_} of {sent} messages were not answered"
        )

    def _left_unanswered(self) -> str:
        """Which messages were left without an answer that no promise counts, in one sentence; nothing where none was.

        Not asked for are those of people who were told no, or who have something done to them.
        """
        untouched = {device.number for device in self._untouched()}
        asking = [device for device in self.crowd.people.asking.values() if device.number in untouched]
        cut_off = [device for device in asking if self._is_cut_off(device)]
        unheard = [device for device in asking if self._reads(device)]
        if unheard or cut_off:
            self.settled = False
        promises = [each for each in self.scenario.expect if each.metric == "ack_latency" and each.aggregate != "count"]
        groups = {promise.group for promise in promises}
        # They have taken for ever there.
        unheard = [device for device in unheard if not groups & {None, device.user.group}]
        found = len(cut_off) + len(unheard)
        if not found:
            return ""
        people = len({device.user.name for device in cut_off})
        whose = f"; {people} of those who wrote them lost the connection, and were not let in again" if people else ""
        return (
            f"{self.target.shown} left {found} of {len(self.crowd.people.sent)} messages without an answer, "
            f"until {self.ended_at:.1f} s{whose}"
        )

    def _took_none(self) -> str:
        """That not one message was acked of those whose writers were let in, in one sentence; nothing where one was, or
        where it is promised that all are refused, and all are."""
        people, written = self.crowd.people, self.heard.written
        here = {device.user.name for device in people.devices if self._reads(device)}
        asked = [row.id for row in people.sent if row.id in written or row.user in here]
        if self.heard.acked or not asked:
            return ""
        if any(map(_is_of_refusals, self.scenario.expect)) and not any(id_ in people.asking for id_ in asked):
            return ""
        return f"{self.target.shown} acked none of {len(asked)} messages"

    def _is_cut_off(self, device: Device) -> bool:
        """Whether she wants to be there, and it is as if there were no server."""
        return device.wanted and device.number in self.crowd.cut_off

    def _untouched(self) -> Iterator[Device]:
        """The devices of those to whom nothing was done."""
        touched = {user for fired in self.mischief.fired for user in fired.users}
        return (device for device in self.crowd.people.devices if device.user.name not in touched)

    def _deaf(self) -> dict[str, float]:
        """Until when each user was last away, so that she may not have heard what became of what she wrote."""
        deaf: dict[str, float] = {}
        for outage in self.crowd.people.outages:
            deaf[outage.user] = max(deaf.get(outage.user, 0.0), outage.joined_at)
        for user, devices in self.devices.items():
            if not all(self._is_in(device) for device in devices):
                deaf[user] = inf
        return deaf

    def outcome(self) -> RemoteOutcome:
        """What to judge."""
        late_s, lag_s = _p99(self.crowd.late_s), _p99(self.calendar.lag_s)
        why = ""
        if late_s > LATE_S_MAX:
            why = f"the crowd sent {late_s * 1000:.0f} ms late (p99): the machine is too busy for this load"
        elif lag_s > LATE_S_MAX:
            why = (
                f"the crowd's event loop was {lag_s * 1000:.0f} ms behind (p99): the load is too much for this machine"
            )
        busy = bool(why)
        trusted = any(group.credentials == "good" for group in self.scenario.groups)
        if not why and trusted and not self.heard.counts["connections_peak"]:
            why = f"{self.target.shown} let nobody in, though it had greeted who knocked"
        why = why or self.away
        stalls = Stalls(self.stalls, self.calendar.started_at)
        notes = list(self._notes())
        health = {
            "send_late_p99_s": max(late_s, 0.0),
            "send_late_max_s": max(self.crowd.late_s, default=0.0),
            "crowd_loop_lag_p99_s": lag_s,
            "stalled_s": stalls.total_s,
            "stalled_max_s": stalls.longest_s,
            "settled": self.settled,
            "names_end_in": self.mark,
            "notes": notes,
            "not_known": self.outside.unknown(),
        }
        return RemoteOutcome(
            self.scenario,
            self.record,
            self.outside,
            notes,
            not why,
            why,
            self.unanswered,
            self.none,
            busy,
            health,
            stalls,
        )

    def _notes(self) -> Iterator[str]:
        differ = "; ".join(differences(self.welcome, self.scenario.handler))
        told = f", but it says otherwise: {differ}" if differ else ""
        yield f"handler: is what {self.target.shown} is believed to be configured with{told}"
        if self.scenario.time_scale != 1.0:
            yield f"time_scale {self.scenario.time_scale:g} was not applied: the server lives at its own pace"


def _is_of_refusals(promise: Expectation) -> bool:
    """Whether a promise says that messages are refused, or that none is accepted, and does not only allow that."""
    if promise.metric == "accepted":
        return promise.holds_of_nothing and not promise.holds(1.0)
    return promise.metric in _REFUSALS and not promise.holds_of_nothing


def differences(welcome: Welcome, believed: HandlerConfig) -> Iterator[str]:
    """Where what the server says of itself is not what the scenario believes."""
    limit = welcome.rate_limit
    for name, says, thinks, unit in (
        ("ping_interval", welcome.ping_interval_s, believed.ping_interval_s, "s"),
        ("pong_timeout", welcome.pong_timeout_s, believed.pong_timeout_s, "s"),
        ("message_bytes_max", welcome.message_bytes_max, believed.message_bytes_max, ""),
    ):
        if says != thinks:
            yield f"{name} {quantity(says, unit)}, not {quantity(thinks, unit)}"
    if (limit.messages, limit.per_s) != (believed.rate_limit, believed.rate_window_s):
        yield (
            f"rate_limit {limit.messages} in {quantity(limit.per_s, 's')}, "
            f"not {believed.rate_limit} in {quantity(believed.rate_window_s, 's')}"
        )


def _p99(samples: array[float]) -> float:
    return float(np.percentile(samples, 99)) if samples else 0.0
