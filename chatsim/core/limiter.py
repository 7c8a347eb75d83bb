"""Who may send now: counting per user, exact, over all of the user's connections.

Three algorithms with one shape: `refusal(now)` is 0 when the message is let through (and counted), else the seconds
to wait.
Rule: the sliding window never lets more than `limit` through in any half-open window of `window_s`; the others are
there for comparison.
Who is asked, and what a refusal means, is left to the handler.
"""

from __future__ import annotations

import math
from array import array
from typing import Protocol

from chatsim.core.config import HandlerConfig


class Limiter(Protocol):
    """What the handler asks before a message is accepted."""

    def refusal(self, now: float) -> float:
        """0 and the message counts, or the seconds until one would be let through."""

    def forgive(self, at: float) -> None:
        """What was let through at that moment came to nothing: it counts no more."""

    def idle(self, now: float) -> bool:
        """Whether forgetting this limiter would change no later answer."""


class SlidingWindow:
    """Exact: remembers the moments of the last `limit` accepted messages."""

    __slots__ = ("_limit", "_moments", "_window_s")

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        # Eight bytes a moment, where a list keeps an object of 24 alive as well; an empty deque already takes 600.
        self._moments = array("d")

    def refusal(self, now: float) -> float:
        moments = self._moments
        if len(moments) >= self._limit:
            if not moments:
                return self._window_s
            wait_s = moments[0] + self._window_s - now
            if wait_s > 0:
                return wait_s
            del moments[0]
        moments.append(now)
        return 0.0

    def forgive(self, at: float) -> None:
        if at in self._moments:
            self._moments.remove(at)

    def idle(self, now: float) -> bool:
        return not self._moments or self._moments[-1] + self._window_s <= now


class FixedWindow:
    """`limit` in each window aligned to multiples of `window_s`: lets up to twice the limit through around an edge."""

    __slots__ = ("_count", "_limit", "_window", "_window_s")

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._window = -1
        self._count = 0

    def refusal(self, now: float) -> float:
        window = math.floor(now / self._window_s)
        if window != self._window:
            self._window = window
            self._count = 0
        if self._count >= self._limit:
            return max((window + 1) * self._window_s - now, 1e-9)
        self._count += 1
        return 0.0

    def forgive(self, at: float) -> None:
        if math.floor(at / self._window_s) == self._window:
            self._count -= 1

    def idle(self, now: float) -> bool:
        return math.floor(now / self._window_s) != self._window


class TokenBucket:
    """`limit` tokens at most, refilled evenly over `window_s`: lets up to twice the limit through after a pause."""

    __slots__ = ("_at", "_limit", "_per_s", "_tokens")

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._per_s = limit / window_s
        self._tokens = float(limit)
        self._at: float | None = None

    def refusal(self, now: float) -> float:
        self._tokens = self._filled(now)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._per_s if self._per_s > 0 else math.inf

    def forgive(self, at: float) -> None:
        self._tokens = min(float(self._limit), self._tokens + 1.0)

    def idle(self, now: float) -> bool:
        return self._filled(now) >= self._limit

    def _filled(self, now: float) -> float:
        since_s = 0.0 if self._at is None else now - self._at
        return min(float(self._limit), self._tokens + since_s * self._per_s)


_ALGORITHMS: dict[str, type[SlidingWindow] | type[FixedWindow] | type[TokenBucket]] = {
    "sliding": SlidingWindow,
    "fixed": FixedWindow,
    "token_bucket": TokenBucket,
}


def make_limiter(config: HandlerConfig) -> Limiter:
    """The limiter that the settings ask for, for one user."""
    return _ALGORITHMS[config.rate_algorithm](config.rate_limit, config.rate_window_s)
