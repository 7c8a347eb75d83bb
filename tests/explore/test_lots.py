"""A seed gives the same choices everywhere."""

from __future__ import annotations

from chatsim.explore.lots import Lots
from chatsim.scenario import units


def test_a_seed_gives_the_same_choices() -> None:
    def some(seed: int) -> list[object]:
        lots = Lots(seed)
        return [lots.chance(0.5), lots.whole(1, 1000), lots.pick("abcdef"), lots.number(0, 1), lots.duration(1, 9)]

    assert some(1) == some(1)
    assert some(1) != some(2)


def test_another_stream_gives_others_and_changes_none() -> None:
    def some(lots: Lots) -> list[int]:
        return [lots.whole(1, 1000) for _ in range(5)]

    lots, other = Lots(1), Lots(1, 1)
    assert some(other) != some(lots) == some(Lots(1))


def test_everything_lies_within_its_ends() -> None:
    lots = Lots(7)
    assert {lots.whole(1, 3) for _ in range(100)} == {1, 2, 3}
    assert all(2.0 <= lots.number(2.0, 3.0) <= 3.0 for _ in range(100))
    assert all(1.0 <= units.duration(lots.duration(1.0, 5.0)) <= 5.0 for _ in range(100))
    assert lots.some("ab", 1.0) == ["a", "b"]
    assert lots.some("ab", 0.0) == []
