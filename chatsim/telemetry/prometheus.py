"""Figures as Prometheus' text exposition, for a scrape and for the folder of a run.

Rule: this is the one module that knows `prometheus_client`; its registry is one of the moment, since everything is
counted elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from chatsim.core.histogram import Histogram
from chatsim.telemetry.figures import Family

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Media type of the exposition."""


def exposition(families: Iterable[Family]) -> bytes:
    """The families as text, in their order; the same figures give the same bytes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(tuple(families)))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, families: tuple[Family, ...]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return map(_metric, self._families)


def _metric(family: Family) -> Metric:
    samples, labels = family.samples, [family.label] if family.label else []
    if family.kind == "histogram":
        assert isinstance(samples, Histogram)
        return _histogram(family, samples)
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = make(family.name, family.about, labels=labels)
    if isinstance(samples, Mapping):
        for value, count in samples.items():
            metric.add_metric([value], count)
    elif samples is not None:
        assert not isinstance(samples, Histogram)
        metric.add_metric([], samples)
    return metric


def _histogram(family: Family, histogram: Histogram) -> Metric:
    """Prometheus wants what lies below each edge, all buckets before it included."""
    metric = HistogramMetricFamily(family.name, family.about)
    edges = [str(float(edge_s)) for edge_s in histogram.edges_s] + ["+Inf"]
    below, buckets = 0, []
    for edge, count in zip(edges, histogram.counts, strict=True):
        below += count
        buckets.append((edge, float(below)))
    metric.add_metric([], buckets, histogram.sum_s)
    return metric
