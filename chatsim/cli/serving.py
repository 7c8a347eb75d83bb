"""The command `serve`: the chat backend on one port, until a signal asks it to go.

Decides what the flags mean together, and what is printed when it listens. Rule: stdout carries the line that says where
it listens (and with `--dev` the ready URLs), nothing else ever; the log goes to stderr. Serving, and draining at a
signal, is `live`'s.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from chatsim.cli.keys import read_key
from chatsim.cli.output import emit, say
from chatsim.cli.tokens import mint, read_config
from chatsim.core.config import HandlerConfig
from chatsim.errors import UsageError

if TYPE_CHECKING:
    from chatsim.live.server import ServerSettings

DEV_USERS: Final = ("alice", "bob")
DEV_SESSION: Final = "lobby"
DEV_TTL_S: Final = 12 * 3600.0
"""How long the tokens of `--dev` are good: a working day, for nobody but whoever reads this terminal."""

DATA: Final = Path("chatsim-data")
"""Where `serve` keeps what was said unless `--data` says otherwise, seen from the working directory."""

PROFILES: Final = ("hardened", "baseline")


class Options(msgspec.Struct, kw_only=True):
    """The flags of `serve`, as they were given."""

    host: str = "127.0.0.1"
    port: int = 8765
    config: Path | None = None
    profile: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    secret_file: tuple[Path, ...] = ()
    admin_key_file: Path | None = None
    insecure: bool = False
    dev: bool = False
    journal: Path | None = None
    data: Path | None = None
    ephemeral: bool = False
    time_scale: float = 1.0
    log_json: bool = False
    log_level: str = "info"
    clock_ahead: float | None = None
    stalls: Path | None = None
    speed: Path | None = None
    held: bool = False


def add(app: typer.Typer) -> None:
    """Hang the command into the application."""

    @app.command()
    def serve(
        host: Annotated[str, typer.Option(metavar="HOST", help="The address to listen on.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes a free one.")] = 8765,
        config: Annotated[Path | None, typer.Option(metavar="FILE", help="The words of `handler:`, as YAML.")] = None,
        profile: Annotated[str | None, typer.Option(metavar="hardened|baseline", help="Which rules.")] = None,
        tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain, PEM.")] = None,
        tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None,
        tls_self_signed: Annotated[
            bool, typer.Option("--tls-self-signed", help="Make a certificate for loopback.")
        ] = False,
        secret_file: Annotated[
            list[Path] | None,
            typer.Option(metavar="FILE", help="Signs and checks tokens; a second one only checks, while keys change."),
        ] = None,
        admin_key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Opens the admin routes.")] = None,
        ephemeral: Annotated[
            bool, typer.Option("--ephemeral", help="Keep nothing on disk: a restart forgets what was said.")
        ] = False,
        data: Annotated[
            Path | None, typer.Option(metavar="DIR", help=f"Where what was said is kept.  [default: {DATA}]")
        ] = None,
        insecure: Annotated[
            bool, typer.Option("--insecure", help="Plain text on an address that others reach.")
        ] = False,
        dev: Annotated[bool, typer.Option("--dev", help="Make a secret, print ready URLs for two users.")] = False,
        journal: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every input and effect.")] = None,
        time_scale: Annotated[float, typer.Option(metavar="X", help="Multiplies every duration of the handler.")] = 1.0,
        log_json: Annotated[bool, typer.Option("--log-json", help="Write the log as JSON lines.")] = False,
        log_level: Annotated[str, typer.Option(metavar="debug|info|warning|error", help="How talkative.")] = "info",
        # For tests of clocks that are wrong: it opens a route that sets this one.
        clock_ahead: Annotated[float | None, typer.Option(hidden=True)] = None,
        # For the judge of live runs: a new file that says when the machine did not run this process.
        stalls: Annotated[Path | None, typer.Option(hidden=True)] = None,
        # For whoever measures: a new file that says how fast it was.
        speed: Annotated[Path | None, typer.Option(hidden=True)] = None,
        # For whoever starts it as a part of her own: it ends when nobody holds the other end of its stdin any more.
        held: Annotated[bool, typer.Option("--held", hidden=True)] = False,
    ) -> None:
        """Serve chat on one port: WebSocket at /ws, HTTP beside it."""
        options = Options(
            host=host,
            port=port,
            config=config,
            profile=profile,
            tls_cert=tls_cert,
            tls_key=tls_key,
            tls_self_signed=tls_self_signed,
            secret_file=tuple(secret_file or ()),
            admin_key_file=admin_key_file,
            insecure=insecure,
            dev=dev,
            journal=journal,
            data=data,
            ephemeral=ephemeral,
            time_scale=time_scale,
            log_json=log_json,
            log_level=log_level,
            clock_ahead=clock_ahead,
            stalls=stalls,
            speed=speed,
            held=held,
        )
        from chatsim.live.server import run

        settings = settings_of(options)
        with _log(options, settings):
            run(settings, ready=announcer(settings, options), held=options.held)


def _log(options: Options, settings: ServerSettings) -> AbstractContextManager[None]:
    """The log of this process, on stderr, without the keys. Raises UsageError for a level that there is not."""
    from chatsim.live.events import LEVELS, written_to

    level = LEVELS.get(options.log_level)
    if level is None:
        raise UsageError(f"--log-level {options.log_level}: there is no such level; say {', '.join(LEVELS)}")
    keys = [*settings.keys, settings.signing_key, settings.admin_key]
    secrets_ = [key for key in keys if key is not None]
    return written_to(sys.stderr, as_json=options.log_json, level=level, secrets=secrets_)


def settings_of(options: Options) -> ServerSettings:
    """What the server is told. Raises UsageError for what cannot be, before anything listens."""
    from chatsim.live.server import ServerSettings

    if not 0 < options.time_scale < float("inf"):
        raise UsageError(f"--time-scale {options.time_scale:g}: durations can only be multiplied by more than 0")
    if options.ephemeral and options.data is not None:
        raise UsageError("--ephemeral keeps nothing and --data says where to keep it: give one of them")
    config = _config(options)
    return ServerSettings(
        host=options.host,
        port=options.port,
        config=config,
        keys=_secrets(options, config),
        admin_key=None if options.admin_key_file is None else read_key(options.admin_key_file, "--admin-key-file"),
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        tls_self_signed=options.tls_self_signed,
        insecure=options.insecure,
        journal=options.journal,
        data=None if options.ephemeral else options.data or DATA,
        time_scale=options.time_scale,
        clock_ahead_s=options.clock_ahead,
        stalls=options.stalls,
        speed=options.speed,
    )


def announcer(settings: ServerSettings, options: Options) -> Callable[[str], None]:
    """Prints where it listens, given the base URL (`http://...`), and the URLs of `--dev`.

    Raises UsageError where `--dev` has no key to sign them with.
    """

    minter = settings.minter() if options.dev else None
    if options.dev and minter is None:
        raise UsageError("--dev makes tokens, which a public key cannot: give the private key with --secret-file")

    def ready(url: str) -> None:
        address = "ws" + url.removeprefix("http") + "/ws"
        emit(f"listening on {address}")
        if minter is not None:
            for user in DEV_USERS:
                token = mint(minter, user, (DEV_SESSION,), DEV_TTL_S, wall=time.time())
                emit(f"{user}: {address}?token={token}")
            if not options.log_json:
                say(f"both may join the session {DEV_SESSION!r}; the tokens are good for {DEV_TTL_S / 3600:g} hours")

    return ready


def _config(options: Options) -> HandlerConfig:
    """The handler's configuration of the file, with `--profile` over it; the two together are judged once more."""
    config = read_config(options.config)
    if options.profile is None:
        return config
    if options.profile not in PROFILES:
        raise UsageError(f"--profile {options.profile}: there is no such profile; say {' or '.join(PROFILES)}")
    config = msgspec.convert(msgspec.structs.asdict(config) | {"reliability": options.profile}, HandlerConfig)
    found = config.problems()
    if found:
        raise UsageError("; ".join(f"--profile {options.profile}: {field}: {text}" for field, text in found))
    return config


def _secrets(options: Options, config: HandlerConfig) -> tuple[bytes, ...]:
    """The keys that check tokens: from the files, or for `--dev` a new one."""
    from chatsim.core.tokens import KEYS_MAX

    if len(options.secret_file) > KEYS_MAX:
        raise UsageError(f"--secret-file was given {len(options.secret_file)} times: {KEYS_MAX} keys are good at once")
    if options.secret_file:
        return tuple(read_key(path, "--secret-file", config.algorithms) for path in options.secret_file)
    if options.dev and "HS256" not in config.algorithms:
        names = ", ".join(config.algorithms)
        raise UsageError(f"--dev makes a secret, and {names} wants a private key in PEM: give it with --secret-file")
    if options.dev:
        return (secrets.token_urlsafe(48).encode("ascii"),)
    raise UsageError("serve needs a key that checks tokens: give --secret-file FILE, or --dev to try things out")
