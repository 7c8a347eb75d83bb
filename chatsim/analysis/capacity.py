"""What one node carries: what was measured at each load, the verdict on it, and what it is that binds.

Decides when a load counts as carried. Rule: it is carried where the target holds *and* no resource is so busy that a
short run could not show its queue, so that a queue which is still growing is never taken for one that is short. How
loads are played is the runner's affair, and which is tried next `searching`'s.
"""

from __future__ import annotations

from math import isnan, nan
from typing import Final

import msgspec
import numpy as np

from chatsim.analysis.searching import LOADS_MAX
from chatsim.analysis.slo import Looks, Operator, Verdict, rule, together
from chatsim.scenario.expectations import Expectation
from chatsim.scenario.model import Scenario

BUSY_MAX: Final = 0.97
"""An event loop, or the log's own thread, that is busier than this is not sustained: a queue settles in some
E[S] / (1 - sqrt(rho))^2 (the relaxation time of M/M/1; Cohen, The Single Server Queue, 1982), here 0.4 s for works of
0.1 ms and growing fast, so that a run of seconds would flatter it."""

FIRST: Final = 4
"""Replications before the first verdict on a load."""

N_MAX: Final = 8
"""Replications at the last."""

LEVEL: Final = 0.95
"""How sure the interval is, over all loads that are tried and everything that each is judged by."""

NEAR: Final = 0.8
"""A resource that is used for less than this share of what it has does not bind."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run at one load, after the warm-up.

    `observed` is what the target is about, in its unit; latencies, waits and works are in s, rates a second.
    `busy` and `log_busy` are shares of time, of the event loop and of the log's own thread. A work is one piece that
    the event loop does at a time; `square_s2` is the mean of its square.
    """

    users: int
    seed: int
    observed: float
    busy: float
    log_busy: float
    p50_s: float
    p95_s: float
    p99_s: float
    messages: float
    deliveries: float
    egress_bytes: float
    works: float
    work_s: float
    square_s2: float
    wait_s: float
    wait_p99_s: float


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What a node has: `memory_bytes` and `egress_bytes` a second (None: no limit was given), and what a connection
    takes of the memory (None: not measured); a user has so many `devices`."""

    memory_bytes: float | None = None
    egress_bytes: float | None = None
    connection_bytes: float | None = None
    devices: float = 1.0


class Use(msgspec.Struct, frozen=True):
    """How much of a resource is used at a load, as a share of what there is of it."""

    name: str
    share: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A load and its replications; `verdict` is empty where none was asked for."""

    users: int
    runs: tuple[Measured, ...]
    verdict: Verdict | None = None

    def mean(self, name: str) -> float:
        """The mean of one number over the replications that have it."""
        values = [value for run in self.runs if not isnan(value := float(getattr(run, name)))]
        return float(np.mean(values)) if values else nan

    def span(self, name: str) -> tuple[float, float]:
        """The least and the most of it."""
        values = [float(getattr(run, name)) for run in self.runs]
        return min(values), max(values)


def looks() -> Looks:
    """At how many replications a load is judged, and how much of the error each verdict may spend."""
    return Looks(first=FIRST, n_max=N_MAX, level=1 - (1 - LEVEL) / LOADS_MAX)


def more_wanted(load: Load, target: Expectation, node: Node) -> int:
    """How many more replications are wanted for a verdict: 0 where it stands, or where the last look is past."""
    n = len(load.runs)
    if n < FIRST:
        return FIRST - n
    if verdict_on(load, target, node) != "inconclusive":
        return 0
    return next((at - n for at in looks().at if at > n), 0)


