"""A capacity report: one page that stands alone, the same in short as PDF, and the CSV and PNG of every figure.

Decides what is on it and in which order: the question, the answer, the knee, what is used, what it depends on, what
fails, and what it rests on. Rule: the same finding gives the same bytes, and nothing of the machine is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import msgspec
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages

from chatsim.analysis import pictures
from chatsim.analysis.capacity_found import WAITS, Finding, answer, fleet
from chatsim.analysis.pictures.canvas import GREEN, GREY, INK, VERMILLION
from chatsim.analysis.report import build, capacity_words, figures, pdf
from chatsim.analysis.report.capacity_words import failures, rows_of_loads, rows_of_swings, sizes
from chatsim.analysis.report.figures import Picture
from chatsim.store.document import encode

TEMPLATE: Final = Path(__file__).with_name("capacity.html")
NAME: Final = "capacity-report"
FOLDER: Final = "capacity"

__all__ = ["document", "failures", "page", "printed", "rows_of_loads", "rows_of_swings", "sizes", "written"]


def document(found: Finding) -> dict[str, Any]:
    """The finding as one JSON document, its answer in words first."""
    made: dict[str, Any] = msgspec.to_builtins(found)
    return {"answer": answer(found), "fleet": fleet(found), **made}


def written(found: Finding, out: Path, command: str) -> list[Path]:
    """Write the report as HTML and PDF into a folder, and what is behind it into `capacity/` there; returns the paths.

    All is made before anything is written. Raises OSError.
    """
    shown = capacity_words.validation(out)
    made: dict[Path, bytes] = {
        out / f"{NAME}.html": page(found, command, shown).encode("utf-8"),
        out / f"{NAME}.pdf": printed(found, command, shown),
        out / FOLDER / "capacity.json": f"{encode(document(found))}\n".encode(),
        out / FOLDER / "knee.csv": found.curve.to_csv(index=False).encode("utf-8"),
        out / FOLDER / "waits.csv": found.curve[list(WAITS)].to_csv(index=False).encode("utf-8"),
    }
    if found.swings:
        made[out / FOLDER / "tornado.csv"] = found.tornado.to_csv(index=False).encode("utf-8")
    for name, picture in _pictures(found):
        made[out / FOLDER / f"{name}.png"] = _png(picture)
    for path, content in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(made)


def page(found: Finding, command: str, validation: Sequence[str]) -> str:
    """The report as HTML; `command` finds the same again, `validation` is what is known of how right it is."""
    template = build.environment().from_string(TEMPLATE.read_text(encoding="utf-8"))
    all_tables = capacity_words.tables(found)
    drawn = [
        (name, {"title": picture.title, "svg": Markup(figures.svg(picture, number))})
        for number, (name, picture) in enumerate(_pictures(found), 1)
    ]
    content = {
        "title": title(found),
        "asked": capacity_words.asked(found),
        "description": found.description,
        "outcome": found.outcome,
        "answer": answer(found),
        "fleet": fleet(found),
        "headline": capacity_words.headline(found),
        "validated": validation[0],
        "knee": [picture for name, picture in drawn if name != "tornado"],
        "sensitivity": [picture for name, picture in drawn if name == "tornado"],
        "tables": all_tables,
        "use": capacity_words.use_table(found),
        "sizes": list(sizes(found)),
        "failures": list(failures(found)),
        "assumptions": list(capacity_words.assumptions(found)),
        "validation": validation,
        "command": command,
        "runs": found.runs,
        "seed": found.seed,
        "source": Markup(build.source(build.without_paths(found.words))),
    }
    return f"{template.render(content)}\n"


def title(found: Finding) -> str:
    """What the report is of."""
    return f"Capacity of one node: {build.printable(found.scenario)[:80]}"


def printed(found: Finding, command: str, validation: Sequence[str]) -> bytes:
    """The report in short, as PDF."""
    out = BytesIO()
    about = {"Title": title(found), "CreationDate": None, "Creator": None, "Producer": None}
    with PdfPages(out, metadata=about) as pages:
        pdf.text_pages(pages, _lines(found, command, validation))
        pdf.picture_pages(pages, (picture for _, picture in _pictures(found)))
    return out.getvalue()


def _lines(found: Finding, command: str, validation: Sequence[str]) -> Iterator[pdf.Line]:
    yield from pdf.wrapped(title(found), weight="bold")
    yield "normal", INK, ""
    yield from pdf.wrapped(_bare(capacity_words.asked(found)))
    yield "normal", INK, ""
    yield from pdf.wrapped(
        _bare(answer(found)), weight="bold", colour=GREEN if found.outcome == "found" else VERMILLION
    )
    if found.plan is not None:
        yield from pdf.wrapped(_bare(fleet(found)), weight="bold")
    for heading, texts in (
        ("What it uses", list(sizes(found))),
        ("Headroom and failures", list(failures(found))),
        ("Validation", list(validation)),
        ("What it rests on", list(capacity_words.assumptions(found))),
    ):
        if texts:
            yield "normal", INK, ""
            yield from pdf.wrapped(heading, weight="bold")
        for text in texts:
            yield from pdf.wrapped(f"- {_bare(text)}")
    yield "normal", INK, ""
    yield from pdf.wrapped(f"To see it again: {command}", colour=GREY)


def _bare(text: str) -> str:
    """A sentence without the marks of code and stress."""
    return re.sub(r"[`*]", "", text)


def _pictures(found: Finding) -> Iterator[tuple[str, Picture]]:
    """Every figure by the name of its file."""
    curve = found.curve
    latency = found.target.split("(", 1)[-1].startswith("delivery_latency")
    limit_s = found.limit if latency and found.unit == "s" else None
    low, high = (found.low, found.high) if found.outcome == "found" else (None, None)
    yield (
        "knee",
        Picture("The knee: latency and work over users", partial(_knee, curve, limit_s, low, high)),
    )
    yield "waits", Picture("The wait for the event loop, simulated and by theory", partial(_waits, curve))
    if found.swings:
        swings = found.tornado
        yield "tornado", Picture("What the capacity depends on", partial(_tornado, swings, found.base))


def _knee(curve: Any, limit_s: float | None, low: int | None, high: int | None, ax: Axes) -> Axes:
    return pictures.knee(curve, limit_s=limit_s, low=low, high=high, ax=ax)


def _waits(curve: Any, ax: Axes) -> Axes:
    return pictures.waits(curve, ax=ax)


def _tornado(swings: Any, base: int, ax: Axes) -> Axes:
    return pictures.tornado(swings, base, ax=ax)


def _png(picture: Picture) -> bytes:
    out = BytesIO()
    with figures.drawn(picture) as figure:
        figure.gca().set_title(picture.title)
        figures.settle(figure)
        figure.savefig(out, format="png", dpi=144, metadata={"Software": None})
    return out.getvalue()
