"""Many seeds: the same with one process and with two, and over when one fails or time is up."""

from __future__ import annotations

from itertools import count

import pytest

from chatsim.explore.agreement import UNREAD
from chatsim.explore.campaign import Totals, campaign, play_wires
from chatsim.verdict.invariants.catalogue import Violation
from tests.explore import seeds
from tests.explore.seeds import played

FOREVER = float("inf")
MANY = 1_000_000
"""More seeds than one process plays while the other begins."""


def clock() -> float:
    return 0.0


def test_one_process_and_two_find_the_same() -> None:
    one, two = (
        campaign(0, 12, on="sim", jobs=jobs, for_s=FOREVER, clock=clock, play=seeds.in_no_time) for jobs in (1, 2)
    )
    assert one == two
    assert (one.seeds, one.runs, one.failures) == (12, 12, [])


def test_a_seed_has_one_hash_whatever_was_played_before() -> None:
    hashes = [run.trace_hash for seed in range(4) for run in play_wires(seed, "sim")]
    again = [run.trace_hash for seed in reversed(range(4)) for run in play_wires(seed, "sim")]
    assert hashes == again[::-1]
    assert len(set(hashes)) == 4


def test_totals_add_up() -> None:
    totals = Totals()
    totals.add([played(1)])
    totals.add([played(2, Violation("seq", 1.0, "."))])
    assert (totals.seeds, totals.runs, totals.simulated_s, totals.messages) == (2, 2, 20.0, 6)
    assert (totals.fired, totals.reached, totals.by_wire) == ({"drop": 2}, {"retried": 2}, {"sim": 2})
    assert totals.reached_on == {"sim": {"retried": 2}}
    assert [run.seed for run in totals.failures] == [2]


def test_what_a_comparison_has_reached_is_counted_for_the_wire_that_has_reached_it() -> None:
    totals = Totals()
    both = played(2)
    both.wire, both.reached = "agreement", ["away", "retried"]
    both.reached_on = {"sim": ["retried"], "virtual": ["away"]}
    totals.add([both])
    totals.add([played(3)])
    assert totals.reached == {"away": 1, "retried": 2}
    assert totals.reached_on == {"sim": {"retried": 2}, "virtual": {"away": 1}}
    assert totals.by_wire == {"agreement": 1, "sim": 1}


def test_what_was_simulated_and_what_that_took_is_counted_by_wire() -> None:
    totals = Totals()
    again = played(3)
    again.twice, again.took_s = True, 0.5
    other = played(3)
    other.wire, other.took_s, other.left_out = "virtual", 0.25, UNREAD
    both = played(4)
    both.wire, both.took_s, both.left_out = "agreement", 0.5, UNREAD
    totals.add([again, other])
    totals.add([played(4), both])
    assert totals.simulated_on == {"sim": 30.0, "virtual": 10.0, "agreement": 10.0}
    assert totals.rates() == {"sim": 60.0, "virtual": 40.0, "agreement": 20.0}
    # Only of a comparison is anything left out.
    assert totals.left_out == {UNREAD: 1}


def test_each_wire_is_timed_by_the_clock_of_whoever_plays() -> None:
    moments = iter((1.0, 3.0, 10.0, 10.5))
    runs = play_wires(40, "both", lambda: next(moments))
    assert [(run.wire, run.took_s) for run in runs] == [("sim", 2.0), ("virtual", 0.5)]
    assert all(run.took_s > 0.0 for run in play_wires(3, "sim"))


def test_it_ends_when_time_is_up() -> None:
    heard: set[int] = {0}
    totals = campaign(
        0,
        100,
        on="sim",
        jobs=1,
        for_s=9.0,
        # A seed takes two seconds.
        clock=lambda: 2.0 * max(heard),
        progress=lambda totals: heard.add(totals.seeds),
        play=seeds.holds,
    )
    assert totals.seeds == 5
    assert heard == set(range(6))


def test_one_seed_is_played_however_little_time_there_is() -> None:
    ticks = count()
    totals = campaign(5, 9, on="sim", jobs=1, for_s=0.0, clock=lambda: float(next(ticks)), play=seeds.holds)
    assert totals.seeds == 1


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_it_ends_with_the_lowest_that_fails_however_many_play(jobs: int) -> None:
    totals = campaign(0, 100, on="sim", jobs=jobs, for_s=FOREVER, clock=clock, play=seeds.fails)
    assert (totals.seeds, [run.seed for run in totals.failures]) == (14, [13])
    assert (totals.lost, totals.unfinished, totals.interrupted) == ({}, [], False)


def test_a_process_that_dies_ends_it_and_everything_else_is_counted() -> None:
    totals = campaign(0, 100, on="sim", jobs=2, for_s=FOREVER, clock=clock, play=seeds.is_killed)
    assert list(totals.lost) == [5]
    assert "SIGKILL" in totals.lost[5]
    # The seeds below it, and those that the other process has played meanwhile.
    assert 5 <= totals.seeds <= 99


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_seed_that_cannot_be_played_at_all_is_named(jobs: int) -> None:
    totals = campaign(0, 10, on="sim", jobs=jobs, for_s=FOREVER, clock=clock, play=seeds.raises)
    assert totals.lost == {3: "it could not be drawn or played (ValueError: not drawn)"}
    assert totals.seeds >= 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_keeps_what_was_found_by_then(jobs: int) -> None:
    def interrupted(totals: Totals) -> None:
        if totals.seeds >= 4:
            raise KeyboardInterrupt

    totals = campaign(0, MANY, on="sim", jobs=jobs, for_s=FOREVER, clock=clock, progress=interrupted, play=seeds.holds)
    assert totals.interrupted
    # Two processes may be far apart: one plays on while the other is at the seed that is to be counted next.
    assert totals.seeds == 4 if jobs == 1 else 4 <= totals.seeds <= MANY
    assert (totals.simulated_s, totals.failures) == (10.0 * totals.seeds, [])
    # With two processes, one is still at a seed.
    assert len(totals.unfinished) <= jobs - 1
