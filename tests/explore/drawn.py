"""What many seeds draw, once for all tests that look at it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from chatsim.explore.draw import draw
from chatsim.scenario.model import Scenario

SEEDS = 400


@lru_cache(maxsize=1)
def drawn() -> tuple[Scenario, ...]:
    """The scenarios of the first seeds."""
    return tuple(draw(seed) for seed in range(SEEDS))


def values(things: Iterable[Any], field: str) -> int:
    """How many values a field has in these."""
    return len({repr(getattr(thing, field)) for thing in things})


def same(model: type, things: Iterable[Any]) -> set[str]:
    """The fields that are the same in all of these."""
    made = list(things)
    return {field for field in model.model_fields if values(made, field) < 2}  # type: ignore[attr-defined]
