"""Nothing outside of the Axes is changed, and what names say stays a name."""

from __future__ import annotations

import warnings
from math import inf

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot

from chatsim.analysis.pictures import ecdf, style
from chatsim.analysis.pictures.canvas import (
    COLOURS,
    STYLE,
    TABLES,
    Unit,
    kept_places,
    needs,
    number,
    one_of,
    path_words,
    plain_text,
    words_of,
)
from chatsim.errors import UsageError
from tests.analysis.pictures import tables


def test_settings_stay_what_they_are() -> None:
    before = dict(mpl.rcParams)
    ecdf(tables.messages(0.01, 0.2), ax=tables.axes())
    with style():
        assert mpl.rcParams["axes.spines.top"] is False
    assert dict(mpl.rcParams) == before


def test_without_axes_there_is_a_new_figure_and_an_error_leaves_none() -> None:
    pyplot.switch_backend("agg")
    there = pyplot.get_fignums()
    first, second = ecdf(tables.messages(0.01)), ecdf(tables.messages(0.01))
    assert first.figure is not second.figure
    with pytest.raises(UsageError):
        ecdf(tables.messages(0.01), "nonsense")
    assert len(pyplot.get_fignums()) == len(there) + 2
    for ax in (first, second):
        assert ax.figure.get_layout_engine() is not None
        pyplot.close(ax.figure)  # type: ignore[arg-type]


def test_what_is_no_axes_is_refused() -> None:
    with pytest.raises(UsageError, match="ax=5: give the Axes to draw on"):
        ecdf(tables.messages(0.1), ax=5)  # type: ignore[arg-type]


def test_the_cycle_of_colours_is_the_safe_one() -> None:
    with style():
        cycle = [f"#{entry['color'].lstrip('#')}" for entry in mpl.rcParams["axes.prop_cycle"]]
    assert set(cycle[:6]) == set(COLOURS[:6])
    assert STYLE.is_file()


def test_a_name_is_one_line_and_no_mathematics() -> None:
    assert plain_text("a$b$\n\u202e") == r"a\$b\$" + "\ufffd\ufffd"
    assert len(plain_text("x" * 500)) == 28
    assert words_of("delivery_latency_s") == "delivery latency"
    hostile = tables.messages(0.01, 0.02, group=["$\\frac{", "<script>"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = ecdf(hostile, by="group", ax=tables.axes())
        ax.figure.canvas.draw()


def test_a_unit_is_that_of_the_greatest() -> None:
    assert Unit(np.array([0.1, 1.9])).name == "ms"
    assert Unit(np.array([0.1, np.inf]), 5.0).name == "s"
    assert Unit(np.array([])).name == "ms"


def test_of_few_points_all_are_kept_and_of_many_the_ends() -> None:
    assert kept_places(3).tolist() == [0, 1, 2]
    places = kept_places(100_000, [51_234])
    assert {0, 51_234, *range(99_500, 100_000)} <= set(places.tolist())
    assert places.size <= 2001
    assert (np.diff(places) > 0).all()


def test_an_unknown_word_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"there is no metric losst \(did you mean lost\?\)"):
        one_of("losst", ["lost", "sent"], "metric")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("groups.people.users", "users of people"),
        ("groups.people.messages.rate", "message rate of people"),
        ("events.0.for", "duration of the first event"),
        ("events.1.at", "moment of the second event"),
        ("events.12.count", "count of event 12"),
        ("handler.rate_limit", "rate limit"),
        ("users", "users"),
        ("log.latency", "log latency"),
        ("groups", "groups"),
        ("handler", "handler"),
    ],
)
def test_a_place_of_a_file_reads_as_people_say_it(path: str, said: str) -> None:
    assert path_words(path) == said


def test_a_number_of_a_group_names_it() -> None:
    assert words_of("delivery_latency_p99_s{group=web}") == "delivery latency p99 of web"


def test_what_is_no_number_is_refused_and_what_is_none_is_none() -> None:
    for fine in (None, 0, 0.1, np.float64(0.1), np.int64(3), inf):
        number(fine, "limit_s")
    for wrong in (True, float("nan"), "soon", [0.1]):
        with pytest.raises(UsageError, match=r"is no number: give one of seconds$"):
            number(wrong, "limit_s")
    with pytest.raises(UsageError, match=r"^limit_s='100ms' is no number: give one of seconds, 0\.1$"):
        number("100ms", "limit_s")


def test_what_is_no_table_is_refused_with_where_one_is() -> None:
    for what, where in TABLES.items():
        with pytest.raises(UsageError, match=f"^int is no table: give {what}, {where}$"):
            needs(5, [], what)
