"""What a scrape of a live node reads: the handler's counters, and what its driver, outlets and gate have counted.

Rule: all of it is read at the scrape; the one walk over all connections looks only whether something waits.
Names are left to `chatsim.telemetry`.
"""

from __future__ import annotations

from chatsim.core.handler import ChatHandler
from chatsim.live.driver import Driver
from chatsim.live.gate import Gate
from chatsim.telemetry.figures import Shell, families
from chatsim.telemetry.prometheus import exposition


def scrape(handler: ChatHandler, driver: Driver, gate: Gate) -> bytes:
    """The text exposition of one node, now."""
    return exposition(families(handler, shell_of(driver, gate)))


def shell_of(driver: Driver, gate: Gate) -> Shell:
    """What the shell of a live node has counted."""
    statistics = driver.counts()
    frames, size = driver.waiting()
    return Shell(
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
