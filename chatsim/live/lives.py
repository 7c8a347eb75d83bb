"""The server processes of one run: one after another, on one port, with one folder of what was said.

Decides how a life ends (killed, or asked to end in order) and when the next begins. Rule: while the server is meant to
be away, its absence is no failure; at any other time it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from chatsim.errors import HarnessError
from chatsim.live.node import KILLED, Node

Begun = Callable[[int], None]
"""Told when another life has begun: its number, from 2 on."""


class Lives:
    """The lives of one server. `make(life, port)` starts one (0: any free port); `begun` hears of each further one."""

    def __init__(self, make: Callable[[int, int], Node], begun: Begun) -> None:
        """The first life begins at once; raises HarnessError where it does not."""
        self._make = make
        self._begun = begun
        self._count = 1
        self._spent_s = 0.0
        self._down = False
        self._draining = False
        self.node = make(1, 0)
        self.url = self.node.url

    def check(self) -> None:
        """Raises HarnessError where the server is gone and should not be."""
        if not self._down:
            self.node.check()

    @property
    def up(self) -> bool:
        """Whether a server is there and was not asked to end."""
        return not self._down

    def cpu_s(self) -> float:
        """CPU time that all lives have used so far (s)."""
        return self._spent_s + (0.0 if self._down else self.node.cpu_s())

    async def end(self, down_s: float, *, in_order: bool) -> bool:
        """End this life, killed or in order, and begin the next `down_s` after its end; False where it has ended.

        Who drains can be killed, and then the next begins as after any kill. Raises HarnessError where the next does
        not begin.
        """
        cuts_off = self._draining and not in_order
        if self._down and not cuts_off:
            return False
        if not cuts_off:
            self._spent_s += self.node.cpu_s()
        self._down, self._draining = True, in_order
        code = await asyncio.to_thread(self.node.stop if in_order else self.node.kill)
        if cuts_off and code != KILLED:
            return False  # it was empty just before
        if in_order and code == KILLED and not self._draining:
            return True  # it was killed meanwhile, and whoever did that begins the next
        self._draining = False
        if in_order and code != 0:
            raise HarnessError(f"The server was asked to end in order and ended with {code}.")
        await asyncio.sleep(down_s)
        self._count += 1
        port = urlsplit(self.url).port
        assert port is not None
        self.node = await asyncio.to_thread(self._make, self._count, port)
        self._begun(self._count)
        self._down = False
        return True

    def stop(self) -> int:
        """End the last life in order; returns its exit code. Harmless when it has ended."""
        return self.node.stop()
