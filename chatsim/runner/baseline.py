"""What a baseline is made of: scenarios played once in virtual time, or several times on real sockets.

Decides what tells one scenario from another. Rule: what a run depends on is in the digests, and nothing else: neither
how words are written, nor what is promised, nor what is said about it. A repetition has the seed of the replication
of its number, so that repetitions of two days share their luck.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from chatsim.analysis.numbers import numbers_of
from chatsim.errors import BrokenPromiseError, HarnessError
from chatsim.runner.replication import seed_of
from chatsim.runner.run import RunResult, play, run
from chatsim.scenario.model import Scenario
from chatsim.scenario.versions import differing
from chatsim.store.baseline import Entry, Repetition
from chatsim.store.document import plain
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.metrics import Metrics

_PACKAGES: Final = ("numpy", "simpy", "msgspec")


def digests(scenario: Scenario, wire: str) -> tuple[str, str]:
    """Of what is played on a wire, and of what it costs there, the files that it names included; costs are real on
    sockets, and then have none."""
    played = scenario.with_live_overrides() if wire == "live" else scenario
    scale = played.time_scale if wire == "live" else 1.0
    blank: dict[str, Any] = {"description": "", "tags": (), "requirements": (), "live": {}, "expect": (), "costs": None}
    costs = "" if wire == "live" else _digest(repr(scenario.costs))
    return _digest(f"{scale!r} {played.model_copy(update=blank)!r}"), costs


def changes(entry: Entry, scenario: Scenario) -> str:
    """What is another in this scenario than in the saved one, in a few words; nothing where it is the same."""
    scenario_hash, costs_hash = digests(scenario, entry.wire)
    if (scenario_hash, costs_hash) == (entry.scenario_hash, entry.costs_hash):
        return ""
    now = plain(scenario.words)
    words = differing(entry.words, now, live=entry.wire == "live", beside=("expect",))
    if words:
        return ", ".join(words)
    what = "what is in its words" if scenario_hash != entry.scenario_hash else "the costs"
    return f"{what}, though the words are the same"


def measure(
    scenario: Scenario,
    wire: Literal["sim", "virtual", "live"],
    repetitions: int = 1,
    *,
    attempts: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Entry:
    """What it comes to, for a baseline: as `measured`, and BrokenPromiseError where an invariant does not hold."""
    entry, broken = measured(scenario, wire, repetitions, attempts=attempts, progress=progress)
    check_sound(entry, broken)
    return entry


def check_sound(entry: Entry, broken: Sequence[tuple[int, Violation]]) -> None:
    """Raise BrokenPromiseError where an invariant did not hold: nothing shall be held against such a run."""
    if broken:
        seed, first = broken[0]
        raise BrokenPromiseError(f"{entry.scenario} on {entry.wire} (seed {seed}) is no baseline: invariant {first}")


def measured(
    scenario: Scenario,
    wire: Literal["sim", "virtual", "live"],
    repetitions: int = 1,
    *,
    attempts: int = 1,
    progress: Callable[[int], None] | None = None,
) -> tuple[Entry, list[tuple[int, Violation]]]:
    """Play it so many times (once in virtual time); `attempts` is how often a live run is played for which the machine
    was too busy. `progress` hears how many are done. Beside what it comes to, the invariants that did not hold, each
    with the seed of the first run in which it did not.

    Raises UsageError for what a wire cannot play, HarnessError where a run fails or is not valid, with its seed.
    """
    found = []
    broken: dict[str, tuple[int, Violation]] = {}
    for number in range(repetitions):
        seeded = scenario.with_seed(seed_of(scenario.seed, number))
        result = _valid(seeded, wire, attempts)
        found.append(_repetition(seeded, wire, result))
        for each in result.violations:
            broken.setdefault(each.name, (seeded.seed, each))
        if progress is not None:
            progress(number + 1)
    scenario_hash, costs_hash = digests(scenario, wire)
    entry = Entry(
        scenario=scenario.name,
        wire=wire,
        seed=scenario.seed,
        scenario_hash=scenario_hash,
        costs_hash=costs_hash,
        words=plain(scenario.words),
        repetitions=found,
    )
    return entry, list(broken.values())


def versions() -> dict[str, str]:
    """Of what draws the luck and does the arithmetic: exact values may differ where these do."""
    found = {"python": platform.python_version()}
    return found | {name: metadata.version(name) for name in _PACKAGES}


def _repetition(scenario: Scenario, wire: str, result: RunResult) -> Repetition:
    metrics = Metrics(result.record)
    groups = {group.name: metrics.summary(group.name) for group in scenario.groups}
    numbers = numbers_of(result.metrics, result.counters, groups)
    trace = "" if wire == "live" else result.trace_hash
    return Repetition(scenario.seed, {name: plain(value) for name, value in numbers.items()}, trace)


def _valid(scenario: Scenario, wire: str, attempts: int) -> RunResult:
    """A run that may be judged, or that shows a broken invariant: the first of so many attempts."""
    result = _played(scenario, wire)
    for _ in range(attempts - 1):
        if result.valid or result.violations or not result.busy:
            break
        result = _played(scenario, wire)
    if not result.valid and not result.violations:
        more = " (give it more --attempts)" if result.busy else ""
        raise HarnessError(f"{scenario.name} on {wire} (seed {scenario.seed}) is not valid: {result.why_invalid}{more}")
    return result


def _played(scenario: Scenario, wire: str) -> RunResult:
    if wire != "live":
        return play(scenario, on=wire)
    with TemporaryDirectory(prefix="chatsim-") as folder:
        return run(scenario, on=wire, out=Path(folder))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
