"""The names of the tokens that devices hold, by which an order to revoke calls them.

Decides what a device holds: the newest few that were made for it, as long as they live. Rule: a token that is never
taken is none that anybody holds. What a token says, and whether it is good, is left to others.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from chatsim.people.people import Device

HELD_MAX: Final = 4
"""Newest tokens of a device that are remembered: the one that the server knows, and those on their way to it."""

LAST_MOMENT_S: Final = 0.2
"""What a token of `expire_tokens` still lives when it is made: a gate refuses one that has expired already."""

EXPIRED_FOR_S: Final = 60.0
"""How long ago one has ended that is shown although it has."""

REVOKED_JTI: Final = "revoked"
"""Name of the tokens that are shown although they were revoked, which is done before anybody comes."""

STRANGER: Final = "somebody-else"
"""Whose token is handed in where it is another user's."""


class Held:
    """The tokens of one run; every name (`jti`) begins with `mark`."""

    def __init__(self, mark: str = "") -> None:
        self._mark = mark
        self._count = 0
        self._by_device: dict[int, deque[tuple[str, float]]] = {}

    def name(self) -> str:
        """A name that no other token has."""
        self._count += 1
        return f"{self._mark}t{self._count}"

    def hold(self, device: Device, jti: str, exp: float) -> None:
        """The device has this token from now on, until the wall time `exp` (s since 1970)."""
        self._by_device.setdefault(device.number, deque(maxlen=HELD_MAX)).append((jti, exp))

    def of(self, device: Device, wall: float) -> tuple[str, ...]:
        """The names of the tokens that the device holds at that wall time, newest first."""
        return tuple(jti for jti, exp in reversed(self._by_device.get(device.number, ())) if exp > wall)
