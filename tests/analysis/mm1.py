"""A queue whose waits are known in theory: Poisson arrivals, exponential service of mean 1, one server.

At a load of 0.7 the mean wait is rho / (1 - rho) = 2.3333, and a wait exceeds t with the probability
rho * exp(-(1 - rho) t) (Kleinrock, Queueing Systems 1, 1975, 5.11). Neighbouring waits are alike, as
latencies are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import log
from typing import NamedTuple

import numpy as np

from chatsim.analysis.arrays import FloatArray

LOAD = 0.7
MEAN_WAIT = LOAD / (1 - LOAD)


class Paths(NamedTuple):
    """Waits, services and gaps between arrivals of some runs, each of shape (runs, customers)."""

    waits: FloatArray
    services: FloatArray
    gaps: FloatArray


def wait_quantile(q: float, load: float = LOAD) -> float:
    """The stationary quantile of the wait, for q above 1 - load."""
    return log(load / (1 - q)) / (1 - load)


def waits(services: FloatArray, gaps: FloatArray, backlog: float = 0.0) -> FloatArray:
    """Lindley's W' = max(0, W + S - A) along the last axis, where the first customer waits for the `backlog`.

    As the random walk less its lowest point so far, which needs no loop. `gaps[:, i]` lies between customers i and i+1.
    """
    walk = np.cumsum(services - gaps, axis=1)
    walk = np.concatenate((np.zeros((walk.shape[0], 1)), walk[:, :-1]), axis=1)
    # The backlog is where the walk starts; while it has not touched 0 the wait is backlog + walk.
    return walk + np.maximum(backlog, -np.minimum.accumulate(walk, axis=1))


def paths(generator: np.random.Generator, runs: int, customers: int, load: float = LOAD, backlog: float = 0.0) -> Paths:
    """Independent runs from an empty queue, or from one with a backlog of work."""
    services = generator.standard_exponential((runs, customers))
    gaps = generator.standard_exponential((runs, customers)) / load
    return Paths(waits(services, gaps, backlog), services, gaps)


def analyses(seed: int, count: int, replications: int, customers: int) -> Iterator[FloatArray]:
    """`count` analyses, one at a time: waits of shape (replications, customers), each run from an empty queue."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield paths(generator, replications, customers).waits


@lru_cache(maxsize=2)
def replication_means(count: int = 1000) -> FloatArray:
    """The first `count` analyses of 100 replications: mean waits of 2000 customers past a warm-up of 200, shape (count,
    100).

    One replication deviates by about 17 % of the mean. Made once for all tests that only look at means; a thousand take
    ten seconds.
    """
    means = np.array([waits[:, 200:].mean(axis=1) for waits in analyses(11, count, 100, 2200)])
    means.setflags(write=False)
    return means
