"""A line in which things wait for whoever reads them: bounded, and with an end.

Decides nothing about what is in it. Rule: what came before the end is read before the end is told.
What happens to one thing too many is the putter's to decide: drop the oldest, or stop what brings more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """First in, first out; `size` is how many things should wait at most."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.dropped = 0
        self._things: deque[T] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._problem: Exception | None = None

    def __len__(self) -> int:
        return len(self._things)

    @property
    def full(self) -> bool:
        """Whether as much waits as should."""
        return len(self._things) >= self.size

    def put(self, thing: T) -> None:
        """One more, whether or not there is room."""
        if not self._ended:
            self._things.append(thing)
            self._news.set()

    def push(self, thing: T) -> None:
        """One more; where there is no room the oldest goes, and is counted in `dropped`."""
        if self.full:
            self._things.popleft()
            self.dropped += 1
        self.put(thing)

    def end(self, problem: Exception | None = None) -> None:
        """Nothing more will come; who reads on is told the problem, if there is one."""
        if not self._ended:
            self._ended = True
            self._problem = problem
            self._news.set()

    async def get(self) -> T:
        """The oldest, as soon as there is one. Raises the problem of the end, or StopAsyncIteration."""
        while not self._things:
            if self._ended:
                raise self._problem or StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._things.popleft()
