"""The log's own thread in the simulation: one commit after the other, and what comes meanwhile goes into the next.

Decides which records share a commit (group commit). Rule: records are answered in the order in which they came, when
the commit that holds them has ended. Where the thread has the loop's own core it runs while the loop sleeps, and keeps
the loop waiting for as long as it runs; a disk keeps nobody from anything.
What a commit takes, and what an answer leads to, is left to the node.
"""

from __future__ import annotations

from collections.abc import Callable
from math import expm1, inf
from typing import Any

from chatsim.core.effects import Record
from chatsim.people.streams import Draws
from chatsim.scenario.costs import Costs
from chatsim.sim.engine import Engine
from chatsim.sim.event_loop import EventLoop


class CommitTime:
    """How long commits take (s): by the costs, each of which `cost_s` says for one piece of work, and the log's own
    latency."""

    def __init__(self, costs: Costs, cost_s: Callable[[str], float], latency: Draws) -> None:
        self._cost_s = cost_s
        self._latency = latency
        self._busy = None if costs.commit_busy is None else costs.commit_busy.mean
        self._cold_after_s = inf if costs.commit_cold_after is None else costs.commit_cold_after.mean

    def __call__(self, records: int, rested_s: float) -> tuple[float, float]:
        """For how long a commit of so many records has the log's thread at work when that has rested for so long, and
        for how long it waits for the disk (s)."""
        each_s = sum(self._cost_s("commit_record") for _ in range(records))
        took_s = self._cost_s("commit")
        if self._cold_after_s < inf:
            took_s += self._cost_s("commit_cold") * -expm1(-rested_s / self._cold_after_s)
        busy = self._busy or 0.0
        return busy * took_s + each_s, (1.0 - busy) * took_s + self._latency.next()

    def on(self, loop: EventLoop) -> EventLoop | None:
        """The loop, where the thread works on its core."""
        return None if self._busy is None else loop


class Commits:
    """The commits of one node; `take_s` says for how long one of so many records has the thread at work, and then waits
    for the disk, when the log has rested for so long (s). `done` hears of each at its end, and `spans` are when each
    began and ended. `shares` is the loop whose core the thread has to share (None: it has one of its own)."""

    def __init__(
        self,
        engine: Engine,
        take_s: Callable[[int, float], tuple[float, float]],
        done: Callable[[float, list[Record]], None],
        shares: EventLoop | None = None,
    ) -> None:
        self._engine = engine
        self._shares = shares
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
        if life != self._life or self._waits_for_the_core(now, self._begin):
            return
        batch, self._waiting = self._waiting, []
        works_s, waits_s = self._take_s(len(batch), now - self.spans[-1][1] if self.spans else inf)
        worked_at = now + works_s if self._shares is None else self._shares.occupy(now, works_s)
        self.spans.append((now, worked_at + waits_s))
        self._engine.at(worked_at + waits_s, self._end, life, batch)

    def _end(self, now: float, life: int, batch: list[Record]) -> None:
        if life != self._life or self._waits_for_the_core(now, self._end, batch):
            return
        self.spans[-1] = (self.spans[-1][0], now)
        self._busy = bool(self._waiting)
        if self._busy:
            # The thread goes on before anybody hears of what it has done.
            self._begin(now, life, None)
        self._done(now, batch)

    def _waits_for_the_core(self, now: float, action: Callable[[float, int, Any], None], b: Any = None) -> bool:
        """Whether the loop has the core now: then this is done when it lets go of it."""
        if self._shares is None or self._shares.free_at <= now:
            return False
        self._engine.at(self._shares.free_at, action, self._life, b)
        return True
