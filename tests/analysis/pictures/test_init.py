"""Every picture is drawn on the Axes that it is given, of a real run, and says what its axes are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes

from chatsim.analysis import pictures
from chatsim.analysis.pictures.validation import NEEDED
from tests.analysis.pictures import tables

OF_RUNS: dict[str, Callable[[Axes], Axes]] = {
    "ecdf": lambda ax: pictures.ecdf(tables.played("reconnect").messages, limit_s=0.1, by="group", ax=ax),
    "latency_over_time": lambda ax: pictures.latency_over_time(
        tables.played("reconnect").messages, tables.played("reconnect").events, limit_s=0.1, ax=ax
    ),
    "load_over_time": lambda ax: pictures.load_over_time(
        tables.played("reconnect").series, tables.played("reconnect").events, ax=ax
    ),
    "herd": lambda ax: pictures.herd(tables.played("reconnect").connections, ax=ax),
    "overlaid": lambda ax: pictures.overlaid({"sim": tables.played("reconnect").messages}, ax=ax),
    "quantiles": lambda ax: pictures.quantiles({"sim": tables.played("reconnect").messages}, ax=ax),
    "limiter": lambda ax: pictures.limiter(tables.played("limiter").messages, ax=ax),
    "retries": lambda ax: pictures.retries(tables.played("retries").attempts, ax=ax),
}


@pytest.mark.parametrize("name", OF_RUNS)
def test_a_real_run_is_drawn_with_words_that_do_not_cover_each_other(name: str) -> None:
    ax = tables.axes()
    assert OF_RUNS[name](ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    ax.figure.canvas.draw()
    legend = ax.get_legend()
    assert legend is not None
    box = legend.get_window_extent()
    assert box.y1 <= ax.xaxis.label.get_window_extent().y0 + 2.0
    edges = ax.figure.bbox
    assert (box.x0 >= edges.x0, box.x1 <= edges.x1, box.y0 >= edges.y0 - 1) == (True, True, True)


CURVE = ("users", "p50_s", "p95_s", "p99_s", "p99_low_s", "p99_high_s", "busy", "wait_s", "theory_wait_s")

OF_NOTHING: dict[str, Callable[[Axes], Axes]] = {
    "ecdf": lambda ax: pictures.ecdf(tables.messages(), limits_s={"web": 0.1}, by="group", ax=ax),
    "latency_over_time": lambda ax: pictures.latency_over_time(tables.messages(), tables.events(), ax=ax),
    "load_over_time": lambda ax: pictures.load_over_time(tables.series(), tables.events(), ax=ax),
    "herd": lambda ax: pictures.herd(tables.connections(), ax=ax),
    "heatmap": lambda ax: pictures.heatmap(tables.sweep({}), "lost", limit=3.0, ax=ax),
    "along": lambda ax: pictures.along(tables.sweep({}), "lost", at={"handler.rate_limit": "30/min"}, ax=ax),
    "differences": lambda ax: pictures.differences(tables.compared(), ax=ax),
    "overlaid": lambda ax: pictures.overlaid({"sim": tables.messages()}, ax=ax),
    "quantiles": lambda ax: pictures.quantiles({"sim": tables.messages()}, limit_s=0.1, ax=ax),
    "limiter": lambda ax: pictures.limiter(tables.messages(), ax=ax),
    "retries": lambda ax: pictures.retries(tables.attempts(), ax=ax),
    "knee": lambda ax: pictures.knee(pd.DataFrame(columns=list(CURVE)), limit_s=0.1, low=1, high=2, ax=ax),
    "waits": lambda ax: pictures.waits(pd.DataFrame(columns=list(CURVE)), ax=ax),
    "tornado": lambda ax: pictures.tornado(pd.DataFrame(columns=["factor", "says", "users"]), 100, ax=ax),
    "equivalence": lambda ax: pictures.equivalence(pd.DataFrame(columns=list(NEEDED)), ax=ax),
}


@pytest.mark.parametrize("name", [name for name in pictures.__all__ if name != "style"])
def test_of_an_empty_table_every_picture_says_that_there_is_nothing(name: str) -> None:
    ax = OF_NOTHING[name](tables.axes())
    [word] = tables.words(ax)
    assert word.startswith("no") or word.startswith("nothing"), word
    ax.figure.canvas.draw()


def test_the_example_of_the_readme_runs() -> None:
    text = (Path(__file__).parents[3] / "chatsim" / "README.md").read_text(encoding="utf-8")
    [example] = [block for block in text.split("```python\n")[1:] if "cs.pictures.ecdf" in block.partition("```")[0]]
    pyplot.switch_backend("agg")
    there = set(pyplot.get_fignums())
    exec(example.partition("```")[0], {})
    made = set(pyplot.get_fignums()) - there
    assert len(made) == 3
    for number in made:
        pyplot.close(number)


def test_everything_that_it_names_is_there() -> None:
    assert all(callable(getattr(pictures, name)) for name in pictures.__all__)
    assert set(OF_RUNS) < set(pictures.__all__)
