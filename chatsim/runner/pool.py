"""Replications on many processes, as they come, until nobody wants more.

Rule: who plays answers with what went wrong, because not every backend of joblib hands an exception on; and who stops
in the middle hears nothing of what was begun in vain.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from joblib import Parallel, delayed

from chatsim.analysis.numbers import Replication
from chatsim.errors import ChatsimError, HarnessError
from chatsim.runner.replication import replication
from chatsim.scenario.model import Scenario

Job = tuple[Scenario, int]
"""A scenario, and which replication of it."""


class Failed(str):
    """Why there is no replication."""


def attempt(scenario: Scenario, wire: str, number: int, place: Any = None) -> tuple[Any, Replication | Failed]:
    """Play one, wherever this is called: its place, and what came of it."""
    try:
        return place, replication(scenario, wire, number)
    except ChatsimError as error:
        return place, Failed(error)


@contextmanager
def playing(pool: Parallel, wire: str, jobs: Iterable[tuple[Any, Job]]) -> Iterator[Iterator[tuple[Any, Replication]]]:
    """Play the jobs, each at its place, and give each replication with its place as the pool returns it.

    Iterating raises HarnessError where a run failed or is not valid.
    """
    found = pool(delayed(attempt)(scenario, wire, number, place) for place, (scenario, number) in jobs)
    try:
        yield _good(found)
    finally:
        with warnings.catch_warnings():
            # joblib warns of tasks that nobody waits for: whoever is interrupted knows.
            warnings.simplefilter("ignore")
            found.close()


def _good(found: Iterable[tuple[Any, Replication | Failed]]) -> Iterator[tuple[Any, Replication]]:
    for place, made in found:
        if isinstance(made, Failed):
            raise PlaceError(str(made), place)
        yield place, made


class PlaceError(HarnessError):
    """A run failed, or is not valid; `place` is that of its job."""

    def __init__(self, text: str, place: Any) -> None:
        super().__init__(text)
        self.place = place
