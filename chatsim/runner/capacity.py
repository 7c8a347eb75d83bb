"""The largest load of one node: plays loads until each is decided, then what surrounds the answer.

Decides the order: a first run that says roughly where to look, the search, the knee, the factors, the failures. Rule:
all loads share their luck run by run, and what is found depends neither on the number of processes nor on which load
was tried first. Processes are joblib's.
"""

from __future__ import annotations

import itertools
import warnings
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf, isnan
from pathlib import Path
from typing import Any, Final

from joblib import Parallel, delayed

from chatsim.analysis import planning
from chatsim.analysis.capacity import (
    BUSY_MAX,
    Load,
    Measured,
    Node,
    binding,
    more_wanted,
    plain_verdict,
    shares,
    sized,
    smallest,
    users_of,
    verdict_on,
)
from chatsim.analysis.capacity_found import Finding, Swing, Turned
from chatsim.analysis.factors import factors
from chatsim.analysis.searching import Found, grid, search
from chatsim.analysis.slo import Verdict
from chatsim.errors import BrokenPromiseError, HarnessError, UsageError
from chatsim.runner.desk import Played, load
from chatsim.runner.measuring import Broke, Failed, attempt
from chatsim.runner.pool import deaf_to_interrupts, processes
from chatsim.scenario import costs
from chatsim.scenario.expectations import Expectation, parse_expectation
from chatsim.scenario.model import Scenario
from chatsim.scenario.reading import find_file
from chatsim.store.calibration import connection_bytes

MOST: Final = 20_000
"""Users that are tried at most, where nobody says otherwise: more want minutes for each run."""

STEP: Final = 0.02
"""How fine the grid of loads is."""

FACTOR_STEP: Final = 0.03
"""The same where loads are compared under equal luck."""

FACTOR_RUNS: Final = 2
"""Runs of each load there."""

FACTOR_LOADS: Final = 8
"""Loads that are tried for each side of a factor."""

KNEE: Final = (0.25, 0.5, 0.7, 0.85, 1.1)
"""Where the curve is drawn beside what the search tried, as shares of the capacity."""

STORM_S: Final = 12.0
"""How long after a storm people go on sending."""

Told = Callable[[str, int], None]
"""What is under way, and how many of its runs are done."""


def capacity(
    scenario: Played,
    target: Expectation | str | None = None,
    *,
    users: int | None = None,
    headroom: float = 0.3,
    price_h: float | None = None,
    memory_bytes: float | None = None,
    egress_bytes: float | None = None,
    most: int = MOST,
    around: bool = True,
    jobs: int = -1,
    progress: Told | None = None,
) -> Finding:
    """How many users one node carries within the target (the scenario's first upper limit where it is left out).

    `users` is what a fleet shall carry; `memory_bytes` and `egress_bytes` (a second) are what a node has of them;
    `around` has the knee, the factors and the failures played as well. Raises UsageError for what cannot be asked,
    BrokenPromiseError where an invariant does not hold in a run, HarnessError where one fails or is not valid.
    """
    played = load(scenario)
    wanted = target_of(played) if target is None else parse_expectation(target) if isinstance(target, str) else target
    check_target(wanted, played)
    if not 0 <= headroom < 1:
        raise UsageError(f"A headroom of {100 * headroom:g} % leaves nothing: give a share below 100 %, such as 30%.")
    devices = sum(group.users * group.connections_per_user for group in played.groups) / users_of(played)
    node = Node(
        memory_bytes=memory_bytes,
        egress_bytes=egress_bytes,
        connection_bytes=_connection_bytes(played),
        devices=devices,
    )
    check_node(node, price_h)
    door = int(played.handler.connections_max / devices)
    capped, most = door < most, min(most, door)
    if most < smallest(played):
        least = smallest(played)
        cure = f"handler.connections_max to {ceil(least * devices)}" if capped else f"--most to {least}"
        raise UsageError(
            f"{played.name} has {least} users at least, one room of each group, and {most} at most: raise {cure}"
        )
    with processes(jobs) as pool:
        work = _Work(played, wanted, node, pool, progress or _unheard, capped=capped)
        found = work.search(most)
        made = work.finding(found, most)
        if found.outcome == "found" and around:
            work.knee(found.low)
            made = work.finding(found, most, base=work.base(found.low))
            swings = tuple(work.swings(made.base))
            plan = work.plan(users or found.low, headroom, found.low, price_h)
            made = work.finding(found, most, base=made.base, swings=swings, storm=work.storm(plan), plan=plan)
        elif found.outcome == "found" and users is not None:
            plan = work.plan(users, headroom, found.low, price_h)
            made = work.finding(found, most, plan=plan)
    return made


def target_of(scenario: Scenario) -> Expectation:
    """The scenario's own first upper limit of a metric. Raises UsageError where it has none."""
    for expectation in scenario.expect:
        if expectation.op in ("<=", "<") and expectation.aggregate is not None:
            return expectation
    raise UsageError(
        f"{scenario.name} expects no upper limit of a metric: give --target 'p99(delivery_latency) <= 100ms'"
    )


