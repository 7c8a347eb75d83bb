"""Moments to come: FIFO lines for equal periods, one heap for the rest.

Rule: `next_at` may be early, never late. An entry that lost its meaning is found so when it surfaces; where its owner
can tell it before, those at the front go two at a time, with each that is added, and those behind one that still means
something a few at a time, whenever they may be a third of all: none are hoarded, and never are all of them looked at in
one go, which would keep a loop for milliseconds. What an entry means is left to its owner.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")

SIFTED_MIN = 64
"""So few entries are never hoarded."""

SIFTED_BEGINS_MIN = 48
"""So few are never looked through for those without a meaning: with a third more there are `SIFTED_MIN`."""

SIFTED_WITH_EACH = 4
"""So many are looked at with each that is added, from when there are half as many more as were left the last time: so
there are no more than twice as many at the end, when a third as many have come meanwhile."""


class Line(Generic[T]):
    """Entries that all wait the same time, so that they come due in the order in which they were added."""

    __slots__ = ("_items", "_means", "_sifted_at", "_since", "_unsifted", "_unsifted_since", "_wait_s")

    def __init__(self, wait_s: float, means: Callable[[T], bool] | None = None) -> None:
        """`wait_s` is how long each entry waits; `means` says whether one still has a meaning.

        With it there are never more than twice as many entries as have had one at a time, and `SIFTED_MIN`.
        """
        self._wait_s = wait_s
        self._means = means
        self._sifted_at = _begins(0)
        # Two lines side by side and not one of pairs, with the moment of adding and not the one that is due: a message
        # waits minutes here and in other lines, where a pair takes 56 bytes and a number of its own 24 more.
        self._since: deque[float] = deque()
        self._items: deque[T] = deque()
        # While it is sifted, what is behind these: the front is never empty where there is something.
        self._unsifted_since: deque[float] = deque()
        self._unsifted: deque[T] = deque()

    def add(self, now: float, item: T) -> None:
        """Wait from `now` on, which never lies before that of an earlier entry."""
        if self._unsifted:
            self._unsifted_since.append(now)
            self._unsifted.append(item)
            self._sift(SIFTED_WITH_EACH)
            return
        self._since.append(now)
        self._items.append(item)
        # Written out here: every message waits in a line, and hardly anything is ever put.
        means, items = self._means, self._items
        if means is None or len(items) <= SIFTED_BEGINS_MIN:
            return
        # Two for each that comes: so the front keeps up.
        if not means(items[0]):
            self.shift()
            if not means(items[0]):
                self.shift()
        if len(items) > self._sifted_at:
            self._begin_to_sift()

    def put(self, since: float, item: T) -> None:
        """Wait from a moment that may lie before that of earlier entries: behind those that do not wait from later on.

        Where it does, it takes as long as there are entries; `add` never does.
        """
        last = self._unsifted_since or self._since
        if not last or last[-1] <= since:
            self.add(since, item)
            return
        self._sift(len(self._unsifted))
        place = bisect_right(self._since, since)
        self._since.insert(place, since)
        self._items.insert(place, item)
        if self._means is not None and len(self._items) > self._sifted_at:
            self._begin_to_sift()
            self._sift(len(self._unsifted))

    def _begin_to_sift(self) -> None:
        """Have what means nothing any more thrown out bit by bit; the first one may stay until it surfaces."""
        self._unsifted_since, self._since = self._since, self._unsifted_since
        self._unsifted, self._items = self._items, self._unsifted
        self._draw_up()

    def _draw_up(self) -> None:
        """The first of what is unsifted is the first of all."""
        self._since.append(self._unsifted_since.popleft())
        self._items.append(self._unsifted.popleft())

    def _sift(self, most: int) -> None:
        """Look at so many more; at the end of all, it is seen when it is to begin again."""
        means, unsifted = self._means, self._unsifted
        if not unsifted:
            return
        for _ in range(min(most, len(unsifted))):
            if means is None or means(unsifted[0]):
                self._draw_up()
            else:
                self._unsifted_since.popleft()
                unsifted.popleft()
        if not unsifted:
            self._sifted_at = _begins(len(self._items))

    @property
    def next_at(self) -> float:
        """When the first entry is due (s), inf if there is none."""
        return self._since[0] + self._wait_s if self._since else inf

    @property
    def first(self) -> T | None:
        """The first entry, due or not."""
        return self._items[0] if self._items else None

    def shift(self) -> float:
        """Take the first entry away, due or not; returns since when it waited."""
        self._items.popleft()
        since = self._since.popleft()
        if self._unsifted and not self._items:
            self._draw_up()
        return since

    def pop(self, now: float) -> T | None:
        """The first entry if it is due, else None."""
        since = self._since
        if since and since[0] + self._wait_s <= now:
            since.popleft()
            item = self._items.popleft()
            if self._unsifted and not since:
                self._draw_up()
            return item
        return None

    def __len__(self) -> int:
        return len(self._items) + len(self._unsifted)


def _begins(left: int) -> int:
    """With how many entries sifting begins, where so many were left the last time."""
    return max(SIFTED_BEGINS_MIN, left + left // 2)


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

    def prune(self, alive: Callable[[float, T], bool]) -> None:
        """Forget every entry that is not `alive`, asked with the moment it is due and its item."""
        self._entries = [entry for entry in self._entries if alive(entry[0], entry[2])]
        heapq.heapify(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
