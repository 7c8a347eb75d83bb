"""Many seeds: the same with one process and with two, and over when one fails or time is up."""

from __future__ import annotations

from itertools import count

import pytest

from chatsim.explore import campaign as module
from chatsim.explore.campaign import Totals, campaign, play_chunk
from chatsim.explore.play import Played
from chatsim.verdict.invariants.catalogue import Violation

FOREVER = float("inf")


def clock() -> float:
    return 0.0


def played(seed: int, *violations: Violation) -> Played:
    return Played(seed, "sim", f"h{seed}", 10.0, 3, {"drop": 1}, ["retried"], list(violations))


def test_one_process_and_two_find_the_same() -> None:
    one, two = (campaign(0, 12, on="sim", jobs=jobs, for_s=FOREVER, clock=clock) for jobs in (1, 2))
    # A sum depends on the order of its parts, in its last digit.
    one.simulated_s, two.simulated_s = round(one.simulated_s, 6), round(two.simulated_s, 6)
    assert one == two
    assert (one.seeds, one.runs, one.failures) == (12, 12, [])


def test_chunks_have_the_same_hashes_wherever_they_are_played() -> None:
    hashes = [run.trace_hash for runs in play_chunk(range(4), "sim") for run in runs]
    again = [run.trace_hash for seed in range(4) for run in play_chunk(range(seed, seed + 1), "sim")[0]]
    assert hashes == again
    assert len(set(hashes)) == 4


def test_totals_add_up() -> None:
    totals = Totals()
    totals.add([played(1)])
    totals.add([played(2, Violation("seq", 1.0, "."))])
    assert (totals.seeds, totals.runs, totals.simulated_s, totals.messages) == (2, 2, 20.0, 6)
    assert (totals.fired, totals.reached, totals.by_wire) == ({"drop": 2}, {"retried": 2}, {"sim": 2})
    assert [run.seed for run in totals.failures] == [2]


def test_it_ends_when_time_is_up() -> None:
    ticks = count()
    heard: list[int] = []
    totals = campaign(
        0,
        100,
        on="sim",
        jobs=1,
        for_s=2.0,
        clock=lambda: float(next(ticks)),
        progress=lambda totals: heard.append(totals.seeds),
    )
    assert totals.seeds == 2 * module.CHUNK
    assert heard == [module.CHUNK, 2 * module.CHUNK]


def test_it_ends_with_the_first_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(seed: int, wire: str) -> Played:
        return played(seed, *([Violation("seq", 1.0, ".")] if seed >= 13 else []))

    monkeypatch.setattr(module, "play_seed", fails)
    totals = campaign(0, 100, on="sim", jobs=1, for_s=FOREVER, clock=clock)
    assert (totals.seeds, [run.seed for run in totals.failures]) == (14, [13])
