"""A runner and a loader that answer what a test told them, in place of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatsim.cli.doors import Doors, Progress, Wire
from chatsim.scenario.expectations import Expectation, parse_expectation
from chatsim.verdict.invariants.catalogue import Violation


@dataclass
class FakeScenario:
    """A scenario that is only a name and a promise."""

    name: str = "steady"
    path: Path | None = None
    seed: int = 1
    expect: tuple[Expectation, ...] = (parse_expectation("p99(delivery_latency) <= 100ms", line=7),)
    changes: Mapping[str, Any] | None = field(default_factory=dict)

    def with_live_overrides(self) -> FakeScenario:
        return self

    def line_of(self, path: tuple[str | int, ...]) -> int:
        return 3


@dataclass
class FakeJudged:
    """One expectation with its verdict."""

    text: str = "p99(delivery_latency) <= 100ms"
    observed: float = 0.0421
    limit: float = 0.1
    verdict: str = "pass"
    n: int = 300
    unit: str = "s"
    why: str = ""


@dataclass
class FakeResult:
    """A finished run."""

    scenario: str = "steady"
    wire: str = "sim"
    seed: int = 1
    verdict: str = "pass"
    expectations: list[FakeJudged] = field(default_factory=lambda: [FakeJudged()])
    valid: bool = True
    why_invalid: str = ""
    busy: bool = False
    violations: list[Violation] = field(default_factory=list)
    path: Path | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> Mapping[str, Any]:
        expectations = [vars(judged) for judged in self.expectations]
        return {
            "scenario": self.scenario,
            "wire": self.wire,
            "seed": self.seed,
            "verdict": self.verdict,
            "expectations": expectations,
            "metrics": {"delivery_latency": {"max": float("inf")}},
            "counters": {"sent": 1},
            "events": self.events,
            "trace_hash": "ab",
            "valid": self.valid,
        }


Answer = Callable[[FakeScenario, Wire, int | None], FakeResult]


def passing(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
    """Everything passes."""
    return FakeResult(scenario.name, on, 1 if seed is None else seed)


@dataclass
class Fakes:
    """The doors of a test, and what was asked of them."""

    scenarios: Sequence[FakeScenario] = (FakeScenario(),)
    problems: Sequence[str] = ()
    answer: Answer = passing
    asked: list[tuple[str, str, int | None, Path | None]] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    loads: int = 0

    def load(self, paths: Sequence[Path], noticed: object = None) -> tuple[Sequence[FakeScenario], Sequence[str]]:
        self.loads += 1
        self.paths.extend(paths)
        return self.scenarios, self.problems

    def run(
        self, scenario: Any, *, on: Wire, seed: int | None, out: Path | None, progress: Progress | None
    ) -> FakeResult:
        self.asked.append((scenario.name, on, seed, out))
        if progress is not None:
            for share in (0.0, 0.5, 1.0):
                progress(share)
        return self.answer(scenario, on, seed)

    def doors(self) -> Doors:
        return Doors(load=self.load, run=self.run)
