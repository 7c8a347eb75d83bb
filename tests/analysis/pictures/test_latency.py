"""A curve is exact at its quantiles, does not reach 1 where something never came, and says so."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pandas as pd
import pytest

from chatsim.analysis.pictures import ecdf, latency_over_time, overlaid, quantiles
from chatsim.analysis.pictures.latency import POINTS_MAX, QUANTILES, samples
from chatsim.analysis.quantiles import quantile
from chatsim.errors import UsageError
from chatsim.verdict.metrics import Metrics
from tests.analysis.pictures import tables


def test_the_samples_are_those_that_are_judged() -> None:
    run = tables.played("retries")
    for metric in ("delivery_latency", "ack_latency"):
        judged = Metrics(run.result.record).samples(metric)
        np.testing.assert_array_equal(samples(run.messages, f"{metric}_s"), judged)


def test_an_ecdf_climbs_by_each_sample_and_shows_its_limit() -> None:
    ax = ecdf(tables.messages(0.04, 0.01, 0.02, 0.2), limit_s=0.1, ax=tables.axes())
    x, y = tables.line(ax, "all")
    # From 0 on, and not from the share that the first sample is.
    assert x[:5] == [10.0, 10.0, 20.0, 40.0, 200.0]
    assert y[:5] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert tables.line(ax, "limit")[0] == [100.0, 100.0]
    assert tables.labels(ax) == ["all (n = 4)", "limit 100 ms: 75.0 % within"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("delivery latency (ms)", "share of messages (1 = all)")


def test_what_never_came_keeps_the_curve_below_1_and_is_told() -> None:
    ax = ecdf(tables.messages(0.01, 0.02, 0.03, inf), limit_s=0.1, ax=tables.axes())
    x, y = tables.line(ax, "all")
    assert max(y) == 0.75
    assert x[-1] > 100.0
    assert tables.labels(ax)[0] == "all (n = 4, 1 never delivered (25.0 %))"
    only = ecdf(tables.messages(inf, inf), ax=tables.axes())
    assert max(tables.line(only, "all")[1]) == 0.0
    assert "2 never delivered (100 %)" in tables.labels(only)[0]


def test_a_share_is_never_rounded_to_all_or_nothing() -> None:
    many = tables.messages(*[0.01] * 2999, inf)
    ax = ecdf(many, limit_s=0.1, ax=tables.axes())
    assert tables.labels(ax) == [
        "all (n = 3,000, 1 never delivered (under 0.1 %))",
        "limit 100 ms: over 99.9 % within",
    ]


def test_seconds_where_milliseconds_would_be_many_and_a_logarithm_where_it_is_wide() -> None:
    ax = ecdf(tables.messages(0.01, 40.0), ax=tables.axes())
    assert ax.get_xlabel() == "delivery latency (s)"
    assert ax.get_xscale() == "log"
    assert ecdf(tables.messages(0.01, 0.02), ax=tables.axes()).get_xscale() == "linear"


def test_a_big_run_is_exact_at_every_quantile_with_few_points() -> None:
    took = np.random.default_rng(3).lognormal(-4, 1, 50_000)
    ax = ecdf(tables.messages(*took), ax=tables.axes())
    x, y = (np.array(found[1:-1]) for found in tables.line(ax, "all"))
    assert x.size < 2100
    per_s = 1000.0 if ax.get_xlabel().endswith("(ms)") else 1.0
    for q in QUANTILES.values():
        assert quantile(took, q) * per_s == x[np.searchsorted(y, q)]
    ordered = np.sort(took) * per_s
    exact = np.searchsorted(ordered, x, side="right") / ordered.size
    np.testing.assert_array_equal(exact, y)
    assert np.diff(y).max() < 1 / 1400


def test_a_curve_for_each_group_and_for_each_run() -> None:
    both = tables.messages(0.01, 0.02, 0.03, 0.04, group=["a", "b", "a", "b"])
    ax = ecdf(both, by="group", ax=tables.axes())
    assert tables.labels(ax) == ["a (n = 2)", "b (n = 2)"]
    assert tables.line(ax, "b")[0][1:3] == [20.0, 40.0]
    runs = {"sim": tables.messages(0.01, 0.02), "live": tables.messages(0.02, 0.04)}
    ax = overlaid(runs, limit_s=0.03, ax=tables.axes())
    assert tables.line(ax, "live")[0][1:3] == [20.0, 40.0]
    assert len({one.get_linestyle() for one in ax.lines}) == 3


def test_a_limit_of_one_curve_has_its_colour_and_name() -> None:
    both = tables.messages(0.01, 0.02, 0.03, 0.04, group=["a", "b", "a", "b"])
    ax = ecdf(both, by="group", limit_s=0.1, limits_s={"b": 0.03}, ax=tables.axes())
    told = {"a (n = 2)", "b (n = 2)", "limit 30 ms of b: 50.0 % within", "limit 100 ms of all"}
    assert set(tables.labels(ax)) == told
    assert tables.line(ax, "limit 30 ms")[0] == [30.0, 30.0]
    colours = {str(line.get_label())[:11]: line.get_color() for line in ax.lines}
    assert colours["limit 30 ms"] == colours["b (n = 2)"]
    with pytest.raises(UsageError, match=r"there is no curve c \(known: a, b\)"):
        ecdf(both, by="group", limits_s={"c": 0.03}, ax=tables.axes())
    with pytest.raises(UsageError, match=r"limits_s of b=.30ms. is no number: give one of seconds, 0\.03$"):
        ecdf(both, by="group", limits_s={"b": "30ms"}, ax=tables.axes())  # type: ignore[dict-item]


def test_the_warm_up_is_not_judged_and_an_ack_counts_once() -> None:
    warm = tables.messages(9.0, 0.02, measured=[False, True])
    assert tables.line(ecdf(warm, ax=tables.axes()), "all")[0][0] == 20.0
    two = tables.messages(0.01, 0.02, message_id="m", receiver=["b", "c"], acked_at_s=0.005, ack_latency_s=0.005)
    assert tables.labels(ecdf(two, "ack_latency_s", ax=tables.axes())) == ["all (n = 1)"]


def test_quantiles_stand_beside_each_other_with_the_band_of_the_first() -> None:
    runs = {"sim": tables.messages(*np.arange(1, 101) / 1000), "live": tables.messages(*np.arange(2, 202, 2) / 1000)}
    ax = quantiles(runs, limit_s=0.1, ax=tables.axes())
    assert [text.get_text() for text in ax.get_xticklabels()] == list(QUANTILES)
    assert tables.line(ax, "sim")[1] == pytest.approx([50.0, 90.0, 95.0, 99.0, 100.0])
    assert tables.line(ax, "live")[1] == pytest.approx([100.0, 180.0, 190.0, 198.0, 200.0])
    assert "0.8 to 1.25 times sim" in tables.labels(ax)
    corners = ax.collections[0].get_paths()[0].vertices
    assert np.asarray(corners)[:, 1].max() == pytest.approx(125.0)


def test_the_axes_have_the_width_of_the_picture() -> None:
    ax = quantiles({"sim": tables.messages(0.01, 0.02)}, ax=tables.axes())
    ax.figure.canvas.draw()
    assert ax.get_position().width > 0.85


def test_a_quantile_that_was_never_delivered_is_at_the_top() -> None:
    ax = quantiles({"sim": tables.messages(*[0.01] * 97, inf, inf, inf)}, ax=tables.axes())
    assert len(tables.line(ax, "sim")[0]) == 3
    assert tables.points(ax.lines[1])[0] == [3.0, 4.0]


def test_over_time_faults_are_shaded_and_named() -> None:
    faults = tables.events(("drop", 2.0, 0.0, 1), ("latency", 4.0, 3.0, 5), ("vanish", 8.0, inf, 2))
    table = tables.messages(*[0.01] * 6, inf, 0.3, 0.01, 0.01)
    ax = latency_over_time(table, faults, limit_s=0.1, ax=tables.axes())
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches]  # type: ignore[attr-defined]
    assert spans[0] == (4.0, 7.0)
    assert spans[1][0] == 8.0
    assert spans[1][1] == pytest.approx(ax.get_xlim()[1])
    told = tables.labels(ax)
    assert {
        "1: drop at 2 s, 1 person",
        "2: latency at 4 s for 3 s, 5 people",
        "3: vanish at 8 s for good, 2 people",
    } <= set(told)
    assert "never delivered (1)" in told
    assert tables.line(ax, "never delivered")[0] == [6.0]
    assert tables.line(ax, "limit")[1] == [100.0, 100.0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time since the start of the run (s)", "delivery latency (ms)")


@pytest.mark.parametrize(
    ("took_s", "limit_s"),
    [([0.04] * 30, None), ([0.097, 0.099, 0.1], 0.1), ([0.001, 0.002, 0.5], 0.1)],
    ids=["all alike", "just below the limit", "on a logarithmic axis"],
)
def test_what_was_never_delivered_is_above_all_that_was_and_above_the_limit(
    took_s: list[float], limit_s: float | None
) -> None:
    ax = latency_over_time(tables.messages(*took_s, inf), limit_s=limit_s, ax=tables.axes())
    cross = tables.line(ax, "never delivered")[1][0]
    height = ax.transAxes.transform((0, cross))[1]
    highest = 1000 * max(*took_s, limit_s or 0.0)
    for other in (highest, *took_s):
        assert height > ax.transData.transform((0, other))[1] + 2, "in pixels"


def test_faults_that_struck_nobody_and_too_many_are_not_named() -> None:
    vain = tables.events(("drop", 2.0, 0.0, 0), vain=True)
    assert not [
        told
        for told in tables.labels(latency_over_time(tables.messages(0.1), vain, ax=tables.axes()))
        if "drop" in told
    ]
    many = tables.events(*[("drop", float(at), 0.0, 1) for at in range(20)])
    ax = latency_over_time(tables.messages(*[0.1] * 30), many, ax=tables.axes())
    assert "and 14 faults more" in tables.labels(ax)


def test_faults_at_one_moment_share_their_number() -> None:
    two = tables.events(("drop", 5.0, 0.0, 1), ("vanish", 5.0, 1.0, 1))
    assert "1, 2" in tables.words(latency_over_time(tables.messages(*[0.1] * 10), two, ax=tables.axes()))


def test_an_interval_without_messages_is_a_gap_in_the_median() -> None:
    table = tables.messages(*[0.01] * 4, intended_at_s=[0.0, 1.0, 59.0, 60.0])
    heights = tables.line(latency_over_time(table, ax=tables.axes()), "median")[1]
    # The two at the end are in the last of sixty intervals, the others in one each.
    assert sum(np.isnan(heights)) == 57


def test_of_very_many_messages_the_slowest_are_all_drawn() -> None:
    took = np.full(2 * POINTS_MAX, 0.01)
    took[[7, 31_111]] = 0.5, 0.9
    ax = latency_over_time(tables.messages(*took), ax=tables.axes())
    x, _ = tables.points(ax.lines[0])
    assert len(x) <= POINTS_MAX
    assert {7.0, 31_111.0} <= set(x)
    assert any("of 40,000 drawn" in told for told in tables.labels(ax))


@pytest.mark.parametrize("table", [tables.messages(), tables.messages(nan)])
def test_nothing_says_so(table: pd.DataFrame) -> None:
    for draw in (ecdf, latency_over_time):
        assert tables.words(draw(table, ax=tables.axes())) == ["no messages"]
    for beside in (overlaid, quantiles):
        assert tables.words(beside({"sim": table}, ax=tables.axes())) == ["no messages"]


def test_one_message_is_a_picture() -> None:
    one = tables.messages(0.02)
    assert tables.line(ecdf(one, ax=tables.axes()), "all")[1][:2] == [0.0, 1.0]
    assert tables.labels(latency_over_time(one, ax=tables.axes())) == ["messages (1)"]


def test_a_wrong_column_is_refused_with_the_nearest_name() -> None:
    table = tables.messages(0.1)
    for draw in (ecdf, latency_over_time):
        with pytest.raises(UsageError, match=r"did you mean delivery_latency_s\?"):
            draw(table, column="delivery_latency", ax=tables.axes())
    with pytest.raises(UsageError, match=r"no column groop \(did you mean group\?\)"):
        ecdf(table, by="groop")
    with pytest.raises(UsageError, match="sender is no duration"):
        ecdf(table, "sender")
    with pytest.raises(UsageError, match="no column lasts_s"):
        latency_over_time(table, tables.events().drop(columns="lasts_s"))
    for beside in (overlaid, quantiles):
        with pytest.raises(UsageError, match="there is no run to draw"):
            beside({})


def test_what_is_no_table_and_what_is_no_number_is_refused_in_one_sentence() -> None:
    run, table = tables.played("steady"), tables.messages(0.1)
    for draw in (ecdf, latency_over_time):
        with pytest.raises(UsageError, match=r"^Run is no table: give the table of messages, run.messages$"):
            draw(run)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"limit_s='100ms' is no number: give one of seconds, 0.1"):
            draw(table, limit_s="100ms")  # type: ignore[arg-type]
    for beside in (overlaid, quantiles):
        with pytest.raises(UsageError, match=r"Run is no table"):
            beside({"sim": run})  # type: ignore[dict-item]
        with pytest.raises(UsageError, match="give each with its name"):
            beside(run)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"is no number"):
            beside({"sim": table}, limit_s="1s")  # type: ignore[arg-type]


def test_the_slowest_stands_where_it_was_and_not_before() -> None:
    # A message a second for a minute, the slow one just after a fault at 30.1 s, in the same sixtieth as one before it.
    took = [0.01] * 60 + [0.9]
    table = tables.messages(*took, intended_at_s=[*map(float, range(60)), 30.2])
    ax = latency_over_time(table, ax=tables.axes())
    x, y = (np.array(values) for values in tables.line(ax, "slowest"))
    assert x[y > 100].tolist() == [30.2]
    assert np.isnan(x).tolist() == np.isnan(y).tolist()
    assert np.nanmax(tables.line(ax, "median")[1]) == pytest.approx(455.0)
