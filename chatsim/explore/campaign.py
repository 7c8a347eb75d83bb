"""Many seeds, on as many processes as are asked for: what they have in common, and the first that failed.

Decides which process plays what, and when it is enough. Rule: nothing that is found out about a seed depends on the
number of processes; of several failures that are found together, the one of the lowest seed is told.
Time is read from a clock that is handed in. What a failure is was decided by `play`.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Final

import msgspec

from chatsim.explore.play import Played, play_seed, wires_of

CHUNK: Final = 10
"""So many seeds are handed to a process at once."""

AHEAD: Final = 2
"""So many chunks wait for each process, so that none is idle and few are in vain after a failure."""

Clock = Callable[[], float]


class Totals(msgspec.Struct):
    """What came of a campaign so far. Times in seconds: of the runs together, and of the wall clock."""

    seeds: int = 0
    runs: int = 0
    twice: int = 0
    simulated_s: float = 0.0
    wall_s: float = 0.0
    messages: int = 0
    by_wire: dict[str, int] = msgspec.field(default_factory=dict)
    fired: dict[str, int] = msgspec.field(default_factory=dict)
    reached: dict[str, int] = msgspec.field(default_factory=dict)
    failures: list[Played] = msgspec.field(default_factory=list)

    def add(self, played: list[Played]) -> None:
        """Count the runs of one seed."""
        self.seeds += 1
        fired, reached, by_wire = Counter(self.fired), Counter(self.reached), Counter(self.by_wire)
        for run in played:
            self.runs += 1
            self.twice += run.twice
            self.simulated_s += run.lasted_s * (2 if run.twice else 1)
            self.messages += run.messages
            by_wire[run.wire] += 1
            fired.update(run.fired)
            reached.update(run.reached)
            if run.violations:
                self.failures.append(run)
        self.fired, self.reached, self.by_wire = dict(fired), dict(reached), dict(by_wire)

    @property
    def rate(self) -> float:
        """Simulated seconds a second of the wall clock."""
        return self.simulated_s / self.wall_s if self.wall_s else 0.0


def play_chunk(seeds: range, on: str) -> list[list[Played]]:
    """Each seed's runs, in the order of the seeds; it ends with the first seed that fails."""
    found = []
    for seed in seeds:
        played = [play_seed(seed, wire) for wire in wires_of(seed, on)]
        found.append(played)
        if any(run.violations for run in played):
            break
    return found


def campaign(
    first: int,
    seeds: int,
    *,
    on: str,
    jobs: int,
    for_s: float,
    clock: Clock,
    progress: Callable[[Totals], None] = lambda totals: None,
) -> Totals:
    """Play seeds `first` to `first + seeds - 1` until one fails or `for_s` seconds of `clock` are over.

    `progress` hears the totals after each chunk.
    """
    totals = Totals()
    began_at = clock()
    for chunk in _results(_chunks(first, seeds), on, jobs):
        for played in chunk:
            totals.add(played)
        totals.wall_s = clock() - began_at
        progress(totals)
        if totals.failures or totals.wall_s >= for_s:
            break
    totals.failures.sort(key=lambda run: run.seed)
    return totals


def _chunks(first: int, seeds: int) -> Iterator[range]:
    end = first + seeds
    return (range(start, min(start + CHUNK, end)) for start in range(first, end, CHUNK))


def _results(chunks: Iterator[range], on: str, jobs: int) -> Iterator[list[list[Played]]]:
    """What came of the chunks, as they are done."""
    if jobs <= 1:
        for chunk in chunks:
            yield play_chunk(chunk, on)
        return
    # Started anew, not forked: a fork takes along whatever threads the display has.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting: set[Future[list[list[Played]]]] = set()
        try:
            while True:
                for chunk in islice(chunks, jobs * AHEAD - len(waiting)):
                    waiting.add(pool.submit(play_chunk, chunk, on))
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield [played for future in done for played in future.result()]
        finally:
            for future in waiting:
                future.cancel()
