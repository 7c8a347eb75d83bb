"""What waits at the server for a reader who takes it more slowly than it is said.

Decides what is on the way already, and what is still with the server. Rule: systems on the way take
`HELD_BYTES_MAX`, and take more only when all of that has arrived, as a crowd's sockets do (`live.peer`): so what
waits here leaves at the bandwidth of the moment at which it leaves, and is lost where the connection is broken off.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Any, NamedTuple

from chatsim.network.link import HELD_BYTES_MAX, Link
from chatsim.sim.engine import Action, Engine


class _Waiting(NamedTuple):
    """From when on it may leave (s), its size in bytes, and what to call when it has arrived, with what."""

    at: float
    size_bytes: int
    action: Action
    a: Any
    b: Any


class Backlog:
    """What is written to one connection with a bandwidth; moments in seconds."""

    __slots__ = ("_bytes", "_engine", "_held_until", "_leaving", "_link", "_waiting")

    def __init__(self, engine: Engine, link: Link) -> None:
        self._engine = engine
        self._link = link
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._held_until = -inf
        # When each frame that waits for bandwidth will be on its way.
        self._leaving: deque[float] = deque()

    def put(self, at: float, size_bytes: int, action: Action, a: Any, b: Any = None) -> None:
        """Something is written at this moment: `action(moment, a, b)` runs when it has arrived."""
        one = _Waiting(at, size_bytes, action, a, b)
        if self._waiting or at < self._held_until:
            self._waiting.append(one)
            self._bytes += size_bytes
        else:
            self._enter(at, one)

    @property
    def waits(self) -> bool:
        """Whether something waits here."""
        return bool(self._waiting)

    def queued_bytes(self, now: float) -> float:
        """Bytes that wait, here or on the way."""
        return self._bytes + self._link.queued_bytes(now)

    def frames(self, now: float) -> int:
        """How many frames wait, here or on the way."""
        leaving = self._leaving
        while leaving and leaving[0] <= now:
            leaving.popleft()
        return len(leaving) + len(self._waiting)

    def leaves_at(self, now: float) -> float:
        """When to look again whether anything waits still."""
        return max(now, self._held_until if self._waiting else now, self._link.leaves_at)

    def clear(self) -> None:
        """The connection is broken off: what waits here is lost."""
        self._waiting.clear()
        self._bytes = 0

    def _enter(self, at: float, one: _Waiting) -> None:
        link = self._link
        arrives_at = link.arrival(at, one.size_bytes)
        self._engine.at(arrives_at, one.action, one.a, one.b)
        queued = link.queued_bytes(at)
        if queued > 0.0:
            self._leaving.append(link.leaves_at)
        if queued > HELD_BYTES_MAX:
            self._held_until = arrives_at
            if arrives_at < inf:
                self._engine.at(arrives_at, self._release)

    def _release(self, now: float, _: Any, __: Any) -> None:
        while self._waiting and self._held_until <= now:
            one = self._waiting.popleft()
            self._bytes -= one.size_bytes
            self._enter(max(one.at, now), one)
