"""The few shapes that a drawing is made of, as SVG that stands alone.

Decides how text gets into a drawing: escaped, without characters that XML cannot hold, and cut to its place. Rule: a
text is never wider than it was given room for, since names and ids are chosen by peers.
Where a shape stands is left to whoever draws.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal, TypeAlias
from xml.etree import ElementTree

Anchor: TypeAlias = Literal["start", "middle", "end"]

INK: Final = "#1f2328"
FONT: Final = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
FONT_PX: Final = 11.0
CELL_PX: Final = FONT_PX * 0.62
"""Width of one letter: of the common fonts of equal widths none is wider."""

_NOT_XML: Final = re.compile("[^\t\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """The text with a replacement for every character that XML, or a line of text, cannot hold."""
    return _NOT_XML.sub("\ufffd", text.replace("\t", " ").replace("\n", " "))


def cut(text: str, room_px: float, *, cell_px: float = CELL_PX) -> str:
    """As much of the text as fits into so many pixels, with an ellipsis where it is not all."""
    cells = int(room_px / cell_px)
    if sum(map(_cells, text)) <= cells:
        return text
    kept, taken = [], 0
    for letter in text:
        taken += _cells(letter)
        if taken > cells - 1:
            break
        kept.append(letter)
    return "".join(kept) + "…"


def _cells(letter: str) -> int:
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


class Drawing:
    """An SVG that grows from the back to the front; lengths in pixels."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self._root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "width": _px(width),
                "height": _px(height),
                "viewBox": f"0 0 {_px(width)} {_px(height)}",
                "font-family": FONT,
                "font-size": _px(FONT_PX),
            },
        )
        ElementTree.SubElement(self._root, "title").text = clean(title)
        self.box(0, 0, width, height, fill="#ffffff")

    def box(self, x: float, y: float, width: float, height: float, *, fill: str, stroke: str = "none") -> None:
        """A filled box."""
        self._add("rect", x=x, y=y, width=width, height=height, fill=fill, stroke=stroke)

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 1, dash: str = ""
    ) -> None:
        """A straight line; `dash` is SVG's pattern of strokes and gaps."""
        found = self._add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour)
        found.set("stroke-width", _px(width))
        if dash:
            found.set("stroke-dasharray", dash)

    def head(self, x: float, y: float, to: int, colour: str) -> None:
        """The head of an arrow that ends at x, pointing to the right (`to` is 1) or the left (-1)."""
        back = x - 7 * to
        points = f"{_px(x)},{_px(y)} {_px(back)},{_px(y - 3.5)} {_px(back)},{_px(y + 3.5)}"
        self._add("polygon", points=points, fill=colour)

    def dot(self, x: float, y: float, colour: str, radius: float = 3) -> None:
        """A filled circle."""
        self._add("circle", cx=x, cy=y, r=radius, fill=colour)

    def cross(self, x: float, y: float, colour: str) -> None:
        """The end of something."""
        for lean in (-5, 5):
            self.line(x - 5, y - lean, x + 5, y + lean, colour, width=2.5)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        room: float,
        *,
        colour: str = INK,
        anchor: Anchor = "start",
        bold: bool = False,
    ) -> None:
        """A text that has x at its start, middle or end, cut to `room` pixels; the whole of it shows when it is pointed
        at."""
        whole = clean(text)
        shown = cut(whole, room)
        found = self._add("text", x=x, y=y, fill=colour)
        if anchor != "start":
            found.set("text-anchor", anchor)
        if bold:
            found.set("font-weight", "bold")
        found.text = shown
        if shown != whole:
            ElementTree.SubElement(found, "title").text = whole

    def to_text(self) -> str:
        """The drawing as one XML document."""
        ElementTree.indent(self._root, space="")
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(self._root, encoding="unicode") + "\n"

    def _add(self, name: str, **places: float | str) -> ElementTree.Element:
        told = {key: value if isinstance(value, str) else _px(value) for key, value in places.items()}
        return ElementTree.SubElement(self._root, name, told)


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
