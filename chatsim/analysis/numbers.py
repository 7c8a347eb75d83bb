"""The numbers of a run, each with one name: `delivery_latency_p99_s`, `utilisation_max`, `lost`.

Rule: every run has the same names in the same order, nan where it had no sample, so that runs stand under each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

from chatsim.scenario.expectations import AGGREGATES, METRICS


def name_of(metric: str, aggregate: str | None) -> str:
    """The name of an aggregate of a metric, in seconds where it ends in `_s`; of a counter its own."""
    if aggregate is None:
        return metric
    in_s = aggregate != "count" and METRICS[metric] == "s"
    return f"{metric}_{aggregate}_s" if in_s else f"{metric}_{aggregate}"


def numbers_of(metrics: Mapping[str, Mapping[str, float]], counters: Mapping[str, int]) -> dict[str, float]:
    """Every number of a run by its name; `metrics` maps each metric to its aggregates, as far as there are samples."""
    found = {
        name_of(metric, aggregate): float(metrics.get(metric, {}).get(aggregate, nan))
        for metric in METRICS
        for aggregate in AGGREGATES
    }
    return found | {name: float(value) for name, value in counters.items()}
