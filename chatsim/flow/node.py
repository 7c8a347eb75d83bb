"""The state of the node and of those who are connected to it, from one block of time to the next.

Decides how far a block reaches and what is carried over: handshakes, joins and messages under way, and deliveries that
nobody has acked. Rule: what is carried is final; everything else is worked out anew in the next block.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from chatsim.core.client import ClientConfig
from chatsim.flow.load import Load
from chatsim.flow.luck import Luck, Prices, dice
from chatsim.people.script import SETTLE_S
from chatsim.people.streams import Streams
from chatsim.scenario.model import Scenario

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SLOTS: Final = 512
"""Of the wheel of pings, in an interval (`chatsim.core.pulse`)."""

PAIRS: Final = 60_000
"""Deliveries that a block should hold, so that arrays of them still fit a cache."""

SAYS: Final = 20_000
"""Messages, or handshakes, that it should hold at most."""


class Arriving(NamedTuple):
    """Users on their way in, by when their request (or join) reaches the node; how long the ways of the answer, of the
    welcome, of the join and of its answer take (s)."""

    user: IntArray
    ready_at: FloatArray
    open_s: FloatArray
    down_s: FloatArray
    up_s: FloatArray
    back_s: FloatArray

    def take(self, where: npt.NDArray[np.int64] | slice) -> Arriving:
        """Some of them."""
        return Arriving(*[column[where] for column in self])  # type: ignore[arg-type]


class Says(NamedTuple):
    """Messages under way to the node: when they are meant to be sent (s), by whom, how long the ways there and of the
    ack take, what the node spends on each but for its writes, and how much of that behind its answer (s)."""

    at: FloatArray
    user: IntArray
    up_s: FloatArray
    down_s: FloatArray
    cost_s: FloatArray
    owing_s: FloatArray

    def take(self, where: npt.NDArray[np.int64]) -> Says:
        """Some of them."""
        return Says(*[column[where] for column in self])  # type: ignore[arg-type]


class Pairs(NamedTuple):
    """Deliveries that are not acked yet, by receiver and in the order of receipt: receiver, sender, when it was
    received (s), and how long the way of an ack takes of which it is the first (s)."""

    conn: IntArray
    sender: IntArray
    at: FloatArray
    up_s: FloatArray

    def take(self, where: npt.NDArray[np.int64]) -> Pairs:
        """Some of them."""
        return Pairs(*[column[where] for column in self])  # type: ignore[arg-type]


def joined(a: tuple[npt.NDArray[np.generic], ...], b: tuple[npt.NDArray[np.generic], ...]) -> list[FloatArray]:
    """The rows of both, column by column."""
    return [np.concatenate(columns) for columns in zip(a, b, strict=True)]


class Node:
    """The node of one run. Moments in seconds since its start; `now` is how far all is worked off."""

    def __init__(self, scenario: Scenario, load: Load, streams: Streams) -> None:
        self.load = load
        self.end_s = scenario.duration_s
        self.tls = scenario.tls
        self.now = 0.0
        self.free_at = 0.0
        self.wait_s_max = 0.0
        self.pings = self.presence_events = self.connections = self.accepted = self.delivered = 0
        self.delay_s = ClientConfig().ack_delay_s
        latency = [group.network.latency for group in scenario.groups]
        self.ways = {
            name: Luck(streams, name, latency)
            for name in ("dial", "open", "welcome", "join", "joined", "say", "ack", "message", "receipt")
        }
        self.varying = not self.ways["message"].constant
        self.prices = Prices(scenario.spent, streams)
        users, sessions = load.connect_at.size, load.size.size
        self.joined_at = np.full(users, np.inf)
        self.open_at = np.full(users, np.inf)
        self.acked_at = np.full(users, -np.inf)
        self.up_at = np.full(users, -np.inf)
        self.down_at = np.full(users, -np.inf)
        self.in_session = np.zeros(sessions, dtype=np.int64)
        self.step_s = scenario.handler.ping_interval_s / SLOTS
        self.slots = np.zeros(SLOTS, dtype=np.int64)
        self._phases = dice(streams, "pings")
        self._next_say = 0
        none, nothing = np.empty(0, dtype=np.int64), np.empty(0)
        self.says = Says(nothing, none, nothing, nothing, nothing, nothing)
        self.pairs = Pairs(none, none, nothing, nothing)
        self.joins = Arriving(none, *(nothing for _ in range(5)))
        self.knocks = self._knocking()
        receivers = float((load.size.astype(np.float64) ** 2).sum() / max(users, 1))
        self._says_max = int(min(max(PAIRS / max(receivers, 1.0), 16), SAYS))

    def _knocking(self) -> Arriving:
        """Every user's request, after a round trip for TCP and one for TLS, in their order."""
        group, ways = self.load.group, self.ways
        ready_at = self.load.connect_at.copy()
        for _ in range(5 if self.tls else 3):
            ready_at += ways["dial"].draw(group)
        rest = (ways[name].draw(group) for name in ("open", "welcome", "join", "joined"))
        order = np.argsort(ready_at, kind="stable")
        return Arriving(np.arange(group.size), ready_at, *rest).take(order)

    @property
    def settled(self) -> bool:
        """Whether nothing is under way any more."""
        pools = (self.says.at, self.pairs.at, self.joins.user, self.knocks.user)
        return self._next_say >= self.load.at_s.size and not any(pool.size for pool in pools)

    @property
    def everybody(self) -> bool:
        """Whether nobody is on the way in any more."""
        return not (self.knocks.user.size or self.joins.user.size)

    def reach(self) -> float:
        """How far the next block should reach (s)."""
        ahead = self._next_say + self._says_max
        until = float(self.load.at_s[ahead]) if ahead < self.load.at_s.size else np.inf
        if self.knocks.user.size > SAYS:
            until = min(until, float(self.knocks.ready_at[SAYS]))
        # A connection is first pinged half an interval after it was opened, which must lie in a later block.
        return max(min(until, self.now + 0.45 * SLOTS * self.step_s), self.now + 1e-3)

    def saying(self, until: float) -> Says:
        """All messages under way, with those that are meant to be sent before `until`, which are under way from now
        on."""
        load, ways = self.load, self.ways
        end = int(np.searchsorted(load.at_s, until))
        user = load.user[self._next_say : end].astype(np.int64)
        group = load.group[user]
        cost_s = self.prices.each("frame", user.size) + self.prices.stored(user.size)
        others = load.size[load.session[user]].astype(np.int64) - 1
        owing_s = self.prices.means("owed", others) * others
        at = load.at_s[self._next_say : end]
        new = Says(at, user, ways["say"].draw(group), ways["ack"].draw(group), cost_s + owing_s, owing_s)
        self._next_say = end
        return Says(*joined(self.says, new)) if self.says.at.size else new  # type: ignore[arg-type]

    def pinging(self, until: float) -> tuple[FloatArray, IntArray]:
        """The moments before `until` at which a slot of the wheel is pinged, and how many are in it."""
        first = int(np.ceil(self.now / self.step_s))
        # A run ends when it is looked at and all is settled, which is mostly the second look.
        last = int(np.ceil(min(until, self.end_s + SETTLE_S) / self.step_s))
        ticks = np.arange(first, max(last, first))
        counts = self.slots[ticks % SLOTS]
        there = counts > 0
        return (ticks[there] * self.step_s).astype(np.float64), counts[there]

    def welcomed(self, start_at: FloatArray) -> None:
        """So many have connected, at these moments: each finds her slot in the wheel."""
        self.connections += start_at.size
        half = SLOTS / 2
        spread = self._phases.random(start_at.size)
        ticks = np.ceil(start_at / self.step_s + half + (half - 1) * spread).astype(np.int64)
        self.slots += np.bincount(ticks % SLOTS, minlength=SLOTS)
