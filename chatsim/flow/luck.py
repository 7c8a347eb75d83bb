"""What is drawn at random beside the load: latencies of the groups' networks, and costs.

Rule: numbers come from streams of their own, by name, so that the same seed gives the same run; what is constant is
never drawn. Luck that is shared with the full simulation ends at the load: there a connection draws for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
import numpy.typing as npt

from chatsim.people.streams import Streams
from chatsim.scenario.costs import BY_TYPE, COLLECT, Collections, Costs
from chatsim.scenario.distributions import Constant, Distribution

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NOTHING = Constant(value=0.0)

HOLDS = 4096
"""How many changes of the machine's speed are drawn at a time."""


def dice(streams: Streams, name: str) -> np.random.Generator:
    """A generator of its own: as good as Philox where a stream is read from its start only, and faster."""
    return np.random.Generator(np.random.SFC64(int(streams.generator(f"flow/{name}").integers(0, 2**63))))


class Luck:
    """One stream of a law, or of one law for each group; samples in the unit of the laws."""

    def __init__(self, streams: Streams, name: str, laws: Sequence[Distribution]) -> None:
        self._generator = dice(streams, name)
        self._laws = list(laws)
        self._alike = len({repr(law) for law in laws}) == 1
        self.constant = all(law.is_constant for law in laws)

    def draw(self, group: npt.NDArray[np.int32]) -> FloatArray:
        """A sample for each entry, by the law of its `group`."""
        if self._alike:
            return self._laws[0].sample(self._generator, group.size)
        found = np.empty(group.size)
        for number, law in enumerate(self._laws):
            where = group == number
            found[where] = law.sample(self._generator, int(np.count_nonzero(where)))
        return found

    def means(self, counts: IntArray) -> FloatArray:
        """For each count, the mean of so many samples of the first law (0 of none)."""
        law = self._laws[0]
        if law.is_constant:
            return np.full(counts.size, law.mean)
        drawn = np.append(law.sample(self._generator, int(counts.sum())), 0.0)
        sums = np.add.reduceat(drawn, np.cumsum(counts) - counts)
        return np.where(counts > 0, sums, 0.0) / np.maximum(counts, 1)


class Pace:
    """How many times as long work takes from moment to moment, as `costs:` says; 1 where it says nothing of it."""

    def __init__(self, costs: Costs, streams: Streams) -> None:
        self._lucks: tuple[Luck, Luck] | None = None
        if costs.pace is not None and costs.pace_hold is not None:
            self._lucks = (
                Luck(streams, "cost/pace", [costs.pace]),
                Luck(streams, "cost/pace_hold", [costs.pace_hold]),
            )
        self._until = np.zeros(1)
        self._paces = np.ones(1)

    def at(self, moments: FloatArray) -> FloatArray | float:
        """At each of these moments (s since the start), shape (n,)."""
        if self._lucks is None or not moments.size:
            return 1.0
        paces, holds = self._lucks
        group = np.zeros(HOLDS, dtype=np.int32)
        while self._until[-1] <= moments.max():
            self._until = np.append(self._until, self._until[-1] + np.cumsum(holds.draw(group)))
            self._paces = np.append(self._paces, paces.draw(group))
        return self._paces[np.searchsorted(self._until, moments, side="right")]


class Prices:
    """What each kind of work costs, drawn as `costs:` says: words that are left out cost what those do that they
    refine."""

    def __init__(self, costs: Costs, streams: Streams) -> None:
        laws = {}
        self._collections = costs.collect if isinstance(costs.collect, Collections) else None
        self._stored = 0
        for word in (*Costs.__struct_fields__,):
            law = None if word == COLLECT and self._collections is not None else getattr(costs, word)
            laws[word] = law if law is not None else costs.frame if word in BY_TYPE else _NOTHING
        self._lucks = {word: Luck(streams, f"cost/{word}", [law]) for word, law in laws.items()}
        self.pace = Pace(costs, streams)
        self.wakes = costs.wake is not None
        self.chills = costs.cold is not None
        self._cold_after_s = inf if costs.cold_after is None else costs.cold_after.mean
        self.flushes = costs.flush is not None

    def each(self, word: str, n: int) -> FloatArray:
        """What each of `n` such pieces of work costs (s)."""
        return self._lucks[word].means(np.ones(n, dtype=np.int64))

    def stored(self, n: int) -> FloatArray:
        """What each of the next `n` stored messages costs (s), the collector's pauses included."""
        cost_s = self.each("append", n)
        if self._collections is None:
            return cost_s + self.each(COLLECT, n)
        numbers = np.arange(self._stored + 1, self._stored + n + 1)
        self._stored += n
        for place in np.flatnonzero((self._collections.since + numbers) % self._collections.every == 0):
            cost_s[place] += self._collections.pause_s(int(numbers[place]))
        return cost_s

    def cold(self, slept_s: FloatArray) -> FloatArray:
        """Which part of `cold` a wake-up costs after so long a sleep (s)."""
        return -np.expm1(-slept_s / self._cold_after_s)

    def means(self, word: str, counts: IntArray) -> FloatArray:
        """For each count, what one of so many costs on average (s)."""
        return self._lucks[word].means(counts)
