"""A shell for one handler in a test: it moves the clock, performs the effects, and remembers who was sent what.

Rule: time moves only in `until`, through every `wake_at` on the way.
Peers answer pings unless they are named in `dead`, and have read at once what they were sent unless they are named in
`slow`: then `relieve` says so.
With `slow_log` the log answers only when `log_answers` or `log_fails` is called.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from msgspec import UNSET, Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Close, Effect, Effects, Ping, Record, Send, Tell, Watch
from chatsim.core.frames import AckIn, ClientFrame, Say, ServerFrame, StatusIn, TypingIn
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims

EPOCH = 1_000_000.0
HOUR_S = 3600.0
F = TypeVar("F", bound=ServerFrame)


class World:
    """One handler, its log, and everything that it did."""

    def __init__(
        self,
        config: HandlerConfig | None = None,
        *,
        seed: int = 1,
        slow_log: bool = False,
        snapshot: Snapshot | None = None,
    ) -> None:
        self.handler = ChatHandler(config or HandlerConfig(), epoch=EPOCH, seed=seed, snapshot=snapshot)
        self.log = MemoryLog()
        self.now = 0.0
        self.dead: set[str] = set()
        self.slow: set[str] = set()
        self.watched: list[str] = []
        self.done: list[tuple[float, Effect]] = []
        self._slow_log = slow_log
        self.appending: list[Record] = []

    # What goes in.

    def do(self, door: str, *args: Any) -> list[Effect]:
        """One input now; what it led to, the answers of the log and of `told` included, in order."""
        return self._perform(getattr(self.handler, door)(self.now, *args))

    def _perform(self, effects: Effects) -> list[Effect]:
        found: list[Effect] = []
        for effect in effects:
            found.append(effect)
            self.done.append((self.now, effect))
            if isinstance(effect, Append):
                if self._slow_log:
                    self.appending.append(effect.record)
                else:
                    found += self.do("appended", self.log.append(effect.record))
            elif isinstance(effect, Tell):
                found += self.do("told", effect.session, effect.message)
            elif isinstance(effect, Ping):
                for conn in effect.to:
                    if conn not in self.dead:
                        found += self.do("pong", conn)
            elif isinstance(effect, Watch):
                self.watched.append(effect.to)
                if effect.to not in self.slow:
                    found += self.relieve(effect.to)
        return found

    def relieve(self, conn: str) -> list[Effect]:
        """All that was written to the connection has left."""
        return self.do("pressure", conn, 0, 0)

    def log_answers(self) -> list[Effect]:
        """The log has stored everything that it was given."""
        records, self.appending = self.appending, []
        return [effect for record in records for effect in self.do("appended", self.log.append(record))]

    def log_fails(self) -> list[Effect]:
        """The log could not take anything that it was given."""
        records, self.appending = self.appending, []
        return [effect for record in records for effect in self.do("append_failed", record)]

    def until(self, now: float) -> None:
        """Let time go on, waking the handler whenever it asks for it."""
        while (wake_at := self.handler.wake_at()) <= now:
            self.now = max(self.now, wake_at)
            self.do("wake")
            assert self.handler.wake_at() > self.now
        self.now = now

    def pass_s(self, seconds: float) -> None:
        self.until(self.now + seconds)

    # People.

    def connect(
        self,
        conn: str,
        user: str = "",
        *,
        sessions: tuple[str, ...] | None = ("s",),
        ttl_s: float = 1e6,
        jti: str | None = None,
        iat: float | None = None,
    ) -> list[Effect]:
        """Open a connection; without a name the user is called like the connection's letters: `ann2` is of `ann`."""
        claims = Claims(
            sub=user or conn.rstrip("0123456789"), exp=EPOCH + self.now + ttl_s, iat=iat, jti=jti, sessions=sessions
        )
        return self.do("connect", conn, claims)

    def receive(self, conn: str, frame: ClientFrame) -> list[Effect]:
        return self.do("receive", conn, frame)

    def join(
        self,
        conn: str,
        session: str = "s",
        *,
        last_seq: int | None = None,
        epoch: int | None = None,
        replaces: str | None = None,
    ) -> list[Effect]:
        frame = StatusIn(
            "join",
            session,
            UNSET if epoch is None else epoch,
            UNSET if last_seq is None else last_seq,
            UNSET if replaces is None else replaces,
        )
        return self.receive(conn, frame)

    def arrive(self, *conns: str, session: str = "s") -> None:
        """Connect and join, and forget what was said about it."""
        for conn in conns:
            self.connect(conn, sessions=(session,))
            self.join(conn, session)
        self.done.clear()

    def say(self, conn: str, id_: str = "1", session: str = "s", body: bytes = b'"hi"') -> list[Effect]:
        return self.receive(conn, Say(id_, session, Raw(body)))

    def ack(self, conn: str, up_to: int, session: str = "s") -> list[Effect]:
        return self.receive(conn, AckIn(session, up_to))

    def typing(self, conn: str, active: bool = True, session: str = "s") -> list[Effect]:
        return self.receive(conn, TypingIn(session, active))

    def leave(self, conn: str, session: str = "s") -> list[Effect]:
        return self.receive(conn, StatusIn("leave", session))

    def gone(self, conn: str) -> list[Effect]:
        return self.do("disconnect", conn)

    # What came out.

    def heard(self, conn: str, kind: type[F]) -> list[F]:
        """Every frame of this kind that was sent to the connection."""
        return [frame for _, frame in self.dated(conn, kind)]

    def dated(self, conn: str, kind: type[F]) -> list[tuple[float, F]]:
        """The same with the moments of sending."""
        return [
            (at, cast(F, effect.message))
            for at, effect in self.done
            if isinstance(effect, Send) and conn in effect.to and isinstance(effect.message, kind)
        ]

    def closes(self) -> list[tuple[float, str, int]]:
        """When, who and with which code."""
        return [(at, effect.to, effect.code) for at, effect in self.done if isinstance(effect, Close)]

    def pinged(self, conn: str) -> list[float]:
        return [at for at, effect in self.done if isinstance(effect, Ping) and conn in effect.to]

    def balance(self) -> None:
        """Conservation: every (message, receiver) is delivered, undelivered or waiting, and waiting is what is held."""
        ledger = self.handler.ledger
        held = sum(len(outgoing.waiting) for outgoing in ledger._by_id.values())
        assert ledger.owed == ledger.delivered + ledger.undelivered + held


def sends(effects: list[Effect], kind: type[F]) -> list[tuple[tuple[str, ...], F]]:
    """To whom, and which frame, of every send of this kind."""
    return [
        (effect.to, cast(F, effect.message))
        for effect in effects
        if isinstance(effect, Send) and isinstance(effect.message, kind)
    ]
