"""Playing something that has an event loop of its own beside one that runs already, as in a notebook.

Decides in which thread it is played. Rule: whoever is interrupted while she waits leaves nothing running: the play is
ended at its next sign of life, and waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

Progress: TypeAlias = Callable[[float], None]
"""Told the share that is done, from 0 to 1."""

Play: TypeAlias = Callable[[Progress], T]


class _UnwantedError(Exception):
    """Nobody waits for the play any more."""


class _Thread(Generic[T]):
    """A play in a thread of its own."""

    def __init__(self, play: Play[T], progress: Progress) -> None:
        self._unwanted = threading.Event()
        self._progress = progress
        pool = ThreadPoolExecutor(1, thread_name_prefix="chatsim-beside")
        self.future: Future[T] = pool.submit(play, self._told)
        pool.shutdown(wait=False)

    def _told(self, share: float) -> None:
        if self._unwanted.is_set():
            raise _UnwantedError
        self._progress(share)

    def end(self) -> None:
        """Have it end, unless it has, and wait for that."""
        self._unwanted.set()
        wait([self.future])


def beside(play: Play[T], progress: Progress) -> T:
    """`play(progress)` in this thread, or in one of its own where a loop runs in this one, which stands meanwhile."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return play(progress)
    thread = _Thread(play, progress)
    try:
        return thread.future.result()
    finally:
        thread.end()


async def abeside(play: Play[T], progress: Progress) -> T:
    """`play(progress)` in a thread of its own, while this loop goes on."""
    thread = _Thread(play, progress)
    try:
        return await asyncio.wrap_future(thread.future)
    finally:
        # Cancelled once more while it waits, it goes on waiting: nothing is left behind.
        ended = asyncio.ensure_future(asyncio.to_thread(thread.end))
        while not ended.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(ended)
