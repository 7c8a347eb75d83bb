"""A limit holds where its whole interval does; a point that nobody played is no point."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from chatsim.analysis.pictures import along, heatmap
from chatsim.analysis.pictures.sweeps import contrast, verdict
from chatsim.errors import UsageError
from tests.analysis.pictures import tables

POINTS = {
    (50, "30/min"): (0.02, 0.01, 0.03),
    (50, "60/min"): (0.04, 0.03, 0.06),
    (100, "30/min"): (0.08, 0.07, 0.09),
    (100, "60/min"): (inf, 0.2, inf),
    (200, "30/min"): (nan, nan, nan),
}


def test_a_map_has_a_cell_for_each_point_and_none_for_what_was_not_played() -> None:
    ax = heatmap(tables.sweep(POINTS), "delivery_latency_p99_s", ax=tables.axes())
    shown = ax.images[0].get_array()
    assert shown is not None
    assert np.ma.getmaskarray(shown).tolist() == [[False, False, True], [False, True, True]]
    assert np.asarray(shown)[0, :2].tolist() == [20.0, 80.0]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["50", "100", "200"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["30/min", "60/min"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("users of mobile", "rate limit")
    assert ax.figure.axes[1].get_ylabel() == "delivery latency p99 (ms)"
    assert sorted(tables.words(ax)) == sorted(["20", "80", "no\nsample", "40", "∞", "no\nsample"])


def test_the_feasible_region_is_outlined_and_the_undecided_hatched() -> None:
    ax = heatmap(tables.sweep(POINTS), "delivery_latency_p99_s", limit=0.05, ax=tables.axes())
    cells = {
        (round(patch.get_x() + 0.46), round(patch.get_y() + 0.46)): bool(patch.get_hatch())
        for patch in ax.patches
        if isinstance(patch, Rectangle)
    }
    assert cells == {(0, 0): False, (0, 1): True, (2, 0): True}
    assert tables.labels(ax) == ["≤ 50 ms holds", "undecided: its interval has both, or there is none"]


@pytest.mark.parametrize(
    ("low", "high", "op", "found"),
    [
        (0.1, 0.2, "<=", "holds"),
        (0.1, 0.3, "<=", "undecided"),
        (0.3, inf, "<=", "broken"),
        (0.1, inf, "<=", "undecided"),
        (0.2, 0.3, ">=", "holds"),
        (0.1, 0.3, ">=", "undecided"),
        (0.1, 0.15, ">=", "broken"),
        (nan, nan, "<=", "undecided"),
    ],
)
def test_it_holds_where_the_whole_interval_does(low: float, high: float, op: str, found: str) -> None:
    assert verdict(low, high, 0.2, op) == found  # type: ignore[arg-type]


def test_along_one_parameter_there_is_an_interval() -> None:
    at = {"handler.rate_limit": "60/min"}
    ax = along(tables.sweep(POINTS), "delivery_latency_p99_s", at=at, limit=0.05, ax=tables.axes())
    (bars,) = ax.containers
    data, _, (spans,) = bars.lines  # type: ignore[attr-defined]
    assert (data.get_xdata().tolist(), data.get_ydata().tolist()) == ([50.0], [40.0])
    assert [point[1] for point in spans.get_segments()[0]] == pytest.approx([30.0, 60.0])
    assert tables.line(ax, "infinite")[0] == [100.0]
    assert tables.line(ax, "limit")[1] == [50.0, 50.0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("users of mobile", "delivery latency p99 (ms)")


def test_a_mean_without_an_interval_is_never_drawn_as_sure() -> None:
    points = {(50, "30/min"): (0.01, nan, nan), (100, "30/min"): (0.02, 0.01, 0.03), (50, "60/min"): (0.01, nan, nan)}
    table = tables.sweep(points)
    ax = heatmap(table, "delivery_latency_p99_s", limit=0.05, ax=tables.axes())
    outlined = [patch for patch in ax.patches if isinstance(patch, Rectangle) and not patch.get_hatch()]
    assert [(round(patch.get_x()), round(patch.get_y())) for patch in outlined] == [(1, 0)]
    assert "10" in tables.words(ax)
    curve = along(table, "delivery_latency_p99_s", at={"handler.rate_limit": "30/min"}, ax=tables.axes())
    assert tables.line(curve, "mean of too few") == ([50.0], [10.0])
    (bars,) = curve.containers
    assert bars.lines[0].get_xdata().tolist() == [100.0]  # type: ignore[attr-defined]


def test_words_are_places_in_their_order() -> None:
    table = tables.sweep({(50, "90/min"): (3.0, 2.0, 4.0), (50, "120/min"): (5.0, 4.0, 6.0)}, "lost")
    ax = along(table, "lost", ax=tables.axes())
    assert [text.get_text() for text in ax.get_xticklabels()] == ["90/min", "120/min"]
    assert ax.get_ylabel() == "lost (count)"


def test_numbers_are_drawn_in_their_order_whatever_that_of_the_grid_was() -> None:
    points = {(users, "30/min"): (float(users), users - 1.0, users + 1.0) for users in (12, 6, 9)}
    (bars,) = along(tables.sweep(points, "lost"), "lost", ax=tables.axes()).containers
    data, _, (spans,) = bars.lines  # type: ignore[attr-defined]
    assert data.get_xdata().tolist() == data.get_ydata().tolist() == [6.0, 9.0, 12.0]
    assert [point[1] for point in spans.get_segments()[0]] == [5.0, 7.0]


def test_a_metric_is_named_as_an_expectation_writes_it_too() -> None:
    sweep, at = tables.sweep(POINTS), {"handler.rate_limit": "30/min"}
    name, promise = "delivery_latency_p99_s", "p99(delivery_latency)"
    drawn = [
        [heatmap(sweep, metric, ax=tables.axes()) for metric in (name, promise)],
        [along(sweep, metric, at=at, ax=tables.axes()) for metric in (name, promise)],
    ]
    for by_name, as_promised in drawn:
        assert by_name.get_ylabel() == as_promised.get_ylabel()
        assert tables.words(by_name) == tables.words(as_promised)


def test_wrong_names_are_refused_with_the_nearest() -> None:
    table = tables.sweep(POINTS)
    with pytest.raises(UsageError, match=r"no metric delivery_latency_p9 \(did you mean delivery_latency_p99_s\?\)"):
        heatmap(table, "delivery_latency_p9")
    with pytest.raises(UsageError, match=r"no parameter handler.rate_limits \(did you mean handler.rate_limit\?\)"):
        heatmap(table, "delivery_latency_p99_s", x="handler.rate_limits")
    with pytest.raises(UsageError, match=r"the sweep has no column mean"):
        heatmap(table.drop(columns="mean"), "delivery_latency_p99_s")
    with pytest.raises(UsageError, match=r"handler.rate_limit varies too: fix it with at="):
        along(table, "delivery_latency_p99_s")
    with pytest.raises(UsageError, match=r"handler.rate_limit was never 90/min: it was 30/min, 60/min"):
        along(table, "delivery_latency_p99_s", at={"handler.rate_limit": "90/min"})
    one = table[table["handler.rate_limit"] == "30/min"]
    with pytest.raises(UsageError, match=r"draw one parameter with `along`"):
        heatmap(one, "delivery_latency_p99_s")


def test_a_number_is_read_on_its_cell_and_no_hatching_runs_through_it() -> None:
    means = [0.01 * step for step in range(1, 25)]
    points = {(50 * at, "30/min"): (mean, mean - 0.1, mean + 0.1) for at, mean in enumerate(means)}
    both = {**points, **{(at, "60/min"): (inf, 0.2, inf) for at, _ in points}}
    ax = heatmap(tables.sweep(both), "delivery_latency_p99_s", limit=0.12, ax=tables.axes())
    assert any(patch.get_hatch() for patch in ax.patches)
    image = ax.images[0]
    for text in ax.texts:
        margin = text.get_bbox_patch()
        assert margin is not None
        ground = to_rgb(margin.get_facecolor()[:3])
        x, y = (round(place) for place in text.get_position())
        value = np.ma.asarray(image.get_array())[y, x]
        if not np.ma.is_masked(value):
            assert ground == pytest.approx(to_rgb(image.to_rgba(np.array([value]))[0][:3]))
        assert contrast(to_rgb(text.get_color()), ground) > 4.5


@pytest.mark.parametrize(
    ("metric", "mean", "ends", "ticks"),
    [
        ("lost", 0.0, (0.0, 1.0), [0.0, 1.0]),
        ("lost", 3.0, (0.0, 3.0), [0.0, 1.0, 2.0, 3.0]),
        ("delivery_latency_p99_s", 0.04, (0.0, 40.0), None),
    ],
)
def test_where_all_are_equal_the_bar_is_one_of_what_can_be_and_a_number_stands_on_its_cell(
    metric: str, mean: float, ends: tuple[float, float], ticks: list[float] | None
) -> None:
    ax = heatmap(tables.sweep(dict.fromkeys(POINTS, (mean, mean, mean)), metric), metric, ax=tables.axes())
    ax.figure.canvas.draw()
    [image], bar = ax.images, ax.figure.axes[1]
    assert image.get_clim() == bar.get_ylim() == ends
    if ticks is not None:
        assert [tick for tick in bar.get_yticks() if ends[0] <= tick <= ends[1]] == ticks
    shown = [text.get_bbox_patch() for text in ax.texts if text.get_text() != "no\nsample"]
    assert len(shown) == 5
    cell = to_rgb(image.to_rgba(np.array([ends[1] if mean else 0.0]))[0][:3])
    for margin in shown:
        assert margin is not None
        assert to_rgb(margin.get_facecolor()[:3]) == pytest.approx(cell)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast(to_rgb("white"), to_rgb("black")) == pytest.approx(21.0)
    assert contrast(to_rgb("#777777"), to_rgb("white")) == pytest.approx(4.48, abs=0.01)


def test_a_number_of_a_group_has_its_unit() -> None:
    table = tables.sweep(POINTS, "delivery_latency_p99_s{group=mobile}")
    ax = along(table, "delivery_latency_p99_s{group=mobile}", at={"handler.rate_limit": "30/min"}, ax=tables.axes())
    assert ax.get_ylabel() == "delivery latency p99 of mobile (ms)"


@pytest.mark.parametrize("draw", [heatmap, along])
def test_a_limit_that_is_no_number_is_refused_with_the_number(draw: Callable[..., object]) -> None:
    at = {"at": {"handler.rate_limit": "60/min"}} if draw is along else {}
    with pytest.raises(UsageError, match=r"limit='120ms' is no number: give one of seconds, 0\.12$"):
        draw(tables.sweep(POINTS), "delivery_latency_p99_s", limit="120ms", **at)
    with pytest.raises(UsageError, match=r"limit=\[5\] is no number: give one$"):
        draw(tables.sweep(POINTS, "lost"), "lost", limit=[5], **at)
    with pytest.raises(UsageError, match=r"str is no table: give the sweep, what cs.sweep gave"):
        draw("table", "lost")


def test_an_operator_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no operator <"):
        heatmap(tables.sweep(POINTS), "delivery_latency_p99_s", limit=0.1, op="<")  # type: ignore[arg-type]
