"""The invariants of coming in: what a connection is told of itself and its token, and how many come how fast.

Decides whether each welcome says what is so, whether a new token is taken for what it is, and whether the two doors of
a node, one for strangers and one for those who come back, let in what their rates allow: no more, and no less where
it is told who is refused. Rule: who is a stranger is what she has shown when she knocked, and whoever may have come by
either door counts at neither.
Moments and durations in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

from chatsim.core.codes import TOKEN_REFUSED, TOKEN_REVOKED
from chatsim.core.effects import Close, Conn, Effects, Send
from chatsim.core.frames import Error, RateLimit, Refreshed, Welcome
from chatsim.core.tokens import Claims
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.peers import CLOCK_EPS_S, EPS_S, PeerRules
from chatsim.verdict.invariants.roster import Peer, Roster

TOKENS_SPARE: Final = 0.5
"""A door is asked shortly before the connection is there: it may have had so much of a token more by then."""

ROUNDING: Final = 1e-9
"""Sums of the same moments in another order differ by a smaller share."""

PARTING_S_MAX: Final = 5.0
"""Who is closed takes up room until she has answered, and no longer than that (s)."""


class _Came(NamedTuple):
    """One connection: its name and moment, the node's life, and whether the node surely knew its user then."""

    conn: Conn
    at: float
    life: int
    known: bool


class EntranceRules:
    """What is watched of welcomes, new tokens and the rates of the doors."""

    def __init__(self, roster: Roster, findings: Findings, peers: PeerRules) -> None:
        self._roster = roster
        self._add = findings.add
        self._peers = peers
        self._came: list[_Came] = []
        self._ever: set[str] = set()
        self._doors: dict[tuple[int, str], _Door] = {}
        self._closed: deque[float] = deque()

    def comes(self, now: float, conn: Conn, user: str) -> None:
        """A connection opens; it is not in the roster yet."""
        self._came.append(_Came(conn, now, self._roster.lives, self._is_known(now, user)))
        self._ever.add(user)

    def _is_known(self, now: float, user: str) -> bool:
        """Whether the node surely takes her for one who comes back, if she says so."""
        roster = self._roster
        retention_s = roster.config.retention_s
        known = user in roster.users or now < roster.gone.get(user, -inf) + retention_s
        # Who had a connection in an earlier life is taken at her word for a while.
        young = roster.lives > 1 and user in self._ever and now < roster.began_at + retention_s
        return known or young

    def welcome(self, now: float, conn: Conn, claims: Claims, effects: Effects) -> None:
        """A connection is open, and was answered."""
        first = next((e.message for e in effects if isinstance(e, Send) and conn in e.to), None)
        if not isinstance(first, Welcome):
            self._add("welcome", now, f"{conn} of {claims.sub} got none.")
            return
        config, wall = self._roster.config, self._roster.epoch + now
        said = {
            "connection": (first.connection, conn),
            "user": (first.user, claims.sub),
            "ping_interval_s": (first.ping_interval_s, config.ping_interval_s),
            "pong_timeout_s": (first.pong_timeout_s, config.pong_timeout_s),
            "message_bytes_max": (first.message_bytes_max, config.message_bytes_max),
            "rate_limit": (first.rate_limit, RateLimit(config.rate_limit, config.rate_window_s)),
        }
        for word, (told, right) in said.items():
            if told != right:
                self._add("welcome", now, f"{conn} is told {word} {told}, and it is {right}.")
        for word, told_s, right_s in (
            ("server_time", first.server_time, wall),
            ("expires_in_s", first.expires_in_s, claims.exp - wall),
        ):
            if abs(told_s - right_s) > CLOCK_EPS_S:
                self._add("welcome", now, f"{conn} is told {word} {told_s:.3f}, and it is {right_s:.3f}.")

    # New tokens.

    def refresh(self, now: float, peer: Peer, claims: Claims, effects: Effects, late_s: float) -> None:
        """A token was handed in on an open connection, and verified `late_s` before at most."""
        fault = self._peers.fault_of(now, claims, late_s)
        if fault:
            self._add("refresh", now, f"{peer.name} of {peer.user} goes on with a token that {fault}.")
        due: int | None = None
        if claims.sub != peer.user:
            due = TOKEN_REFUSED
        elif self._peers.is_revoked(claims):
            due = TOKEN_REVOKED
        if self._ends_otherwise(now, peer, due, effects) or due is not None:
            return
        told = next((e.message for e in effects if isinstance(e, Send) and isinstance(e.message, Refreshed)), None)
        left_s = claims.exp - self._roster.epoch - now
        if told is None or abs(told.expires_in_s - left_s) > CLOCK_EPS_S:
            said = "nothing" if told is None else f"{told.expires_in_s:g} s"
            self._add("refresh", now, f"{peer.name} has a new token for {left_s:g} s, and is told {said}.")

    def refuse(self, now: float, peer: Peer, code: str, effects: Effects) -> None:
        """A token was handed in that is no good: `code` says why."""
        if code != "token_expired":
            due = TOKEN_REVOKED if code == "token_revoked" else TOKEN_REFUSED
            self._ends_otherwise(now, peer, due, effects)
        elif not self._ends_otherwise(now, peer, None, effects) and not any(
            isinstance(e, Send) and isinstance(e.message, Error) and e.message.code == code for e in effects
        ):
            self._add("refresh", now, f"{peer.name} is not told that its new token has ended.")

    def _ends_otherwise(self, now: float, peer: Peer, due: int | None, effects: Effects) -> bool:
        found = next((e.code for e in effects if isinstance(e, Close) and e.to == peer.name), None)
        if found == due:
            return False
        self._add("refresh", now, f"a new token closes {peer.name} of {peer.user} with {found}, not {due}.")
        return True

    # The doors.

    def closes(self, now: float) -> None:
        """A connection is closed by the node."""
        self._closed.append(now)

    def knocks(self, now: float, user: str, former: str, answer: str, slack_s: float) -> None:
        """Somebody knocks and is answered, before she comes in: "" is to be let in, else the code of the refusal."""
        roster, config = self._roster, self._roster.config
        if answer not in ("", "overloaded"):
            return
        rates = {"accept_rate": config.accept_rate_per_s, "resume_rate": config.resume_rate_per_s}
        names = ["resume_rate"] if former else ["accept_rate"]
        if former and not self._is_known(now, user):
            names = list(rates)
        doors = [self._doors.setdefault((roster.lives, name), _Door(rates[name])) for name in names]
        for door in doors:
            door.fill(now)
        if not answer:
            if len(doors) == 1 and doors[0].most < 1.0:
                self._add("admission", now, f"{user} comes in, and there is {doors[0].most:g} of {names[0]} left.")
            for door in doors:
                door.take(surely=len(doors) == 1)
            return
        while self._closed and self._closed[0] + PARTING_S_MAX + slack_s < now:
            self._closed.popleft()
        has_room = len(roster.peers) + len(self._closed) < config.connections_max
        if has_room and len(doors) == 1 and doors[0].least >= 1.0:
            self._add("admission", now, f"{user} is refused, and there is {doors[0].least:g} of {names[0]} left.")

    def finish(self, now: float, shown: Mapping[Conn, str], late_s: float) -> None:
        """The run is over. `shown` is which former connection was named for each that was opened ("": none), where that
        is known; the node was `late_s` behind at most between being asked and the connection."""
        config = self._roster.config
        doors: dict[tuple[int, str], _Bucket] = {}
        for conn, at, life, known in self._came:
            former = shown.get(conn)
            if former is None or (former and not known):
                continue
            door, rate = (
                ("resume_rate", config.resume_rate_per_s) if former else ("accept_rate", config.accept_rate_per_s)
            )
            bucket = doors.setdefault((life, door), _Bucket(rate))
            if not bucket.take(at, TOKENS_SPARE + late_s * rate):
                self._add("admission", now, f"{conn}, at {at:g} s, is more than {door} lets in.")
                return


