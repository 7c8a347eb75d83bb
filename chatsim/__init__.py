"""chatsim: one sans-I/O chat handler and client, simulated under SimPy and served over real WebSockets.

What stands here is the client library, and what an analyst says in a notebook; each is imported when it is first asked
for, so that `import chatsim` costs nothing, and who chats gets no server and no tables.

PYTEST_DONT_REWRITE, because whoever imports this and then starts pytest would be warned that it cannot be rewritten.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatsim.analysis import pictures
    from chatsim.analysis.sequential import Precision
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
    from chatsim.runner.capacity import capacity
    from chatsim.runner.desk import arun_live, load, run_live, scenarios, simulate
    from chatsim.runner.replicate import compare, replicate
    from chatsim.runner.sweep import sweep

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
    "load",
    "scenarios",
    "simulate",
    "run_live",
    "arun_live",
    "replicate",
    "compare",
    "sweep",
    "capacity",
    "Precision",
    "pictures",
]

_PLACES = {
    "chatsim.live.chat": ("connect", "Chat"),
    "chatsim.live.news": ("Message", "Said", "Event", "Connected", "Disconnected", "RenewalFailed"),
    "chatsim.runner.desk": ("load", "scenarios", "simulate", "run_live", "arun_live"),
    "chatsim.runner.replicate": ("replicate", "compare"),
    "chatsim.runner.sweep": ("sweep",),
    "chatsim.runner.capacity": ("capacity",),
    "chatsim.analysis.sequential": ("Precision",),
}
"""Where what is no error stands."""


def __getattr__(name: str) -> Any:
    """A name of the library, from where it stands."""
    if name not in __all__:
        raise AttributeError(f"module 'chatsim' has no attribute {name!r}")
    if name == "pictures":
        # A module of its own, since it has as many names as all the rest.
        return import_module("chatsim.analysis.pictures")
    place = next((place for place, names in _PLACES.items() if name in names), "chatsim.errors")
    return getattr(import_module(place), name)


def __dir__() -> list[str]:
    return sorted(__all__)
