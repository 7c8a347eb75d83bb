"""Bytes of a peer travel over its links: late by their latency, and never out of order."""

from __future__ import annotations

from chatsim.live.peer import resuming
from chatsim.load.people import Device
from chatsim.network.link import Link
from tests.live.arena import Arena, Constant, play


class Falling:
    """Latencies that fall from draw to draw, so that without care later bytes would overtake."""

    constant: float | None = None

    def __init__(self) -> None:
        self.value = 0.05

    def next(self) -> float:
        self.value = max(0.0, self.value - 0.005)
        return self.value


def test_who_had_a_connection_names_it_in_the_address() -> None:
    assert resuming("ws://host/ws", "") == "ws://host/ws"
    assert resuming("ws://host/ws", "c2-7") == "ws://host/ws?resume=c2-7"
    assert resuming("ws://host/ws?room=a", "a b&") == "ws://host/ws?room=a&resume=a%20b%26"


def test_both_ways_cost_their_latency() -> None:
    def links(number: int, device: Device) -> tuple[Link, Link]:
        return Link(Constant(0.02)), Link(Constant(0.03))

    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann"), arena.add("bob")
        await arena.joined(ann, bob)
        arena.say(ann)
        await arena.until(lambda: arena.received() == 1 and arena.crowd.people.sent[0].message_id)
        (row,) = arena.crowd.people.sent
        assert arena.crowd.people.receipts[row.message_id]["bob"] - row.intended_at >= 0.0499
        assert row.acked_at - row.intended_at >= 0.0499

    play(test, links=links)


def test_order_is_kept_when_latency_falls() -> None:
    def links(number: int, device: Device) -> tuple[Link, Link]:
        return Link(Falling()), Link(Falling())

    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann"), arena.add("bob")
        await arena.joined(ann, bob)
        for _ in range(30):
            arena.say(ann)
        await arena.until(lambda: arena.received() == 30)

    crowd = play(test, links=links)
    assert crowd.people.out_of_order == crowd.people.duplicates == 0
    assert crowd.faults == []