class _Door:
    """One second's worth of room, one at least, filled evenly: between `least` and `most` of it are left."""

    def __init__(self, per_s: float) -> None:
        self._burst = float(max(1, int(per_s)))
        self._per_s = per_s
        self.least = self.most = self._burst
        self._at = -inf

    def fill(self, now: float) -> None:
        """It is that late."""
        more = (now - self._at) * self._per_s if self._at > -inf else 0.0
        self.least = min(self._burst, self.least + more * (1.0 - ROUNDING))
        self.most = min(self._burst, self.most + more * (1.0 + ROUNDING))
        self._at = now

    def take(self, *, surely: bool) -> None:
        """One comes in, and maybe by another door."""
        self.least = max(self.least - 1.0, 0.0)
        if surely:
            self.most = max(self.most - 1.0, 0.0)


class _Bucket:
    """Room for one second's worth, one at least; filled evenly."""

    def __init__(self, per_s: float) -> None:
        self._burst = float(max(1, int(per_s)))
        self._per_s = per_s
        self._tokens = self._burst
        self._at = -inf

    def take(self, at: float, spare: float) -> bool:
        """One more came in; whether there was room, but for `spare`."""
        if self._at > -inf:
            self._tokens = min(self._burst, self._tokens + (at - self._at) * self._per_s)
        self._at = at
        self._tokens -= 1.0
        return self._tokens >= -spare - EPS_S
