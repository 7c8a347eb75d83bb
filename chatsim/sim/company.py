"""Notices of delivery, which nobody waits for: how long they stay for company at the node.

Decides which of them are sent at once, and what goes along with the next write to a connection. Rule: that of a real
server (`live.outlets`): few are sent at once, and of many each waits `LINGER_S` at most. What a write costs is left to
the node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf

from chatsim.core.effects import Send
from chatsim.core.frames import ServerFrame
from chatsim.core.notices import EAGER_MAX, LINGER_S


class Company:
    """What waits, by connection; moments in seconds."""

    __slots__ = ("_count", "_until", "_waiting", "_window_ends")

    def __init__(self) -> None:
        self._window_ends = 0.0
        self._count = 0
        # Until when, and what.
        self._waiting: dict[str, tuple[float, list[ServerFrame]]] = {}
        # Everybody waits equally long, so that the first is the next; a write since has made an entry void.
        self._until: deque[tuple[float, str]] = deque()

    def __contains__(self, name: str) -> bool:
        """Whether something waits for the connection."""
        return name in self._waiting

    def wanted(self, now: float) -> bool:
        """Whether one more notice waits for company, as there have been many of late."""
        if now >= self._window_ends:
            self._window_ends = now + LINGER_S
            self._count = 0
        self._count += 1
        return self._count > EAGER_MAX

    def keep(self, now: float, send: Send) -> None:
        """The frame waits for company."""
        until = now + LINGER_S
        for name in send.to:
            there = self._waiting.get(name)
            if there is None:
                self._waiting[name] = (until, [send.message])
                self._until.append((until, name))
            else:
                there[1].append(send.message)

    def joins(self, names: Iterable[str]) -> list[Send]:
        """What goes along where these are written to, in order."""
        waiting, found = self._waiting, list[Send]()
        if waiting:
            for name in names:
                if name in waiting:
                    found += [Send((name,), message) for message in waiting.pop(name)[1]]
        return found

    def ends_at(self) -> float:
        """When the first has waited long enough (inf: nobody waits)."""
        while self._until:
            until, name = self._until[0]
            there = self._waiting.get(name)
            if there is not None and there[0] == until:
                return until
            self._until.popleft()
        return inf

    def due(self, now: float) -> list[str]:
        """The connections whose frames have waited long enough."""
        names = []
        while self.ends_at() <= now:
            names.append(self._until.popleft()[1])
        return names

    def clear(self) -> None:
        """Nobody waits any more."""
        self._waiting.clear()
        self._until.clear()
