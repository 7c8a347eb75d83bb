"""The tokens that the crowd shows at the door: good ones, and each kind that must be refused.

Decides what a group's `credentials` mean in bytes. Rule: what is refused is refused for one reason only.
Whether a token is good is decided by the server.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections import deque

import msgspec

from chatsim.core.tokens import issue
from chatsim.errors import UsageError
from chatsim.people.people import Device
from chatsim.scenario.model import Scenario

EXPIRED_FOR_S = 60.0
ALGORITHM = "HS256"

HELD_MAX = 4
"""Newest tokens of a device that are remembered: the one that the server knows, and those on their way to it."""

REVOKED_JTI = "revoked"
"""Name of the tokens of people with revoked credentials; `Purse.spoilt` is to be revoked before they come."""


class Purse:
    """Mints what each device shows. `secret` is the server's; forged tokens are signed with another."""

    def __init__(self, scenario: Scenario, secret: bytes) -> None:
        """Raises UsageError for credentials, or algorithms, that the live wire cannot make."""
        if ALGORITHM not in scenario.handler.algorithms:
            raise UsageError(f"The crowd signs with {ALGORITHM}: let handler.algorithms name it.")
        revoked = any(group.credentials == "revoked" for group in scenario.groups)
        self.spoilt: tuple[str, ...] = (REVOKED_JTI,) if revoked else ()
        self._scenario = scenario
        self._secret = secret
        self._other = secrets.token_bytes(48)
        self._count = 0
        self._held: dict[int, deque[tuple[str, float]]] = {}

    def token(self, device: Device, wall: float) -> str | None:
        """What the device shows when it dials at that wall time (s since 1970); None is nothing."""
        group = self._scenario.group(device.user.group)
        kind = group.credentials
        if kind == "missing":
            return None
        exp = wall - EXPIRED_FOR_S if kind == "expired" else wall + group.token_ttl_s
        key = self._other if kind == "forged" else self._secret
        token = self._issue(key, device, wall, exp, REVOKED_JTI if kind == "revoked" else None)
        return _unsigned(token) if kind == "alg_none" else token

    def expiring(self, device: Device, wall: float, ttl_s: float) -> str:
        """A good token that ends in `ttl_s` seconds."""
        return self._issue(self._secret, device, wall, wall + ttl_s)

    def held(self, device: Device, wall: float) -> tuple[str, ...]:
        """The `jti` of the tokens that the device holds at that wall time, newest first."""
        return tuple(jti for jti, exp in reversed(self._held.get(device.number, ())) if exp > wall)

    def _issue(self, key: bytes, device: Device, wall: float, exp: float, jti: str | None = None) -> str:
        if jti is None:
            self._count += 1
            jti = f"t{self._count}"
        self._held.setdefault(device.number, deque(maxlen=HELD_MAX)).append((jti, exp))
        handler = self._scenario.handler
        return issue(
            key,
            ALGORITHM,
            sub=device.user.name,
            exp=exp,
            wall=wall,
            jti=jti,
            sessions=(device.user.session,),
            audience=handler.audience,
            issuer=handler.issuer,
        )


def _unsigned(token: str) -> str:
    """The same claims under `alg: none` and without a signature."""
    head = urlsafe_b64encode(msgspec.json.encode({"typ": "JWT", "alg": "none"})).rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."
