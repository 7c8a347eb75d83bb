"""When a simulated node is woken next: the one timer of its handler.

Decides when the timer rings. Rule: never before what it was set for, and once for all that is due by then; a clock that
counts in steps rings at one of them. What is done then is left to the node.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf
from typing import Any

from chatsim.sim.engine import Engine


class Alarm:
    """A timer that is set anew for an earlier moment; `due_at` is what it is set for and `rings_at` when it rings (s),
    inf where it is not set. `ring` is called with the moment and with the one it was to ring at, as events are."""

    __slots__ = ("_engine", "_ring", "_step_s", "due_at", "rings_at")

    def __init__(self, engine: Engine, ring: Callable[[float, float, Any], None], step_s: float = 0.0) -> None:
        """`step_s` is the resolution of the clock (0: it has none)."""
        self.due_at = self.rings_at = inf
        self._engine = engine
        self._ring = ring
        self._step_s = step_s

    def set(self, due_at: float) -> None:
        """Ring for what is due then instead."""
        self.due_at = rings_at = due_at
        if self._step_s and due_at < inf:
            # Not before it in the last digit either: it would be set again and again.
            rings_at = max(due_at, ceil(due_at / self._step_s) * self._step_s)
        if rings_at != self.rings_at:
            self.rings_at = rings_at
            self._engine.at(max(rings_at, self._engine.now), self._ring, rings_at)

    def rung(self, rings_at: float) -> bool:
        """It rings that was set for this moment: whether it is the latest, and then it is set no more."""
        if rings_at != self.rings_at:
            return False
        self.clear()
        return True

    def clear(self) -> None:
        """Set for nothing."""
        self.due_at = self.rings_at = inf
