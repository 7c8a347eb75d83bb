"""Whether somebody else's server is still there for its crowd: since when nobody gets in who tries.

Decides when a server counts as gone. Rule: that nobody is there says nothing, for people leave, come late, and take no
for an answer; tries do that failed, and one person who is in is proof of the contrary. When to try is the client's
affair.
"""

from __future__ import annotations

from math import inf

GONE_S = 20.0
"""Between the first try that failed and the last (s): a server that only begins again is mostly back by then, and a
client tries several times. The pause before its next try is what it takes longer, half a minute at most."""


class Absence:
    """The tries that failed while nobody was in. `since` is when the first of them did (s; inf: there is none)."""

    def __init__(self) -> None:
        self.since = inf
        self._last_at = 0.0

    def failed(self, now: float) -> None:
        """Somebody who goes on trying was not let in, and nobody else is in."""
        self.since = min(self.since, now)
        self._last_at = now

    def disproved(self) -> None:
        """Somebody is in, or was until just now."""
        self.since = inf

    @property
    def gone(self) -> bool:
        """Whether it is waited for no more."""
        return self._last_at - self.since >= GONE_S
