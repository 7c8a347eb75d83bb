"""Full collections come before and after, never inside, and the process gets its settings back."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from chatsim.live.pauses import no_collections, no_full_collections

EAGER = (10, 1, 1)
"""Thresholds under which a few hundred lasting objects bring about a full collection."""


@pytest.fixture
def collected() -> Iterator[list[int]]:
    """The generations that are collected, as they are, by an eager collector."""
    before, found = gc.get_threshold(), []
    # A full collection waits until a quarter of all that lasts is new, and other tests have left much that lasts.
    gc.freeze()
    gc.collect()

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            found.append(info["generation"])

    gc.callbacks.append(note)
    gc.set_threshold(*EAGER)
    yield found
    gc.set_threshold(*before)
    gc.callbacks.remove(note)
    gc.unfreeze()


def fill() -> list[list[object]]:
    """Many objects that the collector must visit."""
    return [[None] for _ in range(200_000)]


def test_only_young_objects_are_looked_at_inside(collected: list[int]) -> None:
    fill()
    assert 2 in collected, "or this test shows nothing"
    with no_full_collections():
        collected.clear()
        fill()
        assert set(collected) == {0, 1}


def test_the_process_gets_back_what_it_had_set(collected: list[int]) -> None:
    # Another test may have served in this process, and a server leaves what it has loaded frozen.
    gc.unfreeze()
    frozen = gc.get_freeze_count()
    with pytest.raises(KeyError), no_full_collections():
        assert gc.get_freeze_count() > frozen
        raise KeyError
    assert gc.get_threshold() == EAGER
    assert gc.get_freeze_count() == frozen


def test_what_was_frozen_before_stays_frozen() -> None:
    gc.freeze()
    try:
        with no_full_collections():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_nothing_is_collected_inside(collected: list[int]) -> None:
    with no_collections():
        collected.clear()
        fill()
        assert not collected
    fill()
    assert collected, "it goes on"


def test_who_did_not_collect_before_does_not_afterwards() -> None:
    gc.disable()
    try:
        with no_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
