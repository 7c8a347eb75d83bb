"""The command `token`: prints a JSON Web Token for one user, and nothing else.

Rule: what is printed is what the server takes; the clock and the random id come from here, the signature from the core.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Annotated, Final

import typer

from chatsim.cli.keys import read_key
from chatsim.cli.output import emit
from chatsim.core.tokens import issue
from chatsim.errors import UsageError

NAME_MAX: Final = 128
"""Longest name of a user or a session, in characters (protocol.md, section 2)."""


def add(app: typer.Typer) -> None:
    """Hang the command into the application."""

    @app.command()
    def token(
        user: Annotated[str, typer.Option("--user", metavar="U", help="Whose token it is.")],
        secret_file: Annotated[
            Path, typer.Option("--secret-file", metavar="FILE", help="The secret that the server has.")
        ],
        sessions: Annotated[
            str | None, typer.Option("--sessions", metavar="S,...", help="The sessions that may be joined.")
        ] = None,
        ttl: Annotated[str, typer.Option("--ttl", metavar="DURATION", help="How long it is good.")] = "15min",
    ) -> None:
        """Print a token for a user."""
        key = read_key(secret_file, "--secret-file")
        emit(mint(key, user, session_names(sessions), life_s(ttl), wall=time.time()))


def mint(key: bytes, user: str, sessions: tuple[str, ...] | None, ttl_s: float, *, wall: float) -> str:
    """A token of HS256 that is good for `ttl_s` seconds from `wall` (seconds since the Unix epoch)."""
    name = _name(user, "--user")
    return issue(key, "HS256", sub=name, exp=wall + ttl_s, wall=wall, jti=uuid.uuid4().hex, sessions=sessions)


def session_names(text: str | None) -> tuple[str, ...] | None:
    """The names between the commas; None where nothing was said, which leaves membership to the session service."""
    if text is None:
        return None
    return tuple(_name(part.strip(), "--sessions") for part in text.split(","))


def life_s(text: str) -> float:
    """The seconds of a `--ttl` such as 15min."""
    from chatsim.scenario.units import duration

    try:
        found = duration(text)
    except ValueError as error:
        raise UsageError(f"--ttl: {error}") from error
    if found <= 0:
        raise UsageError("--ttl: a token that never was good is of no use; write 15min")
    return found


def _name(text: str, flag: str) -> str:
    """A user's or a session's name, if it is one."""
    if not 1 <= len(text) <= NAME_MAX:
        raise UsageError(f"{flag}: a name has 1 to {NAME_MAX} characters, this one has {len(text)}")
    return text
