"""How a crowd that is one process was late, so that another run may be as late.

Decides when a message is written that was meant for a moment: as late as the one that was meant for that moment, or
just before it. Rule: the order stays, nobody writes before the start, and who was never measured is on time. What such
a crowd reads it reads one after the other, which is left to the wire.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Lateness(NamedTuple):
    """`late_s` is how late (s; below 0: early) the message was that was meant for `meant_at` (s, ascending), both of
    shape (n,); `reads_s`, `frames_s` and `writes_s` are how long each time that it reads, each frame that it finds
    there, and each that it writes, keeps it busy (s)."""

    meant_at: FloatArray
    late_s: FloatArray
    reads_s: float = 0.0
    frames_s: float = 0.0
    writes_s: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether anything keeps it busy."""
        return self.reads_s > 0.0 or self.frames_s > 0.0 or self.writes_s > 0.0

    def moments(self, meant_at: FloatArray) -> FloatArray:
        """When those are written that are meant for these moments (s, ascending)."""
        if not self.late_s.size or not meant_at.size:
            return meant_at
        place = np.searchsorted(self.meant_at, meant_at, side="right") - 1
        return np.maximum.accumulate(np.maximum(meant_at + self.late_s[np.maximum(place, 0)], 0.0))


ON_TIME = Lateness(np.empty(0), np.empty(0))
