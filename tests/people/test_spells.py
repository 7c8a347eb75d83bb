"""What a fault has set is what it was before, whatever other faults do to it meanwhile."""

from __future__ import annotations

from chatsim.people.spells import Spells


class Thing:
    """Something with a property."""

    def __init__(self) -> None:
        self.speed = 7
        self.mood = "good"


def test_a_spell_holds_until_it_is_lifted() -> None:
    spells, thing = Spells(), Thing()
    spells.cast(thing, "speed", 1, 10.0)
    assert thing.speed == 1
    spells.lift(10.0, thing, "speed")
    assert thing.speed == 7
    thing.speed = 8
    spells.lift(11.0, thing, "speed")
    assert thing.speed == 8, "what was lifted is forgotten"


def test_the_newest_of_two_holds_until_the_last_has_ended() -> None:
    for first, second in ((10.0, 12.0), (12.0, 10.0)):
        spells, thing = Spells(), Thing()
        spells.cast(thing, "speed", 1, first)
        spells.cast(thing, "speed", 2, second)
        spells.lift(10.0, thing, "speed")
        assert thing.speed == 2
        spells.lift(12.0, thing, "speed")
        assert thing.speed == 7


def test_things_and_their_attributes_are_told_apart() -> None:
    spells, one, other = Spells(), Thing(), Thing()
    spells.cast(one, "speed", 1, 10.0)
    spells.cast(one, "mood", "bad", 20.0)
    spells.lift(10.0, one, "speed")
    spells.lift(10.0, other, "speed")
    assert (one.speed, one.mood, other.speed, other.mood) == (7, "bad", 7, "good")
