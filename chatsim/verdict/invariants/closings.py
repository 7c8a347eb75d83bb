"""The invariants of closes: whoever is closed has given the cause that the code names, and whoever gives one is closed.

Decides whether each close of a node was due, and whether none that was due is missing. Rule: a cause is what the
connection, or an order about it, was seen to do; moments are compared as the protocol counts them, to the last digit.
How long somebody has been silent, stale or expired is left to `peers`. Moments and durations in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Any, Final

from msgspec import UNSET

from chatsim.core.codes import (
    FLOOD,
    GOING_AWAY,
    NO_PONG,
    REPLACED,
    STALE,
    TOKEN_EXPIRED,
    TOKEN_REFUSED,
    TOKEN_REVOKED,
    TOO_SLOW,
    VIOLATIONS,
)
from chatsim.core.effects import Close, Conn, Effects, Send
from chatsim.core.frames import AckIn, Draining, Error, StatusIn
from chatsim.core.laggards import PARTS_MAX
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.orders import CONNECTION_LIMIT
from chatsim.verdict.invariants.peers import EPS_S, PeerRules
from chatsim.verdict.invariants.roster import Peer, Roster

CLOSES_PER_S: Final = 500.0
"""A draining node closes so many a second, within 1 s and `drain_window` (protocol.md, section 3)."""

LUCK_MIN: Final = 1e-9
"""What is drawn well comes out so unlikely in this share of the cases at most."""

_FATAL: Final = {"binary": 1003, "bad_utf8": 1007, "too_large": 1009}
"""What ends a connection at once (protocol.md, section 3): a table of its own, beside that of the node."""

_FRAMES: Final = frozenset({"receive", "refresh", "refuse_refresh"})

_Cause = Callable[[str, Sequence[Any], Peer, Close], bool]


class ClosingRules:
    """What is watched of closes, and of what makes them due."""

    def __init__(self, roster: Roster, findings: Findings, peers: PeerRules) -> None:
        self._roster = roster
        self._add = findings.add
        self._peers = peers
        # By when a node that drains is to be empty, and how long it has for that.
        self._empty_at = inf
        self._window_s = 0.0
        # How many were to be closed, how many of them have been, and when each is to be back (ms).
        self._count = self._closed = 0
        self._told_ms: list[int] = []
        by_time: _Cause = lambda door, args, peer, effect: door == "wake"  # noqa: E731 - one of a table of such
        self._causes: dict[int, _Cause] = {
            **dict.fromkeys((NO_PONG, STALE, TOKEN_EXPIRED, GOING_AWAY), by_time),
            VIOLATIONS: _is_broken,
            **{code: partial(_is_fatal, found) for found, code in _FATAL.items()},
            FLOOD: lambda door, args, peer, effect: (
                door in _FRAMES and args[0] == peer.name and peer.flooding_from < inf
            ),
            TOO_SLOW: self._is_slow,
            TOKEN_REFUSED: self._is_refused,
            TOKEN_REVOKED: self._is_revoked,
            REPLACED: _is_replaced,
        }

    def begin(self) -> None:
        """The node begins again, and drains no more."""
        self._empty_at = inf

    # Every close has its cause.

    def close(self, now: float, door: str, args: Sequence[Any], effect: Close) -> None:
        """The node closes a connection, which is still in the roster."""
        peer = self._roster.peers.get(effect.to)
        if peer is None:
            return
        cause = self._causes.get(effect.code)
        if cause is None or not cause(door, args, peer, effect):
            self._add("close_code", now, f"{peer.name} of {peer.user} is closed with {effect.code} at {door}.")
        if effect.code == GOING_AWAY:
            self._goes(now)

    def _is_slow(self, door: str, args: Sequence[Any], peer: Peer, effect: Close) -> bool:
        """Too much waits for her: to be written, behind a replay, or of what she was spared."""
        config = self._roster.config
        if door == "pressure":
            frames = args[2] if len(args) > 2 else 0
            return args[0] == peer.name and (args[1] > config.outbound_bytes or frames > config.outbound_frames)
        if door == "appended":
            return args[0].session in peer.behind
        # The signal of this step is one more than those that are known.
        return door == "told" and len(peer.spared) >= PARTS_MAX * max(config.outbound_frames // 4, 1)

    def _is_refused(self, door: str, args: Sequence[Any], peer: Peer, effect: Close) -> bool:
        if door == "refresh":
            return bool(args[0] == peer.name and args[1].sub != peer.user)
        refused = door == "refuse_refresh" and args[0] == peer.name
        return refused and args[1] not in ("token_expired", "token_revoked")

    def _is_revoked(self, door: str, args: Sequence[Any], peer: Peer, effect: Close) -> bool:
        if door == "revoke":
            jti, user = args
            return peer.user == user or (jti is not None and peer.jti == jti)
        if door in ("connect", "refresh"):
            return args[0] == peer.name and self._peers.is_revoked(args[1])
        return door == "refuse_refresh" and tuple(args) == (peer.name, "token_revoked")

    # Every cause has its close.

    def frame(self, now: float, peer: Peer, effects: Effects, *, over: bool) -> None:
        """A frame came in, which is one too many (`over`) or not: a flood ends with the first that comes when it has
        gone on for a window."""
        goes_on = over and now >= peer.flooding_from + self._roster.config.frame_window_s
        if not over:
            peer.flooding_from = inf
        elif peer.flooding_from == inf:
            peer.flooding_from = now
        closed = _code(effects, peer.name) == FLOOD
        if closed != goes_on:
            since = "no" if peer.flooding_from == inf else f"since {peer.flooding_from:g} s a"
            what = "is closed" if closed else "is not closed"
            self._add("flood", now, f"{peer.name} {what}, and there is {since} flood of hers.")

    def malformed(self, now: float, peer: Peer, code: str, effects: Effects) -> None:
        """Bytes came in that are no frame."""
        config, recent = self._roster.config, peer.violations
        due: int | None = _FATAL.get(code)
        if due is None:
            recent.append(now)
            while recent[0] + config.violation_window_s <= now:
                recent.popleft()
            due = VIOLATIONS if len(recent) > config.violation_limit else None
        found = _code(effects, peer.name)
        if found != due:
            told = f"{len(recent)} of {config.violation_limit} violations of {config.violation_window_s:g} s"
            self._add("violations", now, f"{peer.name} is closed with {found}, not {due}, at {told}.")
        elif due is None and not any(
            isinstance(e, Send) and isinstance(e.message, Error) and e.message.code == code for e in effects
        ):
            self._add("violations", now, f"{peer.name} is not told {code}.")

    def joined(self, now: float, peer: Peer, asked: object) -> None:
        """A join is answered: the connection that it replaces is gone by now."""
        replaces = asked.replaces if isinstance(asked, StatusIn) else None
        former = self._roster.peers.get(replaces) if isinstance(replaces, str) else None
        if former is not None and former is not peer and former.user == peer.user:
            self._add("replaced", now, f"{former.name} of {peer.user} is there, and {peer.name} has replaced it.")

    # Draining.

    @property
    def draining(self) -> bool:
        """Whether the node was told to drain, and has not begun again since."""
        return self._empty_at < inf

    def drain(self, now: float) -> None:
        """The node is told to drain; once is enough."""
        if self._empty_at == inf:
            config, count = self._roster.config, len(self._roster.peers)
            self._window_s = min(max(count / CLOSES_PER_S, 1.0), config.drain_window_s)
            self._empty_at = now + self._window_s
            self._count, self._closed = count, 0
            self._told_ms.clear()

    def comes(self, now: float, conn: Conn) -> None:
        """A connection was opened."""
        if self.draining:
            self._add("drained", now, f"{conn} is let in by a node that drains.")

    def goodbye(self, now: float, to: tuple[Conn, ...], frame: Draining) -> None:
        """Connections are told that the node drains."""
        if self._empty_at == inf or not 0 <= frame.reconnect_after_ms <= 1000 * self._window_s:
            self._add("farewell", now, f"{to[0]} is to be back in {frame.reconnect_after_ms} ms.")
        self._told_ms += [frame.reconnect_after_ms] * len(to)

    def drained(self, now: float) -> None:
        """Everybody has been told when to be back: each a moment of her own, drawn out of the window.

        That n moments drawn evenly all lie within a share r of it has a probability of n r^(n-1) - (n-1) r^n
        (David and Nagaraja, Order Statistics, 2.3), so that a few of them say nothing.
        """
        told, window_ms = self._told_ms, 1000 * self._window_s
        if len(told) < 2 or not window_ms:
            return
        # They were rounded down to whole ones.
        apart_ms = max(told) - min(told) + 1
        if len(told) * min(apart_ms / window_ms, 1.0) ** (len(told) - 1) < LUCK_MIN:
            self._add("farewell", now, f"all {len(told)} are to be back within {apart_ms} of {window_ms:g} ms.")

    def _goes(self, now: float) -> None:
        """One more is closed because the node goes away: one after the other, evenly over the window."""
        self._closed += 1
        since_s = now - self._empty_at + self._window_s
        if self._window_s and self._closed > 1 + self._count * (since_s + EPS_S) / self._window_s:
            self._add("drained", now, f"{self._closed} of {self._count} are closed {since_s:g} s after they were told.")

    def sweep(self, now: float, slack_s: float) -> None:
        """Look at everybody who is connected."""
        peers = self._roster.peers
        if now > self._empty_at + slack_s and peers:
            peer = next(iter(peers.values()))
            detail = f"{peer.name} of {peer.user} is there, and was to be gone at {self._empty_at:g} s."
            self._add("drained", now, detail)


def names_too_little(frame: object) -> bool:
    """Whether this has the shape of a frame, and does not say what it is about: it counts as none."""
    if isinstance(frame, AckIn):
        return frame.message_id is UNSET and (frame.session is UNSET or frame.up_to is UNSET)
    return isinstance(frame, StatusIn) and (frame.action == "refresh" or not isinstance(frame.session, str))


def _is_fatal(found: str, door: str, args: Sequence[Any], peer: Peer, effect: Close) -> bool:
    """She sent what cannot even be answered, for this."""
    return door == "malformed" and tuple(args[:2]) == (peer.name, found)


def _is_broken(door: str, args: Sequence[Any], peer: Peer, effect: Close) -> bool:
    """She sent what is no frame, or too little of one."""
    if door == "receive":
        return args[0] == peer.name and names_too_little(args[1])
    return door == "malformed" and bool(args[0] == peer.name)


def _is_replaced(door: str, args: Sequence[Any], peer: Peer, effect: Close) -> bool:
    """Her newest connection took its room, which `eviction` looks at, or says that it is this one's successor."""
    if door == "connect":
        return effect.reason == CONNECTION_LIMIT and bool(args[1].sub == peer.user)
    asked = args[1] if door == "receive" else None
    return isinstance(asked, StatusIn) and asked.replaces == peer.name != args[0]


def _code(effects: Effects, conn: Conn) -> int | None:
    """What the connection is closed with, None where it is not."""
    return next((effect.code for effect in effects if isinstance(effect, Close) and effect.to == conn), None)
