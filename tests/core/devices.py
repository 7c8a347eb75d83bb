"""Clients in a test: one that has been started, one that is at home, and what they do."""

from __future__ import annotations

from chatsim.core.client import ChatClient, ClientConfig
from chatsim.core.effects import ClientEffects, Dial, Show, Transmit
from chatsim.core.frames import ClientFrame
from tests.frames import joined, welcome


def client(config: ClientConfig | None = None, *, seed: int = 1) -> ChatClient:
    made = ChatClient(config or ClientConfig(), user="ann", seed=seed)
    assert made.start(0.0) == (Dial(0.0),)
    return made


def at_home(config: ClientConfig | None = None, *, seq: int = 0) -> ChatClient:
    """A client that is open and joined to `s` at moment 0."""
    made = client(config)
    made.join(0.0, "s")
    made.opened(0.0)
    made.receive(0.0, welcome())
    made.receive(0.0, joined(seq))
    return made


def written(effects: ClientEffects) -> list[ClientFrame]:
    return [effect.message for effect in effects if isinstance(effect, Transmit)]


def shown(effects: ClientEffects) -> list[object]:
    return [effect.message for effect in effects if isinstance(effect, Show)]


def dial_s(effects: ClientEffects) -> float:
    [after_s] = [effect.after_s for effect in effects if isinstance(effect, Dial)]
    return after_s
