"""The log's own thread in the simulation: one commit after the other, and what comes meanwhile goes into the next.

Decides which records share a commit (group commit). Rule: records are answered in the order in which they came, when
the commit that holds them has ended. What a commit takes, and what an answer leads to, is left to the node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatsim.core.effects import Record
from chatsim.sim.engine import Engine


class Commits:
    """The commits of one node; `take_s` says how long one of so many records takes (s), `done` hears of each at its
    end, and `spans` are when each began and was to end."""

    def __init__(
        self, engine: Engine, take_s: Callable[[int], float], done: Callable[[float, list[Record]], None]
    ) -> None:
        self._engine = engine
        self._take_s = take_s
        self._done = done
        self._waiting: list[Record] = []
        self._busy = False
        self._life = 0
        self.spans: list[tuple[float, float]] = []

    def add(self, at: float, record: Record) -> None:
        """The record is there from this moment on; with nothing under way its commit begins then."""
        self._waiting.append(record)
        if not self._busy:
            self._busy = True
            self._engine.at(max(at, self._engine.now), self._begin, self._life)

    def forget(self) -> None:
        """The node has ended: what was on its way is lost."""
        self._waiting.clear()
        self._busy = False
        self._life += 1

    def _begin(self, now: float, life: int, _: Any) -> None:
        if life != self._life:
            return
        batch, self._waiting = self._waiting, []
        took_s = self._take_s(len(batch))
        self.spans.append((now, now + took_s))
        self._engine.at(now + took_s, self._end, life, batch)

    def _end(self, now: float, life: int, batch: list[Record]) -> None:
        if life != self._life:
            return
        self._busy = bool(self._waiting)
        if self._busy:
            self._begin(now, life, None)
        self._done(now, batch)
