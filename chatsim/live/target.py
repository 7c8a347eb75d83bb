"""A server that somebody else runs: where it is, whom TLS trusts there, and what tokens for it are signed with.

Decides which addresses may be put under load, and which scenarios can be played there at all. Rule: only the host that
was named, over TLS that is verified unless somebody said otherwise; what only the server's own operator can do to it is
done by nobody, and a scenario that needs it is not played.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from chatsim.core.tokens import Minter
from chatsim.errors import NotApplicableError, UsageError
from chatsim.live.tls import client_context
from chatsim.scenario import events as ev
from chatsim.scenario.model import Scenario
from chatsim.scenario.units import quantity

SCHEMES = {"ws": 80, "wss": 443}
"""What an address begins with, and the port that it then means."""

_OPERATORS = (*(ev.RestartNode, ev.DrainNode, ev.CrashNode), ev.LogOutage, ev.ClockJump)
"""What nobody outside can do to a server."""

_ADMINS = (ev.Revoke, ev.RemoveParticipant, ev.EndSession, ev.Post)
"""What takes the admin key (protocol.md, section 4)."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One server. `url` has its host and port, `shown` is what it is called: without the query, and the port as it was
    given; `admin_key` is None where nobody has it."""

    url: str
    shown: str
    host: str
    port: int
    minter: Minter
    tls: ssl.SSLContext | None
    admin_key: bytes | None = None

    def check(self, scenario: Scenario) -> None:
        """Raise NotApplicableError where the scenario, as it would be played, needs what nobody can do from here."""
        found = list(self._missing(scenario))
        if found:
            raise NotApplicableError(f"not played on {self.shown}: {'; '.join(found)}")

    def _missing(self, scenario: Scenario) -> Iterator[str]:
        if scenario.tls and self.tls is None:
            yield "the scenario asks for TLS: name a wss:// address"
        for event in scenario.events:
            if isinstance(event, _OPERATORS):
                yield f"{event.do} at {quantity(event.at_s, 's')} is not done to a server that somebody else runs"
            elif self.admin_key is None and (isinstance(event, _ADMINS) or ev.hands_in_revoked((event,))):
                yield f"{event.do} at {quantity(event.at_s, 's')} needs the admin key: give --admin-key-file"
        if self.admin_key is None and any(group.credentials == "revoked" for group in scenario.groups):
            yield "credentials: revoked needs the admin key: give --admin-key-file"


def target(
    address: str, minter: Minter, *, ca: Path | None = None, insecure: bool = False, admin_key: bytes | None = None
) -> Target:
    """The server at `address` (`wss://host/ws`). `ca` holds the authorities to trust there instead of the usual ones,
    in PEM; `insecure` trusts whoever answers.

    Raises UsageError for what is no such address, or no file of certificates.
    """
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname
    except ValueError:
        parts = urlsplit("")
        port = host = None
    if parts.scheme not in SCHEMES or not host:
        raise UsageError(f"--on {_shown(address)} is no address of a chat server: write one like wss://host/ws")
    shown = _shown(address)
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"--on {shown}: an address holds no name and no password: leave out what stands before the @")
    if "token" in parse_qs(parts.query):
        raise UsageError(f"--on {shown}: tokens are made for each user: leave token= out, and give --secret-file")
    if parts.fragment:
        raise UsageError(f"--on {shown}: an address of a server has no fragment: leave out what stands after the #")
    secure = parts.scheme == "wss"
    if not secure and (ca is not None or insecure):
        raise UsageError(f"--on {shown} is without TLS: leave --ca-file and --insecure out, or name a wss:// address")
    port = SCHEMES[parts.scheme] if port is None else port
    bracketed = f"[{host}]" if ":" in host else host
    path = parts.path or "/"
    query = f"?{parts.query}" if parts.query else ""
    return Target(
        url=f"{parts.scheme}://{bracketed}:{port}{path}{query}",
        shown=shown,
        host=host,
        port=port,
        minter=minter,
        tls=_context(ca, insecure=insecure) if secure else None,
        admin_key=admin_key,
    )


def _shown(address: str) -> str:
    """The address without what may be a secret in it: a query, a fragment, or what stands before an @."""
    plain = address.partition("#")[0].partition("?")[0]
    scheme, mark, rest = plain.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{mark}{place.rpartition('@')[2]}{slash}{path}"


def _context(ca: Path | None, *, insecure: bool) -> ssl.SSLContext:
    if ca is not None and insecure:
        raise UsageError("--ca-file says whom to trust, and --insecure trusts anybody: say one of them")
    if ca is not None:
        try:
            return client_context(ca)
        except (ssl.SSLError, OSError):
            raise UsageError(f"--ca-file {ca} holds no certificates in PEM that can be read") from None
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
