"""Until when each connection's token is good, and which tokens are good no more.

Decides when a client is warned and when its grace is over. Rule: `exp` is wall time, so a clock that jumps moves every
end; the token itself never comes here. A connection has one living entry in the heap, `ends_at`, at most, and the dead
ones are never more than the living and `DEAD_MAX`. Closing, and telling the client, are left to the handler.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from chatsim.core.config import HandlerConfig
from chatsim.core.pool import Connection
from chatsim.core.timers import Heap
from chatsim.core.tokens import Claims

SEARCHED_MAX = 8
"""Sessions that a token may name to be searched one by one; more are put into a set."""


DEAD_MAX = 64
"""So many entries of connections that are gone cost less than looking for them."""


class Due(NamedTuple):
    """One connection whose token is about to end (to be warned), or whose grace is over."""

    connection: Connection
    over: bool


class Credentials:
    """What the connections hold. Moments are seconds since the start; `epoch` is the wall time of the start."""

    def __init__(self, config: HandlerConfig) -> None:
        self._warning_s = config.token_warning_s
        self._grace_s = config.token_grace_s
        self._ends: Heap[Connection] = Heap()
        self._dead = 0
        self._revocations_max = config.revocations_max
        self._jtis: dict[str, float] = {}
        self._users: dict[str, float] = {}

    @property
    def next_at(self) -> float:
        """When the next warning, or end of grace, may be due (s, inf if none)."""
        return self._ends.next_at

    def hold(self, epoch: float, connection: Connection, claims: Claims, *, renewed_at: float | None = None) -> None:
        """The connection has shown this token: its first, or at `renewed_at` a newer one."""
        connection.exp_at = claims.exp - epoch
        connection.jti = claims.jti
        # Most tokens name a session or two: a set would be larger than all else that a connection holds.
        named = claims.sessions
        connection.allowed = frozenset(named) if named is not None and len(named) > SEARCHED_MAX else named
        connection.warn_at = connection.exp_at - self._warning_s
        if renewed_at is not None:
            # Whoever is warned fetches a new token: one that lives no longer than the warning would be warned of at
            # once, and so for ever, as fast as the network carries it. Half of what is left is soon enough.
            connection.warn_at = max(connection.warn_at, (renewed_at + connection.exp_at) / 2)
        self._arm(connection, min(connection.warn_at, connection.exp_at + self._grace_s))

    def drop(self, connection: Connection) -> None:
        """The connection is gone."""
        if connection.ends_at < inf:
            connection.ends_at = inf
            self._died()

    def _arm(self, connection: Connection, due_at: float) -> None:
        """Have the connection looked at by then; an entry that comes before is put right when it surfaces."""
        if due_at >= connection.ends_at:
            return
        replaces = connection.ends_at < inf
        connection.ends_at = due_at
        self._ends.add(due_at, connection)
        if replaces:
            self._died()

    def _died(self) -> None:
        self._dead += 1
        if self._dead > DEAD_MAX and 2 * self._dead > len(self._ends):
            self._ends.prune(lambda due_at, connection: connection.ends_at == due_at)
            self._dead = 0

    def revocable(self, wall: float, jti: str | None, user: str | None) -> bool:
        """Whether one revocation more can be remembered, at that wall time."""
        over = len(self._jtis) + len(self._users) - self._revocations_max
        over += (jti is not None and jti not in self._jtis) + (user is not None and user not in self._users)
        # One that is over makes room for another, and none for itself.
        return over <= 0 or sum(end <= wall for name, end in self._jtis.items() if name != jti) >= over

    def revoke(self, jti: str | None, user: str | None, at: float, end: float = inf) -> None:
        """The token with this id, or all of the user's issued before `at`, are good no more (wall times).

        `end` is when the token would have ended by itself, where that is known: once it is past, and only when its room
        is needed, the revocation is forgotten. Those of users are kept, since nobody knows how long their tokens live.
        """
        if len(self._jtis) + len(self._users) >= self._revocations_max:
            self._jtis = {name: until for name, until in self._jtis.items() if until > at}
        if jti is not None:
            self._jtis[jti] = max(end, self._jtis.get(jti, end))
        if user is not None:
            self._users[user] = at

    def revoked(self, claims: Claims) -> bool:
        """Whether the token was revoked: by its `jti`, or by its user unless it says that it was issued since."""
        if claims.jti is not None and claims.jti in self._jtis:
            return True
        at = self._users.get(claims.sub)
        return at is not None and (claims.iat is None or claims.iat < at)

    def jump(self, now: float, by_s: float, connections: Iterable[Connection]) -> None:
        """The wall clock went `by_s` seconds ahead of itself (back, if negative): every end comes so much sooner."""
        for connection in connections:
            connection.exp_at -= by_s
            warn_at = connection.exp_at - self._warning_s
            # After a jump back the warning may lie ahead once more.
            if connection.warn_at < inf or now < warn_at:
                connection.warn_at = warn_at
            self._arm(connection, max(min(connection.warn_at, connection.exp_at + self._grace_s), now))

    def due(self, now: float) -> list[Due]:
        """Whose moment has come, each told once."""
        found = []
        while (due_at := self._ends.next_at) <= now:
            connection = self._ends.pop(now)
            assert connection is not None
            if connection.ends_at != due_at:
                self._dead -= 1
                continue
            connection.ends_at = inf
            end_at = connection.exp_at + self._grace_s
            if now >= end_at:
                found.append(Due(connection, True))
                continue
            if now >= connection.warn_at:
                connection.warn_at = inf
                found.append(Due(connection, False))
            self._arm(connection, min(connection.warn_at, end_at))
        return found
