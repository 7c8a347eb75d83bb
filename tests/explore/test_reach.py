"""What was never reached: told of any number of runs, and a failure of many, on each wire for itself."""

from __future__ import annotations

import pytest

from chatsim.explore.campaign import Totals
from chatsim.explore.play import Played, wires_of
from chatsim.explore.reach import (
    OUT_OF_REACH,
    RUNS_EXPECTED,
    SEEDS_EXPECTED,
    WIRES,
    failed,
    judged,
    missed,
    reachable,
    runs_for,
)
from chatsim.verdict.sometimes import SOMETIMES

TOGETHER = SOMETIMES.keys() - OUT_OF_REACH["agreement"].keys()
"""What two wires can reach that are compared."""


def totals(seeds: int = SEEDS_EXPECTED, **by_wire: int) -> Totals:
    """So many runs of each kind, in which every wire reached all that it can but `retried`; `virtual` that too."""
    made = Totals(seeds=seeds, by_wire=dict(by_wire))
    for wire in WIRES:
        reached = [name for name in SOMETIMES if runs_for(made, wire, name) and (name, wire) != ("retried", "sim")]
        made.reached_on[wire] = dict.fromkeys(reached, 1)
        made.reached.update(made.reached_on[wire])
    return made


def both(seeds: int) -> Totals:
    """As many runs of each kind as so many seeds are with `--on both`, and nothing was reached."""
    made = Totals()
    for seed in range(seeds):
        made.add([Played(seed, wire, "", 1.0, 0, {}, [], []) for wire in wires_of(seed, "both")])
    return made


def test_only_what_there_is_can_be_out_of_reach_and_for_a_reason() -> None:
    for beyond in OUT_OF_REACH.values():
        assert beyond.keys() < SOMETIMES.keys()
        assert all(beyond.values())
    assert OUT_OF_REACH.keys() <= {*WIRES, "agreement"} - {"sim"}
    # What a wire cannot do, it cannot do beside another.
    assert OUT_OF_REACH["virtual"].keys() <= OUT_OF_REACH["agreement"].keys()


@pytest.mark.parametrize("wire", WIRES)
def test_many_runs_of_a_wire_are_judged_by_themselves(wire: str) -> None:
    few, many = totals(**{wire: RUNS_EXPECTED - 1}), totals(**{wire: RUNS_EXPECTED})
    assert (judged(few), failed(few)) == ({}, {})
    assert judged(many).keys() == {wire}
    assert set(judged(many)[wire]) == SOMETIMES.keys() - OUT_OF_REACH.get(wire, {}).keys()
    assert failed(many) == ({} if wire == "virtual" else {wire: ["retried"]})


def test_few_seeds_are_not_judged_however_often_they_were_played() -> None:
    assert judged(totals(SEEDS_EXPECTED - 1, sim=SEEDS_EXPECTED, agreement=SEEDS_EXPECTED)) == {}


def test_a_comparison_is_a_run_on_either_wire_but_of_what_it_cannot_reach() -> None:
    made = totals(agreement=RUNS_EXPECTED)
    assert judged(made).keys() == set(WIRES)
    assert all(set(names) == TOGETHER for names in judged(made).values())
    assert failed(made) == {"sim": ["retried"]}


def test_what_one_half_of_a_comparison_has_reached_does_not_count_for_the_other() -> None:
    made = Totals()
    for seed in range(SEEDS_EXPECTED):
        reached = {"sim": sorted(TOGETHER), "virtual": sorted(TOGETHER - {"retried"})}
        made.add([Played(seed, "agreement", "", 1.0, 0, {}, sorted(TOGETHER), [], reached_on=reached)])
    assert failed(made) == {"virtual": ["retried"]}
    assert missed(made) == []


def test_two_thousand_seeds_judge_both_wires_and_ten_times_as_many_judge_them_in_full() -> None:
    made = both(SEEDS_EXPECTED)
    assert set(judged(made)["sim"]) == set(SOMETIMES)
    assert set(judged(made)["virtual"]) == TOGETHER
    assert failed(made) == judged(made)
    made.seeds *= 10
    made.by_wire = {wire: 10 * runs for wire, runs in made.by_wire.items()}
    assert set(judged(made)["virtual"]) == SOMETIMES.keys() - OUT_OF_REACH["virtual"].keys()


def test_what_another_wire_has_reached_excuses_nothing() -> None:
    made = totals(sim=SEEDS_EXPECTED, virtual=100)
    assert missed(made) == []
    assert failed(made) == {"sim": ["retried"]}


def test_what_no_wire_played_can_reach_is_not_missed() -> None:
    made = totals(virtual=5)
    made.reached.clear()
    assert set(missed(made)) == set(reachable(made)) == SOMETIMES.keys() - OUT_OF_REACH["virtual"].keys()
    assert set(reachable(totals(agreement=5))) == TOGETHER
    assert reachable(totals(sim=1, agreement=1)) == list(SOMETIMES)


def test_where_a_wire_reached_nothing_everything_it_can_is_named() -> None:
    made = Totals(seeds=SEEDS_EXPECTED, by_wire={"virtual": SEEDS_EXPECTED})
    assert set(failed(made)["virtual"]) == SOMETIMES.keys() - OUT_OF_REACH["virtual"].keys()
