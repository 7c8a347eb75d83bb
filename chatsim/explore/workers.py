"""Processes that play seeds: one seed at a time each, so that it is known what every one of them is at.

Decides who plays what, and what is said of a process that goes away. Rule: every seed that is taken has an answer, the
runs or the reason why there are none, in whatever order they are done. That holds for one job as for many: whoever asks
plays nothing itself, since nobody could end what hangs there. What becomes of the answers is left to `campaign`.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final, TypeAlias

import msgspec

from chatsim.errors import HarnessError
from chatsim.explore.play import Played

TICK_S: Final = 1.0
"""Whoever waits is told so often that nothing new is there (s of the wall clock)."""

PATIENCE_S: Final = 180.0
"""A seed that takes so long hangs: most take less than a second, and the slowest some, on however busy a machine."""


class Lost(msgspec.Struct, frozen=True):
    """There is no answer for a seed, and why: a part of a sentence about it."""

    why: str


Answer: TypeAlias = list[Played] | Lost
Play: TypeAlias = Callable[[int], list[Played]]


def answers(
    seeds: Iterator[int], play: Play, jobs: int, patience_s: float = PATIENCE_S
) -> Generator[tuple[int, Answer] | None, None, None]:
    """Each seed with its answer, as they are done; None where there was none for a while.

    `play` must be known to other processes by its name. A seed is asked for when somebody is free to play it, and is
    lost after `patience_s`. Closing this ends all processes. Raises HarnessError where they cannot be started.
    """
    with _started(play, jobs) as workers:
        while True:
            for worker in workers:
                if worker.seed is None and not worker.gone and (next_ := next(seeds, None)) is not None:
                    worker.take(next_)
            busy = {worker.connection: worker for worker in workers if worker.seed is not None}
            if not busy:
                return
            ready = [busy[end] for end in wait(list(busy), TICK_S) if isinstance(end, Connection)]
            if not ready:
                yield None
            for worker in ready:
                assert worker.seed is not None
                if not worker.is_first_word():
                    yield worker.seed, worker.answer()
            for worker in workers:
                # What a process needs to be there is no part of any seed.
                allowed_s = patience_s if worker.up else PATIENCE_S
                if worker.seed is not None and time.monotonic() >= worker.since + allowed_s:
                    yield worker.seed, worker.give_up(allowed_s)


class _Worker:
    """One process; `seed` is what it plays (None: nothing) and `since` when, `up` says that it is there, `gone` that it
    will play no more."""

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self.connection = connection
        self.seed: int | None = None
        self.gone = False
        self.up = False
        self.since = 0.0
        self._process = process

    def take(self, seed: int) -> None:
        """Have it play this one."""
        self.seed = seed
        self.since = time.monotonic()
        try:
            self.connection.send(seed)
        except OSError:
            # It went away while it had nothing to do, and its end is heard of as if it had begun.
            self.gone = True

    def is_first_word(self) -> bool:
        """Whether what it has to say is that it is there; from now on it plays what it was told before."""
        if self.up:
            return False
        self.up = True
        self.since = time.monotonic()
        try:
            self.connection.recv()
        except (EOFError, OSError):
            # It was never there: its end is the answer.
            return False
        return True

    def answer(self) -> Answer:
        """What it has to say, and be free again."""
        self.seed = None
        try:
            found: Answer = self.connection.recv()
        except (EOFError, OSError):
            self.gone = True
            self._process.join()
            return Lost(_end(self._process.exitcode))
        return found

    def give_up(self, patience_s: float) -> Lost:
        """Wait no longer: end it, and say so."""
        self.seed = None
        self.gone = True
        self._process.kill()
        return Lost(f"it was not done after {patience_s:g} s, and its process was ended")

    def end(self) -> None:
        """End the process, whatever it is at."""
        self.connection.close()
        self._process.kill()
        self._process.join()


@contextmanager
def _started(play: Play, jobs: int) -> Iterator[list[_Worker]]:
    """So many processes, which are gone afterwards."""
    # Started anew, not forked: a fork takes along whatever threads the display has.
    context = multiprocessing.get_context("spawn")
    workers: list[_Worker] = []
    try:
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, play), daemon=True)
            try:
                with _deaf_to_ctrl_c():
                    process.start()
            except OSError as problem:
                ours.close()
                raise HarnessError(_no_process(jobs, problem)) from problem
            finally:
                # With our copy of its end open we would never hear that it is gone.
                theirs.close()
            workers.append(_Worker(process, ours))
        yield workers
    finally:
        for worker in workers:
            worker.end()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What is started within never hears of Ctrl-C, from its first moment on.

    On a terminal that reaches every process; the one that started them tells them when it is over.
    """
    # It lets Ctrl-C through when it is started, so it has to be there before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, play: Play) -> None:
    """Say that this process is there, and play what is asked for, until nobody is there to ask."""
    try:
        connection.send(None)
        while True:
            connection.send(_answer(play, connection.recv()))
    except (EOFError, OSError):
        return


def _answer(play: Play, seed: int) -> Answer:
    try:
        return play(seed)
    except Exception as problem:  # what a run raises is a finding; this is something that is wrong with the explorer
        return Lost(f"it could not be drawn or played ({type(problem).__name__}: {problem})")


def _no_process(jobs: int, problem: OSError) -> str:
    """That so many cannot be had, and what to do."""
    if jobs == 1:
        return f"the process that plays cannot be started ({problem.strerror}): end others, and try again"
    return f"{jobs} processes cannot be started ({problem.strerror}): say fewer with --jobs"


def _end(code: int | None) -> str:
    """Why a process is no more, by its exit code: negative for a signal."""
    if code is None or code >= 0:
        return f"its process ended with code {code}"
    name = signal.Signals(-code).name
    hint = ", most likely because memory ran out" if -code == signal.SIGKILL else ""
    return f"its process was killed by {name}{hint}"
