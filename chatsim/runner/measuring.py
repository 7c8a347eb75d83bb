"""One run at one load, measured: what the target is about, how busy the node was, and what it sent.

Rule: only what lies between the end of the warm-up and the end of sending is measured, and a run that is not valid
gives no numbers. This is all that a process which plays needs to know.
"""

from __future__ import annotations

from math import nan
from typing import Any, Final

import msgspec
import numpy as np

from chatsim.analysis.capacity import Measured, users_of
from chatsim.core.effects import Effects, Send
from chatsim.core.frames import encode
from chatsim.errors import BrokenPromiseError, ChatsimError, HarnessError
from chatsim.runner.replication import seed_of
from chatsim.scenario.costs import Collections
from chatsim.scenario.expectations import Expectation
from chatsim.scenario.model import Scenario
from chatsim.sim.event_loop import MeasuredLoop
from chatsim.sim.pipe import frame_bytes
from chatsim.sim.run import Simulated, simulate
from chatsim.verdict.judge import judge
from chatsim.verdict.metrics import Metrics, counters

TLS_BYTES: Final = 22
"""What a record of TLS 1.3 adds: its header of 5 bytes, a byte of type and a tag of 16 (RFC 8446, section 5.2)."""


class Egress:
    """Hears of every step of a node, and counts the bytes of the frames that it sends."""

    def __init__(self, from_at: float, until_at: float, *, tls: bool) -> None:
        self._from_at = from_at
        self._until_at = until_at
        self._more = TLS_BYTES if tls else 0
        self.bytes = 0

    def step(self, now: float, door: str, args: tuple[Any, ...], effects: Effects) -> None:
        """One input and what came of it."""
        if self._from_at <= now < self._until_at:
            for effect in effects:
                if effect.__class__ is Send:
                    size = frame_bytes(len(encode(effect.message)), masked=False) + self._more
                    self.bytes += size * len(effect.to)


class Failed(str):
    """Why there is no measurement."""


class Broke(Failed):
    """The same, where the handler has broken what must hold."""


def attempt(scenario: Scenario, target: Expectation, number: int) -> Measured | Failed:
    """As `measure`, wherever this is called: what went wrong is an answer too."""
    try:
        return measure(scenario, target, number)
    except BrokenPromiseError as error:
        return Broke(error)
    except ChatsimError as error:
        return Failed(error)


def measure(scenario: Scenario, target: Expectation, number: int) -> Measured:
    """Play one replication, and measure it. Raises BrokenPromiseError where an invariant does not hold, HarnessError
    where it is not valid, UsageError where not everybody was there."""
    seeded = _amid(scenario.with_seed(seed_of(scenario.seed, number)))
    begin, end = scenario.warmup_s, scenario.duration_s
    loop, egress = MeasuredLoop(begin, end), Egress(begin, end, tls=scenario.tls)
    found = simulate(seeded, observers=(egress,), loop=loop)
    _check(seeded, found)
    (judged,) = judge([target], found.record)
    metrics = Metrics(found.record)
    quantiles = [metrics.aggregate(name, "delivery_latency") for name in ("p50", "p95", "p99")]
    works, waits = np.asarray(loop.works_s), np.asarray(loop.waits_s)
    span = end - begin
    sent = [row for row in found.record.sent if begin <= row.intended_at < end]
    return Measured(
        users=users_of(scenario),
        seed=seeded.seed,
        observed=judged.observed,
        busy=float(works.sum()) / span,
        log_busy=sum(max(0.0, min(till, end) - max(at, begin)) for at, till in found.commits) / span,
        p50_s=quantiles[0],
        p95_s=quantiles[1],
        p99_s=quantiles[2],
        messages=len(sent) / span,
        deliveries=metrics.samples("delivery_latency").size / span,
        egress_bytes=egress.bytes / span,
        works=works.size / span,
        work_s=float(works.mean()) if works.size else nan,
        square_s2=float((works**2).mean()) if works.size else nan,
        wait_s=float(waits.mean()) if waits.size else nan,
        wait_p99_s=float(np.quantile(waits, 0.99, method="inverted_cdf")) if waits.size else nan,
    )


def _amid(scenario: Scenario) -> Scenario:
    """The scenario on a node that is not fresh: how many messages it has stored since its collector's first pause is
    anybody's guess, and a run is too short to come from one to the next."""
    collect = scenario.costs.collect
    if not isinstance(collect, Collections):
        return scenario
    since = int(np.random.default_rng(scenario.seed).integers(collect.every * len(collect.pauses_s)))
    costs = msgspec.structs.replace(scenario.costs, collect=msgspec.structs.replace(collect, since=since))
    return scenario.model_copy(update={"costs": costs})


def _check(scenario: Scenario, found: Simulated) -> None:
    """Refuse a run that proves nothing."""
    what = f"{scenario.name} with {users_of(scenario)} users (seed {scenario.seed})"
    if found.violations:
        raise BrokenPromiseError(f"{what}: invariants do not hold: {found.violations[0]}")
    idle = next((fired for fired in found.record.fired if fired.vain), None)
    if idle is not None:
        raise HarnessError(f"{what} is not valid: {idle.do} at {idle.at:g} s touched nobody")
    devices = sum(group.users * group.connections_per_user for group in scenario.groups if group.credentials == "good")
    peak = counters(found.record)["connections_peak"]
    if peak < devices:
        raise HarnessError(
            f"{what} had no more than {peak} of {devices} connections at a time: let people arrive over a longer time, "
            "and begin to measure later"
        )
