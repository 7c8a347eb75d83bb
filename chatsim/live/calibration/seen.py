"""What one load of a calibration showed: counters, and what the server spent on them.

Rule: numbers only, as they were read. What they mean is left to the estimators.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import fmean
from typing import Final

import msgspec

from chatsim.errors import HarnessError
from chatsim.live.speed import Glance

AROUND_S: Final = 0.03
"""So much time before and after a load counts too (s): it may last for 50 ms, in which there are five glances, and
these are off by an eighth each. Not more: a core is slow for tenths of a second, and a load that falls into a slow
moment would seem to be slower than the work beside it by more than it is."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one server, from its first operation until the server was at rest again.

    `ops` operations of the crowd (each a burst of frames, or a handshake) with `frames` frames in all, the acks of what
    was heard included; `heard` frames came back. `cpu_s` is the server's CPU time, `loop_s` that of its event loop's
    thread, `wakes` how often that thread was woken from its sleep, `paced_s` for how long of `wall_s` operations came,
    before the last answers were waited for (0: all the time), `crowd_s` the crowd's own CPU time, `late_s` by how
    much the crowd was late for an operation in the mean. `spans` are from when to when each operation was looked at (s,
    of CLOCK_MONOTONIC), `each_s` the server's CPU time in each, shape (ops,), and `answered_s` after how many seconds
    each had its last answer, where that is looked at, and `alone_s` those of them that waited for no answer to another.
    `reference_s` is the CPU time of the fixed work that the server did meanwhile, in the mean, `halves_s` that of every
    second time and of the others (none where it was done once), and `level` how busy the load was to keep it.
    """

    ops: int
    frames: int
    heard: int
    wall_s: float
    cpu_s: float
    loop_s: float
    wakes: int
    paced_s: float = 0.0
    crowd_s: float = 0.0
    late_s: float = 0.0
    reference_s: float = 0.0
    halves_s: tuple[float, float] | None = None
    level: float = 0.0
    spans: tuple[tuple[float, float], ...] = ()
    each_s: tuple[float, ...] = ()
    answered_s: tuple[float, ...] = ()
    alone_s: tuple[float, ...] = ()

    @property
    def busy(self) -> float:
        """Share of the time in which the server's processor was busy."""
        return self.cpu_s / self.wall_s if self.wall_s else 0.0

    def beside(self, glances: Sequence[Glance]) -> Seen:
        """The same, with the speed that these glances of its server tell, in their order, around the time of the load.

        An operation during which the server glanced at its speed has no time of its own any more. Without a glance
        meanwhile the nearest one counts. Raises HarnessError where there is none at all.
        """
        if not glances:
            raise HarnessError("The server never looked how fast it is: calibrate again, for longer.")
        ats = [one.at for one in glances]
        began_at, ended_at = self.spans[0][0], self.spans[-1][1]
        found = glances[bisect_left(ats, began_at - AROUND_S) : bisect_right(ats, ended_at + AROUND_S)]
        if not found:
            found = [min(glances, key=lambda one: abs(one.at - began_at))]
        alone = [
            spent_s
            for (begin, end), spent_s in zip(self.spans, self.each_s, strict=False)
            if bisect_left(ats, begin) == bisect_right(ats, end)
        ]
        took_s = [one.took_s for one in found]
        halves_s = (fmean(took_s[::2]), fmean(took_s[1::2])) if len(took_s) > 1 else None
        return msgspec.structs.replace(
            self, reference_s=fmean(took_s), halves_s=halves_s, each_s=tuple(alone), spans=()
        )


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
    `churned` messages were stored, `collected_at` how many when each of them was seen, and `collecting_s` the fixed
    work beside that. `memory` is by the server's name, a number of chunks each. `reference_s` is the CPU time of the
    fixed work in the mean of each load, `series_s` what it was each time in one server, which did it every
    `series_every_s` (s), and `commits_s` how long the same commit took on the disk each time. `stolen_share` is for
    which share of the time the host of the machine ran others (0 where nobody could tell).
    """

    rounds: list[dict[str, Seen]] = []
    collections: list[Collection] = []
    churned: int = 0
    collected_at: list[int] = []
    collecting_s: float = 0.0
    memory: dict[str, list[Grown]] = {}
    reference_s: list[float] = []
    series_s: list[float] = []
    series_every_s: float = 0.0
    commits_s: list[float] = []
    stolen_share: float = 0.0
    pinned: bool = True
