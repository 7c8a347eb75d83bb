"""A pipe begins as a WebSocket that the client believes in and the server does not know yet."""

from __future__ import annotations

from math import isnan

import pytest

from chatsim.core.client import ChatClient, ClientConfig
from chatsim.live.framing import text_frame
from chatsim.network.link import Link
from chatsim.people.people import Device, Person
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
