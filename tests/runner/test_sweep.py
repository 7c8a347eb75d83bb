"""A sweep is the same table whoever played it, whether or not it was interrupted, and refuses what it cannot play."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from joblib.parallel import ThreadingBackend

from chatsim.analysis.swept import Sweep
from chatsim.errors import HarnessError, UsageError
from chatsim.runner import sweep as sweep_module
from chatsim.runner.replicate import replicate
from chatsim.runner.sweep import DamagedFileWarning, sweep
from chatsim.scenario.model import Scenario
from tests.runner.test_replicate import small
from tests.sim.worlds import scenario

GRID: dict[str, Any] = {"groups.g.users": [2, 4], "handler.rate_limit": ["20/min", "60/min"]}


def swept(grid: Any = None, **words: Any) -> Sweep:
    """A sweep of a few people, in this process and in silence."""
    played: Scenario = words.pop("scenario", None) or small()
    return sweep(played, GRID if grid is None else grid, **{"replications": 3, "jobs": 1, "progress": False} | words)


@pytest.fixture(scope="module")
def table() -> Sweep:
    return swept()


def test_it_is_a_table_with_a_row_for_each_point_and_metric(table: Sweep) -> None:
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == [*GRID, "metric", "mean", "low", "high", "n", "needed"]
    kinds = ["int64", "string", "string", "float64", "float64", "float64", "int64", "int64"]
    assert [str(kind) for kind in table.dtypes] == kinds
    one = table[table.metric == "delivery_latency_p95_s"]
    points = [(2, "20/min"), (2, "60/min"), (4, "20/min"), (4, "60/min")]
    assert list(one[list(GRID)].itertuples(index=False, name=None)) == points
    assert len(table) == 4 * table.metric.nunique()


def test_a_point_is_what_replicate_finds_there(table: Sweep) -> None:
    alone = replicate(small().with_({"groups.g.users": 4, "handler.rate_limit": "60/min"}), 3, jobs=1).summary()
    there = table[(table["groups.g.users"] == 4) & (table["handler.rate_limit"] == "60/min") & (table.n >= 2)]
    pd.testing.assert_frame_equal(there[alone.columns].reset_index(drop=True), pd.DataFrame(alone))


def test_every_point_has_the_same_luck() -> None:
    # A limit that nobody reaches changes nothing at all.
    rates = ["1000/min", "2000/min"]
    table = swept({"handler.rate_limit": rates})
    one, other = (table[table["handler.rate_limit"] == rate].drop(columns="handler.rate_limit") for rate in rates)
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


class Counting(ThreadingBackend):  # type: ignore[misc]
    """Threads, and a count of what they were given."""

    given = 0

    def submit(self, *args: Any, **words: Any) -> Any:
        Counting.given += 1
        return super().submit(*args, **words)


def test_any_number_of_processes_and_any_backend_find_the_same(table: Sweep) -> None:
    joblib.register_parallel_backend("counting", Counting)
    pd.testing.assert_frame_equal(swept(jobs=2), table)
    for backend in ("threading", "sequential", "counting"):
        with joblib.parallel_config(backend=backend):
            pd.testing.assert_frame_equal(swept(jobs=2), table)
    assert Counting.given > 0, "the backend of who calls is honoured"


def test_virtual_can_be_swept_in_threads_too() -> None:
    alone = swept({"users": [2, 4]}, on="virtual", replications=2)
    with joblib.parallel_config(backend="threading"):
        pd.testing.assert_frame_equal(swept({"users": [2, 4]}, on="virtual", replications=2, jobs=2), alone)


def test_no_column_is_of_the_wall_clock(table: Sweep) -> None:
    pd.testing.assert_frame_equal(swept(), table)


def test_only_the_metrics_that_are_wanted() -> None:
    table = swept({"users": [4]}, metrics=["lost", "p95(delivery_latency, group=g)", "drain_time_p99_s"])
    assert table.metric.tolist() == ["lost", "delivery_latency_p95_s{group=g}", "drain_time_p99_s"]
    assert table.n.tolist() == [3, 3, 0]
    assert np.isnan(table["mean"][2])


def test_progress_hears_how_many_of_how_many() -> None:
    heard: list[tuple[int, int]] = []
    swept({"users": [2, 4]}, replications=2, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(done, 4) for done in range(5)]


class StopError(Exception):
    """What ends a sweep in the middle."""


def test_an_interrupt_keeps_what_is_finished_and_the_rest_is_played_later(table: Sweep, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 5:
            raise StopError

    with pytest.raises(StopError):
        swept(keep=tmp_path, progress=stop)
    assert len(list(tmp_path.iterdir())) == 5
    heard: list[int] = []
    pd.testing.assert_frame_equal(swept(keep=tmp_path, progress=lambda done, total: heard.append(done)), table)
    assert heard == list(range(5, 13))
    heard.clear()
    pd.testing.assert_frame_equal(swept(keep=tmp_path, progress=lambda done, total: heard.append(done)), table)
    assert heard == [12]


def test_a_larger_sweep_plays_only_what_is_new(tmp_path: Path) -> None:
    swept({"users": [2, 4]}, keep=tmp_path, replications=2)
    heard: list[int] = []
    swept({"users": [2, 4, 6]}, keep=tmp_path, replications=3, progress=lambda done, total: heard.append(done))
    assert heard == list(range(4, 10))


def test_what_is_damaged_is_played_again_and_named(table: Sweep, tmp_path: Path) -> None:
    swept(keep=tmp_path)
    broken = sorted(tmp_path.iterdir())[3]
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.warns(DamagedFileWarning, match=f"{broken.name} was damaged and played again"):
        again = swept(keep=tmp_path)
    pd.testing.assert_frame_equal(again, table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swept(keep=tmp_path)


@pytest.mark.parametrize(
    ("grid", "lines"),
    [
        ({}, ["a sweep wants a grid"]),
        ([("users", [1])], ["a sweep wants a grid"]),
        ({"users": 5}, ["users: 5 is one value: give a list of them"]),
        ({"handler.rate_limit": "60/min"}, ["handler.rate_limit: '60/min' is one value"]),
        ({"users": np.array(5)}, ["users: array(5) is one value: give a list of them"]),
        ({"users": np.array([[6, 9]])}, ["[6, 9] is not a whole number", "(users=[6, 9])"]),
        ({"users": [], "duration": {}}, ["users: the list is empty", "duration: {} is one value"]),
        ({"groups.gg.users": [4], "handler.rate_limits": ["1/s"]}, ["did you mean g?", "did you mean rate_limit?"]),
        ({"users": [4, -1], "duration": ["20s", "20"]}, ["(users=-1)", "20 has no unit"]),
        ({5: [1]}, ["5 is no path: write one like handler.rate_limit"]),
        (
            {"users": [10], "groups.g.users": [20, 40]},
            ["users and groups.g.users change the same place: leave one of them out"],
        ),
        (
            {"groups.g.messages": [{"arrivals": "poisson", "rate": "1/s"}], "groups.g.messages.rate": ["2/s"]},
            ["groups.g.messages and groups.g.messages.rate change the same place"],
        ),
        ({"users": [4, 6, 4]}, ["users=4 and users=4 are the same scenario"]),
        ({"duration": ["60s", "1min"]}, ["duration=60s and duration=1min are the same scenario"]),
    ],
)
def test_a_grid_that_cannot_be_is_refused_with_all_that_is_wrong(grid: Any, lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        swept(grid, keep=tmp_path / "kept")
    for line in lines:
        assert line in str(refusal.value)
    assert not (tmp_path / "kept").exists()


def test_a_value_that_another_one_makes_good_is_no_problem() -> None:
    grid = {"groups.g.session_size": [6], "groups.g.users": [6, 12]}
    with pytest.raises(UsageError):
        small().with_({"groups.g.session_size": 6})
    assert swept(grid, replications=2, metrics=["lost"])["groups.g.users"].tolist() == [6, 12]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"replications": 1}, "2 would do"),
        ({"replications": "3"}, "give a whole number"),
        ({"jobs": 0}, "jobs=0: say how many processes play"),
        ({"on": "live"}, "virtual time"),
        ({"metrics": ["lsot"]}, r"there is no metric lsot \(did you mean lost\?\)"),
        ({"metrics": ["p99(delivery_latency, group=x)"]}, r"did you mean delivery_latency_p99_s\{group=g\}\?"),
        ({"metrics": [5]}, "5 is no metric"),
        ({"keep": 5}, "keep=5: name a folder"),
        ({"metrics": "lost"}, r"give a list of names, \['lost'\]"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(words: dict[str, Any], text: str) -> None:
    heard: list[int] = []
    with pytest.raises(UsageError, match=text):
        swept(progress=lambda done, total: heard.append(done), **words)
    assert heard == []


def test_progress_is_a_bar_or_a_function() -> None:
    told: Any = "x"
    with pytest.raises(UsageError, match="progress='x': give True for a bar, False, or a function"):
        swept(progress=told)


def test_a_run_that_is_not_valid_is_named_with_its_point() -> None:
    vain = scenario({"at": "1s", "do": "drop", "group": "g"}, group={"arrive_over": "0s"}, duration="20s")
    with pytest.raises(HarnessError, match=r"Replication \d of s .* is not valid.*\(at events.0.at=0s\)"):
        swept({"events.0.at": ["2s", "0s"]}, scenario=vain, replications=2)


def test_numbers_of_numpy_and_ranges_are_numbers() -> None:
    assert swept({"users": range(2, 6, 2)}, replications=2, metrics=["lost"]).users.tolist() == [2, 4]
    assert swept({"users": np.array([2, 4])}, replications=2, metrics=["lost"]).users.tolist() == [2, 4]


class Stopping:
    """Hears how far a sweep is, and stops it there."""

    def __init__(self, at: int = -1) -> None:
        self.at = at
        self.heard: list[int] = []

    def __call__(self, done: int, total: int) -> None:
        self.heard.append(done)
        if done == self.at:
            raise KeyboardInterrupt


def test_what_an_interrupted_sweep_has_played_is_remembered_without_a_folder(table: Sweep) -> None:
    with pytest.raises(KeyboardInterrupt) as stopped:
        swept(progress=Stopping(at=5))
    assert stopped.value.__notes__ == [
        "5 of 12 replications are remembered until this process ends (in a folder for longer, with keep=): the same "
        "call goes on there"
    ]
    rest = Stopping(at=8)
    with pytest.raises(KeyboardInterrupt):
        swept(progress=rest)
    assert rest.heard == [5, 6, 7, 8]
    rest = Stopping()
    pd.testing.assert_frame_equal(swept(progress=rest), table)
    assert rest.heard == list(range(8, 13))
    # It has come to its end, and is forgotten.
    assert sweep_module._UNFINISHED == {}
    rest = Stopping()
    swept(progress=rest)
    assert rest.heard == [0, *range(1, 13)]


def test_what_is_remembered_is_that_of_the_last_and_of_the_same_scenario() -> None:
    for users in (6, 8):
        with pytest.raises(KeyboardInterrupt):
            swept({"users": [users]}, progress=Stopping(at=2))
    for users, first in ((6, 0), (8, 2)):
        heard = Stopping(at=users * 100)
        swept({"users": [users]}, scenario=small(), progress=heard)
        assert heard.heard[0] == first
        with pytest.raises(KeyboardInterrupt):
            swept({"users": [8]}, progress=Stopping(at=2))
    other = Stopping()
    swept({"users": [8]}, scenario=small().with_seed(9), progress=other)
    assert other.heard[0] == 0
    on_virtual = Stopping()
    swept({"users": [8]}, on="virtual", progress=on_virtual)
    assert on_virtual.heard[0] == 0


def test_a_run_that_is_not_valid_loses_nothing_of_the_others() -> None:
    vain = scenario({"at": "1s", "do": "drop", "group": "g"}, group={"arrive_over": "0s"}, duration="20s")
    with pytest.raises(HarnessError) as failed:
        swept({"events.0.at": ["2s", "0s"]}, scenario=vain, replications=2)
    (note,) = failed.value.__notes__
    assert note.startswith("2 of 4 replications are remembered")
    heard = Stopping()
    swept({"events.0.at": ["2s"]}, scenario=vain, replications=2, progress=heard)
    assert heard.heard == [2]


def test_an_interrupt_says_in_which_folder_what_is_done_is_kept(tmp_path: Path) -> None:
    before = dict(sweep_module._UNFINISHED)
    with pytest.raises(KeyboardInterrupt) as stopped:
        swept(keep=tmp_path, progress=Stopping(at=5))
    assert stopped.value.__notes__ == [f"5 of 12 replications are kept in {tmp_path}: the same call goes on there"]
    assert before == sweep_module._UNFINISHED


def test_what_ends_before_anything_is_done_has_nothing_to_say() -> None:
    with pytest.raises(KeyboardInterrupt) as stopped:
        swept(progress=Stopping(at=0))
    assert not hasattr(stopped.value, "__notes__")
