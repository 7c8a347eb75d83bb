"""The errors that people meet: one sentence each, with the cure in it.

Decides the exit code that goes with each kind; the command line prints the sentence and leaves with that code.
Rule: peers' faults are values, programmers' faults are assertions; only users' faults and failures of the harness are
exceptions of this family.
"""

from __future__ import annotations


class ChatsimError(Exception):
    """Base of every error that chatsim raises for a person to read."""

    exit_code = 4


class UsageError(ChatsimError):
    """The input is wrong: a scenario, a configuration, a flag or a key (exit code 3)."""

    exit_code = 3


class HarnessError(ChatsimError):
    """The harness or a server failed, so there is nothing to judge (exit code 4)."""

    exit_code = 4
