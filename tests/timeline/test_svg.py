"""Shapes as SVG: whatever a peer calls itself, the document is one."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from chatsim.timeline.svg import CELL_PX, Drawing, clean, cut

SVG = "{http://www.w3.org/2000/svg}"


@given(st.text(), st.floats(10.0, 500.0))
def test_any_text_can_be_drawn_and_stays_in_its_room(text: str, room: float) -> None:
    drawing = Drawing(100, 100, text)
    drawing.text(1, 1, text, room, anchor="middle", bold=True)
    root = ElementTree.fromstring(drawing.to_text())
    found = root.find(f"{SVG}text")
    assert found is not None
    assert len((found.text or "").strip()) * CELL_PX <= room


def test_what_is_cut_shows_when_pointed_at() -> None:
    drawing = Drawing(100, 100, "t")
    drawing.text(1, 1, "a<b & a long name", 10 * CELL_PX)
    text = drawing.to_text()
    assert "a&lt;b &amp; a l…<title>a&lt;b &amp; a long name</title>" in text.replace("\n", "")


def test_wide_letters_take_two_cells() -> None:
    assert cut("漢字漢字", 5 * CELL_PX + 0.1) == "漢字…"
    assert cut("abcd", 4 * CELL_PX + 0.1) == "abcd"


def test_controls_are_replaced() -> None:
    assert clean("a\x00b\x1bc\nd\ud800") == "a\ufffdb\ufffdc d\ufffd"
