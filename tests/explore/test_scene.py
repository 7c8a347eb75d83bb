"""The last moments of a failing scenario are drawn, on either wire, as far as it came."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from chatsim.explore.draw import words
from chatsim.explore.play import Wire
from chatsim.explore.scene import drawn
from chatsim.timeline.moments import AFTER_S, BEFORE_S


@pytest.mark.parametrize("wire", ["sim", "virtual"])
def test_a_chart_and_a_trace_stand_beside_the_scenario(wire: Wire, tmp_path: Path) -> None:
    svg, json = drawn(words(3), wire, "seq", tmp_path / "seq-3.yaml")
    assert (svg.name, json.name) == ("seq-3.svg", "seq-3.json")
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert "seq does not hold" in svg.read_text(encoding="utf-8")
    document = msgspec.json.decode(json.read_bytes())
    moments = [event["ts"] / 1e6 for event in document["traceEvents"] if "ts" in event]
    assert max(moments) - min(moments) <= BEFORE_S + AFTER_S
