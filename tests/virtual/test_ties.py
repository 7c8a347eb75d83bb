"""Owners have their turns in an order of the seed; what is of one owner keeps its own."""

from __future__ import annotations

import asyncio
from functools import partial

from chatsim.scenario.model import Scenario
from chatsim.virtual.loop import VirtualLoop
from chatsim.virtual.run import run_virtual

CROWDED = {
    "name": "crowded",
    "description": "Ten people who do everything at the same moments.",
    "duration": "20s",
    "groups": [
        {
            "name": "all",
            "users": 10,
            "session_size": 5,
            "messages": {"arrivals": "periodic", "rate": "12/min"},
            "network": {"latency": {"constant": "50ms"}},
        }
    ],
    "events": [{"at": "10s", "do": "drop", "group": "all"}],
    "expect": ["lost == 0"],
}


class Owner:
    """Notes when its timers ring."""

    def __init__(self, name: str, rung: list[str]) -> None:
        self._name = name
        self._rung = rung

    def ring(self, what: str) -> None:
        self._rung.append(self._name + what)


def order(ties: int | None) -> list[str]:
    """The order in which two timers of each of four owners, and two functions, ring at one moment."""
    rung: list[str] = []

    async def scene() -> None:
        owners = [Owner(name, rung) for name in "abcd"]
        loop = asyncio.get_running_loop()
        for what in "xy":
            for owner in owners:
                loop.call_at(1.0, owner.ring, what)
            loop.call_at(1.0, rung.append, f"f{what}")
        await asyncio.sleep(2.0)

    with asyncio.Runner(loop_factory=partial(VirtualLoop, ties)) as runner:
        runner.run(scene())
    return rung


def test_without_a_seed_the_order_is_that_of_asking() -> None:
    assert order(None) == [name + what for what in "xy" for name in "abcdf"]


def test_with_one_owners_have_their_turns_in_an_order_of_its_own() -> None:
    orders = [order(seed) for seed in range(20)]
    assert len({tuple(one) for one in orders}) > 10
    assert all(one.index(f"{name}x") + 1 == one.index(f"{name}y") for one in orders for name in "abcd")
    assert order(3) == order(3)


def test_a_run_is_another_with_other_ties_and_the_same_with_the_same() -> None:
    hashes = [run_virtual(Scenario.of({**CROWDED, **ties})).trace_hash for ties in ({}, {"ties": 1}, {"ties": 1})]
    assert hashes[1] == hashes[2] != hashes[0]
    assert len({run_virtual(Scenario.of({**CROWDED, "ties": ties})).trace_hash for ties in range(5)}) > 2
