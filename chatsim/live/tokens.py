"""The tokens that the crowd shows at the door: good ones, and each kind that must be refused.

Decides what a group's `credentials` mean in bytes. Rule: what is refused is refused for one reason only.
Whether a token is good is decided by the server.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chatsim.core.tokens import Minter, issue
from chatsim.errors import UsageError
from chatsim.people.people import Device
from chatsim.people.tokens import EXPIRED_FOR_S, REVOKED_JTI, STRANGER, Held
from chatsim.scenario.events import HandedIn, hands_in_revoked
from chatsim.scenario.model import Scenario

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

ALGORITHM = "HS256"

_FORGED: Final = frozenset({"forged", "alg_none"})
"""Tokens of these kinds bear no signature of the server's key."""


class Purse:
    """Mints what each device shows. `secret` is the server's; forged tokens are signed with another.

    `spoilt` are the tokens that are to be revoked before anybody comes, `forged` those so far that the server's key has
    not signed: both by name (`jti`).
    """

    def __init__(self, scenario: Scenario, secret: bytes, minter: Minter | None = None, mark: str = "") -> None:
        """`minter` is of a server that somebody else runs: its key and algorithm count, and its audience and issuer
        where it has them; every `jti` then begins with a `mark` that no other run has. Raises UsageError for
        credentials, or algorithms, that the live wire cannot make."""
        if minter is None and ALGORITHM not in scenario.handler.algorithms:
            raise UsageError(f"The crowd signs with {ALGORITHM}: let handler.algorithms name it.")
        handler = scenario.handler
        self._algorithm = ALGORITHM if minter is None else minter.algorithm
        self._audience = handler.audience if minter is None or minter.audience is None else minter.audience
        self._issuer = handler.issuer if minter is None or minter.issuer is None else minter.issuer
        revoked = any(group.credentials == "revoked" for group in scenario.groups)
        revoked = revoked or hands_in_revoked(scenario.events)
        self.spoilt: tuple[str, ...] = (f"{mark}{REVOKED_JTI}",) if revoked else ()
        self.forged: set[str] = set()
        self._mark = mark
        self._scenario = scenario
        self._secret = secret if minter is None else minter.key
        self._other = forger_of(self._algorithm)
        self._held = Held(mark)

    def token(self, device: Device, wall: float) -> str | None:
        """What the device shows when it dials at that wall time (s since 1970); None is nothing."""
        group = self._scenario.group(device.user.group)
        kind = group.credentials
        if kind == "missing":
            return None
        exp = wall - EXPIRED_FOR_S if kind == "expired" else wall + group.token_ttl_s
        jti = f"{self._mark}{REVOKED_JTI}" if kind == "revoked" else self._held.name()
        self._held.hold(device, jti, exp)
        token = self._signed(self._key(kind, jti), device.user.name, wall, exp, jti, (device.user.session,))
        return _unsigned(token) if kind == "alg_none" else token

    def expiring(self, device: Device, wall: float, ttl_s: float) -> str:
        """A good token that ends in `ttl_s` seconds."""
        return self._issue(device, wall, wall + ttl_s)

    def handed_in(self, device: Device, wall: float, kind: HandedIn) -> str:
        """What the device hands in on an open connection, whose token was good."""
        exp = wall + self._scenario.group(device.user.group).token_ttl_s
        if kind == "good":
            return self._issue(device, wall, exp)
        # One that is never taken is none that the device holds.
        jti = f"{self._mark}{REVOKED_JTI}" if kind == "revoked" else self._held.name()
        user = STRANGER if kind == "foreign" else device.user.name
        ends_at = wall - EXPIRED_FOR_S if kind == "expired" else exp
        return self._signed(self._key(kind, jti), user, wall, ends_at, jti, (device.user.session,))

    def stranger(self, user: str, wall: float) -> str:
        """A good token of somebody who belongs to no group, for a minute and for no session."""
        return self._signed(self._secret, user, wall, wall + 60.0, self._held.name(), ())

    def held(self, device: Device, wall: float) -> tuple[str, ...]:
        """The `jti` of the tokens that the device holds at that wall time, newest first."""
        return self._held.of(device, wall)

    def _key(self, kind: str, jti: str) -> bytes:
        """What a token of this kind and name is signed with, which is noted where it is not the server's."""
        if kind in _FORGED:
            self.forged.add(jti)
        return self._other if kind == "forged" else self._secret

    def _issue(self, device: Device, wall: float, exp: float) -> str:
        """A good token, which the device holds."""
        jti = self._held.name()
        self._held.hold(device, jti, exp)
        return self._signed(self._secret, device.user.name, wall, exp, jti, (device.user.session,))

    def _signed(self, key: bytes, user: str, wall: float, exp: float, jti: str, sessions: tuple[str, ...]) -> str:
        return issue(
            key,
            self._algorithm,
            sub=user,
            exp=exp,
            wall=wall,
            jti=jti,
            sessions=sessions,
            audience=self._audience,
            issuer=self._issuer,
        )


def forger_of(algorithm: str) -> bytes:
    """A new key of the algorithm's kind, which is nobody's: a secret, or a private key in PEM."""
    if algorithm == "HS256":
        return secrets.token_bytes(48)
    makers: dict[str, Callable[[], PrivateKey]] = {
        "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    return makers[algorithm]().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _unsigned(token: str) -> str:
    """The same claims under `alg: none` and without a signature."""
    head = urlsafe_b64encode(msgspec.json.encode({"typ": "JWT", "alg": "none"})).rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."
