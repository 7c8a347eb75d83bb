"""Each pair's numbers stand in their rows, told apart by colour and filling, and at the edge where the axis ends."""

from __future__ import annotations

from math import inf

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from chatsim.analysis.pictures import equivalence
from chatsim.analysis.pictures.validation import EDGES, height_in
from chatsim.analysis.validation import BAND
from chatsim.errors import UsageError
from tests.analysis.pictures import tables

PAIRS = pd.DataFrame(
    [
        ("fives", "delivery_latency_p50", 1.02, 0.95, 1.1, True),
        ("fives", "utilisation", 1.4, 1.3, 1.5, False),
        ("hall", "delivery_latency_p50", 9.0, 0.1, inf, False),
    ],
    columns=["pair", "metric", "ratio", "low", "high", "equivalent"],
)


def points(ax: Axes) -> dict[str, list[tuple[float, int]]]:
    """The ratios by colour, each with the pair's place that it is nearest to."""
    found: dict[str, list[tuple[float, int]]] = {}
    for line in ax.lines:
        if line.get_marker() == "o":
            dots = np.asarray(line.get_xydata(), dtype=np.float64)
            found.setdefault(str(line.get_color()), []).extend((float(x), round(float(y))) for x, y in dots)
    return found


def test_what_is_equivalent_is_told_from_what_is_not() -> None:
    ax = equivalence(PAIRS, ax=tables.axes())
    by_colour = points(ax)
    assert sorted(by_colour.values()) == [[(1.02, 0)], [(1.4, 0), (EDGES[1], 1)]]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["fives", "hall"]
    assert ax.yaxis_inverted()
    legend = ax.get_legend()
    assert legend is not None
    assert {"as good as equal", "not shown to be"} == {text.get_text() for text in legend.get_texts()}
    assert {f"{edge:g}" for edge in BAND} <= {text.get_text() for text in ax.get_xticklabels()}


def test_an_interval_without_an_end_ends_at_the_edge() -> None:
    ax = equivalence(PAIRS[PAIRS.pair == "hall"], ax=tables.axes())
    drawn = [lines for lines in ax.collections if isinstance(lines, LineCollection)]
    [segment] = [each for lines in drawn for each in lines.get_segments()]
    assert [float(x) for x, _ in segment] == list(EDGES)


def test_nothing_judged_is_said() -> None:
    assert "no pair could be judged" in tables.words(equivalence(PAIRS[:0], ax=tables.axes()))


def test_many_pairs_get_the_room_they_need() -> None:
    assert height_in(20) > height_in(10) > height_in(1) > 0


def test_a_table_without_a_column_is_refused_with_its_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"the table of pairs has no column ratio.*ratios"):
        equivalence(PAIRS.rename(columns={"ratio": "ratios"}))
