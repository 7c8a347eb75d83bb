"""Playing something that has an event loop of its own beside one that runs already, as in a notebook.

Decides in which thread it is played. Rule: whoever is interrupted while she waits leaves nothing running: the play is
ended at its next sign of life, and waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

Progress: TypeAlias = Callable[[float], None]
"""Told the share that is done, from 0 to 1."""

Play: TypeAlias = Callable[[Progress], T]


class _UnwantedError(Exception):
    """Nobody waits for the play any more."""


class _Thread(Generic[T]):
    """A play in a thread of its own, from `start` on.

    It is made before anything runs: an interrupt can fall between any two lines, also while the thread is being
    started, and whoever holds this can end whatever has come of it by then.
    """

    def __init__(self, play: Play[T], progress: Progress) -> None:
        self.future: Future[T] = Future()
        self._unwanted = threading.Event()
        self._play, self._progress = play, progress

    def start(self) -> None:
        threading.Thread(target=self._run, name="chatsim-beside").start()

    def _run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._play(self._told)
        except BaseException as error:  # Whoever waits for it is to have it, whatever it is.
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def _told(self, share: float) -> None:
        if self._unwanted.is_set():
            raise _UnwantedError
        self._progress(share)

    def end(self) -> None:
        """Have it never begin, or end unless it has, and wait for that."""
        self._unwanted.set()
        if not self.future.cancel():
            wait([self.future])


def beside(play: Play[T], progress: Progress) -> T:
    """`play(progress)` in this thread, or in one of its own where a loop runs in this one, which stands meanwhile."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return play(progress)
    thread = _Thread(play, progress)
    try:
        thread.start()
        return thread.future.result()
    finally:
        thread.end()


async def abeside(play: Play[T], progress: Progress) -> T:
    """`play(progress)` in a thread of its own, while this loop goes on."""
    thread = _Thread(play, progress)
    try:
        thread.start()
        return await asyncio.wrap_future(thread.future)
    finally:
        # Cancelled once more while it waits, it goes on waiting: nothing is left behind.
        ended = asyncio.create_task(asyncio.to_thread(thread.end), name="the end of the run beside")
        while not ended.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(ended)