def check_target(target: Expectation, scenario: Scenario) -> None:
    """Raise UsageError for what cannot limit a load."""
    if target.op not in ("<=", "<"):
        raise UsageError(f"{target.text} is no limit that too much load would break: write one with <= or <")
    if target.group is not None and target.group not in [group.name for group in scenario.groups]:
        raise UsageError(f"{target.text}: {scenario.name} has no group {target.group}")


def check_node(node: Node, price_h: float | None) -> None:
    """Raise UsageError for what no node has, and for a limit that nothing can be held against."""
    for word, value in (("memory", node.memory_bytes), ("egress", node.egress_bytes)):
        if value is not None and not 0 < value < inf:
            raise UsageError(f"a node with {value:g} bytes of {word} carries nobody: say what it has, or leave it out")
    if price_h is not None and not 0 <= price_h < inf:
        raise UsageError(f"{price_h} is no price: say what a node costs in an hour, such as 0.20")
    if node.memory_bytes is not None and node.connection_bytes is None:
        raise UsageError(
            "the costs do not say how much memory a connection takes, so that it can limit nothing: give them as "
            "`costs:` a file that `chatsim calibrate` wrote, or leave the memory out"
        )


def _unheard(what: str, runs: int) -> None:
    """Nobody wants to know how far it is."""


