"""The command `chat`: a conversation on the terminal, or over a pipe.

Decides where the token comes from and whom TLS trusts. Rule: a token is never printed, and a certificate goes unchecked
only on loopback. What is written and read is `live`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import parse_qs, urlsplit

import typer

from chatsim.cli.execute import INTERRUPTED, PASSED
from chatsim.cli.output import emit
from chatsim.cli.tokens import mint, read_config, read_minter
from chatsim.errors import UsageError

TTL_S: Final = 900.0
"""How long a token that is made here is good; it is renewed while the chat lasts."""


def add(app: typer.Typer) -> None:
    """Hang the command into the application."""

    @app.command()
    def chat(
        url: Annotated[str, typer.Argument(metavar="URL", help="Where the server listens: wss://host/ws.")],
        token: Annotated[str | None, typer.Option(metavar="T", help="The token to show.")] = None,
        token_file: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Where it stands; read again when it ends.")
        ] = None,
        user: Annotated[str | None, typer.Option(metavar="U", help="Make the token for this user.")] = None,
        secret_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Sign it with this key.")] = None,
        config: Annotated[
            Path | None, typer.Option(metavar="FILE", help="The server's `--config`, for a token made here.")
        ] = None,
        session: Annotated[str | None, typer.Option(metavar="S", help="The session to join.")] = None,
        ca: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate to trust, PEM.")] = None,
        insecure: Annotated[bool, typer.Option("--insecure", help="Trust any certificate, on loopback.")] = False,
    ) -> None:
        """Chat: lines from stdin go out, what comes in is printed."""
        source = token_source(url, token, token_file, user, secret_file, config, session)
        from chatsim.live.terminal import run
        from chatsim.live.tls import chat_context

        context = chat_context(url, ca, insecure=insecure)
        interrupted = run(url, token=source, ssl=context, session=session, write=emit)
        raise typer.Exit(INTERRUPTED if interrupted else PASSED)


def token_source(
    url: str,
    token: str | None,
    token_file: Path | None,
    user: str | None,
    secret_file: Path | None,
    config: Path | None,
    session: str | None,
) -> str | Callable[[], str] | None:
    """The token, or what fetches it; None where the URL holds one. Raises UsageError unless exactly one is told."""
    try:
        in_url = "token" in parse_qs(urlsplit(url).query)
    except ValueError:
        raise UsageError("That is no address of a chat server: write one like wss://host/ws.") from None
    ways = [token is not None, token_file is not None, user is not None or secret_file is not None, in_url]
    if sum(ways) != 1:
        raise UsageError("chat needs one token: give --token, --token-file, or --user with --secret-file")
    made_here = user is not None or secret_file is not None
    if config is not None and not made_here:
        raise UsageError("--config says how a token is made, and this one is made already: leave it out")
    if token_file is not None:
        _token_in(token_file)
        return lambda: _token_in(token_file)
    if not made_here:
        return token
    if user is None or secret_file is None:
        raise UsageError("to make a token takes both: --user U and --secret-file FILE")
    minter, name = read_minter(secret_file, read_config(config)), user
    sessions = None if session is None else (session,)

    def made() -> str:
        return mint(minter, name, sessions, TTL_S, wall=time.time())

    made()
    return made


def _token_in(path: Path) -> str:
    """The token of a file, without the white space around it."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise UsageError(f"--token-file {path}: there is no token that can be read") from None
    if not token:
        raise UsageError(f"--token-file {path} is empty")
    return token
