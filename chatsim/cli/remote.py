"""What `run` and `check` are told of a server that somebody else runs: where it is, and what tokens are signed with.

Decides which of these options go together. Rule: load goes only to a server that `--on` names, and what is said of one
where there is none is refused. What such a server lets one know is `live.remote`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatsim.cli.keys import read_key
from chatsim.cli.output import say
from chatsim.errors import UsageError

if TYPE_CHECKING:
    from chatsim.core.tokens import Minter
    from chatsim.live.target import Target

SecretFile = Annotated[
    Path | None,
    typer.Option("--secret-file", metavar="FILE", help="With --on URL: sign tokens with this secret, HS256."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", help="With --on URL: sign them with this private key."),
]
Audience = Annotated[
    str | None, typer.Option("--audience", metavar="A", help="With --on URL: whom the tokens are for.")
]
Issuer = Annotated[str | None, typer.Option("--issuer", metavar="I", help="With --on URL: who has made them.")]
AdminKeyFile = Annotated[
    Path | None,
    typer.Option("--admin-key-file", metavar="FILE", help="With --on URL: for what is ordered over HTTP."),
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", metavar="FILE", help="With --on URL: certificates to trust instead, PEM."),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="With --on URL: check no certificate; whoever answers gets the tokens."),
]


@dataclass(frozen=True, slots=True)
class Server:
    """What the options say, before anything is looked at."""

    secret_file: Path | None = None
    key_file: Path | None = None
    audience: str | None = None
    issuer: str | None = None
    admin_key_file: Path | None = None
    ca_file: Path | None = None
    insecure: bool = False

    def words(self) -> tuple[str, ...]:
        """The options as they stand on a command line."""
        found: list[str] = []
        for name in self.__slots__:
            value = getattr(self, name)
            if value is True:
                found.append(_flag(name))
            elif value:
                found += [_flag(name), f"{value}"]
        return tuple(found)

    def target(self, on: str) -> Target | None:
        """The server that `--on` names; None where it names a wire. Raises UsageError."""
        if "://" not in on:
            if self.words():
                flag = self.words()[0]
                raise UsageError(f"{flag} is about somebody else's server: say which with --on wss://host/ws")
            return None
        from chatsim.live.target import target

        admin_key = None
        if self.admin_key_file is not None:
            admin_key = read_key(self.admin_key_file, "--admin-key-file", ("none",))
            if not admin_key.isascii():
                raise UsageError(f"--admin-key-file {self.admin_key_file} holds no key that a header could carry")
        found = target(on, self._minter(), ca=self.ca_file, insecure=self.insecure, admin_key=admin_key)
        if "?" in on:
            why = f"what {found.shown} has after its ? may be a secret, and is in no line that plays it again"
            say(f"chatsim: {why}: add it there")
        if self.insecure:
            say(f"chatsim: --insecure: the certificate of {found.host} is not checked; whoever answers gets the tokens")
        return found

    def _minter(self) -> Minter:
        from chatsim.core.tokens import Minter, can_sign

        if (self.secret_file is None) == (self.key_file is None):
            raise UsageError("--on wss://host/ws needs what its tokens are signed with: --secret-file or --key-file")
        if self.secret_file is not None:
            return Minter(read_key(self.secret_file, "--secret-file"), "HS256", self.audience, self.issuer)
        assert self.key_file is not None
        algorithms = ("RS256", "ES256", "EdDSA")
        key = read_key(self.key_file, "--key-file", algorithms)
        fit = [name for name in algorithms if can_sign(key, name)]
        if not fit:
            raise UsageError(f"--key-file {self.key_file} holds no private key in PEM for {', '.join(algorithms)}")
        return Minter(key, fit[0], self.audience, self.issuer)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
