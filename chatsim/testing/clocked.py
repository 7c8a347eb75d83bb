"""A handler whose clock is moved by hand, for tests of those who build on it.

Decides how a test talks to the handler: it lets people in, lets them speak, lets time go on, and looks at what each was
sent. Rule: time moves only in `advance`, through every `wake_at` on the way, and everybody answers pings and reads at
once, unless she is among the `silent`. What the handler does stands in `chatsim.core`.
"""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Close, Effects, Ping, Send, Tell, Watch
from chatsim.core.frames import AckIn, Body, ClientFrame, Say, ServerFrame, StatusIn, TypingIn
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims

EPOCH: float = 1_700_000_000.0
"""What wall clocks show at `now` = 0 (s since 1970)."""

SESSION = "lobby"
"""The session that is meant where none is named."""

TOKEN_TTL_S = 30 * 86_400.0

F = TypeVar("F", bound=ServerFrame)


class Sent(msgspec.Struct, frozen=True):
    """A frame that one connection was sent, and when (s)."""

    at: float
    to: str
    frame: ServerFrame


class Closed(msgspec.Struct, frozen=True):
    """A connection that the handler closed, when (s), and why."""

    at: float
    conn: str
    code: int
    reason: str


class ClockedHandler:
    """One handler with its log in memory, and everything that it did.

    A connection is called as its user, unless `connect` says otherwise. `silent` are connections that answer no ping.
    """

    def __init__(self, config: HandlerConfig | None = None, *, seed: int = 1) -> None:
        self.handler = ChatHandler(config or HandlerConfig(), epoch=EPOCH, seed=seed)
        self.now = 0.0
        self.silent: set[str] = set()
        self.sent: list[Sent] = []
        self.closed: list[Closed] = []
        self._log = MemoryLog()
        self._count = 0

    # Time.

    def advance(self, seconds: float) -> None:
        """Let time go on for so long; the handler is woken whenever it asks for it."""
        assert seconds >= 0, "time goes forward only"
        end = self.now + seconds
        while (wake_at := self.handler.wake_at()) <= end:
            self.now = max(self.now, wake_at)
            self._perform(self.handler.wake(self.now))
        self.now = end

    # People.

    def connect(
        self,
        conn: str,
        user: str | None = None,
        *,
        sessions: tuple[str, ...] | None = (SESSION,),
        ttl_s: float = TOKEN_TTL_S,
    ) -> None:
        """A new connection of the user, with a token that is good for so long and lets her into these sessions."""
        claims = Claims(sub=user or conn, exp=EPOCH + self.now + ttl_s, sessions=sessions)
        self._perform(self.handler.connect(self.now, conn, claims))

    def join(self, conn: str, session: str = SESSION) -> None:
        """The connection joins a session."""
        self.receive(conn, StatusIn("join", session))

    def arrive(self, *conns: str, session: str = SESSION) -> None:
        """Each connects and joins."""
        for conn in conns:
            self.connect(conn, sessions=(session,))
            self.join(conn, session)

    def say(self, conn: str, body: object, session: str = SESSION, *, id: str | None = None) -> str:  # noqa: A002
        """The connection says something, which is made JSON; returns the client's id of it."""
        self._count += 1
        name = id or f"say-{self._count}"
        self.receive(conn, Say(name, session, Body(msgspec.json.encode(body))))
        return name

    def ack(self, conn: str, up_to: int, session: str = SESSION) -> None:
        """The connection has everything of the session up to that seq."""
        self.receive(conn, AckIn(session, up_to))

    def typing(self, conn: str, active: bool = True, session: str = SESSION) -> None:
        """The connection types, or has stopped."""
        self.receive(conn, TypingIn(session, active))

    def receive(self, conn: str, frame: ClientFrame) -> None:
        """Any frame of the protocol from the connection."""
        self._perform(self.handler.receive(self.now, conn, frame))

    def disconnect(self, conn: str) -> None:
        """The connection is gone, and both sides know."""
        self._perform(self.handler.disconnect(self.now, conn))

    def drain(self) -> None:
        """The server is going away."""
        self._perform(self.handler.drain(self.now))

    # What came of it.

    def heard(self, conn: str, kind: type[F]) -> list[F]:
        """Every frame of this kind (`chatsim.core.frames`) that the connection was sent, in order."""
        return [cast(F, sent.frame) for sent in self.sent if sent.to == conn and isinstance(sent.frame, kind)]

    def _perform(self, effects: Effects) -> None:
        """Do what the handler asks for, and what its answers lead to, in order."""
        handler = self.handler
        for effect in effects:
            if isinstance(effect, Send):
                self.sent += [Sent(self.now, conn, effect.message) for conn in effect.to]
            elif isinstance(effect, Append):
                self._perform(handler.appended(self.now, self._log.append(effect.record)))
            elif isinstance(effect, Tell):
                self._perform(handler.told(self.now, effect.session, effect.message))
            elif isinstance(effect, Ping):
                for conn in effect.to:
                    if conn not in self.silent:
                        self._perform(handler.pong(self.now, conn))
            elif isinstance(effect, Watch):
                self._perform(handler.pressure(self.now, effect.to, 0))
            elif isinstance(effect, Close):
                self.closed.append(Closed(self.now, effect.to, effect.code, effect.reason))
            else:
                self._log.note(effect.fact)
