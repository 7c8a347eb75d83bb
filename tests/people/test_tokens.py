"""A device holds the newest few of its tokens, as long as they live, and every token has a name of its own."""

from __future__ import annotations

from chatsim.core.client import ChatClient, ClientConfig
from chatsim.people.people import Device, Person
from chatsim.people.tokens import HELD_MAX, Held


def a_device(number: int) -> Device:
    client = ChatClient(ClientConfig(), user="ann", seed=1)
    return Device(number, Person(0, "ann", "g", "s", typing=False), client)


def test_the_newest_comes_first_and_what_has_ended_is_not_held() -> None:
    held, device, other = Held(), a_device(0), a_device(1)
    held.hold(device, "a", 20.0)
    held.hold(device, "b", 10.0)
    held.hold(other, "c", 30.0)
    assert held.of(device, 9.0) == ("b", "a")
    assert held.of(device, 10.0) == ("a",)
    assert held.of(other, 10.0) == ("c",)
    assert held.of(a_device(2), 0.0) == ()


def test_of_many_the_newest_few_are_held() -> None:
    held, device = Held(), a_device(0)
    for number in range(2 * HELD_MAX):
        held.hold(device, str(number), 1.0)
    assert held.of(device, 0.0) == tuple(str(number) for number in reversed(range(HELD_MAX, 2 * HELD_MAX)))


def test_no_name_comes_twice_and_the_runs_mark_is_on_each() -> None:
    held = Held("x-")
    assert [held.name() for _ in range(3)] == ["x-t1", "x-t2", "x-t3"]
