"""The faults of a scenario, done to the real crowd.

Decides when each event strikes, and what is its own way on real sockets. Rule: what needs the clock of the server's
machine is refused before anything runs. What is the same on every wire is `load.strikes`' affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, get_args

from chatsim.core.frames import StatusIn
from chatsim.errors import UsageError
from chatsim.live.crowd import Crowd
from chatsim.live.framing import masked_binary, masked_text
from chatsim.live.peer import Peer
from chatsim.people.people import Device, Person
from chatsim.people.strikes import BROKEN, Choose, Order, Strikes
from chatsim.people.tokens import LAST_MOMENT_S
from chatsim.scenario import events as ev

FLOOD_FRAMES_MAX = 1_000_000

_HERE = (
    ev.Drop,
    ev.Vanish,
    ev.Freeze,
    ev.SlowReader,
    ev.Latency,
    ev.Loss,
    ev.Partition,
    ev.Flood,
    ev.WithholdAcks,
    ev.ExpireTokens,
    ev.RefreshToken,
    ev.Revoke,
    ev.BadFrames,
    ev.Leave,
    ev.RemoveParticipant,
    ev.EndSession,
    ev.Post,
    ev.Trespass,
    ev.Arrive,
    ev.LogOutage,
    *get_args(ev.NodeEvent),
)


def check_events(events: Sequence[ev.Event], *, jumps: bool = False, opens: bool = False) -> None:
    """Raises UsageError with every event that cannot be done, a line each; `jumps` says that the node's clock can be
    set, `opens` that sessions can be opened under a name that others have chosen."""
    found = []
    for number, event in enumerate(events):
        if isinstance(event, ev.EndSession) and event.ttl_s is not None and not opens:
            found.append(
                f"events[{number}]: a server names the sessions that are opened there itself: take ttl out, or run on "
                "sim or virtual."
            )
        if not isinstance(event, _HERE) and not (jumps and isinstance(event, ev.ClockJump)):
            found.append(
                f"events[{number}]: {event.do} is not done on the live wire yet: take it out, or run on sim or virtual."
            )
        elif isinstance(event, ev.Flood | ev.BadFrames) and event.rate_per_s * event.for_s > FLOOD_FRAMES_MAX:
            found.append(f"events[{number}]: over {FLOOD_FRAMES_MAX} frames a user: lower rate or for.")
    if found:
        raise UsageError("\n".join(found))


class Tokens(Protocol):
    """What a crowd hands in at a wall time (s since 1970)."""

    def expiring(self, device: Device, wall: float, ttl_s: float, /) -> str:
        """A good token that ends so soon."""

    def handed_in(self, device: Device, wall: float, kind: ev.HandedIn, /) -> str:
        """One that is good, or is not in one way."""


class Orders(Protocol):
    """What can be done to the server from outside; each takes a while."""

    async def revoke(self, devices: Sequence[Device]) -> None:
        """Have it refuse the tokens that these devices hold."""

    async def give(self, order: Order) -> None:
        """Have it do this."""

    async def end_node(self, event: ev.NodeEvent) -> bool:
        """Have it end as the event says, and begin again; returns whether it was there to end."""

    async def hold_log(self, for_s: float) -> None:
        """Keep its log from being written for so long."""


class Mischief(Strikes[Peer[Device]]):
    """All events of one run; `choose` gives the victims of an event among the people who are there."""

    def __init__(
        self,
        crowd: Crowd,
        choose: Choose,
        tokens: Tokens,
        orders: Orders,
        ends_at: float,
        clock_jump: Callable[[float], Awaitable[None] | None] | None = None,
        *,
        opens: bool = False,
    ) -> None:
        """Floods end at `ends_at` (s).

        `clock_jump(by_s)` sets the wall clock of the node alone, where that can be done: at once, or as an order.
        `opens` says that sessions can be opened under a name that others have chosen.
        """
        super().__init__(crowd.calendar, crowd, crowd.people, crowd.peers, choose)
        self._crowd = crowd
        self._loop = crowd.calendar.loop
        self._fail = crowd.calendar.fail
        self._tokens = tokens
        self._server = orders
        self._clock_jump = clock_jump
        self._opens = opens
        self._orders: set[asyncio.Task[None]] = set()
        self._ends_at = ends_at

    def schedule(self, events: Sequence[ev.Event]) -> None:
        """Put every event on the calendar."""
        check_events(events, jumps=self._clock_jump is not None, opens=self._opens)
        for number, event in enumerate(events):
            self._calendar.at(event.at_s, self._strike, number, event)

    def busy(self) -> bool:
        """Whether an order to the server is still under way."""
        return bool(self._orders)

    async def end(self) -> None:
        """Give up what is still under way."""
        for order in tuple(self._orders):
            order.cancel()
        if self._orders:
            await asyncio.wait(tuple(self._orders))

    def _strike(self, now: float, number: int, event: Any) -> None:
        if isinstance(event, ev.NodeEvent):
            self._order(self._node_ends(now, event), event.do)
            return
        if isinstance(event, ev.LogOutage):
            self.strike_thing(now, event)
            self._order(self._server.hold_log(event.for_s), event.do)
            return
        if isinstance(event, ev.ClockJump):
            assert self._clock_jump is not None, "it was checked that the clock can be set"
            order = self._clock_jump(event.by_s)
            if order is not None:
                self._order(order, event.do)
            self.strike_thing(now, event)
            return
        self.touch(now, number, event)

    def _repeat(
        self, now: float, event: ev.Flood | ev.BadFrames, action: Callable[[float, Any], None], whom: Any
    ) -> None:
        """Have the action done at the event's rate: one entry at a time stands on the calendar."""
        count = int(min(event.for_s, self._ends_at - now) * event.rate_per_s)

        def again(moment: float, place: int, _: Any) -> None:
            action(moment, whom)
            if place + 1 < count:
                self._calendar.at(now + (place + 1) / event.rate_per_s, again, place + 1)

        if count:
            self._calendar.at(now, again, 0)

    def _flood(self, now: float, event: ev.Flood, victims: Sequence[Person]) -> None:
        for person in victims:
            self._repeat(now, event, self._flooded, person)

    def _bad_frames(self, now: float, event: ev.BadFrames, victims: Sequence[Person]) -> None:
        for peer in self._of(victims):
            self._repeat(now, event, self._garbled, (peer, event.kind))

    def _garbled(self, now: float, what: tuple[Peer[Device], ev.Broken]) -> None:
        peer, kind = what
        peer.send(BROKEN[kind], masked_binary if kind == "binary" else masked_text)

    def _expire_tokens(self, now: float, event: ev.ExpireTokens, victims: Sequence[Person]) -> None:
        for peer in self._of(victims):
            self._hand_in(now, peer, self._tokens.expiring(peer.device, self._crowd.wall(), LAST_MOMENT_S))

    def _refresh_token(self, now: float, event: ev.RefreshToken, victims: Sequence[Person]) -> None:
        for peer in self._of(victims):
            self._hand_in(now, peer, self._tokens.handed_in(peer.device, self._crowd.wall(), event.token))

    def _hand_in(self, now: float, peer: Peer[Device], token: str) -> None:
        self._crowd.transmit(now, peer.device, StatusIn("refresh", token=token))

    def _revoke_tokens(self, now: float, devices: Sequence[Device]) -> None:
        self._order(self._server.revoke(devices), "revoke")

    def _give(self, now: float, order: Order) -> None:
        self._order(self._server.give(order), type(order).__name__.lower())

    def _order(self, work: Awaitable[object], what: str) -> None:
        """Have something done that takes a while, beside what the crowd does."""
        order = self._loop.create_task(self._ordered(work), name=f"the order {what}")
        self._orders.add(order)
        order.add_done_callback(self._orders.discard)

    async def _ordered(self, work: Awaitable[object]) -> None:
        try:
            await work
        except Exception as problem:
            # As with any action of the calendar: the run ends, and says so.
            self._fail(problem)

    async def _node_ends(self, now: float, event: ev.NodeEvent) -> None:
        place = self.strike_node(now, event)
        if not await self._server.end_node(event):
            self.missed(place)
