"""From the capacity of one node to a fleet: how many nodes, what is left when one is lost, what a storm does, the cost.

Decides how many nodes are enough. Rule: a fleet is large enough where every node keeps its headroom, where the others
still carry everybody when one is lost, and where nobody is shown to have left when all lose their connection at once
and come back; theory stands beside it and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, inf, isfinite
from typing import Final

import msgspec

from chatsim.analysis.capacity import BUSY_MAX, Load, Node, memory_bytes
from chatsim.analysis.queueing import staffing, wait_quantile_s
from chatsim.core.config import HandlerConfig
from chatsim.errors import UsageError
from chatsim.scenario.costs import Costs

WAITING: Final = 0.2
"""The share of work that waits in the fleet of theory, in which every node could take everybody's."""

BACKOFF_S: Final = 1.0
"""A client's first attempt comes within so long (protocol.md, section 3: 0.5 s and up to 0.5 s more)."""

MONTH_H: Final = 730.0
"""Hours of a month, in the mean."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet for `users`. `usable` is what a node is planned for, `for_headroom`, `for_loss` and `for_storm` (None: it
    was not asked) the nodes that each rule asks for, `nodes` the largest of them. `busy` is the event loop's share when
    all is well, `busy_lost` with a node lost; memory and egress are of one node when all is well (bytes, bytes a
    second). `pooled` is what square-root staffing would say if any node could do anybody's work."""

    users: int
    headroom: float
    capacity: int
    usable: int
    for_headroom: int
    for_loss: int
    for_storm: int | None
    nodes: int
    users_a_node: int
    users_lost: int
    busy: float
    busy_lost: float
    pooled: int
    egress_bytes: float
    memory_bytes: float | None
    price_h: float | None

    @property
    def cost_h(self) -> float | None:
        """What the fleet costs in an hour; None without a price."""
        return None if self.price_h is None else self.nodes * self.price_h

    @property
    def cost_month(self) -> float | None:
        """The same in a month of 730 hours."""
        return None if self.cost_h is None else self.cost_h * MONTH_H


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody on a node comes back at once. A handshake takes `handshake_s` of the event loop, so that a node that
    does nothing else does `possible` a second; beside its chat it has `free` of its time; its door lets in `door` a
    second. `back_s` is how long that takes. The simulated ones are None where it was not played, and `why` says why."""

    users: int
    handshake_s: float
    possible: float
    free: float
    door: float
    back_s: float
    played_p50_s: float | None = None
    played_max_s: float | None = None
    played_p99_s: float | None = None
    played_lost: int | None = None
    why: str = ""


def at_once(load: Load, devices: float, spent_s: float, config: HandlerConfig) -> int | None:
    """How many users a node takes back before the first of them is shown to have left (`presence_grace`), when all of
    them lose their connections at once: beside their chat, of which `load` is an example, at `spent_s` of the event
    loop for each handshake, and as fast as the door lets them in. At least 1; None where the first attempts come later
    than that, so that no node could.
    """
    in_s = config.presence_grace_s - BACKOFF_S
    if in_s <= 0:
        return None
    door = config.resume_rate_per_s * in_s / devices
    # Of the time, busy(users) is chat: users * devices * spent_s <= in_s * (1 - busy * users / load.users).
    each_s = devices * spent_s + in_s * load.mean("busy") / load.users
    return max(1, floor(min(door, in_s / each_s if each_s else inf) + 1e-9))


def plan(
    users: int, headroom: float, load: Load, node: Node, price_h: float | None = None, *, back: int | None = None
) -> Plan:
    """The fleet for so many users out of nodes that carry `load` each, with this share of them kept free, and take
    `back` so many at once (None: however many).

    Raises UsageError for a headroom that leaves nothing.
    """
    usable = floor(load.users * (1 - headroom) + 1e-9)
    if usable < 1:
        raise UsageError(f"A headroom of {100 * headroom:g} % leaves nobody on a node that carries {load.users}.")
    for_headroom, for_loss = ceil(users / usable), ceil(users / load.users) + 1
    for_storm = None if back is None else ceil(users / back)
    nodes = max(for_headroom, for_loss, for_storm or 0)
    a_node, lost = ceil(users / nodes), ceil(users / (nodes - 1))
    share = a_node / load.users
    busy = load.mean("busy")
    return Plan(
        users=users,
        headroom=headroom,
        capacity=load.users,
        usable=usable,
        for_headroom=for_headroom,
        for_loss=for_loss,
        for_storm=for_storm,
        nodes=nodes,
        users_a_node=a_node,
        users_lost=lost,
        busy=busy * share,
        busy_lost=busy * lost / load.users,
        pooled=staffing(busy * users / load.users, WAITING),
        egress_bytes=load.mean("egress_bytes") * share,
        memory_bytes=memory_bytes(a_node, node),
        price_h=price_h,
    )


def storm(users: int, devices: float, busy: float, handshake_s: float, config: HandlerConfig) -> Storm:
    """What it takes to take back so many users, beside a chat that keeps the event loop so busy."""
    free = max(0.0, 1 - busy)
    possible = inf if handshake_s == 0 else 1 / handshake_s
    rate = min(config.resume_rate_per_s, inf if handshake_s == 0 else free / handshake_s)
    return Storm(
        users=users,
        handshake_s=handshake_s,
        possible=possible,
        free=free,
        door=config.resume_rate_per_s,
        back_s=BACKOFF_S + (users * devices / rate if rate else inf),
    )


def played(reckoned: Storm, numbers: Mapping[str, float]) -> Storm:
    """The storm with what a run of it says, by the names of a run's numbers."""
    return msgspec.structs.replace(
        reckoned,
        played_p50_s=numbers["reconnect_time_p50_s"],
        played_max_s=numbers["reconnect_time_max_s"],
        played_p99_s=numbers["delivery_latency_p99_s"],
        played_lost=int(numbers["lost"]),
    )


def not_played(reckoned: Storm, why: str) -> Storm:
    """The storm without a run of it."""
    return msgspec.structs.replace(reckoned, why=why)


def handshake_s(costs: Costs, *, tls: bool) -> float:
    """The event loop's time for one connection until it is in its room: token, TLS, the rest, welcome and join (s);
    `costs` are what a scenario's node has `spent`."""
    spent = [costs.verify, costs.handshake, costs.frame_status or costs.frame, costs.tls_handshake if tls else None]
    answered = 2 * (costs.recipient.mean + costs.write.mean)
    return answered + sum(cost.mean for cost in spent if cost is not None)


def predicted(load: Load, quantile: float | None, limit_s: float, light_s: float) -> int:
    """What M/G/1 says one node carries, from the works of one `load` alone: the most users at which the event loop is
    not too busy and, where the target is a `quantile` of a latency, that quantile of the wait fits between what the
    latency is without a queue (`light_s`) and the limit. 0 for none.
    """
    works, work_s, square_s2 = (load.mean(name) for name in ("works", "work_s", "square_s2"))
    if not works or not isfinite(works * work_s) or not work_s:
        return 0

    def fits(users: int) -> bool:
        rate = works * users / load.users
        if rate * work_s > BUSY_MAX:
            return False
        return quantile is None or light_s + wait_quantile_s(quantile, rate, work_s, square_s2) <= limit_s

    low, high = 0, ceil(load.users / (works * work_s)) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
