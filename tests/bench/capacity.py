"""Where the live backend really crosses a target, against where the simulation says it does: one number, a ratio.

Decides how the live backend is climbed: by steps from below what is predicted to where it breaks the target twice, and
then once into the middle. Rule: at most `USERS_MAX` connections and `PATIENCE_S` of climbing, and a run in which the
crowd or the machine was in the way proves nothing and is said. CHATSIM_BENCH_COSTS names a calibration of this machine;
without it the shipped costs are used, which are another machine's.
"""

from __future__ import annotations

import os
import tempfile
import time
from math import sqrt
from pathlib import Path
from typing import Final

from chatsim.analysis.capacity import sized, users_of
from chatsim.analysis.capacity_found import Finding, answer
from chatsim.runner.capacity import capacity
from chatsim.runner.run import run
from chatsim.scenario.expectations import parse_expectation
from chatsim.scenario.model import Scenario

TARGET: Final = "p99(delivery_latency) <= 100ms"
USERS_MAX: Final = 1998
PATIENCE_S: Final = 150.0
BELOW: Final = 0.6
"""The climb begins at this share of what is predicted."""

STEP: Final = 1.15


def shape() -> Scenario:
    """Small talk in threes, eight times a second each, with a log that lasts: no calibration plays anything like it."""
    return Scenario.of(
        {
            "name": "threes",
            "duration": "11s",
            "warmup": "7s",
            "costs": os.environ.get("CHATSIM_BENCH_COSTS", "default"),
            "log": {"store": "sqlite"},
            "handler": {"rate_limit": "1200/min", "frame_limit": "12000/min"},
            "groups": [
                {
                    "name": "people",
                    "users": 300,
                    "session_size": 3,
                    "arrive_over": "5s",
                    "messages": {"arrivals": "profile", "profile": [["0s", 0], ["6s", "8/s"]]},
                    "network": {"latency": {"lognormal": {"median": "10ms", "p99": "25ms"}}},
                }
            ],
            "expect": [TARGET],
        },
        folder=Path.cwd(),
    )


class Climb:
    """The live backend, load by load; `passed` and `failed` are the nearest on both sides (users, 0: none)."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.passed = self.failed = 0
        self._until = time.monotonic() + PATIENCE_S
        self._took_s = 0.0

    def go(self, predicted: int) -> str:
        """Climb; returns why it ended, empty where it found the crossing."""
        users = max(BELOW * predicted, 6.0)
        while not self.failed:
            if users > USERS_MAX and self.passed >= USERS_MAX - 2:
                return f"it still keeps the target with {self.passed} connections, the most that are tried"
            why = self._try(int(min(users, USERS_MAX)))
            if why:
                return why
            users = users * STEP if self.passed else users / STEP
        while not self.passed:
            users /= STEP
            if users < 3:
                return "it breaks the target with three people"
            if why := self._try(int(users)):
                return why
        return self._try(round(sqrt(self.passed * self.failed))) if self.failed / self.passed > 1.05 else ""

    def _try(self, users: int) -> str:
        """One load; what breaks the target once is tried again. Returns why it proves nothing."""
        at = sized(self.scenario, users)
        for attempt in (1, 2):
            if time.monotonic() + self._took_s > self._until:
                return f"{PATIENCE_S:g} s are over"
            began_at = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="chatsim-bench-") as folder:
                found = run(at, on="live", out=Path(folder), closely=True)
            self._took_s = max(self._took_s, time.monotonic() - began_at)
            (judged,) = found.expectations
            busy = found.metrics["utilisation"].get("mean", 0.0)
            print(
                f"  live, {users_of(at)} users: p99 {judged.observed * 1000:.1f} ms, busy {busy:.0%} of the whole run"
                f"{'' if found.valid else ', not valid: ' + found.why_invalid}"
            )
            if found.violations:
                return f"{users_of(at)} users: {found.violations[0]}"
            if found.valid and judged.verdict == "pass":
                self.passed = max(self.passed, users_of(at))
                return ""
            if attempt == 2 and not found.valid:
                return f"{users_of(at)} users: {found.why_invalid}"
        self.failed = users_of(at)
        return ""


def crossing() -> None:
    """Print what is predicted, what is measured, and the ratio."""
    scenario = shape()
    # In simulation two seconds are as good as four, since nothing is in the way there.
    shorter = scenario.with_({"duration": "9s"})
    found: Finding = capacity(shorter, parse_expectation(TARGET), most=2 * USERS_MAX, around=False)
    print(f"capacity, predicted: {answer(found)}")
    if found.outcome != "found":
        print("capacity: there is no prediction to be held against the live backend")
        return
    climb = Climb(scenario)
    why = climb.go(min(found.near, USERS_MAX))
    if not (climb.passed and climb.failed):
        print(f"capacity: no crossing was measured ({why})")
        return
    measured = sqrt(climb.passed * climb.failed)
    print(
        f"capacity: predicted {found.near} ({found.low} to {found.high}), measured {measured:.0f} (kept at "
        f"{climb.passed}, broken at {climb.failed}), ratio {found.near / measured:.2f} (wanted 0.85 to 1.15)"
        f"{f'; {why}' if why else ''}"
    )
