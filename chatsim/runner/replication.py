"""One replication of a scenario: its seed, and its numbers.

Decides which seed each replication has. Rule: replication r of a master seed is the same run whoever plays it and
beside however many; two scenarios of one master seed share their luck replication by replication. This is all that a
process which plays needs to know, and no more is imported here, so that it begins soon.
"""

from __future__ import annotations

import numpy as np

from chatsim.analysis.numbers import Replication, numbers_of
from chatsim.errors import BrokenPromiseError, HarnessError
from chatsim.runner.run import play
from chatsim.scenario.model import Scenario


def seed_of(master: int, number: int) -> int:
    """The seed of a replication, counted from 0: the first has the master's own, so that it is the run of the file."""
    if number == 0:
        return master
    return int(np.random.SeedSequence(master, spawn_key=(number,)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def replication(scenario: Scenario, wire: str, number: int) -> Replication:
    """Play one; in a handler that breaks what must hold it is one too. Raises HarnessError where it is not valid."""
    seed = seed_of(scenario.seed, number)
    result = play(scenario.with_seed(seed), on=wire)
    # Where the sums are wrong too, that is why.
    if not result.valid and not result.violations:
        raise HarnessError(f"Replication {number} of {scenario.name} (seed {seed}) is not valid: {result.why_invalid}")
    groups = {group.name: result.of_group(group.name) for group in scenario.groups}
    numbers = numbers_of(result.metrics, result.counters, groups)
    return Replication(number, seed, numbers, [judged.observed for judged in result.expectations], result.violations)


def check_held(scenario: Scenario, made: Replication, more: str = "") -> None:
    """Raise BrokenPromiseError where an invariant did not hold in a replication of this scenario; `more` says of which
    one it is."""
    if made.violations:
        what = f"Replication {made.number} of {scenario.name} (seed {made.seed}) breaks what must hold"
        raise BrokenPromiseError(f"{what}: {' '.join(f'{each}' for each in made.violations)}{more}")
