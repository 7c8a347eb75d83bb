"""Worlds for the bench, put together from the package's own parts: the full handler, the full client, real links."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from msgspec import Raw

from chatsim.core.client import ClientConfig
from chatsim.core.config import HandlerConfig
from chatsim.core.handler import ChatHandler
from chatsim.core.tokens import Claims
from chatsim.network.link import Link
from chatsim.people.people import Device, Person
from chatsim.people.streams import Streams
from chatsim.scenario.costs import Costs
from chatsim.scenario.distributions import Constant
from chatsim.sim.crowd import Crowd, Knock
from chatsim.sim.engine import Engine
from chatsim.sim.node import Node

LATENCY_S = 0.02
EPOCH = 1_700_000_000.0


class World:
    """`users` people in sessions of `session_size`, each with one device; who arrives over the first seconds stays."""

    def __init__(self, users: int, session_size: int, *, arrive_over_s: float, seed: int = 1) -> None:
        self.streams = Streams(seed)
        self.engine = Engine()
        self.handler = ChatHandler(
            HandlerConfig(connections_max=1_000_000, accept_rate_per_s=1e6), epoch=EPOCH, seed=seed
        )
        self.node = Node(self.engine, self.handler, self.streams, Costs(), Constant(value=0.0), ())
        latency = Constant(value=LATENCY_S)

        def links(number: int, device: Device) -> tuple[Link, Link]:
            return (
                Link(self.streams.draws("up", number, latency)),
                Link(self.streams.draws("down", number, latency)),
            )

        def claims(user: str, now: float) -> Claims:
            return Claims(sub=user, exp=EPOCH + 1e6, sessions=(f"s{int(user[1:]) // session_size}",))

        self.crowd = Crowd(self.engine, self.node, links, {"all": Knock(claims)})
        people = self.crowd.people
        config = ClientConfig()
        for user in range(users):
            person = people.add(f"u{user}", "all", f"s{user // session_size}", devices=1, seed=user, config=config)
            self.engine.at(arrive_over_s * user / users, self._arrive, person)

    def _arrive(self, now: float, person: Person, _: Any) -> None:
        self.crowd.people.arrive(now, person)

    def talk(self, rate_per_s: float, from_s: float, to_s: float) -> None:
        """Everyone writes 120 bytes at Poisson moments."""
        people = self.crowd.people
        dice = self.streams.generator("talk")
        count = dice.poisson(len(people.persons) * rate_per_s * (to_s - from_s))
        moments = array("d", np.sort(dice.uniform(from_s, to_s, count)).tobytes())
        writers = array("q", dice.integers(0, len(people.persons), count).tobytes())
        body = Raw(b'"' + b"x" * 118 + b'"')
        plan = iter(zip(moments, writers, strict=True))

        def say(now: float, writer: int, _: Any) -> None:
            people.say(now, people.persons[writer], now, body)
            ahead = next(plan, None)
            if ahead is not None:
                self.engine.at(ahead[0], say, ahead[1])

        moment, writer = next(plan)
        self.engine.at(moment, say, writer)
