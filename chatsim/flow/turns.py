"""When what a turn of the loop says leaves, for all turns of a block at once, where its first write is told apart.

Decides what `sim.node` and `sim.turn` decide one turn at a time. Rule: what is for one alone is written at once while
nothing else is to be written; from the first frame for many on, everything is written at the turn's end, one connection
after the other. Which connections share a write is left to `writes`, and what waits for company to `company`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

TOGETHER: Final = 16
"""So many connections are taken to be written to at one moment (`sim.turn`)."""


class Turns:
    """The turns of a block with `n` pieces of work, each of whose writes takes `write_s`, shape (n,), at the usual
    speed (s).

    What was written in the last round says by how much things leave before the end in this one.
    """

    def __init__(self, write_s: FloatArray) -> None:
        self._write_s = write_s
        # By how much what is for one alone leaves before the rest; what is written at a turn's end by each piece of
        # work itself, and what after it (at the usual speed).
        self._early_s = np.zeros(write_s.size)
        self._own_s = np.zeros(write_s.size)
        self._after_s = np.zeros(write_s.size)

    def leave(
        self, line: IntArray, turn: IntArray, end: FloatArray, pace: FloatArray | float, many: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """When what each piece of work in `line` says to many leaves, and what it says to one (s).

        `turn` is the turn of each, `end` when it ends (s), `pace` how many times longer than usual the machine takes,
        and `many` whether it says anything to more than one: all of shape (line.size,), or one pace for all.
        """
        self.line, self.turn, self._pace = line, turn, pace
        loud = np.flatnonzero(many)
        turns, first = np.unique(turn[loud], return_index=True)
        self.leads = loud[first]
        """The first in each turn that says something to many."""
        since = np.full(turn[-1] + 1 if turn.size else 0, turn.size)
        since[turns] = self.leads
        self.collected = np.arange(turn.size) >= since[turn]
        """Whether what a piece of work says is written at its turn's end."""
        turn_end = end[self._last()][turn]
        early = ~self.collected
        early[self.leads] = True
        alone = np.where(early, end - self._early_s[line] * pace, turn_end)
        return np.where(self.collected, turn_end, end), alone

    def sharing(self) -> IntArray:
        """In which turn each piece of work shares its writes, or a number of its own where it shares none."""
        return np.where(self.collected, self.turn, self.turn.size + np.arange(self.turn.size))

    def spend(self, flushes: IntArray, flush_s: FloatArray, telling_s: FloatArray, answers: BoolArray) -> FloatArray:
        """What the ends of turns cost each piece of work in line (s), of which each writes to so many connections.

        `flush_s` is what an end costs, `answers` says who has one to answer besides many to tell, and `telling_s` what
        those cost beside the writes.
        """
        ends_s = np.zeros(self.turn.size)
        ends_s[self.leads] = flush_s[self.leads]
        early_s = self._write_s[self.line] * np.maximum(flushes - 1, 0) + telling_s + ends_s
        self._early_s[self.line] = np.where(answers, early_s, 0.0)
        own = np.where(self.collected, flushes, 0)
        # The answer is written before.
        own[self.leads] -= 1
        own_s = self._write_s[self.line] * own
        # Of all that is written from here to the end of the line, that of later turns is none of it.
        rest_s = np.cumsum(own_s[::-1])[::-1] - own_s
        self._own_s[self.line] = own_s
        self._after_s[self.line] = rest_s - rest_s[self._last()][self.turn]
        return ends_s

    def before_end_s(self, says: slice, say: IntArray, place: IntArray) -> FloatArray:
        """By how much each delivery is written before the end of its message's turn (s): it is the `place`-th of the
        message `say` among those pieces of work that are `says`."""
        pace = np.ones(self._write_s.size)
        pace[self.line] = self._pace
        each_s = self._write_s[says]
        count = np.where(each_s > 0, self._own_s[says] / np.maximum(each_s, 1e-12), 0.0)[say]
        behind = np.maximum(count - (place - place % TOGETHER + TOGETHER), 0.0)
        before_s: FloatArray = (self._after_s[says] * pace[says])[say]
        before_s += behind * (each_s * pace[says])[say]
        return before_s

    def _last(self) -> IntArray:
        """The last piece of work of each turn."""
        return np.flatnonzero(np.diff(self.turn, append=self.turn.size + 1))
