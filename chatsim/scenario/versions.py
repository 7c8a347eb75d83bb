"""Whether two versions of a scenario are played alike.

Decides which words change nothing of what is played. Rule: what is only said about a scenario is none of it, and its
`live:` overrides count where they are played alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

SAID: Final = ("description", "tags", "requirements")
"""Words that change nothing of what is played anywhere."""


def unplayed(*, live: bool) -> tuple[str, ...]:
    """Words that change nothing of what is played on sockets (`live`), or in virtual time."""
    return SAID if live else (*SAID, "live")


def differing(
    before: Mapping[str, Any], now: Mapping[str, Any], *, live: bool, beside: Collection[str] = ()
) -> list[str]:
    """The words in which two versions are played otherwise, in their order; those `beside` do not count."""
    words = [word for word in {**before, **now} if before.get(word) != now.get(word)]
    return [word for word in words if word not in (*unplayed(live=live), *beside)]