def verdict_on(load: Load, target: Expectation, node: Node) -> Verdict:
    """Whether the load is carried. A run without a sample says nothing; without two that have one, nor does the load.

    A mean is judged by bounds, each in turn wrong with the probability that `looks` gives it; what is promised of every
    run, by the runs.
    """
    checks = _checks(load, target, node)
    plan = msgspec.structs.replace(looks(), expectations=len(checks))
    verdicts: list[Verdict] = []
    for values, limit, op, every in checks:
        there = [value for value in values if not isnan(value)]
        enough = len(there) == len(values) or len(there) >= FIRST
        judged = enough and len(there) >= FIRST
        verdicts.append(rule(there, limit, op, plan, every=every).verdict if judged else "inconclusive")
    return together(verdicts)


def plain_verdict(load: Load, target: Expectation, node: Node) -> Verdict:
    """Whether the means alone say that it is carried, or the greatest of what is promised of every run: for loads that
    are compared under equal luck."""
    good = True
    for values, limit, op, every in _checks(load, target, node):
        there = [value for value in values if not isnan(value)] or [nan]
        observed = max(there) if every else float(np.mean(there))
        good &= observed < limit if op == "<" else observed <= limit
    return "pass" if good else "fail"


def uses(load: Load, node: Node) -> list[Use]:
    """The resources of the node, the one that is used most first; those without a limit are left out."""
    found = [Use("the event loop", load.mean("busy")), Use("the log", load.mean("log_busy"))]
    memory = memory_bytes(load.users, node)
    if node.memory_bytes and memory is not None:
        found.append(Use("memory", memory / node.memory_bytes))
    if node.egress_bytes:
        found.append(Use("egress", load.mean("egress_bytes") / node.egress_bytes))
    return sorted(found, key=lambda use: -use.share)


def binding(load: Load, node: Node) -> str:
    """What binds at the load that is too much: the resource that is used most, or what is no resource of the node."""
    most = uses(load, node)[0]
    return most.name if most.share >= NEAR else "no resource of the node"


def memory_bytes(users: float, node: Node) -> float | None:
    """The memory that the connections of so many users take; None where it was not measured."""
    return None if node.connection_bytes is None else users * node.devices * node.connection_bytes


def _checks(load: Load, target: Expectation, node: Node) -> list[tuple[list[float], float, Operator, bool]]:
    """What a load is judged by: a number for each run, its limit, how they are compared, and whether in every run."""
    runs = load.runs
    found: list[tuple[list[float], float, Operator, bool]] = [
        ([run.observed for run in runs], target.limit, target.op, target.of_every_run),
        ([run.busy for run in runs], BUSY_MAX, "<=", False),
    ]
    if any(run.log_busy for run in runs):
        found.append(([run.log_busy for run in runs], BUSY_MAX, "<=", False))
    if node.egress_bytes:
        found.append(([run.egress_bytes for run in runs], node.egress_bytes, "<=", False))
    memory = memory_bytes(load.users, node)
    if node.memory_bytes and memory is not None:
        found.append(([memory] * len(runs), node.memory_bytes, "<=", False))
    return found


def smallest(scenario: Scenario) -> int:
    """The least number of users that is still this scenario: one room in each group."""
    return sum(group.session_size for group in scenario.groups)


def shares(scenario: Scenario, users: int) -> dict[str, int]:
    """How many users each group has where there are about so many: the same shares, and whole rooms."""
    total = users_of(scenario)
    made = {}
    for group in scenario.groups:
        made[group.name] = max(1, round(users * group.users / total / group.session_size)) * group.session_size
    return made


def sized(scenario: Scenario, users: int) -> Scenario:
    """The scenario with about so many users, in the same shares of its groups and with rooms of the same size.

    The door lets in as many a second as there are, since how fast people come in is another question than how many
    there can be.
    """
    made = shares(scenario, users)
    devices = sum(made[group.name] * group.connections_per_user for group in scenario.groups)
    changes: dict[str, object] = {f"groups.{name}.users": count for name, count in made.items()}
    if scenario.handler.accept_rate_per_s < devices:
        changes["handler.accept_rate"] = f"{devices}/s"
    return scenario.with_(changes)


def users_of(scenario: Scenario) -> int:
    """How many users a scenario has."""
    return sum(group.users for group in scenario.groups)
