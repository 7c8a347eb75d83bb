"""What happened in one run, as plain rows: the one thing that verdicts, tables and pictures are computed from.

Rule: all wires fill the same rows, moments in seconds since the start of the run, exact (no buckets, no rounding).
Turning rows into metrics and verdicts is left to `chatsim.verdict`.
"""

from __future__ import annotations

from typing import Final

import msgspec

DELIVERED: Final = "delivered"
WAITING: Final = "waiting"
FORGOTTEN: Final = "forgotten"
"""What became of a message for one receiver, unless it is the reason why it was given up. A node that began again has
forgotten what its log did not tell it to wait for."""


class Sent(msgspec.Struct, gc=False):
    """One message that a person meant to send. Moments are nan where the thing never happened."""

    user: str
    group: str
    session: str
    id: str
    intended_at: float
    acked_at: float
    message_id: str


class Outage(msgspec.Struct, gc=False):
    """One lost connection of a person who wants to be there; `joined_at` is inf if she never came back."""

    user: str
    group: str
    lost_at: float
    joined_at: float


class Detection(msgspec.Struct, gc=False):
    """One peer that vanished or froze; `closed_at` is inf if the server never closed it (peers that woke in time have
    no row)."""

    user: str
    group: str
    gone_at: float
    closed_at: float


class Fired(msgspec.Struct, gc=False):
    """One event of the scenario, with the users it touched.

    What is done to the node touches those who are connected, what is done to its log or its clock nobody by itself.
    `vain` is an event that had nothing to strike: no victim was there, or no node. `lasts_s` is how long it goes on: 0
    for what is done in a moment, inf for what nobody takes back.
    """

    do: str
    at: float
    users: tuple[str, ...]
    vain: bool = False
    lasts_s: float = 0.0


class RunRecord(msgspec.Struct):
    """The rows of one run.

    `receipts` maps a message id to {receiving user: moment of first receipt}; `owed` maps it to {receiving user:
    outcome}, the outcome being DELIVERED, WAITING, FORGOTTEN or the reason why it was given up; `accepted` maps
    (sender, client id) to the message id for every message that the log took, acked at the sender or not.
    `unanswered` are (sender, client id) of what a server that is seen from outside only was asked on a connection that
    is there, and has not answered.
    `utilisation` has one value a node, `loop_lag` one value a sample, `drain_time` one a drained node.
    `counters` holds the counters of scenarios.md except those derived from the rows above (sent, accepted, delivered,
    undelivered, lost).
    """

    sent: list[Sent]
    accepted: dict[tuple[str, str], str]
    receipts: dict[str, dict[str, float]]
    owed: dict[str, dict[str, str]]
    groups: dict[str, str]
    outages: list[Outage]
    detections: list[Detection]
    fired: list[Fired]
    drain_time_s: list[float]
    loop_lag_s: list[float]
    utilisation: list[float]
    counters: dict[str, int]
    duration_s: float
    warmup_s: float
    unanswered: set[tuple[str, str]] = msgspec.field(default_factory=set)
