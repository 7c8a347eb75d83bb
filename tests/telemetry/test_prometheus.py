"""What is written is what Prometheus reads: its own parser finds every figure again."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from chatsim.core.histogram import Histogram
from chatsim.telemetry.figures import Family
from chatsim.telemetry.prometheus import CONTENT_TYPE, exposition


def lag() -> Histogram:
    histogram = Histogram((0.01, 0.1))
    for took_s in (0.005, 0.05, 0.06, 7.0):
        histogram.observe(took_s)
    return histogram


FAMILIES = [
    Family("chatsim_a_total", "counter", "Things counted.", {"x": 1, "y": 0}, "reason"),
    Family("chatsim_b_bytes", "gauge", "Things there.", 3),
    Family("chatsim_c", "gauge", "Not known here.", None),
    Family("chatsim_d_seconds", "histogram", "How long it took.", lag()),
]


def test_the_parser_finds_every_figure_again() -> None:
    parsed = {family.name: family for family in text_string_to_metric_families(exposition(FAMILIES).decode())}
    assert {name: family.type for name, family in parsed.items()} == {
        "chatsim_a": "counter",
        "chatsim_b_bytes": "gauge",
        "chatsim_c": "gauge",
        "chatsim_d_seconds": "histogram",
    }
    assert [(s.labels, s.value) for s in parsed["chatsim_a"].samples] == [({"reason": "x"}, 1), ({"reason": "y"}, 0)]
    assert parsed["chatsim_c"].samples == []
    found = {
        (s.name.removeprefix("chatsim_d_seconds"), s.labels.get("le")): s.value
        for s in parsed["chatsim_d_seconds"].samples
    }
    assert found[("_bucket", "0.01")] == 1
    assert found[("_bucket", "0.1")] == 3
    assert found[("_bucket", "+Inf")] == found[("_count", None)] == 4
    assert abs(found[("_sum", None)] - 7.115) < 1e-9


def test_the_same_figures_are_the_same_bytes() -> None:
    assert exposition(FAMILIES) == exposition(FAMILIES)
    assert CONTENT_TYPE.startswith("text/plain")
