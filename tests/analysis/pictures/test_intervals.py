"""What differs is filled, what luck explains is hollow, and what has no place on the axis is named."""

from __future__ import annotations

from math import inf

import pytest
from matplotlib.axes import Axes

from chatsim.analysis.compared import Compared
from chatsim.analysis.pictures import differences
from chatsim.analysis.pictures.intervals import ROWS_MAX
from chatsim.errors import UsageError
from tests.analysis.pictures import tables
from tests.analysis.test_compared import LUCK, replicated


def drawn(ax: Axes) -> dict[str, list[float]]:
    """The middles by what the legend says of them."""
    return {str(bars.get_label()): [float(x) for x in bars.lines[0].get_xdata()] for bars in ax.containers}  # type: ignore[attr-defined]


def test_differences_are_shares_of_the_first_mean() -> None:
    table = tables.compared(("sent", 200.0, 20.0, 10.0, 30.0), ("delivery_latency_p99_s", 0.1, -0.02, -0.05, 0.01))
    ax = differences(table, ["sent", "delivery_latency_p99_s"], ax=tables.axes())
    assert drawn(ax) == {"differs": [10.0], "luck explains it": [pytest.approx(-20.0)]}
    assert [text.get_text() for text in ax.get_yticklabels()] == ["sent", "delivery_latency_p99_s"]
    assert {"+20", "-20 ms", "b - a"} <= set(tables.words(ax))
    assert ax.get_xlabel() == "difference b - a, with its 95 % interval (% of a's mean)"


def test_without_names_what_differs_is_shown() -> None:
    later = [value + 0.05 for value in LUCK]
    found = Compared(
        replicated("a", delivery_latency_p99_s=LUCK, delivery_latency_p90_s=LUCK, lost=LUCK),
        replicated("b", delivery_latency_p99_s=later, delivery_latency_p90_s=later, lost=LUCK),
    )
    ax = differences(found, ax=tables.axes())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["delivery_latency_p99_s"]


def test_what_has_no_share_is_named() -> None:
    table = tables.compared(
        ("lost", 0.0, 3.0, 1.0, 5.0), ("undelivered", 1.0, inf, inf, inf), ("sent", 10.0, 1.0, 0.5, 1.5)
    )
    assert tables.labels(differences(table, ax=tables.axes())) == ["not drawn: lost, undelivered", "differs"]
    only = differences(table.iloc[:1], ax=tables.axes())
    assert tables.words(only) == ["no share of a, or no interval: lost"]


def test_of_many_the_surest_are_shown_and_the_rest_is_named() -> None:
    table = tables.compared(*[(f"number{n:02}", 10.0, 1.0, 1.0 - n / 100, 1.0 + n / 100) for n in range(1, 26)])
    ax = differences(table, ax=tables.axes())
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == [f"number{n:02}" for n in range(1, ROWS_MAX + 1)]
    assert tables.labels(ax)[0] == "not drawn: number19, number20 and 5 more"


def test_numbers_are_named_as_expectations_write_them_too() -> None:
    table = tables.compared(("delivery_latency_p95_s", 0.1, 0.02, 0.01, 0.03), ("sent", 200.0, 20.0, 10.0, 30.0))
    ax = differences(table, ["p95(delivery_latency)"], ax=tables.axes())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["delivery_latency_p95_s"]


def test_no_difference_says_so_and_wrong_names_are_refused() -> None:
    same = tables.compared(("sent", 200.0, 0.0, -1.0, 1.0))
    assert tables.words(differences(same, ax=tables.axes())) == ["no number differs"]
    nothing = Compared(replicated("a", sent=LUCK), replicated("b", sent=LUCK)).changed()
    assert tables.words(differences(nothing, ax=tables.axes())) == ["no number differs"]
    with pytest.raises(UsageError, match=r"there is no metric sent$"):
        differences(nothing, ["sent"])
    with pytest.raises(UsageError, match=r"no metric sents \(did you mean sent\?\)"):
        differences(same, ["sents"])
    with pytest.raises(UsageError, match="the comparison has no column a"):
        differences(same.drop(columns="a"))


def test_every_difference_has_its_unit() -> None:
    names = ["delivery_latency_p99_s{group=web}", "utilisation_max", "utilisation_count", "drain_time_max_s"]
    table = tables.compared(
        *[(name, 4.0, by, by, by) for name, by in zip(names, [0.00353612, -0.25, 3.0, 2.0], strict=True)]
    )
    ax = differences(table, names, ax=tables.axes())
    assert tables.words(ax)[:4] == ["+3.536 ms", "-25 %", "+3", "+2 s"]
