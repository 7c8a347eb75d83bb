"""The close codes that the handler gives (protocol.md, section 3): below 4500 come back, from there on do not."""

from __future__ import annotations

GOING_AWAY = 1012
TOO_SLOW, NO_PONG, TOKEN_EXPIRED, FLOOD, STALE = 4000, 4001, 4002, 4003, 4005
TOKEN_REFUSED, TOKEN_REVOKED, REPLACED, VIOLATIONS = 4500, 4501, 4502, 4503

FATAL = {"binary": 1003, "bad_utf8": 1007, "too_large": 1009}
"""What bytes that cannot even be answered close with, by what is wrong with them."""
