"""Steps of a node, written by hand: what a handler would be asked and would answer, right or wrong."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from msgspec import UNSET, Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Append, Effect, Note, Record, Send, Tell
from chatsim.core.facts import Added, Made
from chatsim.core.frames import (
    AckIn,
    Joined,
    Message,
    Participant,
    Presence,
    RateLimit,
    Say,
    ServerFrame,
    StatusIn,
    Welcome,
)
from chatsim.core.tokens import Claims
from chatsim.journal.record import RunRecord
from chatsim.verdict.invariants.watch import Watch

EPOCH = 1_000_000.0
BODY = Raw(b'"hi"')


def claims(user: str, *, ends_at: float = 3600.0, iat: float = 0.0, jti: str | None = None) -> Claims:
    """A token that ends so late (s of the run)."""
    return Claims(sub=user, exp=EPOCH + ends_at, iat=EPOCH + iat, jti=jti, sessions=("s",))


def record(seq: int, *, sender: str = "ann", conn: str = "a", id_: str = "", session: str = "s") -> Record:
    """A message as the log has it."""
    return Record(session, sender, conn, id_ or f"id{seq}", BODY, EPOCH, 1, seq, f"m{seq}")


def message(seq: int, attempt: int = 1, sender: str = "ann") -> Message:
    """The frame of that message."""
    return Message(f"m{seq}", "s", 1, seq, sender, BODY, EPOCH, attempt)


def nothing_seen() -> RunRecord:
    """A run of which nobody has seen anything."""
    return RunRecord([], {}, {}, {}, {}, [], [], [], [], [], [], {}, 0.0, 0.0)


class Steps:
    """A watch, and somebody who feeds it."""

    def __init__(self, config: HandlerConfig | None = None, forged: Container[str] = frozenset()) -> None:
        self.config = config or HandlerConfig()
        self.watch = Watch(self.config, EPOCH, forged=forged)
        self.now = 0.0
        self._made = False

    @property
    def broken(self) -> list[str]:
        """The names of what did not hold so far."""
        return [violation.name for violation in self.watch.findings.all()]

    def step(self, door: str, *args: Any, effects: tuple[Effect, ...] = NOTHING) -> None:
        """One input now."""
        self.watch.step(self.now, door, args, effects)

    def connect(self, conn: str, user: str, token: Claims | None = None, *more: Effect) -> None:
        """A connection opens as it should."""
        token = token or claims(user)
        self.step("connect", conn, token, effects=(Send((conn,), self.welcome(conn, token)), *more))

    def welcome(self, conn: str, token: Claims) -> Welcome:
        """What a connection is to be told now."""
        config, wall = self.config, EPOCH + self.now
        return Welcome(
            connection=conn,
            user=token.sub,
            server_time=wall,
            ping_interval_s=config.ping_interval_s,
            pong_timeout_s=config.pong_timeout_s,
            expires_in_s=token.exp - wall,
            message_bytes_max=config.message_bytes_max,
            rate_limit=RateLimit(config.rate_limit, config.rate_window_s),
        )

    def join(
        self,
        conn: str,
        user: str,
        *more: Effect,
        seq: int = 0,
        last_seq: int | None = None,
        asks: StatusIn | None = None,
        **words: Any,
    ) -> None:
        """A connection joins "s", and everybody hears it; `asks` is how, where that is not plain."""
        note = Note(Added("s", user)) if self._made else Note(Made("s", (user,), None, 1))
        self._made = True
        told = {"recovered": last_seq is not None, "replayed": 0, "participants": self.people(user), **words}
        joined = Joined(session="s", epoch=1, seq=seq, **told)
        asked = asks or StatusIn("join", "s", last_seq=UNSET if last_seq is None else last_seq)
        news = Tell("s", Presence(user, "online", EPOCH + self.now))
        self.step("receive", conn, asked, effects=(note, Send((conn,), joined), *more, news))

    def people(self, comes: str) -> tuple[Participant, ...]:
        """Who takes part in "s", and who of them is there, when somebody comes."""
        room = self.watch._roster.rooms.get("s")
        there = {} if room is None else {user: room.presence.get(user, "offline") for user in room.participants}
        return tuple(Participant(user, state) for user, state in (there | {comes: "online"}).items())  # type: ignore[arg-type]

    def arrive(self, conn: str, user: str) -> None:
        """Connect and join."""
        self.connect(conn, user)
        self.join(conn, user)

    def say(self, seq: int, *, conn: str = "a", user: str = "ann") -> None:
        """A message is asked to be stored."""
        asked = Record("s", user, conn, f"id{seq}", BODY, EPOCH, 1)
        self.step("receive", conn, Say(f"id{seq}", "s", BODY), effects=(Append(asked),))

    def stored(self, seq: int, *to: str, more: tuple[Effect, ...] = ()) -> None:
        """It is stored, and goes to these."""
        sent = (Send(to, message(seq)),) if to else ()
        self.step("appended", record(seq), effects=(*sent, *more))

    def ack(self, conn: str, up_to: int) -> None:
        """A client acks."""
        self.step("receive", conn, AckIn("s", up_to))

    def sent(self, door: str, to: tuple[str, ...], frame: ServerFrame, *args: Any) -> None:
        """One frame goes out at an input."""
        self.step(door, *args, effects=(Send(to, frame),))
