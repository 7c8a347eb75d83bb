"""The command `token`: prints a JSON Web Token for one user, and nothing else.

Rule: what is printed is what the server takes, so it reads the server's own configuration; the clock and the random id
come from here, the signature from the core.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from chatsim.cli.keys import read_key
from chatsim.cli.output import emit
from chatsim.core.config import ALGORITHMS, HandlerConfig
from chatsim.errors import UsageError

if TYPE_CHECKING:
    # Signing is imported by whoever signs: PyJWT and its cryptography take longer to import than scenarios to lint.
    from chatsim.core.tokens import Minter

NAME_MAX: Final = 128
"""Longest name of a user or a session, in characters (protocol.md, section 2)."""


def add(app: typer.Typer) -> None:
    """Hang the command into the application."""

    @app.command()
    def token(
        user: Annotated[str, typer.Option("--user", metavar="U", help="Whose token it is.")],
        secret_file: Annotated[
            Path, typer.Option("--secret-file", metavar="FILE", help="The server's secret, or the private key in PEM.")
        ],
        sessions: Annotated[
            str | None, typer.Option("--sessions", metavar="S,...", help="The sessions that may be joined.")
        ] = None,
        ttl: Annotated[str, typer.Option("--ttl", metavar="DURATION", help="How long it is good.")] = "15min",
        config: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="The server's `--config`: its algorithms, audience and issuer."),
        ] = None,
        algorithm: Annotated[
            str | None, typer.Option(metavar="|".join(ALGORITHMS), help="How it is signed.  [default: HS256]")
        ] = None,
        audience: Annotated[str | None, typer.Option(metavar="A", help="Whom it is for.")] = None,
        issuer: Annotated[str | None, typer.Option(metavar="I", help="Who has made it.")] = None,
    ) -> None:
        """Print a token for a user."""
        if algorithm is not None and algorithm not in ALGORITHMS:
            raise UsageError(f"--algorithm {algorithm}: there is no such algorithm; say {', '.join(ALGORITHMS)}")
        changes = {
            "algorithms": None if algorithm is None else (algorithm,),
            "audience": audience,
            "issuer": issuer,
        }
        told = {name: value for name, value in changes.items() if value is not None}
        minter = read_minter(secret_file, msgspec.structs.replace(read_config(config), **told))
        emit(mint(minter, user, session_names(sessions), life_s(ttl), wall=time.time()))


def read_config(path: Path | None) -> HandlerConfig:
    """The handler's configuration of a `--config` file, or the default one. Raises UsageError with every problem."""
    from chatsim.scenario.load import load_handler

    return HandlerConfig() if path is None else load_handler(path)


def read_minter(secret_file: Path, config: HandlerConfig) -> Minter:
    """Makes the tokens that a server of this configuration takes. Raises UsageError for a key that cannot sign them."""
    from chatsim.core.tokens import Keys, minter_of

    key = read_key(secret_file, "--secret-file", config.algorithms)
    found = minter_of(key, config)
    if found is None:
        Keys((key,), config.algorithms)
        raise UsageError(f"--secret-file {secret_file} is a public key: to make tokens needs the private key")
    return found


def mint(minter: Minter, user: str, sessions: tuple[str, ...] | None, ttl_s: float, *, wall: float) -> str:
    """A token that is good for `ttl_s` seconds from `wall` (seconds since the Unix epoch).

    Raises UsageError for a name that no user has.
    """
    from chatsim.core.tokens import RESERVED

    if user.startswith(RESERVED):
        raise UsageError(f"--user {user}: a user's name does not begin with {RESERVED}, the server's do")
    return minter.mint(_name(user, "--user"), ttl_s, wall=wall, jti=uuid.uuid4().hex, sessions=sessions)


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
