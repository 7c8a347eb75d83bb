"""Whether there is room for one more connection: how many there are, and how fast they come.

Decides on a handshake whose token is good. Rule: those who come back have a bucket of their own, so that a rush of
strangers does not keep out people who were in conversation; each bucket holds one second's worth.
What is answered to those who are refused is left to the shell.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from chatsim.core.chance import Dice
from chatsim.core.config import HandlerConfig
from chatsim.core.limiter import TokenBucket

RETRY_AFTER_S_MAX = 5
"""`Retry-After` is drawn from 1 to this, so that those refused together do not come back together."""

NoRoom: TypeAlias = Literal["draining", "overloaded"]


class Admission:
    """The door of one node. Moments in seconds since its start; `seed` is that of the jitter."""

    def __init__(self, config: HandlerConfig, *, seed: int) -> None:
        self._connections_max = config.connections_max
        self._new = _bucket(config.accept_rate_per_s)
        self._back = _bucket(config.resume_rate_per_s)
        self._dice = Dice(seed)

    def refusal(self, now: float, *, connections: int, draining: bool, back: bool) -> NoRoom | None:
        """Why one more connection is refused, or None and it counts. `connections` are there already, `back` says
        that the node knew the client's former connection."""
        if draining:
            return "draining"
        bucket = self._back if back else self._new
        if connections >= self._connections_max or bucket.refusal(now):
            return "overloaded"
        return None

    def retry_after_s(self) -> int:
        """When somebody who was refused may knock again (whole seconds)."""
        return 1 + int(RETRY_AFTER_S_MAX * self._dice.uniform())


def _bucket(rate_per_s: float) -> TokenBucket:
    burst = max(1, int(rate_per_s))
    return TokenBucket(burst, burst / rate_per_s)
