"""What a user may have let through under the two algorithms that do not slide, counted from outside.

Decides how many messages a fixed window, or a bucket, has room for at a moment. Rule: where it is not known whether
what came to nothing was given back, one account counts it as if it had been, the other as if not: the first judges who
is let through, the second who is refused. Moments and durations in seconds.
"""

from __future__ import annotations

from math import floor
from typing import Protocol

EPS = 1e-9
"""Sums of the same parts in another order differ by less (messages)."""


class Budget(Protocol):
    """The messages of one user."""

    def take(self, now: float) -> bool:
        """One was let through; whether there was room for it."""

    def refuses(self, now: float) -> bool:
        """Whether one that was refused may have found no room."""

    def give_back(self, at: float, *, surely: bool) -> None:
        """What was let through then came to nothing, and counts no more, `surely` or perhaps."""


class FixedBudget:
    """So many in each window from one multiple of its length to the next."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._window = -1
        self._least = self._most = 0

    def _turn(self, now: float) -> None:
        window = floor(now / self._window_s)
        if window != self._window:
            self._window = window
            self._least = self._most = 0

    def take(self, now: float) -> bool:
        self._turn(now)
        room = self._least < self._limit
        self._least += room
        self._most = min(self._limit, self._most + 1)
        return room

    def refuses(self, now: float) -> bool:
        self._turn(now)
        return self._most >= self._limit

    def give_back(self, at: float, *, surely: bool) -> None:
        if floor(at / self._window_s) == self._window:
            self._least -= 1
            self._most -= surely


class BucketBudget:
    """As many as the limit at once, and then evenly as many in each window."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = float(limit)
        self._per_s = limit / window_s
        self._at: float | None = None
        self._least = self._most = self._limit

    def _fill(self, now: float) -> None:
        if self._at is not None:
            more = (now - self._at) * self._per_s
            self._least = min(self._limit, self._least + more)
            self._most = min(self._limit, self._most + more)
        self._at = now

    def take(self, now: float) -> bool:
        self._fill(now)
        room = self._most >= 1.0 - EPS
        if room:
            self._most -= 1.0
            self._least = max(0.0, self._least - 1.0)
        return room

    def refuses(self, now: float) -> bool:
        self._fill(now)
        return self._least < 1.0 + EPS

    def give_back(self, at: float, *, surely: bool) -> None:
        self._most = min(self._limit, self._most + 1.0)
        self._least = min(self._limit, self._least + surely)


BUDGETS: dict[str, type[FixedBudget] | type[BucketBudget]] = {"fixed": FixedBudget, "token_bucket": BucketBudget}
"""By the name of the algorithm."""
