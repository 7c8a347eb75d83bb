"""A crowd that is measured: how often it read, how many frames were there, and how long what they say took it.

Rule: frames that come in one write are read by one call of the system, so that a crowd that is busy, and finds many at
once, is done with each of them sooner. What a read takes, and what each frame in it takes, are two numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from chatsim.live.crowd import Crowd
from chatsim.live.peer import Peer
from chatsim.people.people import Device


class TimedCrowd(Crowd):
    """`reads` is how often something was read that held a text, `frames` how many texts there were, and `heard_s` how
    long it took to make out what they say and to do what follows from it (s)."""

    def __init__(self, *args: Any, clock: Callable[[], float] = time.perf_counter, **more: Any) -> None:
        super().__init__(*args, **more)
        self._clock = clock
        self.reads = self.frames = 0
        self.heard_s = 0.0
        self._read: tuple[float, Peer[Device]] | None = None

    def text(self, now: float, peer: Peer[Device], data: bytes) -> None:
        """One text frame arrived: those that one connection has at one moment were read together."""
        began = self._clock()
        super().text(now, peer, data)
        self.frames += 1
        if self._read != (now, peer):
            self._read = now, peer
            self.reads += 1
        self.heard_s += self._clock() - began

    def health(self) -> dict[str, float]:
        """These, as `crowd_reads`, `crowd_frames` and `crowd_heard_s`."""
        return {"crowd_reads": self.reads, "crowd_frames": self.frames, "crowd_heard_s": self.heard_s}
