"""The tokens that the crowd shows at the door: good ones, and each kind that must be refused.

Decides what a group's `credentials` mean in bytes. Rule: what is refused is refused for one reason only.
Whether a token is good is decided by the server.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode

import msgspec

from chatsim.core.tokens import issue
from chatsim.errors import UsageError
from chatsim.load.people import Device
from chatsim.scenario.model import Scenario

EXPIRED_FOR_S = 60.0
ALGORITHM = "HS256"


class Purse:
    """Mints what each device shows. `secret` is the server's; forged tokens are signed with another."""

    def __init__(self, scenario: Scenario, secret: bytes) -> None:
        """Raises UsageError for credentials, or algorithms, that the live wire cannot make."""
        if ALGORITHM not in scenario.handler.algorithms:
            raise UsageError(f"The crowd signs with {ALGORITHM}: let handler.algorithms name it.")
        for group in scenario.groups:
            if group.credentials == "revoked":
                raise UsageError(f"groups.{group.name}: revoked tokens cannot be had on the live wire: run on sim.")
        self._scenario = scenario
        self._secret = secret
        self._other = secrets.token_bytes(48)
        self._count = 0

    def token(self, device: Device, wall: float) -> str | None:
        """What the device shows when it dials at that wall time (s since 1970); None is nothing."""
        group = self._scenario.group(device.user.group)
        kind = group.credentials
        if kind == "missing":
            return None
        exp = wall - EXPIRED_FOR_S if kind == "expired" else wall + group.token_ttl_s
        token = self._issue(self._other if kind == "forged" else self._secret, device, wall, exp)
        return _unsigned(token) if kind == "alg_none" else token

    def expiring(self, device: Device, wall: float, ttl_s: float) -> str:
        """A good token that ends in `ttl_s` seconds."""
        return self._issue(self._secret, device, wall, wall + ttl_s)

    def _issue(self, key: bytes, device: Device, wall: float, exp: float) -> str:
        self._count += 1
        handler = self._scenario.handler
        return issue(
            key,
            ALGORITHM,
            sub=device.user.name,
            exp=exp,
            wall=wall,
            jti=f"t{self._count}",
            sessions=(device.user.session,),
            audience=handler.audience,
            issuer=handler.issuer,
        )


def _unsigned(token: str) -> str:
    """The same claims under `alg: none` and without a signature."""
    head = urlsafe_b64encode(msgspec.json.encode({"typ": "JWT", "alg": "none"})).rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."
