"""Who is here: connections, users, sessions, and the maps between them.

Decides nothing: it keeps user -> connections, session -> members -> connections, and the tuples that a fan-out goes to.
Rule: the maps agree with each other after every call; a tuple handed out is never changed afterwards.

| state of a connection | reached by               | leaves by                                   |
|-----------------------|--------------------------|---------------------------------------------|
| open                  | connect                  | disconnect, any close, replaced by a newer  |
| expired               | `exp` passed, 25 s grace | refresh (open again), end of grace (closed) |
| gone                  | all of the above         | - (the name is never used again)            |
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping
from math import inf
from typing import Any

from chatsim.core.effects import Conn
from chatsim.core.frames import Participant, Presence, PresenceState, Typing
from chatsim.core.limiter import Limiter

_NEVER = -inf
"""One float for all: written out, `-inf` is a new object each time, and there are many connections."""


class Connection:
    """One open WebSocket, as far as the handler cares.

    `spared` is None unless it lags: then it is the newest signal of each session, user and kind (whether it is of
    typing) that is still to be told.
    """

    __slots__ = (
        "allowed",
        "ends_at",
        "exp_at",
        "flooding_from",
        "frames",
        "heard_at",
        "jti",
        "member_of",
        "name",
        "number",
        "pinged_at",
        "spared",
        "user",
        "violations",
        "warn_at",
    )

    def __init__(self, name: Conn, number: int, user: User, now: float) -> None:
        self.name = name
        self.number = number
        self.user = user
        self.allowed: Collection[str] | None = None
        self.jti: str | None = None
        self.exp_at = inf
        self.warn_at = inf
        self.ends_at = inf
        self.heard_at = now
        self.pinged_at = _NEVER
        self.frames: array[float] | None = None
        self.flooding_from = inf
        self.spared: dict[tuple[str, str, bool], Typing | Presence] | None = None
        self.violations: list[float] | None = None
        self.member_of: dict[str, Member] = {}

    def part(self, session: str) -> None:
        """It is in the session no more, and nothing that it was spared there is news to it."""
        del self.member_of[session]
        if self.spared:
            self.spared = {key: signal for key, signal in self.spared.items() if key[0] != session}


class User:
    """One person, known while she has a connection or something that outlives it.

    `receives_until` is for how long after her last connection went what is written to her is still owed to her.
    """

    __slots__ = ("connections", "gone_at", "limiter", "name", "names", "receives_until", "state")

    def __init__(self, name: str, limiter: Limiter) -> None:
        self.name = name
        self.limiter = limiter
        self.connections: dict[Conn, Connection] = {}
        self.state: PresenceState = "online"
        self.gone_at = _NEVER
        self.receives_until = _NEVER
        self.names: tuple[Conn, ...] = ()


class Member:
    """One user in one session: her joined connections, what she is owed, and what the others were told of her.

    `owed` holds the unacked messages in order of seq. `gone_at` is when her last joined connection went (inf while
    one is there). `lapsed` is one who has been gone for so long that she is no receiver, and is still owed something.
    `told` is what the others believe her to be.
    `starts` holds the connections that came while something waited and did not ask for it: what they ack begins after
    this seq. `behind` holds those to which a replay is still under way, and up to which seq they were sent it.
    """

    __slots__ = (
        "behind",
        "connections",
        "gone_at",
        "lapsed",
        "names",
        "owed",
        "session",
        "starts",
        "told",
        "typing",
        "typing_due_at",
        "typing_relayed_at",
        "typing_until",
        "user",
    )

    def __init__(self, session: Session, user: User) -> None:
        self.session = session
        self.user = user
        self.connections: dict[Conn, Connection] = {}
        self.names: tuple[Conn, ...] = ()
        self.gone_at = inf
        self.lapsed = False
        self.owed: list[Any] = []
        self.starts: dict[Conn, int] | None = None
        self.told: PresenceState = "offline"
        self.behind: dict[Conn, int] | None = None
        self.typing = False
        self.typing_until = _NEVER
        self.typing_due_at = inf
        self.typing_relayed_at = _NEVER


class Session:
    """One conversation: its participants, the members of the moment, and its place in the log.

    `lasting` is one that was opened by order (of `opener`, None: the administrator), and ends by order or at
    `expires_at` (wall time, None: never); the others are there because a token names them, or are somebody's own.
    `over` is one that has ended: a session of its name is another.
    """

    __slots__ = (
        "_names",
        "_places",
        "_receivers",
        "epoch",
        "expires_at",
        "lasting",
        "members",
        "name",
        "opener",
        "over",
        "participants",
        "retained",
        "retained_bytes",
        "seq",
        "told",
    )

    def __init__(self, name: str, epoch: int = 1, seq: int = 0) -> None:
        self.name = name
        self.epoch = epoch
        self.seq = seq
        self.expires_at: float | None = None
        self.lasting = False
        self.over = False
        self.opener: str | None = None
        self.participants: dict[str, None] = {}
        self.members: dict[str, Member] = {}
        self.retained: list[Any] = []
        self.retained_bytes = 0
        self.told: tuple[Participant, ...] | None = None
        self._names: tuple[Conn, ...] | None = ()
        self._places: dict[Conn, int] = {}
        self._receivers: tuple[Member, ...] | None = ()

    def touch(self) -> None:
        """Someone came or went: the tuples are made anew when next asked for. `told` is not: who comes back within the
        grace is what she was to the others all the while."""
        self._names = None
        self._receivers = None

    @property
    def receivers(self) -> tuple[Member, ...]:
        """Every member to whom new messages are owed, in the order of joining."""
        if self._receivers is None:
            self._receivers = tuple([member for member in self.members.values() if not member.lapsed])
        return self._receivers

    def names(self) -> tuple[Conn, ...]:
        """Every joined connection, those of one user side by side."""
        if self._names is None:
            self._names = tuple(name for member in self.members.values() for name in member.names)
            self._places = {name: place for place, name in enumerate(self._names)}
        return self._names

    def names_but(self, conn: Conn) -> tuple[Conn, ...]:
        """Every joined connection but this one."""
        names = self.names()
        place = self._places.get(conn)
        if place is None:
            return names
        return names[:place] + names[place + 1 :]

    def names_but_user(self, member: Member) -> tuple[Conn, ...]:
        """Every joined connection but those of this user."""
        names = self.names()
        if not member.names:
            return names
        place = self._places[member.names[0]]
        return names[:place] + names[place + len(member.names) :]


def idle(users: Mapping[str, User], now: float, known_for_s: float) -> list[str]:
    """Who may be forgotten: without a connection for as long as that (s), and with a limiter that starts anew."""
    return [
        name
        for name, user in users.items()
        if not user.connections and user.limiter.idle(now) and now >= user.gone_at + known_for_s
    ]
