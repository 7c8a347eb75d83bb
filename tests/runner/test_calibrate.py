"""What was measured becomes costs of a scenario, mean for mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.analysis.costing import Cost
from chatsim.analysis.fits import LEVELS, Median, Shape, shape_of
from chatsim.errors import HarnessError
from chatsim.live.calibration.seen import Measured
from chatsim.runner.calibrate import calibration, uncertain, words_of
from chatsim.runner.spelled import times
from chatsim.scenario import units
from chatsim.scenario.costs import FINER, OF_COMMITS, WORDS, Collections, read_costs
from chatsim.scenario.reading import read_distribution
from chatsim.store.calibration import Calibration, write
from tests.analysis.planted import COMMIT_COLD_AFTER_S, COSTS_S, measured


def made(seen: Measured) -> Calibration:
    return calibration(seen, chatsim="0.1.0", made_at="2026-01-02", quick=False, journal=False)


def test_a_scenario_reads_every_planted_cost_from_the_file(tmp_path: Path) -> None:
    write(tmp_path / "calibration.json", made(measured(rounds=12, cv=0.3)))
    costs = read_costs("calibration.json", tmp_path)
    assert costs.cold is None, "every load has the server sleep as long as any other"
    # What a message costs the loop is the same whichever log there is.
    untold = ("cold", "append_durable")
    for word in (*WORDS, *FINER, *OF_COMMITS):
        found = getattr(costs, word)
        assert (found is None) == (word in untold), word
        if word not in (*untold, "collect"):
            # A third of spread over 200 operations and 12 rounds: within a tenth of what is planted, or of a frame.
            assert found.mean == pytest.approx(COSTS_S[word], rel=0.1, abs=3e-6), word


def test_so_it_does_for_how_long_a_log_rests_until_commits_take_longer(tmp_path: Path) -> None:
    document = made(measured(cv=0.0))
    write(tmp_path / "calibration.json", document)
    costs = read_costs("calibration.json", tmp_path)
    assert costs.commit_cold_after is not None
    assert costs.commit_cold_after.mean == COMMIT_COLD_AFTER_S
    assert costs.commit_busy is not None
    # The thread works for as long as it is planted to, in each commit; those of fresh rests take longer beside.
    assert 0.2 < costs.commit_busy.mean < 0.7


def test_so_it_does_what_a_long_sleep_costs_and_how_long_that_is(tmp_path: Path) -> None:
    planted = {"cold": 40e-6, "cold_after": 0.0004}
    document = made(measured(cv=0.0, costs=planted, levels=(0.2, 0.5)))
    write(tmp_path / "calibration.json", document)
    costs = read_costs("calibration.json", tmp_path)
    assert costs.cold is not None
    assert costs.cold_after is not None
    assert costs.cold.mean == pytest.approx(40e-6, rel=0.02)
    assert costs.cold_after.mean == 0.0004
    # On a machine that is slower just then everything takes longer, and nothing is sooner cold.
    assert times(document.costs, 2.0)["cold_after"] == document.costs["cold_after"]


def test_the_collector_stops_as_often_and_as_long_as_it_was_seen_to(tmp_path: Path) -> None:
    write(tmp_path / "calibration.json", made(measured(cv=0.0)))
    collect = read_costs("calibration.json", tmp_path).collect
    assert isinstance(collect, Collections)
    assert collect.mean == pytest.approx(2 / 40_000 * 0.006, rel=1e-3)
    # In their order: a collector looks at more every so many times, and a fresh server has that still before it. What
    # that makes for its connections has the first come sooner.
    pauses = {number: collect.pause_s(number) for number in (14_999, 15_000, 20_000, 35_000, 55_000)}
    first, second = collect.pauses_s
    assert list(pauses.values()) == [0.0, first, 0.0, second, first]
    assert first == pytest.approx(second / 2)


def test_no_host_and_no_path_is_in_the_file() -> None:
    document = made(measured(cv=0.0))
    assert set(document.machine) == {"cpu", "cores", "architecture", "kernel", "python"}
    assert "uvloop" in document.versions
    assert "msgspec" in document.versions


@pytest.mark.parametrize("family", ["lognormal", "gamma", "empirical"])
def test_each_shape_keeps_the_mean_that_was_measured(family: str) -> None:
    edges = tuple(1e-6 * (10 + step**1.5) for step in range(len(LEVELS)))
    shape = Shape(family, 0.4, 0.01, 100, 20e-6, edges, {})  # type: ignore[arg-type]
    cost = Cost(name="frame", says="a frame", seen=Median(33e-6, 30e-6, 35e-6, 5), shape=shape)
    read = read_distribution(words_of(cost), units.duration)
    assert read.mean == pytest.approx(33e-6, rel=1e-3)
    assert read.variance > 0


def test_a_shape_without_spread_and_a_cost_of_nothing_are_constants() -> None:
    narrow = shape_of([1.0 + number * 1e-6 for number in range(30)])
    assert words_of(Cost(name="x", says="x", seen=Median(2e-6, 1e-6, 3e-6, 3), shape=narrow)) == "2us"
    assert words_of(Cost(name="x", says="x", seen=Median(-2e-6, -3e-6, 1e-6, 3), shape=narrow)) == "0us"


def test_costs_that_reach_down_to_nothing_are_uncertain() -> None:
    assert uncertain(made(measured(cv=0.0))) == []
    assert uncertain(made(measured(cv=0.0, costs={"ping": -1e-6}))) == ["ping"]


def test_what_no_round_has_is_no_calibration() -> None:
    seen = measured(rounds=2, cv=0.0)
    for one in seen.rounds:
        one["pings"] = one["silence"]
    with pytest.raises(HarnessError, match="What ping cost could not be told"):
        made(seen)
