"""The pictures of a capacity: what is drawn, what is marked, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from chatsim.analysis.pictures.capacity import knee, tornado, waits
from chatsim.errors import UsageError
from tests.analysis.capacity_made import finding
from tests.analysis.pictures import tables


def axes() -> Axes:
    return Figure().subplots()


def labels(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_the_knee_has_its_quantiles_limit_capacity_and_load() -> None:
    ax = knee(finding().curve, limit_s=0.1, low=1000, high=1020, ax=axes())
    assert labels(ax)[:3] == ["p99", "p95", "p50"]
    assert {"limit 100 ms", "capacity, 95 %", "event loop busy", "p99, all runs"} <= set(labels(ax))
    assert ax.get_ylim() == (0.0, 250.0)
    (p99,) = [line for line in ax.get_lines() if line.get_label() == "p99"]
    assert np.asarray(p99.get_xdata()).tolist() == [250, 700, 1000, 1020, 1200]
    assert float(np.asarray(p99.get_ydata())[0]) == pytest.approx(60.6, abs=0.1)


def test_what_lies_above_the_edge_is_marked_there() -> None:
    ax = knee(finding().curve, limit_s=0.1, ax=axes())
    (mark,) = [line for line in ax.get_lines() if line.get_label() == "p99 above the edge"]
    assert np.asarray(mark.get_xdata()).tolist() == [1200]
    assert "p99 above the edge" not in labels(knee(finding().curve, ax=axes()))


def test_the_wait_stands_beside_its_theory() -> None:
    ax = waits(finding().curve, ax=axes())
    assert labels(ax) == ["simulated", "M/G/1 (theory)"]
    simulated, theory = ax.get_lines()
    # At 1,200 users it is saturated.
    assert [np.asarray(line.get_xdata()).size for line in (simulated, theory)] == [4, 4]


def test_bars_begin_at_the_base_and_the_widest_is_on_top() -> None:
    ax = tornado(finding().tornado, 1000, ax=axes())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["message rate", "room size"]
    bars = [patch.get_bbox() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert sorted((round(bar.x0), round(bar.x1)) for bar in bars) == [(1000, 800), (1000, 1240), (1000, 2000)]
    assert {text.get_text() for text in ax.texts} == {"x 0.8", "x 1.25", "5"}


def test_nothing_to_draw_is_said_in_the_picture() -> None:
    curve, swings = finding().curve, finding().tornado
    for ax in (
        knee(curve[:0], ax=axes()),
        waits(curve[:0], ax=axes()),
        tornado(swings[swings["users"] < 0], 1000, ax=axes()),
    ):
        assert len(ax.texts) == 1


def test_a_table_without_the_columns_is_refused() -> None:
    with pytest.raises(UsageError, match="has no column p50_s"):
        knee(finding().tornado, ax=axes())
    with pytest.raises(UsageError, match="has no column"):
        tornado(finding().curve, 1, ax=axes())
    with pytest.raises(UsageError, match="has no column"):
        waits(finding().tornado, ax=axes())


@pytest.mark.parametrize(
    ("base", "users"),
    [(40, [20, 104, 30, 10]), (40, [20, 104, 3, 10]), (1000, [20, 2000, 3, 1010]), (10, [5, 3000, 4, 900])],
)
def test_no_axis_of_users_begins_below_none_and_every_word_is_within(base: int, users: list[int]) -> None:
    says = ["10", "2", "in bursts of 250 ms", "x 2"]
    factors = ["room size", "room size", "burstiness", "latency"]
    ax = tornado(pd.DataFrame({"factor": factors, "says": says, "users": users}), base, ax=tables.axes())
    assert ax.get_xlim()[0] >= 0.0
    assert {text.get_text() for text in ax.texts} == set(says)
    ax.figure.canvas.draw()
    inside = ax.get_window_extent()
    for text in ax.texts:
        seen = text.get_window_extent()
        assert inside.x0 <= seen.x0
        assert seen.x1 <= inside.x1


def test_the_wait_says_for_what_and_its_axis_has_plain_numbers() -> None:
    ax = waits(finding().curve, ax=axes())
    assert ax.get_ylabel() == "mean wait for the event loop (ms)"
    assert ax.yaxis.get_major_formatter()(10.0, 0) == "10"


def test_a_limit_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match=r"limit_s='100ms' is no number"):
        knee(finding().curve, limit_s="100ms", ax=axes())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"Finding is no table: give the curve"):
        knee(finding(), ax=axes())  # type: ignore[arg-type]
