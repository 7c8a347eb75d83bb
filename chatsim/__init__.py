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
        RateLimitedError,
        TokenRefusedError,
        UnreachableError,
    )
    from chatsim.live.chat import Chat, Connected, Disconnected, Event, Message, RenewalFailed, Said, connect

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
    "RateLimitedError",
    "TokenRefusedError",
    "UnreachableError",
]


def __getattr__(name: str) -> Any:
    """A name of the library, from where it stands."""
    if name not in __all__:
        raise AttributeError(f"module 'chatsim' has no attribute {name!r}")
    errors = import_module("chatsim.errors")
    return getattr(errors if hasattr(errors, name) else import_module("chatsim.live.chat"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
