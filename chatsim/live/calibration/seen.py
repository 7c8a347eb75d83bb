"""What one load of a calibration showed: counters, and what the server spent on them.

Rule: numbers only, as they were read. What they mean is left to the estimators.
"""

from __future__ import annotations

import msgspec


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one server, from its first operation until the server was at rest again.

    `ops` operations of the crowd (each a burst of frames, or a handshake) with `frames` frames in all, of which `heard`
    frames came back. `cpu_s` is the server's CPU time, `loop_s` that of its event loop's thread, `wakes` how often that
    thread was woken from its sleep, `crowd_s` the crowd's own CPU time, `late_s` by how much the crowd was late for an
    operation in the mean. `reference_s` is the CPU time of the reference work on the server's core, before and after in
    the mean, and `level` how busy the load was to keep it. `each_s` is the server's CPU time by operation, shape
    (ops,), `answered_s` after how many seconds an operation had its last answer, of those that had it before the next
    one.
    """

    ops: int
    frames: int
    heard: int
    wall_s: float
    cpu_s: float
    loop_s: float
    wakes: int
    crowd_s: float = 0.0
    late_s: float = 0.0
    reference_s: float = 0.0
    level: float = 0.0
    each_s: tuple[float, ...] = ()
    answered_s: tuple[float, ...] = ()

    @property
    def busy(self) -> float:
        """Share of the time in which the server's processor was busy."""
        return self.cpu_s / self.wall_s if self.wall_s else 0.0


class Collection(msgspec.Struct, frozen=True):
    """One run of the server's cycle collector: which generation, and the CPU time that it took (s)."""

    generation: int
    took_s: float


class Grown(msgspec.Struct, frozen=True):
    """Resident memory that a number of new connections took, in bytes."""

    connections: int
    size_bytes: int


class Measured(msgspec.Struct, kw_only=True):
    """Everything that one calibration saw.

    `rounds` maps, for each round, the name of a load to what it showed. `collections` are the collector's while
    `churned` messages were stored, and `collecting_s` the reference beside that. `memory` is by the server's name, a
    number of chunks each. `reference_s` is the CPU time of the same fixed work each time that it was done, `series_s`
    what it was each time when it was done over and over again, one begun every `series_every_s` (s).
    """

    rounds: list[dict[str, Seen]] = []
    collections: list[Collection] = []
    churned: int = 0
    collecting_s: float = 0.0
    memory: dict[str, list[Grown]] = {}
    reference_s: list[float] = []
    series_s: list[float] = []
    series_every_s: float = 0.0
    pinned: bool = True
