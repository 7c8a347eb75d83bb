"""A talk among a few people with a real handler, written down as the steps of a journal."""

from __future__ import annotations

from typing import Any

import msgspec

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Append, Ping, Tell
from chatsim.core.frames import AckIn, Say, StatusIn
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims
from chatsim.journal.steps import Step

EPOCH = 1.7e9


class Talk:
    """What is done to the handler; `log_s` is how long an append takes (s)."""

    def __init__(self, *, log_s: float = 0.0, **config: Any) -> None:
        self.handler = ChatHandler(HandlerConfig(**config), epoch=EPOCH, seed=5)
        self.log = MemoryLog()
        self.log_s = log_s
        self.steps: list[Step] = []

    def do(self, now: float, door: str, *args: Any) -> None:
        """One input, and what the log and the bus make of its effects."""
        effects = getattr(self.handler, door)(now, *args)
        self.steps.append(Step(now, door, args, effects))
        for effect in effects:
            if isinstance(effect, Append):
                self.do(now + self.log_s, "appended", self.log.append(effect.record))
            elif isinstance(effect, Tell):
                self.do(now, "told", effect.session, effect.message)

    def enter(self, now: float, conn: str, user: str, session: str = "s", last_seq: int | None = None) -> None:
        """A connection that joins a session."""
        self.do(now, "connect", conn, Claims(user, EPOCH + 3600.0, sessions=(session,)))
        join = StatusIn("join", session) if last_seq is None else StatusIn("join", session, 1, last_seq)
        self.do(now, "receive", conn, join)

    def say(self, now: float, conn: str, id_: str, session: str = "s") -> None:
        """A message."""
        self.do(now, "receive", conn, Say(id_, session, msgspec.Raw(b'"hello"')))

    def ack(self, now: float, conn: str, up_to: int, session: str = "s") -> None:
        """A cumulative ack."""
        self.do(now, "receive", conn, AckIn(session, up_to))

    def wait(self, until: float, *, pong: bool = True) -> None:
        """Wake the handler whenever it wants to be; those who are pinged answer at once, if they do."""
        while (now := self.handler.wake_at()) <= until:
            before = len(self.steps)
            self.do(now, "wake")
            pings = [effect for step in self.steps[before:] for effect in step.effects if isinstance(effect, Ping)]
            for conn in (conn for ping in pings if pong for conn in ping.to):
                self.do(now, "pong", conn)

    def restart(self, now: float, snapshot: Snapshot) -> None:
        """Another handler takes over."""
        self.handler = ChatHandler(
            self.handler.config, epoch=EPOCH, seed=6, snapshot=snapshot, first_epoch=2, start=now
        )
        self.steps.append(Step(now, "begin", (snapshot, EPOCH, 6, 2), NOTHING))


def unheard() -> Talk:
    """Ann says something to bob, who answers pings and acks nothing: four attempts, and the end."""
    talk = Talk()
    talk.enter(0.0, "c1", "ann")
    talk.enter(0.5, "c2", "bob")
    talk.say(1.0, "c1", "hi")
    talk.wait(140.0)
    return talk
