"""The errors that people meet: one sentence each, with the cure in it.

Decides the exit code that goes with each kind; the command line prints the sentence and leaves with that code.
Rule: peers' faults are values, programmers' faults are assertions; only users' faults and failures of the harness are
exceptions of this family.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class ChatsimError(Exception):
    """Base of every error that chatsim raises for a person to read. It comes as it is out of another process."""

    exit_code = 4

    def __reduce__(self) -> tuple[Callable[..., ChatsimError], tuple[Any, ...]]:
        # What an exception is made of by default is its text, which is not what most of these are made from.
        return _as_it_was, (type(self), self.args, vars(self))


def _as_it_was(cls: type[ChatsimError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ChatsimError:
    """An error that was raised elsewhere."""
    error = cls.__new__(cls, *args)
    vars(error).update(attributes)
    return error


class UsageError(ChatsimError):
    """The input is wrong: a scenario, a configuration, a flag or a key (exit code 3)."""

    exit_code = 3


class HarnessError(ChatsimError):
    """The harness or a server failed, so there is nothing to judge (exit code 4)."""

    exit_code = 4


class BrokenPromiseError(ChatsimError):
    """The handler broke what must hold in every run, so that nothing else of the run is worth telling (exit code 1)."""

    exit_code = 1


class NotApplicableError(UsageError):
    """Nothing of the scenario can be asked of a server that somebody else runs (exit code 3)."""


class TargetError(ChatsimError):
    """The server that was named cannot be tried at all: `code` is 3 where what was said of it is wrong, 4 where it is
    not there or is broken."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.exit_code = code


# What a chat can come to: the exceptions of the client library.


class ChatError(ChatsimError):
    """Base of all that a chat may raise."""


class UnreachableError(ChatError):
    """No server answered there, or none that has room (exit code 4)."""


class TokenRefusedError(ChatError):
    """The server does not take the token; `code` is the protocol's word for why (exit code 3)."""

    exit_code = 3

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


class JoinRefusedError(ChatError):
    """The session cannot be joined: `not_a_participant`, `no_such_session`, or what else `code` says (exit code 3)."""

    exit_code = 3

    def __init__(self, text: str, session: str, code: str) -> None:
        super().__init__(text)
        self.session = session
        self.code = code


class MessageRefusedError(ChatError):
    """The server did not take the message, and will not; `retry_after_s` (s) where it said when it would."""

    def __init__(self, text: str, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.retry_after_s = retry_after_s


class MessageTooLargeError(MessageRefusedError, ValueError):
    """The message has more bytes than the server takes, `message_bytes_max`; it was not sent. `code` is `too_large`."""

    def __init__(self, size: int, size_max: int) -> None:
        super().__init__(f"The message has {size} bytes, and the server takes {size_max}.", "too_large")


class RateLimitedError(MessageRefusedError):
    """Too many messages: say it again after `retry_after_s` seconds."""


class ChatClosedError(ChatError):
    """The chat is over and does not come back; `code` is that of the WebSocket's close (protocol.md, section 3)."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class UndeliveredError(ChatError):
    """The person at a terminal has gone, or her pipe has ended, and so many `lines` have not reached the server (exit
    code 4)."""

    def __init__(self, lines: int, why: str) -> None:
        what = "One line was" if lines == 1 else f"{lines} lines were"
        super().__init__(f"{what} not delivered to the server: {why}.")
        self.lines = lines


class UnbalancedError(HarnessError):
    """A run was played to its end, and its sums are wrong: what it left behind is what its cause is looked for in."""
