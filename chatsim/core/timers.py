"""Moments to come: FIFO lines for equal periods, one heap for the rest.

Rule: `next_at` may be early, never late. Entries are never removed: an entry that lost its meaning is found so when
it surfaces.
What an entry means is left to its owner.
"""

from __future__ import annotations

import heapq
from collections import deque
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Entries that all wait the same time, so that they come due in the order in which they were added."""

    __slots__ = ("_items", "_moments")

    def __init__(self) -> None:
        # Two lines side by side and not one of pairs: a message waits minutes here, and a pair takes 56 bytes.
        self._moments: deque[float] = deque()
        self._items: deque[T] = deque()

    def add(self, due_at: float, item: T) -> None:
        """Wait until `due_at`, which never lies before that of an earlier entry."""
        self._moments.append(due_at)
        self._items.append(item)

    @property
    def next_at(self) -> float:
        """When the first entry is due (s), inf if there is none."""
        return self._moments[0] if self._moments else inf

    @property
    def first(self) -> T | None:
        """The first entry, due or not."""
        return self._items[0] if self._items else None

    def shift(self) -> None:
        """Take the first entry away, due or not."""
        self._moments.popleft()
        self._items.popleft()

    def pop(self, now: float) -> T | None:
        """The first entry if it is due, else None."""
        moments = self._moments
        if moments and moments[0] <= now:
            moments.popleft()
            return self._items.popleft()
        return None

    def __len__(self) -> int:
        return len(self._items)


class Heap(Generic[T]):
    """Entries with moments of their own; entries of one moment come in the order in which they were added."""

    __slots__ = ("_count", "_entries")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, T]] = []
        self._count = 0

    def add(self, due_at: float, item: T) -> None:
        """Wait until `due_at`."""
        self._count += 1
        heapq.heappush(self._entries, (due_at, self._count, item))

    @property
    def next_at(self) -> float:
        """When the first entry is due (s), inf if there is none."""
        return self._entries[0][0] if self._entries else inf

    def pop(self, now: float) -> T | None:
        """The first entry if it is due, else None."""
        if self._entries and self._entries[0][0] <= now:
            return heapq.heappop(self._entries)[2]
        return None

    def __len__(self) -> int:
        return len(self._entries)
