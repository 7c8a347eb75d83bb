"""A turn's writing: one connection after the other, each once, in the order in which something was said to them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.client import ChatClient, ClientConfig
from chatsim.core.effects import Send
from chatsim.core.frames import Heartbeat
from chatsim.network.link import Link
from chatsim.people.people import Device, Person
from chatsim.sim.pipe import Pipe
from chatsim.sim.turn import TOGETHER, Turn


def pipe(number: int) -> Pipe:
    device = Device(number, Person(number, "u", "g", "s", typing=False), ChatClient(ClientConfig(), user="u", seed=1))
    return Pipe(number, device, Link(), Link(), limited=False)


PIPES = {made.name: made for made in map(pipe, range(1, 60))}
names = st.lists(st.sampled_from(sorted(PIPES)), min_size=1, max_size=50, unique=True)


@given(st.lists(names, min_size=1, max_size=6))
def test_everybody_is_written_to_once_and_gets_all_that_was_said_to_her(to: list[list[str]]) -> None:
    turn = Turn()
    assert [turn.add(Send(tuple(some), Heartbeat(float(number), {}))) for number, some in enumerate(to)] == [
        number == 0 for number in range(len(to))
    ]
    order = list(dict.fromkeys(name for some in to for name in some))
    assert len(turn) == len(order)
    written = list(turn.written(PIPES, 10.0, 0.001))
    assert len(turn) == 0
    assert [message for message, _ in written] == [Heartbeat(float(number), {}) for number in range(len(to))]
    assert [[there.name for _, there in leaving] for _, leaving in written] == to
    at: dict[str, set[float]] = {}
    for _, leaving in written:
        for moment, there in leaving:
            at.setdefault(there.name, set()).add(moment)
    assert all(len(moments) == 1 for moments in at.values())
    moments = [at[name].pop() for name in order]
    assert moments == sorted(moments)
    assert moments[-1] == 10.0
    for place, moment in enumerate(moments):
        exact = 10.0 - 0.001 * (len(order) - 1 - place)
        assert exact - 1e-9 <= moment <= exact + 0.001 * TOGETHER
    assert all(later - earlier <= 0.001 * TOGETHER + 1e-9 for earlier, later in pairwise(moments))


def test_who_has_gone_meanwhile_is_written_nothing() -> None:
    turn = Turn()
    turn.add(Send(("c1", "nobody"), Heartbeat(1.0, {})))
    [(_, leaving)] = turn.written(PIPES, 1.0, 0.1)
    assert [(moment, there.name) for moment, there in leaving] == [(1.0, "c1")]


def test_what_is_cleared_is_never_written() -> None:
    turn = Turn()
    turn.add(Send(("c1",), Heartbeat(1.0, {})))
    turn.clear()
    assert not len(turn)
    assert list(turn.written(PIPES, 1.0, 0.1)) == []
