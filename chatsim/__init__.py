"""chatsim: one sans-I/O chat handler and client, simulated under SimPy and served over real WebSockets.

What stands here is the client library; it is imported when it is first asked for, so that `import chatsim` costs
nothing and brings no server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatsim.errors import (
        ChatClosedError,
        ChatError,
        JoinRefusedError,
        MessageRefusedError,
        MessageTooLargeError,
        RateLimitedError,
        TokenRefusedError,
        UnreachableError,
    )
    from chatsim.live.chat import Chat, connect
    from chatsim.live.news import Connected, Disconnected, Event, Message, RenewalFailed, Said

__all__ = [
    "connect",
    "Chat",
    "Message",
    "Said",
    "Event",
    "Connected",
    "Disconnected",
    "RenewalFailed",
    "ChatError",
    "ChatClosedError",
    "JoinRefusedError",
    "MessageRefusedError",
    "MessageTooLargeError",
    "RateLimitedError",
    "TokenRefusedError",
    "UnreachableError",
]


def __getattr__(name: str) -> Any:
    """A name of the library, from where it stands."""
    if name not in __all__:
        raise AttributeError(f"module 'chatsim' has no attribute {name!r}")
    errors = import_module("chatsim.errors")
    if hasattr(errors, name):
        return getattr(errors, name)
    return getattr(import_module("chatsim.live.chat" if name in ("connect", "Chat") else "chatsim.live.news"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
