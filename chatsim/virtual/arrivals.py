"""What came from outside in a run on real sockets, played again: at the same moments, into the same driver, on a clock
that is virtual.

Decides what is an arrival: all that peers, orders and the log did, and nothing of what the driver does by itself (what
it wants to be woken for, what is told on, how it writes). Rule: each comes at the moment at which it was journaled, so
that whatever is counted is the same. A timer that the driver has asked for rings as late as it did then, since a real
one is some milliseconds late and others may come between; but no later than `LATE_S_MAX`, and none that was not asked
for.
How fast a peer reads is no arrival: here everybody reads at once. How runs are compared word by word is left to
`chatsim.journal.replay`, which gives a handler its timers' moments too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from chatsim.core.effects import Close, Effects, Record, Send
from chatsim.core.facts import Fact
from chatsim.core.frames import Ack, Error, Fault
from chatsim.errors import UsageError
from chatsim.journal.record import DELIVERED
from chatsim.journal.replay import handler_of
from chatsim.journal.steps import Header, JournalReader, Step
from chatsim.live.driver import Driver
from chatsim.live.log import LATER
from chatsim.live.outlets import Outlet
from chatsim.verdict.tally import Tally
from chatsim.virtual.loop import Args, VirtualLoop

LATE_S_MAX: Final = 0.05
"""How late a timer may ring (s): what was later then is not the machine's doing, and is played in time."""

_OWN: Final = frozenset({"wake", "told", "pressure"})
"""Doors that the driver comes by itself: they are played by playing all others."""

_COUNTED: Final = (
    "duplicates_suppressed",
    "retries",
    "gave_up",
    "resumes",
    "recovered",
    "unrecovered",
    "presence_events",
    "typing_events",
    "connections_peak",
)
"""Counters of the tally that follow from what arrived; `pings` are one more where the run ended just before one."""


