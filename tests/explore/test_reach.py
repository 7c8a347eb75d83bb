"""What was never reached: told of any number of runs, and a failure of many, on each wire for itself."""

from __future__ import annotations

import pytest

from chatsim.explore.campaign import Totals
from chatsim.explore.reach import OUT_OF_REACH, SEEDS_EXPECTED, failed, judged, missed, reachable
from chatsim.verdict.sometimes import SOMETIMES


def totals(**by_wire: int) -> Totals:
    """So many runs on each wire, which reached all that it can but `retried`; `virtual` that too."""
    made = Totals(by_wire=dict(by_wire))
    for wire in by_wire:
        made.reached_on[wire] = dict.fromkeys(SOMETIMES.keys() - OUT_OF_REACH.get(wire, {}).keys(), 1)
        if wire != "virtual":
            del made.reached_on[wire]["retried"]
        made.reached.update(made.reached_on[wire])
    return made


def test_only_what_there_is_can_be_out_of_reach_and_for_a_reason() -> None:
    for beyond in OUT_OF_REACH.values():
        assert beyond.keys() < SOMETIMES.keys()
        assert all(beyond.values())
    assert "sim" not in OUT_OF_REACH


@pytest.mark.parametrize("wire", ["sim", "virtual", "agreement"])
def test_many_runs_of_a_wire_are_judged_by_themselves(wire: str) -> None:
    few, many = totals(**{wire: SEEDS_EXPECTED - 1}), totals(**{wire: SEEDS_EXPECTED})
    assert (judged(few), failed(few)) == ([], {})
    assert judged(many) == [wire]
    assert failed(many) == ({} if wire == "virtual" else {wire: ["retried"]})


def test_what_another_wire_has_reached_excuses_nothing() -> None:
    made = totals(sim=SEEDS_EXPECTED, virtual=100)
    assert missed(made) == []
    assert failed(made) == {"sim": ["retried"]}


def test_what_no_wire_played_can_reach_is_not_missed() -> None:
    made = totals(agreement=5)
    assert missed(made) == ["retried"]
    assert set(reachable(made)) == SOMETIMES.keys() - OUT_OF_REACH["agreement"].keys()
    assert reachable(totals(sim=1, agreement=1)) == list(SOMETIMES)


def test_where_a_wire_reached_nothing_everything_it_can_is_named() -> None:
    made = Totals(by_wire={"virtual": SEEDS_EXPECTED})
    assert set(failed(made)["virtual"]) == SOMETIMES.keys() - OUT_OF_REACH["virtual"].keys()
