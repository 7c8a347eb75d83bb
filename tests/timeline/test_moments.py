"""Around a moment: the chart up to it, and half a minute of trace."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec

from chatsim.timeline.moments import AFTER_S, BEFORE_S, last_moments
from tests.timeline.talk import unheard


def test_a_chart_and_a_trace_of_what_led_to_it() -> None:
    steps = unheard().steps
    at = steps[-1].now
    made = last_moments(steps, at, "unheard", "it broke")
    assert made is not None
    chart, trace = made
    assert ElementTree.fromstring(chart).tag.endswith("svg")
    assert "it broke" in chart
    moments = [event["ts"] / 1e6 for event in msgspec.json.decode(trace)["traceEvents"] if "ts" in event]
    assert moments
    assert max(moments) - min(moments) <= BEFORE_S + AFTER_S


def test_where_nothing_has_happened_there_is_nothing_to_draw() -> None:
    assert last_moments([], 0.0, "nothing", "it broke") is None
