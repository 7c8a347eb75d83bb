"""A pipe begins as a WebSocket that the client believes in and the server does not know yet."""

from __future__ import annotations

from math import isnan

import pytest

from chatsim.core.client import ChatClient, ClientConfig
from chatsim.live.framing import text_frame
from chatsim.network.link import HELD_BYTES_MAX, Link
from chatsim.people.people import Device, Person
from chatsim.sim.engine import Engine
from chatsim.sim.pipe import Pipe, frame_bytes, lane


def test_a_new_pipe() -> None:
    person = Person(0, "ann", "g", "s", typing=False)
    device = Device(0, person, ChatClient(ClientConfig(), user="ann", seed=1))
    up, down = Link(), Link(bandwidth_bit_per_s=8_000.0)
    pipe = Pipe(7, device, up, down, limited=True)
    assert pipe.name == "c7"
    assert pipe.peer is device
    assert pipe.limited
    assert pipe.client_open
    assert not pipe.server_open
    assert not pipe.vanished
    assert pipe.frozen_until < 0.0
    assert isnan(pipe.gone_at)
    # A thousand bytes at eight thousand bit a second: what is written to a pipe goes down, not up.
    assert pipe.arrival(0.0, 1000.0) == 1.0
    assert pipe.up.arrival(0.0, 1000.0) == 0.0


@pytest.mark.parametrize(("payload", "header"), [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_a_frame_weighs_its_payload_its_header_and_a_clients_its_mask(payload: int, header: int) -> None:
    assert frame_bytes(payload, masked=False) == header + payload
    assert frame_bytes(payload, masked=True) == header + payload + 4
    server = text_frame(b"x" * payload)
    assert frame_bytes(payload, masked=False) == len(server)


def test_what_is_of_one_connection_is_of_one_lane() -> None:
    person = Person(0, "ann", "g", "s", typing=False)
    devices = [Device(number, person, ChatClient(ClientConfig(), user="ann", seed=1)) for number in range(2)]
    pipes = [Pipe(number, devices[0], Link(), Link(), limited=False) for number in range(2)]
    assert lane(pipes[0]) == lane((pipes[0],)) == lane([pipes[0], pipes[1]])
    assert len({lane(what) for what in (*pipes, *devices, None)}) == 5
    assert lane(None) == lane(3) == lane(()) == 0


def test_what_waits_for_a_device_waits_at_the_server_until_the_connection_ends() -> None:
    person = Person(0, "ann", "g", "s", typing=False)
    device = Device(0, person, ChatClient(ClientConfig(), user="ann", seed=1))
    engine = Engine()
    pipe = Pipe(1, device, Link(), Link(bandwidth_bit_per_s=8.0 * HELD_BYTES_MAX), limited=True)
    pipe.break_off()
    assert (pipe.queued_bytes(0.0), pipe.waits_until(0.0)) == (0.0, None)
    for _ in range(3):
        pipe.queue(engine).put(0.0, HELD_BYTES_MAX, lambda now, a, b: None, pipe)
    assert pipe.queue(engine) is pipe.backlog
    assert pipe.queued_bytes(0.0) == 3 * HELD_BYTES_MAX
    assert pipe.waits_until(0.5) == 2.0, "two are on their way: one is as much as is held, and not more"
    # Nothing overtakes what waits, also when the bandwidth is there again.
    pipe.limited = False
    queues = [pipe.queues]
    pipe.break_off()
    queues.append(pipe.queues)
    assert queues == [True, False]
    assert pipe.queued_bytes(0.5) == 1.5 * HELD_BYTES_MAX
