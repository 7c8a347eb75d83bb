"""What came of a question for capacity, with everything that a report shows of it.

Decides how the answer is said. Rule: an answer that is not a number is a sentence, and a number stands beside its
interval, what binds it and what was tried.
"""

from __future__ import annotations

from math import nan
from typing import Any, Final

import msgspec
import pandas as pd

from chatsim.analysis.capacity import Load, Node
from chatsim.analysis.planning import Plan, Storm
from chatsim.analysis.queueing import mean_wait_s
from chatsim.analysis.searching import Outcome
from chatsim.scenario.units import limited

WAITS: Final = ("users", "runs", "busy", "wait_s", "wait_p99_s", "theory_wait_s")
"""Those columns of a `Finding.curve` that tell of waits for the event loop."""

CURVE: Final = {
    "users": "int64",
    "runs": "int64",
    "verdict": "string",
    "observed": "float64",
    "p50_s": "float64",
    "p95_s": "float64",
    "p99_s": "float64",
    "p99_low_s": "float64",
    "p99_high_s": "float64",
    "busy": "float64",
    "log_busy": "float64",
    "wait_s": "float64",
    "wait_p99_s": "float64",
    "theory_wait_s": "float64",
    "messages_per_s": "float64",
    "deliveries_per_s": "float64",
    "egress_bytes_per_s": "float64",
}
"""One row for each load, ascending: means over its runs of the delivery latency's quantiles, of the shares of time that
event loop and log were busy, of the wait for the event loop and of what M/G/1 says of it (inf: saturated); `p99_low_s`
and `p99_high_s` are the least and the most of a run; `verdict` is empty where none was asked for."""

SWINGS: Final = {"factor": "string", "says": "string", "users": "int64", "change": "float64", "why": "string"}
"""One row for each side of each factor: the capacity then, and by which share it is another; 0 and nan where it could
not be tried, and why."""


class Turned(msgspec.Struct, frozen=True):
    """A factor turned to one side: what it says, and the capacity then; `outcome` as of a search, and `why` where it
    could not be tried."""

    says: str
    users: int
    outcome: Outcome | None
    why: str = ""


class Swing(msgspec.Struct, frozen=True):
    """What a factor does to the capacity."""

    name: str
    sides: tuple[Turned, ...]

    def reach(self, base: int) -> int:
        """How far apart it brings the capacity (users), the base among what is compared."""
        users = [base, *(side.users for side in self.sides if side.users)]
        return max(users) - min(users)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `low` passed and `high` failed (0: not known); the truth lies between them at 95 %, most likely
    at `near`, the largest that passes by its mean. `loads` are all
    that were played, ascending, judged or not; `base` is the capacity that the swings are to be compared with, under
    the luck that they share; `theory` is what M/G/1 says from the lightest load alone."""

    scenario: str
    description: str
    words: dict[str, Any]
    seed: int
    target: str
    unit: str
    limit: float
    outcome: Outcome
    low: int
    high: int
    near: int
    smallest: int
    most: int
    step: float
    binding: str
    node: Node
    loads: tuple[Load, ...]
    theory: int = 0
    capped: bool = False
    base: int = 0
    swings: tuple[Swing, ...] = ()
    plan: Plan | None = None
    storm: Storm | None = None

    @property
    def runs(self) -> int:
        """How many runs the loads rest on."""
        return sum(len(load.runs) for load in self.loads)

    @property
    def curve(self) -> pd.DataFrame:
        """The knee: the columns of `CURVE`."""
        rows = [
            {
                "users": load.users,
                "runs": len(load.runs),
                "verdict": load.verdict or "",
                **{name: load.mean(name) for name in ("observed", "p50_s", "p95_s", "p99_s", "busy", "log_busy")},
                "p99_low_s": load.span("p99_s")[0],
                "p99_high_s": load.span("p99_s")[1],
                "wait_s": load.mean("wait_s"),
                "wait_p99_s": load.mean("wait_p99_s"),
                "theory_wait_s": mean_wait_s(load.mean("works"), load.mean("work_s"), load.mean("square_s2")),
                "messages_per_s": load.mean("messages"),
                "deliveries_per_s": load.mean("deliveries"),
                "egress_bytes_per_s": load.mean("egress_bytes"),
            }
            for load in self.loads
        ]
        return pd.DataFrame(rows, columns=list(CURVE)).astype(CURVE)

    @property
    def tornado(self) -> pd.DataFrame:
        """What each factor does: the columns of `SWINGS`, the factor that matters most first."""
        rows = [
            (swing.name, side.says, side.users, side.users / self.base - 1 if side.users else nan, side.why)
            for swing in sorted(self.swings, key=lambda swing: -swing.reach(self.base))
            for side in swing.sides
        ]
        return pd.DataFrame(rows, columns=list(SWINGS)).astype(SWINGS)

    def __repr__(self) -> str:
        """The answer, and the fleet where there is one."""
        return "\n".join(filter(None, (answer(self), fleet(self))))

    def load(self, users: int) -> Load:
        """The load with so many users, which must have been played."""
        return next(load for load in self.loads if load.users == users)


def answer(found: Finding) -> str:
    """The answer in one sentence."""
    target = f"`{found.target}`"
    if found.outcome == "none":
        return f"None: {target} is missed already by the smallest load, {_users(found.high)}; {_bound(found)}."
    if found.outcome == "more":
        more = "`handler.connections_max` lets in no more" if found.capped else "`--most` tries more"
        held = f"{target} still holds there ({more})"
        return f"More than {_users(found.low)}, the most that were tried: {held}."
    if found.outcome == "undecided":
        low = f"{_users(found.low)} pass" if found.low else "no load passed for sure"
        high = f"{_users(found.high)} fail" if found.high else "none failed for sure"
        return f"Undecided: {low}, {high}, and between them the runs are too few to tell."
    return (
        f"One node carries {_users(found.low)} within {target}: the limit is crossed between {found.low:,} and "
        f"{found.high:,} (95 % sure), most likely above {found.near:,}; {_bound(found)}."
    )


def fleet(found: Finding) -> str:
    """What the fleet is, in one sentence; empty where nobody asked or there is no answer."""
    plan = found.plan
    if plan is None:
        return ""
    cost = "" if plan.cost_h is None else f", {plan.cost_h:,.2f} an hour ({plan.cost_month:,.0f} a month)"
    storm = "" if plan.for_storm is None else ", while all users may come back at once"
    return (
        f"{plan.users:,} users need {plan.nodes:,} nodes at {100 * plan.headroom:g} % headroom, one of which may be "
        f"lost{storm}{cost}."
    )


def _users(users: int) -> str:
    return f"{users:,} user{'' if users == 1 else 's'}"


def _bound(found: Finding) -> str:
    if found.binding == "no resource of the node":
        return "no resource of the node binds it: the time is spent elsewhere, as in the network"
    load = next((load for load in found.loads if load.users == found.high), None)
    busy = "" if load is None or found.binding != "the event loop" else f", busy for {100 * load.mean('busy'):.0f} %"
    return f"{found.binding} binds it{busy}"


def limit_said(found: Finding) -> str:
    """The limit as people read it."""
    return limited(found.limit, found.unit)