class _Work:
    """Everything that is played, by load. `loads` are those of the scenario itself."""

    def __init__(
        self, scenario: Scenario, target: Expectation, node: Node, pool: Parallel, told: Told, *, capped: bool
    ) -> None:
        """The handler lets in no more than what is tried where it is `capped`."""
        self.capped = capped
        self.scenario = scenario
        self.target = target
        self.node = node
        self.loads: dict[int, Load] = {}
        self._pool = pool
        self._told = told
        self._done = 0

    def search(self, most: int) -> Found:
        """The largest load that is carried."""
        first = sized(self.scenario, min(users_of(self.scenario), most))
        pilot = self._play("looking for the range", [(first, 0)])[0]
        if isnan(pilot.observed):
            raise UsageError(
                f"{self.target.text} limits what never happens in {self.scenario.name}: limit another metric, or have "
                f"the scenario make some {self.target.metric}"
            )
        self.loads[users_of(first)] = Load(users=users_of(first), runs=(pilot,))
        guess = users_of(first) * BUSY_MAX / max(pilot.busy, 1e-6)
        loads = self._grid(self.scenario, most, STEP)
        return search(loads, _place(loads, guess), self._judged)

    def _judged(self, users: int) -> Verdict:
        """Play a load until it is decided."""
        found = self.loads.get(users, Load(users=users, runs=()))
        scenario = sized(self.scenario, users)
        while more := more_wanted(found, self.target, self.node):
            n = len(found.runs)
            made = self._play("searching", [(scenario, number) for number in range(n, n + more)])
            found = Load(users=users, runs=(*found.runs, *made))
        verdict = verdict_on(found, self.target, self.node)
        self.loads[users] = Load(users=users, runs=found.runs, verdict=verdict)
        return verdict

    def knee(self, low: int) -> None:
        """Loads below and above the capacity, for the curve."""
        wanted = [sized(self.scenario, max(smallest(self.scenario), round(share * low))) for share in KNEE]
        for scenario in wanted:
            self._at_least(scenario, FACTOR_RUNS, "drawing the knee")

    def _at_least(self, scenario: Scenario, n: int, what: str) -> Load:
        users = users_of(scenario)
        before = self.loads.get(users, Load(users=users, runs=()))
        made = self._play(what, [(scenario, number) for number in range(len(before.runs), n)])
        self.loads[users] = Load(users=users, runs=(*before.runs, *made), verdict=before.verdict)
        return self.loads[users]

    def base(self, low: int) -> int:
        """The capacity under the luck that the factors share."""
        return self._compared(self.scenario, low).low

    def _compared(self, scenario: Scenario, near: int) -> Found:
        """The capacity of a scenario by the means of a few runs, whose luck all scenarios share."""
        most = min(4 * near, int(scenario.handler.connections_max / self.node.devices))
        loads = self._grid(scenario, most, FACTOR_STEP)
        known: dict[int, Load] = {}

        def judged(users: int) -> Verdict:
            if users not in known:
                at = sized(scenario, users)
                runs = self._play("turning factors", [(at, number) for number in range(FACTOR_RUNS)])
                known[users] = Load(users=users, runs=tuple(runs))
            return plain_verdict(known[users], self.target, self.node)

        place = _place(loads, near)
        judged(loads[place])
        guess = near * min(max(BUSY_MAX / max(known[loads[place]].mean("busy"), 1e-6), 0.4), 2.5)
        return search(loads, _place(loads, guess), judged, most=FACTOR_LOADS, coarse=1)

    def swings(self, base: int) -> list[Swing]:
        """What each factor does, one at a time."""
        found = []
        for factor in factors(self.scenario):
            sides = []
            for side in factor.sides:
                if side.scenario is None:
                    sides.append(Turned(side.says, 0, None, side.why))
                    continue
                at = self._compared(side.scenario, base)
                sides.append(Turned(side.says, at.low, at.outcome))
            found.append(Swing(factor.name, tuple(sides)))
        return found

    def plan(self, users: int, headroom: float, low: int, price_h: float | None) -> planning.Plan:
        """The fleet for so many users, of nodes that carry `low` each."""
        scenario, load, node = self.scenario, self.loads[low], self.node
        spent_s = planning.handshake_s(scenario.spent, tls=scenario.tls)
        back = planning.at_once(load, node.devices, spent_s, scenario.handler)
        return planning.plan(users, headroom, load, node, price_h, back=back)

    def storm(self, plan: planning.Plan) -> planning.Storm:
        """Everybody on a node of the plan loses the connection at once: reckoned, and played."""
        scenario = sized(self.scenario, plan.users_a_node)
        spent_s = planning.handshake_s(scenario.spent, tls=scenario.tls)
        at_s = scenario.warmup_s
        reckoned = planning.storm(plan.users_a_node, self.node.devices, plan.busy, spent_s, scenario.handler)
        events = [{"at": f"{at_s}s", "do": "drop", "group": group.name, "share": "100%"} for group in scenario.groups]
        struck = scenario.with_({"events": events, "duration": f"{at_s + STORM_S}s"})
        return self._struck(struck, reckoned)

    def _struck(self, struck: Scenario, reckoned: planning.Storm) -> planning.Storm:
        from chatsim.runner.replication import check_held, replication

        self._told("playing a storm", self._done)
        try:
            made = replication(struck, "sim", 0)
        except HarnessError as problem:
            # All else was found, and is worth more than this.
            return planning.not_played(reckoned, f"{problem}")
        check_held(struck, made)
        self._done += 1
        self._told("playing a storm", self._done)
        return planning.played(reckoned, made.numbers)

    def finding(self, found: Found, most: int, **more: Any) -> Finding:
        """Everything so far as one finding."""
        loads = tuple(sorted(self.loads.values(), key=lambda load: load.users))
        light, target = loads[0], self.target
        return Finding(
            scenario=self.scenario.name,
            description=self.scenario.description,
            words=self.scenario.words,
            seed=self.scenario.seed,
            target=target.text,
            unit={"s": "s", "share": "share", "count": ""}[target.unit],
            limit=target.limit,
            outcome=found.outcome,
            low=found.low,
            high=found.high,
            near=self._near(found),
            smallest=smallest(self.scenario),
            most=most,
            capped=self.capped,
            step=STEP,
            binding=binding(self.loads[found.high or found.low], self.node) if found.high or found.low else "",
            node=self.node,
            loads=loads,
            theory=planning.predicted(light, _quantile(target), target.limit, light.mean("observed")),
            **more,
        )

    def _near(self, found: Found) -> int:
        """The largest load between the two ends that passes by its mean."""
        between = [users for users in sorted(self.loads) if found.low <= users < found.high]
        passing = itertools.takewhile(
            lambda users: plain_verdict(self.loads[users], self.target, self.node) == "pass", between
        )
        return max(passing, default=found.low)

    def _grid(self, scenario: Scenario, most: int, step: float) -> tuple[int, ...]:
        """The loads of a grid that rooms of full size can make."""
        least = smallest(scenario)
        made = {sum(shares(scenario, users).values()) for users in grid(least, max(most, least), step)}
        return tuple(sorted(users for users in made if users <= max(most, least)))

    def _play(self, what: str, tasks: Sequence[tuple[Scenario, int]]) -> list[Measured]:
        """Play these, on every process there is; in their order."""
        self._told(what, self._done)
        if not tasks:
            return []
        with deaf_to_interrupts():
            results = self._pool(delayed(attempt)(scenario, self.target, number) for scenario, number in tasks)
        made: list[Measured] = []
        try:
            for result in results:
                if isinstance(result, Broke):
                    raise BrokenPromiseError(str(result))
                if isinstance(result, Failed):
                    raise HarnessError(str(result))
                made.append(result)
                self._done += 1
                self._told(what, self._done)
        finally:
            with warnings.catch_warnings():
                # joblib warns of tasks that nobody waits for: whoever is interrupted knows.
                warnings.simplefilter("ignore")
                results.close()
        return made


def _place(loads: Sequence[int], users: float) -> int:
    """The place of the first load that is no smaller, or the last."""
    return max(0, min(bisect_left(loads, ceil(users)), len(loads) - 1))


def _quantile(target: Expectation) -> float | None:
    """The share that a target is a quantile of the delivery latency at; None for any other target."""
    aggregate = f"{target.aggregate}"
    if target.metric != "delivery_latency" or not aggregate.startswith("p"):
        return None
    return float(aggregate[1:]) / 100


def _connection_bytes(scenario: Scenario) -> float | None:
    """The memory of a connection, where the costs are a calibration that measured it."""
    words: Mapping[str, Any] = scenario.words
    name = words.get("costs", "default")
    if not isinstance(name, str):
        return None
    path = costs.SHIPPED if name == "default" else Path(find_file(name, scenario.folder))
    return connection_bytes(path, tls=scenario.tls)
