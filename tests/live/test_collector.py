"""Only young objects are looked at, what is left of them never again by itself, and everything when much has grown."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from chatsim.live.collector import YOUNG, Collector, spared_collector
from chatsim.live.pauses import NEVER


class Loop:
    """Keeps what is to be done soon."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def turn(self) -> None:
        while self.due:
            self.due.pop(0)()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def generations() -> Iterator[list[int]]:
    """Which generations are collected, one after another."""
    found: list[int] = []

    def note(phase: str, told: dict[str, int]) -> None:
        if phase == "start":
            found.append(told["generation"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def lasting(count: int) -> list[list[object]]:
    """So many objects that a collector has to visit."""
    return [[None] for _ in range(count)]


class Ring:
    """One that holds itself."""

    alive = 0

    def __init__(self) -> None:
        self.me = self
        Ring.alive += 1

    def __del__(self) -> None:
        Ring.alive -= 1


def test_only_young_objects_are_looked_at(loop: Loop, generations: list[int]) -> None:
    with spared_collector(loop.due.append):
        generations.clear()
        kept = lasting(20 * YOUNG)
        assert set(generations) == {0}
        assert 18 <= len(generations) <= 22
        # What was left is not looked at again, by whatever is.
        ids = {id(one) for one in kept[: 10 * YOUNG]}
        assert not any(id(one) in ids for generation in (0, 1, 2) for one in gc.get_objects(generation))
    assert loop.due == []


def test_young_cycles_are_gone_at_once_and_old_ones_with_a_whole_look(loop: Loop, generations: list[int]) -> None:
    look = Collector(loop.due.append, whole=10 * YOUNG)
    before = gc.get_threshold()
    gc.collect()
    gc.callbacks.append(look.heard)
    gc.set_threshold(YOUNG, NEVER, NEVER)
    try:
        Ring()
        kept = lasting(2 * YOUNG)
        assert Ring.alive == 0, "it was young"
        ring = [Ring()]
        kept += lasting(2 * YOUNG)
        ring.clear()
        kept += lasting(2 * YOUNG)
        assert Ring.alive == 1, "it was left once, and is out of sight"
        assert loop.due == []
        kept += lasting(10 * YOUNG)
        assert len(loop.due) == 1, "inside a collection there is no other"
        loop.turn()
        assert Ring.alive == 0
        assert generations[-1] == 2
    finally:
        gc.callbacks.remove(look.heard)
        gc.set_threshold(*before)
        gc.unfreeze()


def test_the_more_there_is_the_rarer_is_everything_looked_at(loop: Loop) -> None:
    kept = lasting(100 * YOUNG)
    look = Collector(loop.due.append, whole=4 * YOUNG)
    try:
        looks = []
        for number in range(60):
            look.heard("stop", {"generation": 0})
            if loop.due:
                looks.append(number + 1)
                loop.turn()
        assert looks[0] == 4
        assert len(looks) < 4, "a quarter of all there is comes to more than 25 young generations"
    finally:
        gc.unfreeze()
    assert len(kept) == 100 * YOUNG


def test_other_collections_freeze_nothing(loop: Loop) -> None:
    frozen = gc.get_freeze_count()
    look = Collector(loop.due.append, whole=1)
    look.heard("start", {"generation": 0})
    look.heard("stop", {"generation": 1})
    look.heard("stop", {"generation": 2})
    assert gc.get_freeze_count() == frozen
    assert loop.due == []


def test_the_process_gets_back_what_it_had_set(loop: Loop) -> None:
    before, heard = gc.get_threshold(), list(gc.callbacks)
    with pytest.raises(KeyError), spared_collector(loop.due.append):
        assert gc.get_threshold() != before
        assert len(gc.callbacks) == len(heard) + 1
        raise KeyError
    assert gc.get_threshold() == before
    assert gc.callbacks == heard
    assert gc.get_freeze_count() == 0
