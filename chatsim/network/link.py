"""One direction of one connection: when a frame that enters now comes out at the other end.

Rule: a link behaves as TCP does: order is kept, and loss and partition are delay, never disappearance. Frames that
have entered keep the arrival they were given, whatever is changed later.
Who writes, who reads and what dies with its peer are left to the wire.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

RTO_S_MIN = 0.2
"""First retransmission timeout: the least of Linux (TCP_RTO_MIN); each repeated loss doubles it (RFC 6298)."""

RTO_S_MAX = 120.0
"""Ceiling of the doubling (Linux, TCP_RTO_MAX)."""

RETRANSMISSIONS_MAX = 15
"""After so many losses of one frame in a row it gets through (Linux would give the connection up: tcp_retries2)."""

HELD_BYTES_MAX = 16 * 1024
"""What systems on the way take of what somebody writes to a slow reader: the rest waits with the writer, and is lost
when that one breaks off."""

_NEVER = -inf
"""One float for all: written out, `-inf` is a new object each time, and there are many connections."""


class Draws(Protocol):
    """A stream of single draws; `constant` is their value where they are all equal."""

    @property
    def constant(self) -> float | None: ...

    def next(self) -> float: ...


class Link:
    """Latency, loss, bandwidth and faults of one direction of one connection.

    `latency` draws seconds one way (None: none), `loss` is a probability, `loss_draws` uniforms on [0, 1),
    needed wherever frames can be lost, by a fault too; `bandwidth_bit_per_s` None is without limit.
    Faults set, at run time: `factor` on the latency, `extra_loss` on top of `loss`, `bandwidth_bit_per_s`,
    and `blocked_until`, the moment at which a partition heals.
    """

    __slots__ = (
        "_bandwidth",
        "_blocked_until",
        "_busy_until",
        "_clear",
        "_extra_loss",
        "_factor",
        "_fixed_s",
        "_held_bytes",
        "_last_at",
        "_latency",
        "_loss",
        "_loss_draws",
        "_lost_share",
        "_stalled_until",
        "_varying",
    )

    def __init__(
        self,
        latency: Draws | None = None,
        loss: float = 0.0,
        loss_draws: Draws | None = None,
        bandwidth_bit_per_s: float | None = None,
    ) -> None:
        assert 0.0 <= loss <= 1.0
        self._latency = latency
        self._loss = loss
        self._loss_draws = loss_draws
        self._bandwidth = bandwidth_bit_per_s
        self._factor = 1.0
        self._extra_loss = 0.0
        self._blocked_until = _NEVER
        self._stalled_until = _NEVER
        self._busy_until = _NEVER
        self._last_at = _NEVER
        self._held_bytes = 0.0
        self._settle()

    def arrival(self, now: float, size_bytes: float) -> float:
        """The moment at which a frame that enters at `now` has wholly arrived: never before an earlier frame."""
        if self._clear:
            varying = self._varying
            at = now + self._fixed_s if varying is None else now + varying.next() * self._factor
        else:
            at = self._start(now, size_bytes)
            if self._bandwidth is not None:
                at += size_bytes * 8.0 / self._bandwidth
                self._busy_until = at
            if self._latency is not None:
                at += self._latency.next() * self._factor
            if self._lost_share > 0.0:
                at += self._loss_delay_s()
        if at < self._last_at:
            return self._last_at
        self._last_at = at
        return at

    def queued_bytes(self, now: float) -> float:
        """Bytes that have entered and are not yet on their way: waiting for bandwidth, or for a partition to heal."""
        if now < self._stalled_until:
            return self._held_bytes
        if self._bandwidth is None or now >= self._busy_until:
            return 0.0
        return (self._busy_until - now) * self._bandwidth / 8.0

    def breaks(self, now: float) -> float:
        """When the other end feels that the connection was broken off at `now`: behind a partition, and behind all that
        systems on the way have taken already, which arrives still; what is more than that is lost."""
        at = max(now, self._stalled_until, now if self._blocked_until == inf else self._blocked_until)
        waits_bytes = self.queued_bytes(now)
        if waits_bytes > HELD_BYTES_MAX and self._bandwidth is not None:
            at = max(at, now + HELD_BYTES_MAX * 8.0 / self._bandwidth)
        if self._latency is not None:
            at += self._latency.next() * self._factor
        return at if waits_bytes > HELD_BYTES_MAX else max(at, self._last_at)

    @property
    def leaves_at(self) -> float:
        """When the last of what has entered is on its way (s); -inf where nothing waited."""
        return max(self._busy_until, self._stalled_until)

    @property
    def even(self) -> bool:
        """Whether all that enters now comes out at one moment, however much it is and in however many pieces."""
        return self._clear and self._varying is None

    @property
    def factor(self) -> float:
        """Multiplier of every latency drawn from now on."""
        return self._factor

    @factor.setter
    def factor(self, value: float) -> None:
        assert value >= 0.0
        self._factor = value
        self._settle()

    @property
    def extra_loss(self) -> float:
        """Probability of loss that a fault adds, independent of the link's own."""
        return self._extra_loss

    @extra_loss.setter
    def extra_loss(self, value: float) -> None:
        assert 0.0 <= value <= 1.0
        self._extra_loss = value
        self._settle()

    @property
    def blocked_until(self) -> float:
        """Nothing that enters before this moment passes before it: a partition (-inf: none)."""
        return self._blocked_until

    @blocked_until.setter
    def blocked_until(self, value: float) -> None:
        self._blocked_until = value
        self._settle()

    @property
    def bandwidth_bit_per_s(self) -> float | None:
        """Rate at which frames leave, one after the other; None is without limit."""
        return self._bandwidth

    @bandwidth_bit_per_s.setter
    def bandwidth_bit_per_s(self, value: float | None) -> None:
        assert value is None or value > 0.0
        self._bandwidth = value
        self._settle()

    def _settle(self) -> None:
        """Work out again how much is lost, and whether nothing but the latency stands in a frame's way."""
        loss, extra = self._loss, self._extra_loss
        # What is not changed is the same number for all links, and there are two of them for every connection.
        self._lost_share = 1.0 - (1.0 - loss) * (1.0 - extra) if loss or extra else 0.0
        assert self._lost_share == 0.0 or self._loss_draws is not None, "a link that loses needs draws to lose by"
        latency = self._latency
        fixed_s = 0.0 if latency is None else latency.constant
        self._varying = latency if fixed_s is None else None
        self._fixed_s = 0.0 if fixed_s is None else fixed_s if self._factor == 1.0 else fixed_s * self._factor
        self._clear = (
            self._lost_share == 0.0
            and self._bandwidth is None
            and self._blocked_until == -inf
            and self._stalled_until == -inf
            and self._busy_until == -inf
        )

    def _start(self, now: float, size_bytes: float) -> float:
        """The moment at which the frame begins to leave: behind the frames before it, and after a partition."""
        start = max(now, self._busy_until, self._stalled_until)
        if start < self._blocked_until:
            start = self._after_partition(now, start)
        elif now >= self._stalled_until and now >= self._busy_until:
            # Whatever stood in the way is past: forget it, so that the next frame may take the short way.
            self._blocked_until = self._stalled_until = self._busy_until = _NEVER
            self._settle()
        if now < self._stalled_until:
            self._held_bytes += size_bytes
        return start

    def _after_partition(self, now: float, start: float) -> float:
        """The first retransmission, doubling, that falls on a healed link; frames behind it wait for it too.

        A partition without end (inf) gives inf.
        """
        if now >= self._stalled_until:
            self._held_bytes = self.queued_bytes(now)
        rto_s = RTO_S_MIN
        while start < self._blocked_until < inf:
            start += rto_s
            rto_s = min(2.0 * rto_s, RTO_S_MAX)
        self._stalled_until = max(start, self._blocked_until)
        return self._stalled_until

    def _loss_delay_s(self) -> float:
        draws = self._loss_draws
        assert draws is not None
        delay_s, rto_s = 0.0, RTO_S_MIN
        for _ in range(RETRANSMISSIONS_MAX):
            if draws.next() >= self._lost_share:
                break
            delay_s += rto_s
            rto_s = min(2.0 * rto_s, RTO_S_MAX)
        return delay_s
