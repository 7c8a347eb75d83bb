"""Replications on many processes, as they come, until nobody wants more.

Rule: who plays answers with what went wrong, because not every backend of joblib hands an exception on; and who stops
in the middle hears nothing of what was begun in vain.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from joblib import Parallel, delayed
from joblib.externals.loky.backend import resource_tracker as loky_tracker

from chatsim.analysis.numbers import Replication
from chatsim.errors import ChatsimError, HarnessError, UsageError
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
def deaf_to_interrupts() -> Iterator[None]:
    """Processes that are started in here do not hear Ctrl-C, which a terminal tells to everybody: who has started them
    ends them, and one that is still importing would end with a traceback. It is heard here when this is over."""
    # The start of these, which comes with the first process, would have this thread hear again.
    resource_tracker.ensure_running()
    loky_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check_jobs(jobs: Any) -> None:
    """Raises UsageError for what is no number of processes."""
    if type(jobs) is not int or not jobs:
        raise UsageError(f"jobs={jobs!r}: say how many processes play, or -1 for one a processor")


@contextmanager
def processes(jobs: int, *, ordered: bool = True) -> Iterator[Parallel]:
    """So many processes (-1: one a processor), whose results come in the order of the jobs or in that of their ends.

    Raises UsageError as `check_jobs` does.
    """
    check_jobs(jobs)
    with ExitStack() as stack:
        with deaf_to_interrupts():
            pool = Parallel(n_jobs=jobs, return_as="generator" if ordered else "generator_unordered")
            stack.enter_context(pool)
        yield pool


@contextmanager
def playing(pool: Parallel, wire: str, jobs: Iterable[tuple[Any, Job]]) -> Iterator[Iterator[tuple[Any, Replication]]]:
    """Play the jobs, each at its place, and give each replication with its place as the pool returns it.

    Iterating raises HarnessError where a run failed or is not valid.
    """
    with deaf_to_interrupts():
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
