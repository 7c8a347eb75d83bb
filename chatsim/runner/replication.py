"""One replication of a scenario: its seed, and its numbers.

Decides which seed each replication has. Rule: replication r of a master seed is the same run whoever plays it and
beside however many; two scenarios of one master seed share their luck replication by replication. This is all that a
process which plays needs to know, and no more is imported here, so that it begins soon.
"""

from __future__ import annotations

import numpy as np

from chatsim.analysis.numbers import Replication, numbers_of
from chatsim.errors import HarnessError
from chatsim.runner.run import play
from chatsim.scenario.model import Scenario


def seed_of(master: int, number: int) -> int:
    """The seed of a replication, counted from 0: the first has the master's own, so that it is the run of the file."""
    if number == 0:
        return master
    return int(np.random.SeedSequence(master, spawn_key=(number,)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def replication(scenario: Scenario, wire: str, number: int) -> Replication:
    """Play one. Raises HarnessError where it is not valid."""
    seed = seed_of(scenario.seed, number)
    result = play(scenario.with_seed(seed), on=wire)
    why = " ".join(f"{each}" for each in result.violations) or result.why_invalid
    if why:
        raise HarnessError(f"Replication {number} of {scenario.name} (seed {seed}) is not valid: {why}")
    groups = {group.name: result.of_group(group.name) for group in scenario.groups}
    numbers = numbers_of(result.metrics, result.counters, groups)
    return Replication(number, seed, numbers, [judged.observed for judged in result.expectations])
