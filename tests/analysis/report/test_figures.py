"""A picture in a page is the same every time, and knows the limits of its scenario."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from matplotlib.axes import Axes

from chatsim.analysis.report import figures
from chatsim.analysis.report.figures import Picture
from chatsim.analysis.results import Run
from chatsim.verdict.judge import Judged
from tests.analysis.report import kept


def drawing(text: str) -> Picture:
    def draw(ax: Axes) -> Axes:
        ax.plot([1, 2], [3, 4], marker="o")
        ax.set_title(text)
        return ax

    return Picture("t", draw)


def test_it_is_plain_svg_and_the_same_every_time() -> None:
    text = figures.svg(drawing("a < b & c"), 1)
    assert text == figures.svg(drawing("a < b & c"), 1)
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert "viewBox" in root.attrib
    assert not {"width", "height"} & set(root.attrib)
    assert "a < b & c" in "".join(root.itertext())
    assert "matplotlib" not in text.lower().replace("matplotlib.axis", "")
    assert "metadata" not in text


def test_a_figure_that_is_settled_stands_on_round_places() -> None:
    with figures.drawn(drawing("a < b")) as figure:
        figures.settle(figure)
        places = figure.gca().get_position().bounds
        figure.draw_without_rendering()
        assert figure.gca().get_position().bounds == pytest.approx(places, abs=1e-12)
    assert places == pytest.approx([round(place, 4) for place in places], abs=1e-12)
    assert places[2] > 0.5, "the layout was made before it was fixed"


def test_letters_that_the_font_lacks_are_no_news() -> None:
    assert "svg" in figures.svg(drawing("中文 العربية \U0001f600"), 1)


def test_the_limit_is_that_on_the_highest_quantile() -> None:
    def limited(*texts: str) -> float | None:
        found = [Judged(text, 0.0, float(place + 1), "pass", 1, "s") for place, text in enumerate(texts)]
        return figures.limit_of(msgspec.structs.replace(kept.result(), expectations=found))

    assert limited("p50(delivery_latency) <= 50ms", "p99(delivery_latency) <= 100ms", "nonsense") == 2.0
    assert limited("max(delivery_latency) < 1s", "p99(delivery_latency) <= 100ms") == 1.0
    assert limited("lost == 0", "p99(delivery_latency) >= 1ms", "p99(ack_latency) <= 100ms") is None


def test_the_limit_of_a_group_is_drawn_for_that_group_alone() -> None:
    expectations = [
        Judged("p99(delivery_latency) <= 100ms", 0.0, 0.1, "pass", 1, "s"),
        Judged("max(delivery_latency, group=people) <= 20ms", 0.0, 0.02, "pass", 1, "s"),
        Judged("p50(delivery_latency, group=people) <= 10ms", 0.0, 0.01, "pass", 1, "s"),
    ]
    one = msgspec.structs.replace(kept.result(), expectations=expectations)
    assert figures.limits_of(one) == {"": 0.1, "people": 0.02}
    assert figures.limit_of(one) == 0.1
    run = Run(one, None)
    (curves, *_) = figures.of_run(run, one)
    assert "limit 100 ms: " in figures.svg(curves, 1)
    half = len(run.messages) // 2
    run.messages["group"] = ["people"] * half + ["others"] * (len(run.messages) - half)
    (curves, over_time, *_) = figures.of_run(run, one)
    assert "limit 20 ms of people: " in figures.svg(curves, 1)
    assert "limit 100 ms of all" in figures.svg(curves, 1)
    only = msgspec.structs.replace(one, expectations=expectations[1:])
    run = Run(only, None)
    (curves, over_time, *_) = figures.of_run(run, only)
    assert "limit 20 ms: " in figures.svg(curves, 1), "what is promised of the only group is promised of all"
    run.messages["group"] = ["others"] * len(run.messages)
    (curves, over_time, *_) = figures.of_run(run, only)
    assert "limit" not in figures.svg(curves, 1)
    assert "limit" not in figures.svg(over_time, 1)


def test_the_handler_is_that_which_was_played() -> None:
    one = kept.result()
    config = figures.config_of(one)
    assert config is not None
    assert (config.rate_limit, config.rate_window_s) == (30, 60.0)
    live = figures.config_of(msgspec.structs.replace(one, wire="live"))
    assert live is not None
    assert live.rate_window_s == 6.0
    assert figures.config_of(msgspec.structs.replace(one, words={})) is None
    assert figures.config_of(msgspec.structs.replace(one, words={"name": 3})) is None


@pytest.mark.parametrize(("wire", "shaded"), [("sim", True), ("live", False)])
def test_faults_are_shaded_where_the_clock_is_theirs(wire: str, shaded: bool) -> None:
    one = msgspec.structs.replace(kept.result(), wire=wire)
    load = next(picture for picture in figures.of_run(Run(one, None), one) if picture.title.startswith("Connections"))
    assert ("drop at 10 s" in figures.svg(load, 1)) == shaded


def test_runs_have_names_that_tell_them_apart() -> None:
    one = kept.result()
    other = msgspec.structs.replace(one, seed=2)
    assert figures.names([one, other, one]) == ["sim, seed 1 (1)", "sim, seed 2", "sim, seed 1 (2)"]


def test_a_picture_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    figures.svg(drawing("x"), 1)
    assert list(tmp_path.iterdir()) == []
