"""What one turn of the node's event loop has to write, and when each connection gets it.

Decides the order of writing. Rule: a server collects what a turn says and writes to each connection once, at the turn's
end, one connection after the other in the order in which something was first said to them (`live.outlets`). What that
costs is left to the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chatsim.core.effects import Send
from chatsim.core.frames import ServerFrame
from chatsim.sim.company import Company
from chatsim.sim.pipe import Pipe

TOGETHER = 16
"""So many connections are taken to be written to at one moment: an event for each would make large rooms slow, and it
is less than 0.1 ms between the first and the last."""


class Turn:
    """What was said so far; moments and durations in seconds."""

    __slots__ = ("_said", "_to")

    def __init__(self) -> None:
        self._said: list[Send] = []
        # To whom, in the order in which they are written to.
        self._to: dict[str, None] = {}

    def add(self, send: Send) -> bool:
        """One frame more; returns whether there was nothing to write before."""
        self._said.append(send)
        return self.reach(send.to)

    def reach(self, names: Iterable[str]) -> bool:
        """These are written to in any case; returns whether there was nothing to write before."""
        first = not self._to
        self._to.update(dict.fromkeys(names))
        return first

    def join(self, company: Company) -> None:
        """What waited for company goes along, ahead of what the turn says."""
        self._said[:0] = company.joins(self._to)

    def __len__(self) -> int:
        """How many connections are to be written to."""
        return len(self._to)

    def clear(self) -> None:
        """Nothing of it is written."""
        self._said, self._to = [], {}

    def written(
        self, pipes: Mapping[str, Pipe], end_at: float, each_s: float
    ) -> Iterator[tuple[ServerFrame, list[tuple[float, Pipe]]]]:
        """Each frame with the connections that are still there and when it leaves for them, where the last is written
        to at `end_at` and each takes so long; then nothing is left."""
        count = len(self._to)
        at = {
            name: end_at - each_s * (count - min(place - place % TOGETHER + TOGETHER, count))
            for place, name in enumerate(self._to)
        }
        said = self._said
        self.clear()
        for send in said:
            yield send.message, [(at[name], pipes[name]) for name in send.to if name in pipes]
