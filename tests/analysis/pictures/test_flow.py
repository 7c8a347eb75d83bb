"""Counts stand for whole intervals, and everybody who came back is counted, however she was lost."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from chatsim.analysis.pictures import herd, load_over_time
from chatsim.analysis.pictures.flow import returns
from chatsim.errors import UsageError
from tests.analysis.pictures import tables


def test_connections_and_queues_have_an_axis_each() -> None:
    ax = load_over_time(tables.series(1, 5, 3, waiting=7), tables.events(("drop", 2.0, 0.0, 2)), ax=tables.axes())
    right = ax.figure.axes[1]
    assert tables.line(ax, "open connections") == ([1.0, 2.0, 3.0], [1.0, 5.0, 3.0])
    assert tables.line(right, "deliveries not acked")[1] == [7.0, 7.0, 7.0]
    assert (ax.get_ylabel(), right.get_ylabel()) == ("open connections (count)", "waiting (count)")
    assert ax.get_xlabel().endswith("(s)")
    assert "1: drop at 2 s, 2 people" in tables.labels(ax)
    assert ax.get_ylim()[0] == right.get_ylim()[0] == 0.0


def test_a_herd_is_counted_in_fixed_intervals() -> None:
    lost = [(f"u{n}", 0.0, 10.0, "connection gone") for n in range(5)]
    back = [(f"u{n}", at, inf, None) for n, at in enumerate([10.3, 10.31, 10.39, 10.4, 11.05])]
    ax = herd(tables.connections(*lost, *back), ax=tables.axes())
    (stairs,) = ax.patches
    counts, edges, _ = stairs.get_data()  # type: ignore[attr-defined]
    assert {round(float(edge), 6): int(count) for edge, count in zip(edges, counts, strict=False) if count} == {
        10.3: 3,
        10.4: 1,
        11.0: 1,
    }
    assert tables.labels(ax) == ["came back (5 of 5)", "busiest 100 ms: 3, 60.0 % of them, from 10.3 s on"]
    assert ax.get_ylabel() == "reconnections (count per 100 ms)"
    part = herd(tables.connections(*lost, *back), from_s=10.35, to_s=11.0, bin_s=0.5, ax=tables.axes())
    assert tables.labels(part)[0] == "came back (2 of 5)"
    assert part.get_ylabel() == "reconnections (count per 500 ms)"


def test_who_was_lost_without_the_servers_knowing_came_back_too() -> None:
    table = tables.connections(
        ("ann", 0.0, 50.2, "close 4502 resumed by a newer connection"),
        ("ann", 50.0, inf, None),
        ("bob", 0.0, inf, None),
        ("bob", 1.0, inf, None),
    )
    assert returns(table).tolist() == [50.0]


def test_a_real_run_brings_everybody_back() -> None:
    run = tables.played("reconnect")
    assert returns(run.connections).size == run.result.counters["resumes"] == 35
    ax = herd(run.connections, ax=tables.axes())
    counts, _, _ = ax.patches[0].get_data()  # type: ignore[attr-defined]
    # Thirty were dropped at 50 s, and five more come back after 90 s.
    assert np.sum(counts) == 30
    assert tables.labels(ax)[0] == "came back (30 of 35)"
    ax = load_over_time(run.series, run.events, ax=tables.axes())
    # The peak lies within a second, and the curve has the ends of seconds.
    assert 80 <= max(tables.line(ax, "open connections")[1]) <= run.result.counters["connections_peak"]


def test_nothing_says_so() -> None:
    assert tables.words(herd(tables.connections(), ax=tables.axes())) == ["nobody came back"]
    quiet = tables.connections(("ann", 0.0, inf, None))
    assert tables.words(herd(quiet, ax=tables.axes())) == ["nobody came back"]
    assert tables.words(load_over_time(tables.series(), ax=tables.axes())) == ["nothing happened"]


def test_what_is_wrong_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no column waiting"):
        load_over_time(tables.series(1).drop(columns="waiting"))
    with pytest.raises(UsageError, match=r"no column opened_at_s \(did you mean opened_at\?\)"):
        herd(tables.connections().rename(columns={"opened_at_s": "opened_at"}))
    with pytest.raises(UsageError, match="no column vain"):
        load_over_time(tables.series(1), tables.events().drop(columns="vain"))
    for bin_s in (0, -1.0, 5e-324, inf):
        with pytest.raises(UsageError, match="longer than 0 s"):
            herd(tables.connections(), bin_s=bin_s)


def test_more_intervals_than_a_picture_holds_are_refused_with_the_shortest_that_can_be() -> None:
    lost = [(f"u{n}", 0.0, 10.0, "connection gone") for n in range(3)]
    back = [(f"u{n}", at, inf, None) for n, at in enumerate([10.0, 12.0, 17.0])]
    table = tables.connections(*lost, *back)
    for bin_s in (1e-9, 1e-7, 0.0005):
        with pytest.raises(UsageError, match=r"more than 10,000 intervals in 7 s: give 0\.001 or more, or choose"):
            herd(table, bin_s=bin_s)
    assert tables.labels(herd(table, bin_s=0.001, ax=tables.axes()))[0] == "came back (3 of 3)"
    # All at one moment are in one interval, however short.
    alone = herd(table, bin_s=1e-7, from_s=11.0, to_s=13.0, ax=tables.axes())
    assert tables.labels(alone)[0] == "came back (1 of 3)"


def test_what_is_no_number_and_no_table_is_refused() -> None:
    with pytest.raises(UsageError, match=r"bin_s='1s' is no number: give one of seconds, 1$"):
        herd(tables.connections(), bin_s="1s")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"from_s='1min' is no number: give one of seconds, 60$"):
        herd(tables.connections(), from_s="1min")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"Run is no table: give the table of the series, run.series"):
        load_over_time(tables.played("steady"))  # type: ignore[arg-type]
