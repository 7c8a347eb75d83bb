"""Virtual time: an event heap of our own, drained in exact time order inside one SimPy process.

The process wakes coarsely and then runs everything that came due, each event at its own moment; the quantum decides
only when other SimPy
processes of the same environment see the results. Measured, a heap entry costs a quarter of a SimPy callback and a
tenth of a process.
Rule: events of one moment run in the order in which they were scheduled, so a run is a function of its inputs.
"""

from __future__ import annotations

import gc
import heapq
from collections.abc import Callable, Generator
from math import inf
from operator import itemgetter
from typing import Any, ClassVar, NoReturn, TypeAlias

import simpy

from chatsim.errors import HarnessError
from chatsim.people.ties import turn

Action: TypeAlias = Callable[[float, Any, Any], None]

GC_THRESHOLD = 50_000
"""New containers between two looks for cyclic garbage during a run; Python's 700 suits programs that hold little."""

LITTER_MAX = 50_000
"""Events run in this process since all was last looked through for garbage, after which the next run does it again.

What a run leaves behind grows with its events; to look through everything costs the same after one event, and in a
process that draws and tabulates as well it took as long as a small run takes.
"""

STEPS_MAX = 2_000_000
"""More events than that in one quantum are no load: 10,000 people make some thousands."""

_MOMENT = itemgetter(0)


class _Litter:
    """How much the runs of this process may have left lying, in events; there is one garbage collector for all."""

    events: ClassVar[int] = 0


class _Batch:
    """One action due at many moments, in order; `place` is the next."""

    __slots__ = ("action", "b", "count", "entries", "place")

    def __init__(self, count: int, action: Action, entries: list[tuple[float, Any]], b: Any) -> None:
        self.count = count
        self.action = action
        self.entries = entries
        self.b = b
        self.place = 0

    def place_of(self, a: Any) -> int:
        """Where this one stands if it is due at the same moment as the next, -1 if it is not."""
        entries, place = self.entries, self.place
        moment = entries[place][0]
        while place < len(entries) and entries[place][0] == moment:
            if entries[place][1] is a:
                return place
            place += 1
        return -1


class _StopError(Exception):
    """Somebody said that the run is over."""


