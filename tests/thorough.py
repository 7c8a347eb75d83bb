"""How many examples a property is given: more where the profile is a more thorough one (`tests/conftest.py`)."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

FAST = 100
"""What `fast` gives a property that does not say how many it wants."""


def examples(count: int, **others: Any) -> settings:
    """So many examples in `fast`, and as much more in other profiles as they give to every property."""
    return settings(max_examples=max(1, count * settings().max_examples // FAST), **others)
