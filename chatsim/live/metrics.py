"""What a scrape of a live node reads: the handler's counters, and what its driver, outlets and gate have counted.

Rule: all of it is read at the scrape; the one walk over all connections looks only whether something waits.
Names are left to `chatsim.telemetry`.
"""

from __future__ import annotations

import re
from typing import Literal

from chatsim.core.handler import ChatHandler
from chatsim.errors import HarnessError
from chatsim.live.driver import Driver
from chatsim.live.gate import Gate
from chatsim.telemetry.figures import Shell, families
from chatsim.telemetry.prometheus import exposition

_FRAMES = re.compile(rb"(?m)^chatsim_frames_(in|out)_total (\S+)$")
_CONNECTIONS = re.compile(rb"(?m)^(chatsim_connections|chatsim_sockets) (\S+)$")


def scrape(handler: ChatHandler, driver: Driver, gate: Gate) -> bytes:
    """The text exposition of one node, now."""
    return exposition(families(handler, shell_of(driver, gate)))


def connections(exposition: bytes) -> tuple[int, int]:
    """How many connections a node's handler knew at a scrape, and how many its driver had: the same, or one is wrong.

    Raises HarnessError where the text tells neither.
    """
    found = dict(_CONNECTIONS.findall(exposition))
    try:
        return int(float(found[b"chatsim_connections"])), int(float(found[b"chatsim_sockets"]))
    except KeyError:
        raise HarnessError("The server's metrics do not tell how many connections it has.") from None


def frames(exposition: bytes, way: Literal["in", "out"]) -> int:
    """How many frames a node had read (in) or written (out), once a receiver, by a scrape; 0 where the text does not
    tell."""
    return int(float(dict(_FRAMES.findall(exposition)).get(way.encode(), b"0")))


def shell_of(driver: Driver, gate: Gate) -> Shell:
    """What the shell of a live node has counted."""
    statistics = driver.counts()
    frames, size = driver.waiting()
    return Shell(
        open=len(driver.open()),
        departed=driver.departed,
        refused=gate.refused,
        refused_requests=gate.refused_requests,
        loop_lag=driver.lag,
        queued_frames=frames,
        queued_bytes=size,
        frames_in=statistics["frames_in"],
        frames_out=statistics["frames_out"],
        bytes_in=statistics["bytes_in"],
        bytes_out=statistics["bytes_out"],
        flushes=statistics["flushes"],
        draining=driver.draining,
    )
