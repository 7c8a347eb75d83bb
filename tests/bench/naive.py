"""What one would write first: plain SimPy, a process for every person, timer and delivery.

The same chat as `worlds.World.talk` (sessions of 5, Poisson messages, every delivery acked and reported to its
sender, one event loop that every frame
costs time of, retry timers, pings with their pong timeouts, the clients' own watch on the server), and none of the
handler's other duties (limits,
dedupe, retention, presence, tokens, membership). It is the yardstick of the bench, so it is written as plainly and as
lean as its kind allows.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Any

import simpy

LATENCY_S = 0.02
FRAME_S = 20e-6
WRITE_S = 11e-6
Process = Generator[simpy.Event, Any, None]


class NaiveChat:
    """Counts what it delivers, so that both models can be seen to do the same work."""

    def __init__(self, users: int, session_size: int, rate_per_s: float, duration_s: float, seed: int) -> None:
        self.env = simpy.Environment()
        self.loop = simpy.Resource(self.env)
        self.accepted = self.delivered = self.pings = 0
        self._size = session_size
        self._rate = rate_per_s
        self._duration_s = duration_s
        self._dice = Random(seed)
        for user in range(users):
            self.env.process(self._writes(user))
            self.env.process(self._is_pinged())

    def run(self) -> None:
        """Play it to the end."""
        self.env.run(until=self._duration_s + 10.0)

    def _work(self, cost_s: float) -> Process:
        with self.loop.request() as turn:
            yield turn
            yield self.env.timeout(cost_s)

    def _writes(self, user: int) -> Process:
        env = self.env
        while True:
            yield env.timeout(self._dice.expovariate(self._rate))
            if env.now > self._duration_s:
                return
            env.process(self._message(user))

    def _message(self, user: int) -> Process:
        env = self.env
        yield env.timeout(LATENCY_S)
        yield from self._work(FRAME_S + self._size * WRITE_S)
        self.accepted += 1
        env.process(self._carry())  # the ack to the sender
        first = user - user % self._size
        for other in range(first, first + self._size):
            if other != user:
                acked = env.event()
                env.process(self._deliver(acked))
                env.process(self._retries(acked))

    def _deliver(self, acked: simpy.Event) -> Process:
        env = self.env
        yield env.timeout(LATENCY_S)
        yield env.timeout(LATENCY_S)
        yield from self._work(FRAME_S + WRITE_S)
        acked.succeed()
        self.delivered += 1
        env.process(self._carry())  # the notice to the sender

    def _carry(self) -> Process:
        yield self.env.timeout(LATENCY_S)

    def _retries(self, acked: simpy.Event) -> Process:
        for _ in range(4):
            due = self.env.timeout(30.0)
            yield acked | due
            if acked.triggered:
                return

    def _is_pinged(self) -> Process:
        env = self.env
        yield env.timeout(15.0 + 15.0 * self._dice.random())
        while True:
            self.pings += 1
            answered = env.event()
            env.process(self._pong(answered))
            env.process(self._gives_up(answered))
            yield env.timeout(30.0)

    def _pong(self, answered: simpy.Event) -> Process:
        yield self.env.timeout(LATENCY_S)
        self.env.process(self._watches())
        yield self.env.timeout(LATENCY_S)
        answered.succeed()

    def _gives_up(self, answered: simpy.Event) -> Process:
        yield answered | self.env.timeout(10.0)

    def _watches(self) -> Process:
        yield self.env.timeout(45.0)