class Again(msgspec.Struct, frozen=True):
    """One journal whose arrivals were played again: how many there were, and what was counted then and now.

    Counts are `accepted`, `acked`, `delivered`, those of the tally, `undelivered REASON`, `refused CODE` (error frames)
    and `closed CODE` (closes by the server); what never happened is not there.
    """

    arrivals: int
    then: dict[str, int]
    now: dict[str, int]

    @property
    def differences(self) -> dict[str, tuple[int, int]]:
        """What was counted otherwise: then and now."""
        names = sorted(self.then.keys() | self.now.keys())
        pairs = {name: (self.then.get(name, 0), self.now.get(name, 0)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def play_again(path: Path) -> Again:
    """Play what arrived in the journal of one life of a server again, and count.

    Raises HarnessError where the file is no journal, UsageError where it is none of a server on real sockets, or where
    somebody read too slowly.
    """
    with JournalReader(path) as reader:
        header = reader.header
        steps = []
        for step in reader.steps():
            if step.door == "begin":
                raise UsageError(f"{path} was played in virtual time: name a run on real sockets.")
            if step.door == "pressure" and any(step.args[1:]):
                raise UsageError(
                    f"In {path} {step.args[0]} read too slowly at {step.now:g} s, and that is no arrival: choose a run "
                    "without slow readers."
                )
            steps.append(step)
        if reader.footer is None:
            steps = _complete(steps)
    then, again = _Counts(header), _Counts(header)
    for step in steps:
        then.step(step.now, step.door, step.args, step.effects)
    with asyncio.Runner(loop_factory=_LateLoop) as runner:
        runner.run(_play(header, steps, again))
    return Again(sum(step.door not in _OWN for step in steps), then.all(), again.all())


def _complete(steps: list[Step]) -> list[Step]:
    """The steps of a server that was killed, up to the last arrival of which all that it led to was surely written."""
    last = max((place for place, step in enumerate(steps) if step.door not in _OWN), default=0)
    return steps[:last]


async def _play(header: Header, steps: Iterable[Step], again: _Counts) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _LateLoop)
    handler = handler_of(header)
    stage = _Stage()
    # Names of connections hold the number of the life, which another life of the same log may have shown to peers.
    life = next((_life(step.args[0]) for step in steps if step.door == "connect"), 0)
    driver = Driver(handler, _Silent(), loop=loop, epoch=header.epoch, journal=again, life=life, zero_at=0.0)
    stage.driver = driver
    try:
        for step in steps:
            if step.now > loop.time():
                comes = loop.create_future()
                loop.call_at(step.now, comes.set_result, None)
                await comes
            if step.door == "wake":
                loop.ring()
            elif step.door not in _OWN:
                stage.play(step)
                # What one input leads to is done before the next: they came in turns of their own.
                await asyncio.sleep(0)
    finally:
        driver.close()


def _life(name: str) -> int:
    life, dash, _ = name[1:].partition("-")
    return int(life) if dash and life.isdecimal() else 0


class _LateLoop(VirtualLoop):
    """A loop on which the one timer of a driver rings when it is told to, once it is due, and else a little late."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: tuple[float, Callable[[], object], asyncio.TimerHandle] | None = None

    def call_at(
        self, when: float, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As every loop's, but for the driver's timer."""
        if getattr(callback, "__func__", None) is not Driver._wake:
            return super().call_at(when, callback, *args, context=context)
        rings = partial(callback, *args)
        handle = super().call_at(when + LATE_S_MAX, rings)
        self._asked = when, rings, handle
        return handle

    def ring(self) -> None:
        """A timer rang now: the driver's does, if it has asked for one that is due."""
        if self._asked is None:
            return
        due_at, rings, handle = self._asked
        if due_at <= self.time() and not handle.cancelled():
            handle.cancel()
            self._asked = None
            rings()


class _Counts:
    """What is counted of the steps of one life."""

    def __init__(self, header: Header) -> None:
        self._tally = Tally()
        self._sent: Counter[str] = Counter()
        if header.snapshot is not None:
            self._tally.begin(header.snapshot, handler_of(header).ledger.pairs())

    def step(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None:
        """One input, and what it led to."""
        self._tally.step(now, door, args, effects)
        for effect in effects:
            if isinstance(effect, Close):
                self._sent[f"closed {effect.code}"] += 1
            elif isinstance(effect, Send):
                if isinstance(effect.message, Error):
                    self._sent[f"refused {effect.message.code}"] += 1
                elif isinstance(effect.message, Ack):
                    self._sent["acked"] += 1

    def all(self) -> dict[str, int]:
        """Every count that is not 0."""
        tally = self._tally
        found = Counter(self._sent)
        found["accepted"] = len(tally.accepted)
        for outcomes in tally.owed.values():
            for outcome in outcomes.values():
                found["delivered" if outcome == DELIVERED else f"undelivered {outcome}"] += 1
        found.update({name: tally.counters[name] for name in _COUNTED})
        return {name: count for name, count in sorted(found.items()) if count}


class _Stage:
    """The peers, the orders and the log of a run, who do again what they did."""

    driver: Driver

    def __init__(self) -> None:
        self._outlets: dict[str, Outlet] = {}
        self._peers: dict[str, Callable[..., None]] = {
            "receive": lambda outlet, frame: self.driver.receive(outlet, frame),
            "malformed": lambda outlet, code, detail: self.driver.malformed(outlet, Fault(code, detail)),
            "pong": lambda outlet: self.driver.pong(outlet),
            "refresh": lambda outlet, claims: self.driver.refresh(outlet, claims),
            "refuse_refresh": lambda outlet, code: self.driver.refuse_refresh(outlet, code),
        }
        self._orders: dict[str, Callable[..., object]] = {
            "revoke": lambda jti, user: self.driver.revoke(jti, user),
            "open_session": lambda session, users, ttl_s, opener=None: self.driver.open_session(
                session, users, ttl_s, opener
            ),
            "add_participant": lambda session, user: self.driver.add_participant(session, user),
            "remove_participant": lambda session, user: self.driver.remove_participant(session, user),
            "end_session": lambda session: self.driver.end_session(session),
            "post": lambda user, name, body: self.driver.post(user, body, lambda record: None),
            "drain": lambda: self.driver.drain(),
            "clock_jump": lambda by_s: self.driver.clock_jump(by_s),
            "appended": lambda record: self.driver.logged((record,), ()),
            "append_failed": lambda record: self.driver.logged((), (record,)),
        }

    def play(self, step: Step) -> None:
        """One arrival, now."""
        order = self._orders.get(step.door)
        if order is not None:
            order(*step.args)
        elif step.door == "connect":
            self._connect(*step.args)
        elif (outlet := self._outlets.get(step.args[0])) is None:
            return
        elif step.door == "disconnect":
            self._lose(outlet.name)
        elif not outlet.closing:
            self._peers[step.door](outlet, *step.args[1:])

    def _connect(self, name: str, claims: Any) -> None:
        transport = _Reader()
        outlet = self.driver.connect(transport, claims)
        if outlet.name != name:
            raise UsageError(f"{name} is no name that a server on real sockets gives: name a run on real sockets.")
        transport.gone = lambda: self._lose(name)
        self._outlets[name] = outlet

    def _lose(self, name: str) -> None:
        outlet = self._outlets.pop(name, None)
        if outlet is not None:
            self.driver.lost(outlet)


class _Silent:
    """A log that says nothing of itself: what it answered then is an arrival."""

    def append(self, record: Record) -> Record:
        """It answers later."""
        return LATER

    def note(self, fact: Fact) -> None:
        """Facts are kept by whoever begins again, which nobody does here."""

    def settled(self, answered: Callable[[bool], None]) -> None:
        """Nobody waits for an order's answer."""
        answered(True)

    def history(self, session: str, after: int, limit: int) -> list[Record]:
        """Nobody asks."""
        return []


class _Reader(asyncio.Transport):
    """A peer who reads at once whatever she is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: Callable[[], None] = lambda: None
        self._closing = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever held."""

    def get_write_buffer_size(self) -> int:
        """Nothing is ever held."""
        return 0

    def write(self, data: Any) -> None:
        """It is read, and that is all."""

    def can_write_eof(self) -> bool:
        """It ends as a whole."""
        return False

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self._closing

    def close(self) -> None:
        """End, and say so."""
        if not self._closing:
            self._closing = True
            self.gone()

    def abort(self) -> None:
        """End, and say so."""
        self.close()
