"""What a person wants of the server and the server has not answered yet: done one after another, in order.

Decides when something is tried again, and for how long it is worth waiting. Rule: what is waited for holds up nothing
but what comes behind it. What is asked and what is written is the screen's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from chatsim.errors import JoinRefusedError, MessageRefusedError, RateLimitedError

Errand: TypeAlias = Callable[[], Awaitable[None]]
"""Something to do; it is called again where the server has no time for it."""

ERRANDS_MAX = 1000
"""Errands that wait at once."""

WAIT_S = 1.0
"""How long to wait before trying again where the server did not say."""


class Outbox:
    """Errands in their order. `lines` of what waits are lines to say, `refused` is how many the server would not have.

    `complain` is told in a sentence what could not be done, or has to wait.
    """

    def __init__(self, complain: Callable[[str], None]) -> None:
        self.lines = 0
        self.refused = 0
        self._complain = complain
        self._errands: deque[tuple[Errand, bool, bool]] = deque()
        self._moved = asyncio.Event()
        self._done = 0
        self._held_until = 0.0

    def __len__(self) -> int:
        return len(self._errands)

    @property
    def full(self) -> bool:
        """Whether as much waits as should."""
        return len(self._errands) >= ERRANDS_MAX

    def put(self, errand: Errand, *, line: bool = False, vital: bool = False) -> None:
        """One more; `line`: it says something; `vital`: without it the rest is worth nothing, so it may raise."""
        self._errands.append((errand, line, vital))
        self.lines += line
        self._moved.set()

    async def run(self) -> None:
        """Do what there is and what comes, for ever. Raises what ends the chat, and what a vital errand raises."""
        while True:
            while not self._errands:
                await self._wait()
            errand, line, vital = self._errands[0]
            try:
                await self._try(errand)
            except (JoinRefusedError, MessageRefusedError, ValueError) as problem:
                if vital:
                    raise
                self._complain(str(problem))
                self.refused += line
            self._errands.popleft()
            self.lines -= line
            self._done += 1
            self._moved.set()

    async def _try(self, errand: Errand) -> None:
        """Do it, again and again where it comes too soon for the server."""
        told = False
        while True:
            try:
                return await errand()
            except RateLimitedError as problem:
                wait_s = WAIT_S if problem.retry_after_s is None else problem.retry_after_s
                if not told:
                    self._complain(f"Too many messages for the server: this one waits {wait_s:.0f} s.")
                    told = True
                self._held_until = asyncio.get_running_loop().time() + wait_s
                self._moved.set()
                await asyncio.sleep(wait_s)

    async def shrink(self, size: int, patience_s: float, *, obedient: bool = True) -> bool:
        """Wait until no more than so many errands are left; gives up, with False, when `patience_s` pass in which
        nothing is done. For the `obedient`, a wait that the server itself has asked for does not count."""
        loop = asyncio.get_running_loop()
        done, since = self._done, loop.time()
        while len(self._errands) > size:
            if self._done > done:
                done, since = self._done, loop.time()
            left_s = (max(since, self._held_until) if obedient else since) + patience_s - loop.time()
            if left_s <= 0:
                return False
            try:
                async with asyncio.timeout(left_s):
                    await self._wait()
            except TimeoutError:
                continue
        return True

    async def _wait(self) -> None:
        """Until something was put, done or held up."""
        self._moved.clear()
        await self._moved.wait()
