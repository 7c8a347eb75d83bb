"""The same report in short, as PDF: the verdicts, then each run's promises and its pictures.

Decides what fits on a page. Rule: what is said is what `build` says; matplotlib draws it, so that nothing else is to be
installed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Final

from matplotlib.backends.backend_pdf import PdfPages

from chatsim.analysis.kept import KeptResult
from chatsim.analysis.pictures.canvas import GREEN, GREY, INK, VERMILLION
from chatsim.analysis.report import build, figures
from chatsim.analysis.report.figures import Picture
from chatsim.analysis.results import Run

PAGE_IN: Final = (8.27, 11.69)
"""A4, upright."""
LINES: Final = 62
"""Lines of text on a page."""
COLUMNS: Final = 96

Line = tuple[str, str, str]
"""A line of text: its weight, its colour and its words."""


def document(results: Sequence[build.Kept]) -> bytes:
    """The report as PDF."""
    out = BytesIO()
    with PdfPages(
        out, metadata={"Title": build.title_of(results), "CreationDate": None, "Creator": None, "Producer": None}
    ) as pages:
        text_pages(pages, verdicts(results))
        for _, named in build.together(results):
            picture_pages(pages, build.several(named))
        for result in results:
            text_pages(pages, of_run(result))
            if isinstance(result, KeptResult):
                picture_pages(pages, figures.of_run(Run(result, None), result))
    return out.getvalue()


def verdicts(results: Sequence[build.Kept]) -> Iterator[Line]:
    """The first pages: what became of each, and what that means."""
    yield from wrapped(build.title_of(results), weight="bold")
    yield "normal", INK, ""
    for result in results:
        run = build.facts(result)
        head = f"{run['verdict'].upper()}  {run['scenario']} on {run['wire']}, {run['of']}: {run['count']}"
        yield from wrapped(head, colour=colour_of(run["verdict"]))
        for text in run["meaning"]:
            yield from wrapped(f"- {text}")
        yield "normal", INK, ""


def of_run(result: build.Kept) -> Iterator[Line]:
    """The pages of one: its promises, what was done to it, and what it rests on."""
    run = build.facts(result)
    yield from wrapped(f"{run['scenario']} on {run['wire']}, {run['of']}", weight="bold")
    yield from wrapped(f"{run['description']}")
    yield "normal", INK, ""
    for verdict, text in run["lines"]:
        yield from wrapped(f"{verdict:<13}{text}", colour=colour_of(verdict))
    yield "normal", INK, ""
    for at, fault, _, touched in run["faults"].rows if run["faults"] is not None else ():
        yield from wrapped(f"{at}: {fault}, {touched}")
    yield "normal", INK, ""
    for text in run["assumptions"]:
        yield from wrapped(text, colour=GREY)
    yield from wrapped(f"Not modelled: {run['not_modelled']}.", colour=GREY)
    yield "normal", INK, ""
    yield from wrapped(f"To see it again, with the folder's scenario.json under that name: {run['again']}")


def colour_of(verdict: str) -> str:
    """The colour of a verdict: what was skipped, or is not decided, is neither good nor bad."""
    return {"pass": GREEN, "skipped": GREY, "inconclusive": GREY}.get(verdict, VERMILLION)


def wrapped(text: str, *, weight: str = "normal", colour: str = INK) -> Iterator[Line]:
    """The text as lines of a page, each with its weight and colour."""
    for line in textwrap.wrap(build.printable(text), COLUMNS, subsequent_indent="  ") or [""]:
        yield weight, colour, line


def text_pages(pages: PdfPages, lines: Iterator[Line]) -> None:
    """As many pages as the lines need."""
    left = list(lines)
    while left:
        now, left = left[:LINES], left[LINES:]
        nothing = Picture("", lambda ax: ax)
        with figures.drawn(nothing) as figure:
            figure.clear()
            figure.set_size_inches(*PAGE_IN)
            for place, (weight, colour, words) in enumerate(now):
                figure.text(
                    0.08,
                    0.94 - 0.0142 * place,
                    words,
                    weight=weight,
                    color=colour,
                    fontsize=9,
                    va="top",
                    parse_math=False,
                )
            pages.savefig(figure)  # type: ignore[no-untyped-call]


def picture_pages(pages: PdfPages, found: Iterator[Picture]) -> None:
    """A picture a page would be much paper: three stand on one."""
    left = list(found)
    while left:
        now, left = left[:3], left[3:]

        with figures.drawn(Picture("", lambda ax: ax)) as figure:
            figure.clear()
            figure.set_size_inches(*PAGE_IN)
            height = 0.3 * len(now)
            figure.set_layout_engine("constrained", rect=(0.07, 0.95 - height, 0.86, height), hspace=0.04)
            for axes, picture in zip(figure.subplots(len(now), 1, squeeze=False)[:, 0], now, strict=True):
                picture.draw(axes)
                # The numbers of faults stand between a picture and its title.
                axes.set_title(picture.title, pad=14)
            figures.settle(figure)
            pages.savefig(figure)  # type: ignore[no-untyped-call]