class Engine:
    """Schedules actions `action(now, a, b)`; moments are seconds since the start of the run."""

    __slots__ = ("_count", "_heap", "_until", "env", "now", "quantum_s")

    def __init__(self, env: simpy.Environment | None = None, *, quantum_s: float = 1.0) -> None:
        """`quantum_s` is how coarsely the SimPy process wakes."""
        assert quantum_s > 0
        self.env = simpy.Environment() if env is None else env
        self.quantum_s = quantum_s
        self.now = 0.0
        self._heap: list[tuple[float, int, Action, Any, Any]] = []
        self._count = 0
        self._until = 0.0

    def at(self, moment: float, action: Action, a: Any = None, b: Any = None) -> None:
        """Run `action(moment, a, b)`; `moment` never lies before `now`."""
        self._count = count = self._count + 1
        heapq.heappush(self._heap, (moment, count, action, a, b))

    def each(self, action: Action, entries: list[tuple[float, Any]], b: Any = None) -> None:
        """The same action for many, as one entry of the heap: `action(moment, [a, ...], b)` for those of one moment.

        Entries of one moment keep the order given, and run as if all had been scheduled now.
        """
        if not entries:
            return
        self._count = count = self._count + 1
        if len({moment for moment, _ in entries}) == 1:
            heapq.heappush(self._heap, (entries[0][0], count, action, [a for _, a in entries], b))
            return
        batch = _Batch(count, action, sorted(entries, key=_MOMENT), b)
        heapq.heappush(self._heap, (batch.entries[0][0], count, self._run_batch, batch, None))

    def _run_batch(self, now: float, batch: _Batch, _: Any) -> None:
        """Run the entries of a batch as long as nothing else comes before the next of them."""
        heap, entries, action, b, count = self._heap, batch.entries, batch.action, batch.b, batch.count
        place, end = batch.place, len(entries)
        while place < end:
            moment, a = entries[place]
            if moment > self._until or (
                heap and (heap[0][0] < moment or (heap[0][0] == moment and heap[0][1] < count))
            ):
                batch.place = place
                heapq.heappush(heap, (moment, count, self._run_batch, batch, None))
                return
            place += 1
            together = [a]
            while place < end and entries[place][0] == moment:
                together.append(entries[place][1])
                place += 1
            self.now = moment
            action(moment, together, b)

    def is_next(self, moment: float, a: Any) -> bool:
        """Whether what is to run next, still at this moment, is an action with this `a`, alone or among others."""
        heap = self._heap
        if not heap or heap[0][0] != moment:
            return False
        said = heap[0][3]
        if said.__class__ is _Batch:
            return said.place_of(a) >= 0
        return said is a or (said.__class__ is list and a in said)

    def take_one(self, moment: float, action: Action, a: Any) -> bool:
        """Whether what is to run next is this action of `each` at this moment, with this `a` among others: it does not
        run for this one then, and runs for the others as it would have."""
        if not self.is_next(moment, a):
            return False
        _, count, of, said, _ = self._heap[0]
        if of == action and said.__class__ is list:
            said.remove(a)
            if not said:
                heapq.heappop(self._heap)
            return True
        if said.__class__ is not _Batch or said.action != action:
            return False
        # Those of this moment that stand before it move up by one.
        said.entries.insert(said.place, said.entries.pop(said.place_of(a)))
        said.place += 1
        heapq.heappop(self._heap)
        if said.place < len(said.entries):
            heapq.heappush(self._heap, (said.entries[said.place][0], count, of, said, None))
        return True

    def take(self, moment: float, action: Action, a: Any) -> Any:
        """The `b` of what is to run next, which does not run then: if that is this action with this `a` at this moment,
        None if it is not, or nothing is to run."""
        heap = self._heap
        if heap and heap[0][0] == moment and heap[0][3] is a and heap[0][2] == action:
            return heapq.heappop(heap)[4]
        return None

    def run(
        self,
        until: float,
        *,
        stop_when: Callable[[float], bool] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> float:
        """Run to `until`, or until `stop_when(now)`, asked once a quantum, says that all is settled; returns the
        moment reached."""
        self.env.process(self._process(until, stop_when, progress))
        # What is alive now stays alive: looking through it again and again for garbage takes a third of a large run.
        if _Litter.events > LITTER_MAX:
            _Litter.events = 0
            gc.collect()
        gc.freeze()
        thresholds = gc.get_threshold()
        gc.set_threshold(GC_THRESHOLD, *thresholds[1:])
        try:
            self.env.run()
        finally:
            gc.set_threshold(*thresholds)
            gc.unfreeze()
            _Litter.events += self._count
        return self.now

    def _process(
        self,
        until: float,
        stop_when: Callable[[float], bool] | None,
        progress: Callable[[float], None] | None,
    ) -> Generator[simpy.Event, Any, None]:
        env = self.env
        while env.now < until:
            # Quiet stretches are crossed in one step.
            ahead = max(self.next_at, env.now) + self.quantum_s
            yield env.timeout(min(ahead, until) - env.now)
            try:
                self._drain(env.now)
            except _StopError:
                return
            self.now = env.now
            if progress is not None:
                progress(self.now)
            if stop_when is not None and stop_when(self.now):
                return

    def stop(self) -> NoReturn:
        """End the run at this very moment; to be called by an action, which it leaves."""
        raise _StopError

    @property
    def next_at(self) -> float:
        """When the next event is due (s), inf if there is none."""
        return self._heap[0][0] if self._heap else inf

    def _drain(self, until: float) -> None:
        heap, pop = self._heap, heapq.heappop
        self._until = until
        for _ in range(STEPS_MAX):
            if not heap:
                return
            entry = heap[0]
            moment = entry[0]
            if moment > until:
                return
            pop(heap)
            self.now = moment
            entry[2](moment, entry[3], entry[4])
        raise HarnessError(f"The simulation does not get beyond {self.now:g} s: something happens there for ever.")


class ShuffledEngine(Engine):
    """An engine in which events of one moment run in an order that a seed decides, as far as they are independent.

    `lane` says what an action's first argument belongs to: what is of one lane keeps the order in which it was
    scheduled, as the bytes of one connection do.
    """

    __slots__ = ("_lane", "_seed")

    def __init__(self, seed: int, lane: Callable[[Any], int], *, quantum_s: float = 1.0) -> None:
        super().__init__(quantum_s=quantum_s)
        self._seed = seed
        self._lane = lane

    def at(self, moment: float, action: Action, a: Any = None, b: Any = None) -> None:
        """Run `action(moment, a, b)`; `moment` never lies before `now`."""
        self._count = count = self._count + 1
        heapq.heappush(self._heap, (moment, turn(self._seed, self._lane(a), count), action, a, b))

    def each(self, action: Action, entries: list[tuple[float, Any]], b: Any = None) -> None:
        """The same action for many: each by itself, since another may come between them."""
        for moment, a in entries:
            self.at(moment, action, [a], b)
