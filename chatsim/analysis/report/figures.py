"""Which pictures a report shows of a run, and how each becomes SVG.

Decides that a picture is shown where there is something to see. Rule: the same run gives the same bytes, and a picture
holds no address, no date and no name of the program that made it.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import matplotlib as mpl
import msgspec
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from chatsim.analysis import pictures
from chatsim.analysis.kept import KeptResult
from chatsim.analysis.pictures.flow import returns
from chatsim.analysis.results import Run
from chatsim.core.config import HandlerConfig
from chatsim.errors import UsageError
from chatsim.journal.lives import is_elsewhere
from chatsim.scenario.expectations import parse_expectation
from chatsim.scenario.model import Scenario

SIZE_IN: Final = (7.2, 3.8)

Draw = Callable[[Axes], Axes]


class Picture(msgspec.Struct, frozen=True):
    """A picture that is yet to be drawn, what it shows, and how high it is to be (inches)."""

    title: str
    draw: Draw
    height_in: float = SIZE_IN[1]


def of_run(run: Run, result: KeptResult) -> Iterator[Picture]:
    """The pictures that make sense for a run, the most telling first."""
    groups = sorted(run.messages["group"].unique())
    limits = limits_of(result)
    # What is promised of the only group is promised of all who are drawn.
    limit_s = limits.get("", limits.get(groups[0]) if len(groups) == 1 else None)
    by = "group" if 1 < len(groups) <= 6 else None
    single = {group: limits[group] for group in groups if by and group in limits}
    yield Picture("How long deliveries took", partial(_ecdf, run, limit_s, single, by))
    yield Picture("Deliveries over time", partial(_over_time, run, limit_s))
    if is_elsewhere(result.wire):
        return  # who was connected, and what the handler did, stands in a journal, and there is none
    # The faults of a live run are dated by the crowd's clock, and the series by the server's.
    shaded = result.wire != "live"
    yield Picture("Connections and queues over time", partial(_load, run, shaded))
    if returns(run.connections).size >= 2:
        yield Picture("Who came back, and when", partial(_herd, run))
    config = config_of(result)
    if result.counters.get("rate_limited") and config is not None:
        yield Picture("The rate limit, as one sender met it", partial(_limiter, run, config))
    if result.counters.get("retries"):
        yield Picture("Messages that were sent again", partial(_retries, run))


def of_several(runs: Mapping[str, Run], limit_s: float | None) -> Iterator[Picture]:
    """The pictures of several runs of one scenario over each other."""
    tables = {name: run.messages for name, run in runs.items()}
    yield Picture("Deliveries of each run", lambda ax: pictures.overlaid(tables, limit_s=limit_s, ax=ax))
    yield Picture("Quantiles of each run", lambda ax: pictures.quantiles(tables, limit_s=limit_s, ax=ax))


def limits_of(result: KeptResult) -> dict[str, float]:
    """The upper limits (s) that the scenario sets to its delivery latency, each that on the highest quantile: of a
    group by its name, and that of all people by the empty one."""
    found: dict[str, list[tuple[float, float]]] = {}
    for judged in result.expectations:
        try:
            promise = parse_expectation(judged.text)
        except ValueError:
            continue
        if promise.metric == "delivery_latency" and promise.unit == "s" and promise.op in ("<=", "<"):
            quantile = {"max": 100.0, "mean": 0.0, "min": 0.0}.get(f"{promise.aggregate}")
            height = float(f"{promise.aggregate}"[1:]) if quantile is None else quantile
            found.setdefault(promise.group or "", []).append((height, judged.limit))
    return {group: max(limits)[1] for group, limits in found.items()}


def limit_of(result: KeptResult) -> float | None:
    """The one for all people."""
    return limits_of(result).get("")


def config_of(result: KeptResult) -> HandlerConfig | None:
    """The handler's configuration as it was played; None where its scenario was not kept, or cannot be read."""
    if not result.words:
        return None
    try:
        scenario = Scenario.of(result.words)
    except UsageError:
        return None
    return (scenario.with_live_overrides().scaled() if result.wire == "live" else scenario).handler


def _ecdf(run: Run, limit_s: float | None, single: Mapping[str, float], by: str | None, ax: Axes) -> Axes:
    return pictures.ecdf(run.messages, limit_s=limit_s, limits_s=single, by=by, ax=ax)


def _over_time(run: Run, limit_s: float | None, ax: Axes) -> Axes:
    return pictures.latency_over_time(run.messages, run.events, limit_s=limit_s, ax=ax)


def _load(run: Run, shaded: bool, ax: Axes) -> Axes:
    return pictures.load_over_time(run.series, run.events if shaded else None, ax=ax)


def _herd(run: Run, ax: Axes) -> Axes:
    return pictures.herd(run.connections, ax=ax)


def _limiter(run: Run, config: HandlerConfig, ax: Axes) -> Axes:
    return pictures.limiter(run.messages, limit=config.rate_limit, window_s=config.rate_window_s, ax=ax)


def _retries(run: Run, ax: Axes) -> Axes:
    return pictures.retries(run.attempts, ax=ax)


@contextmanager
def drawn(picture: Picture) -> Iterator[Figure]:
    """The figure of a picture, in the style, without pyplot."""
    with pictures.style(), warnings.catch_warnings():
        # A letter that the font lacks is a box, and no news.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure = Figure(figsize=(SIZE_IN[0], picture.height_in), layout="constrained")
        FigureCanvasAgg(figure)
        picture.draw(figure.subplots())
        yield figure


def settle(figure: Figure) -> None:
    """Lay the figure out for good, on places of a ten-thousandth of its size.

    The solver takes the edges in the order of their addresses in memory, so that the last digits differ from one
    drawing to the next, and with them the bytes of a file.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position(original=True).bounds
        axes.set_position((round(left, 4), round(bottom, 4), round(width, 4), round(height, 4)))


def svg(picture: Picture, number: int) -> str:
    """The picture as SVG to stand inside a page; `number` keeps its ids apart from those of the others."""
    out = io.StringIO()
    with drawn(picture) as figure, mpl.rc_context({"svg.hashsalt": f"chatsim-{number}"}):
        settle(figure)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Groups are named alike in every picture, and nothing refers to them.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    return _plain_head(text)


def _plain_head(text: str) -> str:
    """The SVG without a fixed size: the page gives it one."""
    head, close, rest = text.partition(">")
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", head)
    return f'{head} role="img"{close}{rest}'


def names(results: Sequence[KeptResult]) -> list[str]:
    """A name for each run that tells it from the others."""
    plain = [f"{result.wire}, seed {result.seed}" for result in results]
    return [
        name if plain.count(name) == 1 else f"{name} ({plain[: place + 1].count(name)})"
        for place, name in enumerate(plain)
    ]
