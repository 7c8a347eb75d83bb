"""Every kind of fault comes, and each of its words varies."""

from __future__ import annotations

import pytest

from chatsim.scenario.events import (
    EVENTS,
)
from tests.explore.drawn import SEEDS, drawn, same


def test_every_kind_of_fault_is_drawn_and_left_out() -> None:
    kinds = [{event.do for event in made.events} for made in drawn()]
    assert set().union(*kinds) == set(EVENTS)
    assert all(sum(do in found for found in kinds) < 0.65 * SEEDS for do in EVENTS)


@pytest.mark.parametrize("do", EVENTS)
def test_every_word_of_every_fault_varies(do: str) -> None:
    found = [event for made in drawn() for event in made.events if event.do == do]
    assert same(EVENTS[do], found) - {"do"} == set()
