"""The chart: a document in which no text meets another, and a failure can be read."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from chatsim.errors import UsageError
from chatsim.timeline import chart
from chatsim.timeline.sequence import COLOURS
from chatsim.timeline.story import Mark
from chatsim.timeline.svg import CELL_PX, FONT_PX
from tests.timeline.talk import Talk, unheard

LONG = "a-session-with-a-long-name"
SVG = "{http://www.w3.org/2000/svg}"


def boxes(svg: str) -> list[tuple[float, float, float, float, str]]:
    """Each text with the room that it takes: left, right, top, bottom."""
    found = []
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        words = (text.text or "").strip()
        width = len(words) * CELL_PX
        left = (
            float(text.attrib["x"])
            - {"start": 0.0, "middle": width / 2, "end": width}[text.attrib.get("text-anchor", "start")]
        )
        y = float(text.attrib["y"])
        found.append((left, left + width, y - FONT_PX * 0.8, y + FONT_PX * 0.25, words))
    return found


def a_busy_talk() -> Talk:
    talk = Talk()
    for number in range(9):
        talk.enter(number / 10, f"c{number}", f"a-person-with-a-very-long-name-{number}", LONG)
    for number in range(9):
        talk.say(2.0 + number * 1.5, f"c{number}", "an-id-that-is-as-long-as-a-uuid-usually-is", LONG)
    talk.do(20.0, "malformed", "c3", "too_large", "")
    talk.do(21.0, "drain")
    talk.wait(60.0, pong=False)
    return talk


def test_no_text_meets_another_and_none_leaves_the_page() -> None:
    svg = chart(a_busy_talk().steps, title="a talk", marks=[Mark(10.0, "drop: 3 people")], rows_max=300)
    width = float(ElementTree.fromstring(svg).attrib["width"])
    found = boxes(svg)
    assert len(found) > 80
    for place, (left, right, top, bottom, words) in enumerate(found):
        assert left >= 0, words
        assert right <= width, words
        for other_left, other_right, other_top, other_bottom, other in found[place + 1 :]:
            apart = right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top
            assert apart, f"{words!r} and {other!r}"


def test_a_failure_can_be_read() -> None:
    svg = chart(unheard().steps, title="unheard")
    words = {text[4] for text in boxes(svg)}
    assert {"ann", "bob", "server", "log", "attempt 4: s #1 of ann", "UNDELIVERED #1 to bob: no_ack"} <= words
    assert {"1.000", "31.000", "121.000"} <= words
    assert COLOURS["error"] in svg


def test_the_same_steps_give_the_same_bytes() -> None:
    assert chart(unheard().steps) == chart(unheard().steps)


def test_a_lifeline_is_solid_while_there_is_a_connection() -> None:
    talk = Talk()
    talk.enter(1.0, "c1", "ann")
    talk.enter(2.0, "c2", "bob")
    talk.do(3.0, "disconnect", "c2")
    talk.enter(4.0, "c3", "bob")
    root = ElementTree.fromstring(chart(talk.steps))
    thick = [line.attrib for line in root.iter(f"{SVG}line") if line.attrib["stroke-width"] == "2"]
    xs = sorted(float(line["x1"]) for line in thick if line["x1"] == line["x2"])
    assert len(xs) == 4  # the server, ann, and bob twice
    assert xs[-1] == xs[-2]


def test_the_many_are_counted_where_they_are_not_drawn() -> None:
    svg = chart(a_busy_talk().steps, start=2.0, end=2.0, columns_max=3)
    assert any(words.startswith("(+6) message a-session") for *_, words in boxes(svg))
    assert "people who appear in this range are not drawn" in svg


def test_nothing_to_draw_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="the journal holds no step"):
        chart([])
    with pytest.raises(UsageError, match="nothing happened to them in that range"):
        chart(unheard().steps, start=1.1, end=1.2)
    with pytest.raises(UsageError, match="nobody is called eve"):
        chart(unheard().steps, users=["eve"])
