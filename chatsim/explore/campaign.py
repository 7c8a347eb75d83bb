"""Many seeds, on as many processes as are asked for: what they have in common, and the first that failed.

Decides when it is enough. Rule: nothing that is found out depends on the number of processes: seeds are counted in
their order, up to the lowest that fails and no further. Only where it ends early, for want of a process or because
somebody interrupts it, all counts that is known by then.
Time is read from clocks that are handed in. What a failure is was decided by `play`, who plays is left to `workers`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TypeAlias

import msgspec

from chatsim.explore.play import Played, play_seed, wires_of
from chatsim.explore.workers import Answer, Lost, answers

Clock: TypeAlias = Callable[[], float]
Play: TypeAlias = Callable[[int, str], list[Played]]


class Totals(msgspec.Struct):
    """What came of a campaign so far. Times in seconds: of the runs together, and of the wall clock.

    `reached` counts the runs that reached a property, `reached_on` those on each wire: a comparison is a run on each of
    its two. `simulated_on` and `took_on` are the time that was simulated on each, and what that took. `left_out` counts
    the runs on both wires that were compared no further for this reason ("": all was compared). `lost` says why there
    is no answer for a seed, `unfinished` are those being played when it was `interrupted`.
    """

    seeds: int = 0
    runs: int = 0
    twice: int = 0
    simulated_s: float = 0.0
    wall_s: float = 0.0
    messages: int = 0
    by_wire: dict[str, int] = msgspec.field(default_factory=dict)
    fired: dict[str, int] = msgspec.field(default_factory=dict)
    reached: dict[str, int] = msgspec.field(default_factory=dict)
    reached_on: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    simulated_on: dict[str, float] = msgspec.field(default_factory=dict)
    took_on: dict[str, float] = msgspec.field(default_factory=dict)
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
    failures: list[Played] = msgspec.field(default_factory=list)
    lost: dict[int, str] = msgspec.field(default_factory=dict)
    unfinished: list[int] = msgspec.field(default_factory=list)
    interrupted: bool = False

    def add(self, played: list[Played]) -> None:
        """Count the runs of one seed."""
        self.seeds += 1
        fired, reached, by_wire = Counter(self.fired), Counter(self.reached), Counter(self.by_wire)
        for run in played:
            self.runs += 1
            self.twice += run.twice
            simulated_s = run.lasted_s * (2 if run.twice else 1)
            self.simulated_s += simulated_s
            self.simulated_on[run.wire] = self.simulated_on.get(run.wire, 0.0) + simulated_s
            self.took_on[run.wire] = self.took_on.get(run.wire, 0.0) + run.took_s
            if run.wire == "agreement":
                self.left_out[run.left_out] = self.left_out.get(run.left_out, 0) + 1
            self.messages += run.messages
            by_wire[run.wire] += 1
            fired.update(run.fired)
            reached.update(run.reached)
            for wire, names in (run.reached_on or {run.wire: run.reached}).items():
                self.reached_on[wire] = dict(Counter(self.reached_on.get(wire, {})) + Counter(names))
            if run.violations:
                self.failures.append(run)
        self.fired, self.reached, self.by_wire = dict(fired), dict(reached), dict(by_wire)

    @property
    def rate(self) -> float:
        """Simulated seconds a second of the wall clock."""
        return self.simulated_s / self.wall_s if self.wall_s else 0.0

    def rates(self) -> dict[str, float]:
        """Simulated seconds a second of the process that plays, on each wire that took any time."""
        return {wire: self.simulated_on[wire] / took_s for wire, took_s in self.took_on.items() if took_s}


def play_wires(seed: int, on: str, clock: Clock = time.perf_counter) -> list[Played]:
    """The runs of one seed, on each of its wires; `clock` (s) is that of whoever plays."""
    runs = []
    for wire in wires_of(seed, on):
        began_at = clock()
        run = play_seed(seed, wire)
        run.took_s = clock() - began_at
        runs.append(run)
    return runs


def campaign(
    first: int,
    seeds: int,
    *,
    on: str,
    jobs: int,
    for_s: float,
    clock: Clock,
    progress: Callable[[Totals], None] = lambda totals: None,
    play: Play = play_wires,
) -> Totals:
    """Play seeds `first` to `first + seeds - 1` until one fails or `for_s` seconds of `clock` are over.

    `progress` hears the totals after each seed, and now and then where one takes long. An interrupt (KeyboardInterrupt)
    ends it, and is told in the totals. `play` gives the runs of a seed. Raises HarnessError where no process can be
    started.
    """
    under_way = _Campaign(first, seeds, for_s, clock)
    totals = under_way.totals
    try:
        with closing(answers(under_way.seeds(), partial(_on, play, on), jobs)) as heard:
            for found in heard:
                if found is not None:
                    under_way.hear(*found)
                totals.wall_s = under_way.lasted_s()
                progress(totals)
                if totals.failures:
                    break
    except KeyboardInterrupt:
        totals.interrupted = True
    if not totals.failures:
        under_way.take_all()
    totals.wall_s = under_way.lasted_s()
    return totals


def _on(play: Play, on: str, seed: int) -> list[Played]:
    return play(seed, on)


class _Campaign:
    """Which seeds are out, which are answered, and which are counted."""

    def __init__(self, first: int, seeds: int, for_s: float, clock: Clock) -> None:
        self.totals = Totals()
        self._range = range(first, first + seeds)
        self._for_s = for_s
        self._clock = clock
        self._began_at = clock()
        self._next = first
        self._out: set[int] = set()
        self._ahead: dict[int, Answer] = {}
        self._enough = False

    def lasted_s(self) -> float:
        """How long it has been under way (s)."""
        return self._clock() - self._began_at

    def seeds(self) -> Iterator[int]:
        """Those to be played, as somebody is free to: none once it is enough. All below one that is out are out too."""
        for seed in self._range:
            if self._enough or (seed > self._range.start and self.lasted_s() >= self._for_s):
                return
            self._out.add(seed)
            yield seed

    def hear(self, seed: int, answer: Answer) -> None:
        """Keep the answer until its turn has come, which it has when all lower ones are counted."""
        self._ahead[seed] = answer
        self._enough = self._enough or isinstance(answer, Lost) or any(run.violations for run in answer)
        while self._next in self._ahead and not self.totals.failures:
            self._count(self._next)
            self._next += 1

    def take_all(self) -> None:
        """Count what is known, whether or not its turn has come: nothing that was found is lost."""
        for seed in sorted(self._ahead):
            self._count(seed)
        self.totals.unfinished = sorted(self._out)

    def _count(self, seed: int) -> None:
        answer = self._ahead.pop(seed)
        self._out.discard(seed)
        if isinstance(answer, Lost):
            self.totals.lost[seed] = answer.why
        else:
            self.totals.add(answer)
